import dataclasses
import json

import pytest

from benchmarks import compare
from benchmarks.measurement import FAILED, NOT_INSTALLED
from mnist_edge import schema
from tests.benchmarks import made

INT8 = "tflite-int8"


def with_workload(report, us, interval_us):
    """A report whose reference workload took so long."""
    blocks = (
        dataclasses.replace(
            block,
            reference_workload_p50_us=us,
            reference_workload_p50_interval_us=interval_us,
        )
        for block in report.timing.blocks
    )
    timing = dataclasses.replace(report.timing, blocks=tuple(blocks))
    return dataclasses.replace(report, timing=timing)


@pytest.fixture
def old(small):
    """A run whose medians are without noise: two rounds of ten calls have no interval."""
    report = with_workload(small.report, 10.0, (10.0, 10.0))
    return slow_down(report, 1)


def slow_down(report, factor, variant="all"):
    for row in report.measurements:
        if variant in (row.variant, "all"):
            us = factor * row.latency[0].p50_us
            report = made.change_latency(report, row.variant, p50_us=us, p50_interval_us=(us, us))
    return report


def row(report, variant):
    (found,) = [row for row in report.measurements if row.variant == variant]
    return found


def wrong_on(report, variant, *indices):
    """A report in which a row is wrong on these images."""
    parity = dataclasses.replace(row(report, variant).parity, wrong_indices=indices)
    return made.change(report, variant, parity=parity)


def regressions(old, new):
    return compare.compare(old, new)[0]


def test_a_run_is_no_regression_on_itself(old):
    assert compare.compare(old, old) == ([], [])


def test_accuracy_that_fell_beyond_noise_is_named(old):
    wrong = row(old, INT8).parity.wrong_indices
    right = sorted(set(range(500)) - set(wrong))
    assert regressions(old, wrong_on(old, INT8, *wrong, *right[:3])) == []  # may be chance
    (line,) = regressions(old, wrong_on(old, INT8, *wrong, *right[:20]))
    assert line.startswith("small/tflite-int8: accuracy ")
    assert line.endswith("20 images lost, 0 won, p 1.9e-06")


def test_accuracy_that_rose_is_none(old):
    assert regressions(old, wrong_on(old, INT8)) == []


def test_agreement_that_fell_beyond_noise_is_named(old):
    parity = row(old, "onnx-float32").parity
    others = dataclasses.replace(parity.disagreements, indices=tuple(range(20)))
    parity = dataclasses.replace(parity, disagreements=others)
    (line,) = regressions(old, made.change(old, "onnx-float32", parity=parity))
    assert line.startswith("small/onnx-float32: agreement ")


@pytest.mark.parametrize(("factor", "count"), [(0.5, 0), (1.005, 0), (1.02, 1)])
def test_a_file_that_grew_is_named(old, factor, count):
    size_bytes = round(row(old, INT8).size_bytes * factor)
    assert len(regressions(old, made.change(old, INT8, size_bytes=size_bytes))) == count


@pytest.mark.parametrize(("factor", "count"), [(0.5, 0), (1.09, 0), (1.12, 1)])
def test_an_artifact_that_became_slower_is_named(old, factor, count):
    lines = regressions(old, slow_down(old, factor, INT8))
    assert len(lines) == count
    assert all("small/tflite-int8: latency at threads 1: " in line for line in lines)


def test_a_machine_that_is_slower_throughout_is_no_regression(old):
    assert regressions(old, with_workload(slow_down(old, 3), 30.0, (30.0, 30.0))) == []


def test_a_slowdown_within_the_intervals_is_noise(old):
    slow = slow_down(old, 1.5, INT8)
    low, high = row(slow, INT8).latency[0].p50_interval_us
    noisy = made.change_latency(slow, INT8, p50_interval_us=(low / 2, high))
    assert regressions(old, noisy) == []


@pytest.mark.parametrize("place", ["row", "workload"])
def test_without_an_interval_nothing_is_slower_and_a_note_says_so(old, place):
    new = slow_down(old, 9, INT8)
    if place == "row":
        new = made.change_latency(new, INT8, p50_interval_us=None)
    else:
        old = with_workload(old, 10.0, None)
    assert compare.compare(old, new) == (
        [],
        ["latency: not compared, needs six or more rounds in both runs"],
    )


def without(report, variant):
    rows = tuple(row for row in report.measurements if row.variant != variant)
    return dataclasses.replace(report, measurements=rows)


def test_a_row_that_no_longer_passes_or_is_gone_is_named(old):
    new = made.change(old, INT8, status=FAILED, breaches=("is missing",), latency=())
    assert regressions(old, without(new, "onnx-float32")) == [
        "small/tflite-int8: failed, was passed: is missing",
        "small/onnx-float32: is missing",
    ]


def test_rows_that_cannot_be_compared_are_notes(old):
    new = made.change(old, "keras", status=NOT_INSTALLED)
    other = dataclasses.replace(row(old, "onnx-float32"), variant="onnx-int4")
    new = dataclasses.replace(new, measurements=(*new.measurements, other))
    assert compare.compare(old, new) == (
        [],
        [
            "small/keras: not compared, its runtime was missing in one of the runs",
            "small/onnx-int4: new",
        ],
    )


@pytest.fixture
def run(old, tmp_path):
    """Runs the command on the old report and another."""

    def run(new):
        for name, report in (("old.json", old), ("new.json", new)):
            schema.write(tmp_path / name, report)
        return compare.main([str(tmp_path / "old.json"), str(tmp_path / "new.json")])

    return run


def test_command_prints_both_machines_and_exits_1_on_a_regression(old, run, capsys):
    machine = dataclasses.replace(old.machine, processor="Another")
    new = dataclasses.replace(old, machine=machine)
    assert run(new) == 0
    printed = capsys.readouterr().out
    assert f"old: processor {old.machine.processor}, " in printed
    assert "new: processor Another, " in printed
    assert "the machines differ, which may explain a difference in latency" in printed
    assert printed.endswith("no regressions\n")
    assert run(without(new, "onnx-int8")) == 1
    assert capsys.readouterr().out.endswith("is missing\n1 regression\n")


def test_other_test_images_are_refused(old, run, capsys):
    other = dataclasses.replace(old.bundles[0], test_sha256="0" * 64)
    assert run(dataclasses.replace(old, bundles=(other,))) == 2
    assert "both runs must measure small on the same test images" in capsys.readouterr().err


def test_another_schema_is_refused(old, run, tmp_path, capsys):
    assert run(dataclasses.replace(old, schema=2)) == 2
    assert "schema must be 3. Got: 2. Run: python -m benchmarks" in capsys.readouterr().err
    (tmp_path / "new.json").write_text(json.dumps([]))
    assert compare.main([str(tmp_path / "new.json")] * 2) == 2
