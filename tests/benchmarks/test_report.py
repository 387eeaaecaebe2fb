import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import bundles, plots, report, tables
from benchmarks.measurement import NOT_INSTALLED, Disagreements, Robustness, RuntimeOverhead
from mnist_edge import schema
from tests.benchmarks import made

ROOT = Path(__file__).parents[2]


@pytest.fixture
def found(small):
    return small.report


@pytest.fixture
def read(small):
    return bundles.load_all([small.folder])


FLOAT16 = "tflite-float16"  # the third row


def main_line(report):
    return tables.main_table(report).split("\n")[4]


def test_the_table_has_one_row_per_artifact_and_reads_well_unrendered(found):
    lines = tables.main_table(found).split("\n")
    assert len(lines) == 2 + len(found.measurements)
    assert len({len(line) for line in lines}) == 1


def test_a_figure_that_is_not_there_is_a_dash(found):
    nothing = {"parity": None, "latency": (), "runtime": None}
    line = main_line(made.change(found, FLOAT16, status=NOT_INSTALLED, remarks=(), **nothing))
    assert line.count(f" {tables.MISSING} ") == 9
    assert "| not installed " in line


def test_a_verdict_on_few_images_says_so(found):
    assert "| passed, checked on only 500 images" in main_line(found)


def test_slower_than_its_float_is_said_in_words(found):
    slower = made.change_latency(made.change(found, FLOAT16, remarks=()), FLOAT16, **SLOWER)
    assert "| passed, slower than float32 " in main_line(slower)
    (latency,) = slower.measurements[2].latency
    twice = made.change(slower, FLOAT16, latency=(latency, dataclasses.replace(latency, threads=1)))
    assert "passed, slower than float32 at threads 1, 1" in tables.main_table(twice)


SLOWER = {"slower_than_float": True}


def with_blocks(report, *blocks):
    timing = dataclasses.replace(report.timing, blocks=blocks)
    return dataclasses.replace(report, timing=timing)


def test_several_numbers_of_threads_are_shown_in_full(found):
    assert "images/s at 1" not in report.text(found)
    (block,) = found.timing.blocks
    several = with_blocks(found, block, dataclasses.replace(block, threads=2))
    assert "images/s at 1" in report.text(several)


def test_rows_of_several_bundles_carry_their_bundles_name(found):
    other = dataclasses.replace(found.bundles[0], bundle="other")
    several = dataclasses.replace(found, bundles=(*found.bundles, other))
    assert "| small/tflite-int8" in tables.main_table(several)


def test_every_breach_comes_before_the_verdict(found):
    breached = dataclasses.replace(found, passed=False, breaches=("a: one", "b: two"))
    lines = report.verdict(breached).split("\n")
    assert lines[:2] == ["BREACH a: one", "BREACH b: two"]
    assert lines[-1].startswith("gate BREACHED: agreement at least 98.0%")


def test_pinning_and_the_harness_cost_are_stated(found):
    (block,) = found.timing.blocks
    core = block.pinned_cores[0]
    assert f"1 thread, pinned to core {core}; benchmark overhead (an empty" in report.text(found)
    free = with_blocks(found, dataclasses.replace(block, pinned_cores=None))
    assert "1 thread, not pinned; " in report.text(free)


def test_the_runtime_overhead_and_each_rows_share_of_it_are_stated(found):
    (block,) = found.timing.blocks
    overheads = (RuntimeOverhead("LiteRT 2.3.0", 1.25),)
    changed = with_blocks(found, dataclasses.replace(block, runtime_overhead=overheads))
    text = report.text(made.change_latency(changed, "all", times_runtime_overhead=4.321))
    assert ", runtime overhead of LiteRT 2.3.0 1.25 µs, reference workload" in text
    assert "times runtime overhead" in text.split("\n")[0]
    assert " 4.32 " in text.split("\n")[3]


def test_markdown_holds_parity_recall_and_latency_in_full(found):
    text = report.markdown(found)
    for heading in ("Verdict", "Agreement with Keras", "Recall by class", "Latency"):
        assert f"## {heading}\n" in text
    for column in ("McNemar p", "became wrong", "p90", "first call, µs", "at 256"):
        assert f" {column} |" in text


def test_all_is_written_or_nothing(found, read, tmp_path, monkeypatch):
    (tmp_path / report.BENCHMARK_JSON).write_text("good")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(plots, "draw", fail)
    with pytest.raises(OSError, match="No space left"):
        report.write(found, read, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [report.BENCHMARK_JSON]
    assert (tmp_path / report.BENCHMARK_JSON).read_text() == "good"


def disagree(report, count, variant=FLOAT16):
    """A report in which a row answers 7 where it did not, on so many images."""
    (row,) = [row for row in report.measurements if row.variant == variant]
    these, zeros = tuple(range(count)), (0,) * count
    found = Disagreements(these, zeros, zeros, choices=(7,) * count)
    return made.change(report, variant, parity=dataclasses.replace(row.parity, disagreements=found))


def test_pictures_are_drawn_and_an_earlier_runs_are_removed(found, read, tmp_path):
    for name in plots.FILES:
        (tmp_path / name).write_bytes(b"old")
    for row in found.measurements:
        found = disagree(found, 0, row.variant)
    assert report.write(found, read, tmp_path) == []
    assert {path.name for path in tmp_path.iterdir()} == {
        report.BENCHMARK_JSON,
        report.BENCHMARK_MARKDOWN,
        plots.PICTURE,
    }
    assert (tmp_path / plots.PICTURE).read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / report.BENCHMARK_JSON).read_text())["schema"] == 3


def test_without_matplotlib_the_run_goes_on_and_says_so(found, read, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert report.write(found, read, tmp_path) == ["no plots: Matplotlib is not installed"]
    assert (tmp_path / report.BENCHMARK_JSON).exists()


def test_disagreeing_images_are_drawn_with_both_answers(found, read, tmp_path):
    changed = disagree(found, 3)
    tiles, count = plots._tiles(changed, read)
    assert count >= 3
    answers = read[0].reference[0].argmax()
    label = read[0].labels[0]
    assert tiles[0][1].split("\n")[:3] == [
        f"image 0 is {label}",
        f"keras: {answers}",
        f"{FLOAT16}: 7",
    ]
    assert plots.draw(changed, read, tmp_path) == []
    assert (tmp_path / plots.DISAGREEMENTS_PICTURE).exists()


def test_no_more_than_forty_are_drawn(found, read):
    tiles, count = plots._tiles(disagree(found, 100), read)
    assert (len(tiles), count >= 100) == (40, True)


def test_examples_that_are_no_images_are_not_drawn_and_that_is_said(found, read, tmp_path):
    flat = dataclasses.replace(read[0], example_shape=(784,))
    assert plots.draw(disagree(found, 3), [flat], tmp_path) == [
        "no plot of disagreements: the examples are not images"
    ]


def test_names_on_the_points_do_not_overlap():
    from matplotlib import pyplot
    from matplotlib.text import Text

    x = np.array([10.0, 10.1, 10.2, 10.3, 30, 31, 300])
    y = np.array([99.5, 99.5, 99.51, 99.5, 99.5, 99.5, 99.4])
    figure, axes = pyplot.subplots(figsize=(11, 7))
    axes.scatter(x, y)
    axes.set_xscale("log")
    axes.margins(0.15)
    plots.label_points(axes, x, y, [30] * 7, [f"classic/tflite-dynamic-int8-{i}" for i in range(7)])
    boxes = [Text.get_window_extent(text) for text in axes.texts]
    pyplot.close(figure)
    assert len(boxes) == 7
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def keys(document):
    if isinstance(document, dict):
        return set(document).union(*map(keys, document.values()))
    if isinstance(document, list):
        return set().union(*map(keys, document))
    return set()


def test_the_schema_document_names_every_key(found, tmp_path):
    robust = Robustness(100, 40, {"plain": 0.5})
    schema.write(tmp_path / "a.json", made.change(found, FLOAT16, robustness=robust))
    documented = (ROOT / "docs" / "benchmark-schema.md").read_text()
    written = keys(json.loads((tmp_path / "a.json").read_text()))
    missing = {key for key in written if f"`{key}`" not in documented}
    assert missing == {"1", "32", "256", "plain"}  # batch sizes and distortions, in words
    assert f"schema {found.schema}\n" in documented
