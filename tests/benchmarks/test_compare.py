import copy
import json

import pytest

from benchmarks import compare
from mnist_edge import bundle


@pytest.fixture
def old(small):
    """A run whose medians are without noise: two rounds of ten calls have no interval."""
    result = copy.deepcopy(small.result)
    for block in (b for row in result["rows"] for b in row["latency"]):
        block["p50_interval_us"] = [block["p50_us"]] * 2
    for block in result["timing"]["blocks"]:
        block["yardstick_p50_interval_us"] = [block["yardstick_p50_us"]] * 2
    return result


@pytest.fixture
def new(old):
    return copy.deepcopy(old)


def row(result, variant):
    (found,) = [row for row in result["rows"] if row["variant"] == variant]
    return found


def regressions(old, new, **limits):
    return compare.compare(old, new, compare.CompareSettings(**limits))[0]


def test_a_run_is_no_regression_on_itself(old, new):
    assert compare.compare(old, new, compare.CompareSettings()) == ([], [])


def test_accuracy_that_fell_beyond_noise_is_named(old, new):
    worse = row(new, "tflite-int8")
    right = sorted(set(range(500)) - set(worse["wrong_indices"]))
    worse["wrong_indices"] = sorted(worse["wrong_indices"] + right[:3])
    assert regressions(old, new) == []  # 3 images of 500 may be chance
    worse["wrong_indices"] = sorted(worse["wrong_indices"] + right[3:20])
    (line,) = regressions(old, new)
    assert line.startswith("small/tflite-int8: accuracy ")
    assert line.endswith("20 images lost, 0 won, p 1.9e-06")


def test_accuracy_that_rose_is_none(old, new):
    row(new, "tflite-int8")["wrong_indices"] = []
    assert regressions(old, new) == []


def test_agreement_that_fell_beyond_noise_is_named(old, new):
    row(new, "onnx-float32")["disagreements"]["indices"] = list(range(20))
    (line,) = regressions(old, new)
    assert line.startswith("small/onnx-float32: agreement ")


@pytest.mark.parametrize(("factor", "count"), [(0.5, 0), (1.005, 0), (1.02, 1)])
def test_a_file_that_grew_is_named(old, new, factor, count):
    grown = row(new, "tflite-int8")
    grown["size_bytes"] = round(grown["size_bytes"] * factor)
    assert len(regressions(old, new)) == count


def slow_down(result, factor, rows=None):
    for one in rows or result["rows"]:
        for block in one["latency"]:
            block["p50_us"] *= factor
            block["p50_interval_us"] = [factor * end for end in block["p50_interval_us"]]


@pytest.mark.parametrize(("factor", "count"), [(0.5, 0), (1.09, 0), (1.12, 1)])
def test_an_artifact_that_became_slower_is_named(old, new, factor, count):
    slow_down(new, factor, [row(new, "tflite-int8")])
    lines = regressions(old, new)
    assert len(lines) == count
    assert all("small/tflite-int8: latency at threads 1: " in line for line in lines)


def test_a_machine_that_is_slower_throughout_is_no_regression(old, new):
    slow_down(new, 3)
    for block in new["timing"]["blocks"]:
        block["yardstick_p50_us"] *= 3
        block["yardstick_p50_interval_us"] = [3 * end for end in block["yardstick_p50_interval_us"]]
    assert regressions(old, new) == []


def test_a_slowdown_within_the_intervals_is_noise(old, new):
    slow_down(new, 1.5, [row(new, "tflite-int8")])
    row(new, "tflite-int8")["latency"][0]["p50_interval_us"][0] /= 2
    assert regressions(old, new) == []


@pytest.mark.parametrize("place", ["row", "yardstick"])
def test_without_an_interval_nothing_is_slower_and_a_note_says_so(old, new, place):
    slow_down(new, 9, [row(new, "tflite-int8")])
    if place == "row":
        row(new, "tflite-int8")["latency"][0]["p50_interval_us"] = None
    else:
        old["timing"]["blocks"][0]["yardstick_p50_interval_us"] = None
    assert compare.compare(old, new, compare.CompareSettings()) == (
        [],
        ["latency: not compared, fewer than six rounds can't be told from noise"],
    )


def test_a_row_that_no_longer_passes_or_is_gone_is_named(old, new):
    failed = row(new, "tflite-int8")
    failed |= {"status": "failed", "breaches": ["is missing"], "latency": []}
    new["rows"].remove(row(new, "onnx-float32"))
    assert regressions(old, new) == [
        "small/tflite-int8: failed, was passed: is missing",
        "small/onnx-float32: is gone",
    ]


def test_rows_that_cannot_be_compared_are_notes(old, new):
    row(new, "keras")["status"] = "not installed"
    new["rows"].append(row(new, "onnx-float32") | {"variant": "onnx-int4"})
    assert compare.compare(old, new, compare.CompareSettings()) == (
        [],
        ["small/keras: not compared, its runtime was missing from a run", "small/onnx-int4: new"],
    )


def written(folder, name, result):
    bundle.write_json(folder / name, result)
    return str(folder / name)


def test_command_prints_both_machines_and_exits_1_on_a_regression(old, new, tmp_path, capsys):
    new["machine"]["processor"] = "Another"
    argv = [written(tmp_path, "old.json", old), written(tmp_path, "new.json", new)]
    assert compare.main(argv) == 0
    printed = capsys.readouterr().out
    assert f"old: processor {old['machine']['processor']}, " in printed
    assert "new: processor Another, " in printed
    assert "the machines differ: a latency that does may be theirs" in printed
    assert printed.endswith("no regressions\n")
    new["rows"].pop()
    assert compare.main([argv[0], written(tmp_path, "new.json", new)]) == 1
    assert capsys.readouterr().out.endswith("is gone\n1 regression\n")


def test_other_test_images_are_refused(old, new, tmp_path, capsys):
    new["bundles"][0]["test_sha256"] = "0" * 64
    argv = [written(tmp_path, "old.json", old), written(tmp_path, "new.json", new)]
    assert compare.main(argv) == 2
    assert "both runs must judge small on the same test images" in capsys.readouterr().err


def test_another_schema_is_refused(old, new, tmp_path, capsys):
    new["schema"] = 1
    argv = [written(tmp_path, "old.json", old), written(tmp_path, "new.json", new)]
    assert compare.main(argv) == 2
    assert "must be of schema 2. Got: 1." in capsys.readouterr().err
    (tmp_path / "new.json").write_text(json.dumps([]))
    assert compare.main(argv) == 2
