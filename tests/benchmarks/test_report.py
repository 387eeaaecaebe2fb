import copy
import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import bundles, plots, report, tables
from mnist_edge import bundle

ROOT = Path(__file__).parents[2]


@pytest.fixture
def result(small):
    return copy.deepcopy(small.result)


@pytest.fixture
def read(small):
    return bundles.load_all([small.folder])


def test_the_table_has_a_row_an_artifact_and_reads_well_unrendered(result):
    lines = tables.main_table(result).split("\n")
    assert len(lines) == 2 + len(result["rows"])
    assert len({len(line) for line in lines}) == 1


def test_a_figure_that_is_not_there_is_a_dash(result):
    result["rows"][2] = {
        key: result["rows"][2][key] for key in ("bundle", "variant", "file", "size_bytes")
    } | {"status": "not installed", "latency": []}
    line = tables.main_table(result).split("\n")[4]
    assert line.count(f" {tables.MISSING} ") == 9
    assert "| not installed " in line


def test_a_verdict_on_few_images_says_so(result):
    assert "| passed, judged on only 500 images" in tables.main_table(result).split("\n")[4]


def test_slower_than_its_float_is_said_in_words(result):
    result["rows"][2]["remarks"] = []
    result["rows"][2]["latency"][0]["slower_than_float"] = True
    assert "| passed, slower than its float " in tables.main_table(result).split("\n")[4]
    result["rows"][2]["latency"].append(
        result["rows"][2]["latency"][0] | {"threads": 2, "slower_than_float": True}
    )
    assert "passed, slower than its float at threads 1, 2" in tables.main_table(result)


def test_several_numbers_of_threads_are_shown_in_full(result):
    assert "images/s at 1" not in report.text(result)
    result["timing"]["blocks"].append(result["timing"]["blocks"][0] | {"threads": 2})
    assert "images/s at 1" in report.text(result)


def test_rows_of_several_bundles_carry_their_bundles_name(result):
    result["bundles"].append(result["bundles"][0] | {"bundle": "other"})
    assert "| small/tflite-int8" in tables.main_table(result)


def test_every_breach_comes_before_the_verdict(result):
    result["passed"], result["breaches"] = False, ["a: one", "b: two"]
    lines = report.verdict(result).split("\n")
    assert lines[:2] == ["BREACH a: one", "BREACH b: two"]
    assert lines[-1].startswith("gate BREACHED: agreement at least 98.0%")


def test_pinning_and_the_harness_cost_are_stated(result):
    (block,) = result["timing"]["blocks"]
    core = block["pinned_cores"][0]
    assert f"1 thread, pinned to core {core}; the harness itself (an empty" in report.text(result)
    block["pinned_cores"] = None
    assert "1 thread, not pinned; " in report.text(result)


def test_the_empty_graphs_and_each_rows_share_of_them_are_stated(result):
    (timed,) = result["timing"]["blocks"]
    timed["empty_graphs"] = [{"runtime": "LiteRT 2.3.0", "p50_us": 1.25}]
    result["rows"][1]["latency"][0]["times_empty_graph"] = 4.321
    text = report.text(result)
    assert ", runtime overhead of LiteRT 2.3.0 1.25 µs, the reference workload" in text
    assert "times runtime overhead" in text.split("\n")[0]
    assert " 4.32 " in text.split("\n")[3]


def test_markdown_holds_parity_recall_and_latency_in_full(result):
    text = report.markdown(result)
    for heading in ("Verdict", "Agreement with Keras", "Recall by class", "Latency"):
        assert f"## {heading}\n" in text
    for column in ("McNemar p", "became wrong", "p90", "first call, µs", "at 256"):
        assert f" {column} |" in text


def test_all_is_written_or_nothing(result, read, tmp_path, monkeypatch):
    (tmp_path / bundle.BENCHMARK_JSON).write_text("good")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(plots, "draw", fail)
    with pytest.raises(OSError, match="No space left"):
        report.write(result, read, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [bundle.BENCHMARK_JSON]
    assert (tmp_path / bundle.BENCHMARK_JSON).read_text() == "good"


def test_pictures_are_drawn_and_an_earlier_runs_are_removed(result, read, tmp_path):
    for name in plots.FILES:
        (tmp_path / name).write_bytes(b"old")
    for row in result["rows"]:
        row["disagreements"]["indices"] = row["disagreements"]["choices"] = []
    assert report.write(result, read, tmp_path) == []
    assert {path.name for path in tmp_path.iterdir()} == {
        bundle.BENCHMARK_JSON,
        bundle.BENCHMARK_MARKDOWN,
        bundle.BENCHMARK_PICTURE,
    }
    assert (tmp_path / bundle.BENCHMARK_PICTURE).read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / bundle.BENCHMARK_JSON).read_text())["schema"] == 2


def test_without_matplotlib_the_run_goes_on_and_says_so(result, read, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert report.write(result, read, tmp_path) == ["no pictures: Matplotlib is not installed"]
    assert (tmp_path / bundle.BENCHMARK_JSON).exists()


def disagree(result, count):
    row = result["rows"][2]
    row["disagreements"]["indices"] = list(range(count))
    row["disagreements"]["choices"] = [7] * count


def test_disagreeing_images_are_drawn_with_both_answers(result, read, tmp_path):
    disagree(result, 3)
    tiles, count = plots._tiles(result, read)
    assert count >= 3
    answers = read[0].reference[0].argmax()
    label = read[0].labels[0]
    assert tiles[0][1].split("\n")[:3] == [
        f"image 0 is {label}",
        f"keras: {answers}",
        f"{result['rows'][2]['variant']}: 7",
    ]
    assert plots.draw(result, read, tmp_path) == []
    assert (tmp_path / bundle.DISAGREEMENTS_PICTURE).exists()


def test_no_more_than_forty_are_drawn(result, read):
    disagree(result, 100)
    tiles, count = plots._tiles(result, read)
    assert (len(tiles), count >= 100) == (40, True)


def test_examples_that_are_no_images_are_not_drawn_and_that_is_said(result, read, tmp_path):
    disagree(result, 3)
    flat = dataclasses.replace(read[0], images=read[0].images.reshape(500, 784))
    assert plots.draw(result, [flat], tmp_path) == [
        "no picture of disagreements: the examples are no images"
    ]


def test_names_on_the_points_do_not_overlap(result, read, tmp_path):
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


def test_the_schema_document_names_every_key(result):
    documented = (ROOT / "docs" / "benchmark-schema.md").read_text()
    missing = {key for key in keys(result) if f"`{key}`" not in documented}
    assert missing == {"1", "32", "256"}  # batch sizes, which it gives in words
    assert f"schema {result['schema']}\n" in documented
