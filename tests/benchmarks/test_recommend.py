import dataclasses

import pytest

from benchmarks.recommend import recommend


@dataclasses.dataclass(frozen=True)
class Wanted:
    max_kb: float | None = None
    max_us: float | None = None
    min_accuracy: float = 0.0


def row(variant, accuracy, size_kb, p50_us, status="passed", bundle="edge", noise=0.1):
    return {
        "bundle": bundle,
        "variant": variant,
        "format": variant.partition("-")[0],
        "status": status,
        "accuracy": accuracy,
        "accuracy_interval": [accuracy - 0.001, accuracy + 0.001],
        "size_bytes": 1000 * size_kb,
        "latency": [{"p50_us": p50_us, "p50_interval_us": [p50_us - noise, p50_us + noise]}],
    }


ROWS = [
    row("keras", 0.996, 130, 300),
    row("tflite-float32", 0.996, 50, 12),
    row("tflite-int8", 0.9955, 20, 6),
    row("tflite-int4", 0.97, 10, 5),
    row("onnx-float32", 0.996, 50, 26),
]


def test_the_front_is_what_no_other_artifact_beats():
    assert recommend(ROWS, Wanted())["pareto"] == ["tflite-float32", "tflite-int8", "tflite-int4"]


def test_shipped_is_the_fastest_that_is_as_accurate_as_the_best():
    advice = recommend(ROWS, Wanted())
    assert advice["ship"] == "tflite-int8"
    assert advice["why"] == (
        "tflite-int8 (99.55%, 20.0 kB, 6.0 µs): the fastest of the 3 that fit and whose accuracy "
        "is not told apart from the best one's (tflite-float32, 99.50% to 99.70%)"
    )


def test_only_what_the_intervals_tell_slower_is_left_without_a_word():
    close = [row("tflite-int8", 0.996, 20, 6, noise=1), row("onnx-int8", 0.996, 20, 6.5, noise=1)]
    assert recommend(close, Wanted())["why"].endswith("; not told slower: onnx-int8")
    close[1]["latency"][0]["p50_interval_us"] = None  # too few rounds
    assert recommend(close, Wanted())["why"].endswith("; not told slower: onnx-int8")


@pytest.mark.parametrize(
    ("wanted", "ship"),
    [
        (Wanted(max_kb=15), "tflite-int4"),
        (Wanted(max_us=5), "tflite-int4"),
        (Wanted(min_accuracy=0.9958), "tflite-float32"),
    ],
)
def test_each_limit_changes_what_fits(wanted, ship):
    assert recommend(ROWS, wanted)["ship"] == ship


def test_none_fits_and_the_nearest_is_named():
    advice = recommend(ROWS, Wanted(max_kb=9, min_accuracy=0.96))
    assert advice["ship"] is None
    assert advice["why"] == (
        "none fits (at most 9 kB, accuracy at least 96.00%); "
        "nearest: tflite-int4 (97.00%, 10.0 kB, 5.0 µs)"
    )


def test_what_breached_the_gate_is_never_shipped():
    advice = recommend([row("tflite-int8", 0.5, 20, 6, "breached")], Wanted())
    assert advice == {
        "pareto": [],
        "ship": None,
        "why": "none fits (the gate); nearest: tflite-int8 (50.00%, 20.0 kB, 6.0 µs), breached",
    }


def test_nothing_measured_is_nothing_to_ship():
    failed = {"bundle": "edge", "variant": "x", "format": "tflite", "latency": []}
    assert recommend([failed], Wanted())["why"] == "none fits: none could be measured"


def test_of_several_bundles_the_name_tells_which():
    other = row("tflite-int8", 0.9952, 90, 3, bundle="classic")
    assert recommend([*ROWS, other], Wanted())["ship"] == "classic/tflite-int8"
