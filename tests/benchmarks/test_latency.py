import time

import numpy as np
import pytest

from benchmarks import child, latency
from benchmarks.worker import WorkerFailed
from tests.benchmarks import made


def test_each_call_takes_the_next_image_and_is_timed():
    seen = []
    samples = latency.time_calls(lambda x: seen.append(x.item()), np.arange(3)[:, None], 2, 4)
    assert seen == [2, 0, 1, 2]
    assert samples.shape == (4,)
    assert (samples > 0).all()


def test_a_batch_takes_the_next_images_round_and_round():
    seen = []
    latency.time_calls(lambda x: seen.append(x.tolist()), np.arange(3), 1, 2, batch=4)
    assert seen == [[1, 2, 0, 1], [2, 0, 1, 2]]


class Clock:
    """A clock that moves only when a fake works."""

    now = 0.0
    perf_counter_ns = staticmethod(time.perf_counter_ns)

    def monotonic(self):
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    monkeypatch.setattr(latency, "time", Clock())
    return latency.time


class Fake:
    """A worker that takes so many seconds per image, and fails after its `last` turn."""

    most_batch = 10_000

    def __init__(self, name, turns, batch=1, last=None, seconds=1e-6):
        self.name, self.turns, self.last, self.seconds = name, turns, last, seconds
        self.opened = child.Opened("a fake", batch, 1)

    def time_calls(self, count, batch):
        latency.time.now += count * batch * self.seconds
        if self.last == 0:
            raise WorkerFailed("runtime crashed by SIGSEGV")
        if self.last:
            self.last -= 1
        self.turns.append((self.name, count, batch))
        return np.full(count, 5.0)


def in_rounds(workers, failed=None, **effort):
    effort = effort or {"rounds": 2, "calls": 3, "warmup": 4}
    return latency.in_rounds(workers, latency.Effort(**effort), failed)


def test_rounds_take_artifacts_in_turn_and_do_not_count_the_warmup():
    turns = []
    samples = in_rounds({"a": Fake("a", turns), "b": Fake("b", turns)})
    warmups = [[(row, count, 1) for count in (1, 1, 2)] for row in "ab"]
    assert turns == [*warmups[0], *warmups[1], *[("a", 3, 1), ("b", 3, 1)] * 2]
    assert {row: taken[1].shape for row, taken in samples.items()} == {"a": (2, 3), "b": (2, 3)}


# Seconds per image, the shape of a row's samples (rounds, calls), and the seconds it may take.
@pytest.mark.parametrize(
    ("seconds", "effort", "expected", "took"),
    [
        (1e-6, {}, (20, 200), (0, 1)),  # small: as many as are useful, however little time it takes
        (1e-6, {"budget_seconds": 2}, (None, 200), (1.9, 2)),  # or as long as is asked for
        (0.01, {}, (19, 142), (50, 60)),
        (1, {}, (20, 1), (40, 60)),  # 4,200 calls of one row would be 70 minutes
        (1, {"budget_seconds": 8}, (3, 1), (6, 8)),
        (1, {"budget_seconds": 0.1}, (1, 1), (3, 4)),  # too little: one round all the same
        (1, {"rounds": 30}, (30, 1), (60, 65)),
        (1, {"rounds": 30, "calls": 5}, (30, 5), (300, 310)),
        (1, {"rounds": 30, "budget_seconds": 8}, (3, 1), (6, 8)),
    ],
)
def test_a_budget_is_kept(clock, seconds, effort, expected, took):
    rows = {"slow": Fake("slow", [], seconds=seconds), "quick": Fake("quick", [], seconds=seconds)}
    samples = in_rounds(rows, **effort or {"budget_seconds": None})
    shapes = {by_batch[1].shape for by_batch in samples.values()}
    ((rounds, calls),) = shapes
    assert (rounds if expected[0] else None, calls) == expected
    assert took[0] <= clock.now <= took[1] * 1.2


def test_a_slow_artifact_takes_no_calls_from_a_quick_one():
    turns = []
    rows = {"slow": Fake("slow", turns, batch=None, seconds=1), "quick": Fake("quick", turns)}
    samples = in_rounds(rows, budget_seconds=60)
    assert samples["slow"][1].shape[1] == 1
    assert samples["quick"][1].shape[1] == 200
    assert list(samples["slow"]) == [1]  # a call on 32 images would take 32 s


def test_large_images_are_not_timed_in_large_batches():
    free = Fake("free", [], batch=None)
    free.most_batch = 40
    assert list(in_rounds({"free": free})["free"]) == [1, 32]


def test_a_free_batch_is_timed_at_every_size_and_a_fixed_one_at_its_own():
    assert list(in_rounds({"free": Fake("free", [], batch=None)})["free"]) == [1, 32, 256]
    assert list(in_rounds({"fixed": Fake("fixed", [], batch=8)})["fixed"]) == [8]


@pytest.mark.parametrize("last", [0, 1, 2])
def test_a_crash_in_any_round_costs_its_row_and_the_rest_goes_on(last):
    failures = {}
    workers = {"a": Fake("a", [], last=last), "b": Fake("b", [])}
    samples = in_rounds(workers, failed=lambda row, error: failures.update({row: str(error)}))
    assert list(samples) == ["b"]
    assert failures == {"a": "runtime crashed by SIGSEGV"}


def test_summary_counts_every_call_and_clips_none():
    calls_us = np.arange(101.0).reshape(1, 101)
    calls_us[0, 100] = 1e6
    times = latency.summarize({1: calls_us, 32: np.full((1, 1), 64.0)})
    assert (times.p50_us, times.p90_us, times.p99_us) == (50, 90, 99)
    assert times.max_us == 1e6
    assert times.calls == 101
    assert times.images_per_second["32"] == 500_000
    assert times.images_per_second["256"] is None


def measure(times, siblings=None, overhead_us=None):
    starts = dict.fromkeys(times, made.START)
    return latency.combine(times, starts, siblings or {}, overhead_us or {})


def test_ratios_are_to_keras_and_to_tflite_float32_of_the_same_run():
    times = {"keras": 300, "tflite-float32": 10, "tflite-int8": 5}
    found = measure(
        {name: made.times(p50_us) for name, p50_us in times.items()},
        {"tflite-int8": "tflite-float32"},
        {"LiteRT 1": 2.5},
    )["tflite-int8"]
    assert (found.speedup_vs_keras, found.speedup_vs_tflite_float32) == (60, 2)
    assert found.times_runtime_overhead == 2
    assert found.slower_than_float is False


def test_a_ratio_to_a_row_that_is_not_there_is_none():
    found = measure({"onnx-int8": made.times(5)}, {"onnx-int8": "onnx-float32"})["onnx-int8"]
    assert found.speedup_vs_keras is found.speedup_vs_tflite_float32 is None
    assert found.times_runtime_overhead is found.slower_than_float is None


@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_below_six_rounds_nothing_is_told_slower(rounds):
    times = {
        row: latency.summarize({1: np.full((rounds, 20), p50_us)})
        for row, p50_us in (("onnx-float32", 10.0), ("onnx-int8", 30.0))
    }
    found = measure(times, {"onnx-int8": "onnx-float32"})["onnx-int8"]
    assert found.p50_interval_us is None
    assert found.slower_than_float is None


@pytest.mark.parametrize(("p50_us", "slower"), [(9, False), (10.1, False), (11, True)])
def test_quantized_is_slower_than_its_float_only_beyond_noise(p50_us, slower):
    times = {"onnx-float32": made.times(10), "onnx-int8": made.times(p50_us)}
    found = measure(times, {"onnx-int8": "onnx-float32"})["onnx-int8"]
    assert found.slower_than_float is slower
