import dataclasses

import pytest

from benchmarks.recommend import recommend
from benchmarks.settings import BenchmarkSettings
from tests.benchmarks.made import row

ROWS = [
    row("keras", 0.996, 130, 300),
    row("tflite-float32", 0.996, 50, 12),
    row("tflite-int8", 0.9955, 20, 6),
    row("tflite-int4", 0.97, 10, 5),
    row("onnx-float32", 0.996, 50, 26),
]
ANY = BenchmarkSettings()


def test_the_front_is_what_no_other_artifact_beats():
    assert recommend(ROWS, ANY).pareto == ("tflite-float32", "tflite-int8", "tflite-int4")


def test_shipped_is_the_fastest_that_is_as_accurate_as_the_best():
    advice = recommend(ROWS, ANY)
    assert advice.ship == "tflite-int8"
    assert advice.why == (
        "tflite-int8 (99.55%, 20.0 kB, 6.0 µs): the fastest of the 3 that meet the limits with an "
        "accuracy within the best one's 95 % interval (tflite-float32, 99.50% to 99.70%)"
    )


@pytest.mark.parametrize("noise", [1, None])  # None: too few rounds for an interval
def test_only_what_the_intervals_tell_slower_is_left_without_a_word(noise):
    close = [row("tflite-int8", 0.996, 20, 6, noise=1), row("onnx", 0.996, 20, 6.5, noise=noise)]
    assert recommend(close, ANY).why.endswith("; not significantly slower: onnx")


@pytest.mark.parametrize(
    ("limits", "ship"),
    [
        ({"max_kb": 15}, "tflite-int4"),
        ({"max_us": 5}, "tflite-int4"),
        ({"min_accuracy": 0.9958}, "tflite-float32"),
    ],
)
def test_each_limit_changes_what_fits(limits, ship):
    assert recommend(ROWS, BenchmarkSettings(**limits)).ship == ship


def test_none_fits_and_the_nearest_is_named():
    advice = recommend(ROWS, BenchmarkSettings(max_kb=9, min_accuracy=0.96))
    assert advice.ship is None
    assert advice.why == (
        "no artifact meets the limits (at most 9 kB, accuracy at least 96.00%); "
        "nearest: tflite-int4 (97.00%, 10.0 kB, 5.0 µs)"
    )


def test_what_breached_the_gate_is_never_shipped():
    advice = recommend([row("tflite-int8", 0.5, 20, 6, "breached")], ANY)
    assert (advice.pareto, advice.ship) == ((), None)
    assert advice.why == (
        "no artifact meets the limits (the gate); nearest: tflite-int8 "
        "(50.00%, 20.0 kB, 6.0 µs), breached"
    )


def test_nothing_measured_is_nothing_to_ship():
    failed = dataclasses.replace(ROWS[1], latency=())
    assert recommend([failed], ANY).why == "no artifact to ship: none could be measured"


def test_of_several_bundles_the_name_tells_which():
    other = row("tflite-int8", 0.9952, 90, 3, bundle="classic")
    assert recommend([*ROWS, other], ANY).ship == "classic/tflite-int8"
