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


class Fake:
    """A worker that says it took so long, until its `last` turn."""

    def __init__(self, name, turns, batch=1, last=None):
        self.name, self.turns, self.last = name, turns, last
        self.opened = child.Opened("a fake", batch, 1)

    def time_calls(self, count, batch):
        if self.last == 0:
            raise WorkerFailed("runtime crashed by SIGSEGV")
        if self.last:
            self.last -= 1
        self.turns.append((self.name, count, batch))
        return np.full(count, 5.0)


def in_rounds(workers, failed=None):
    return latency.in_rounds(workers, rounds=2, calls=3, warmup=7, failed=failed)


def test_rounds_take_artifacts_in_turn_and_do_not_count_the_warmup():
    turns = []
    samples = in_rounds({"a": Fake("a", turns), "b": Fake("b", turns)})
    assert turns == [("a", 7, 1), ("b", 7, 1), *[("a", 3, 1), ("b", 3, 1)] * 2]
    assert {row: taken[1].shape for row, taken in samples.items()} == {"a": (2, 3), "b": (2, 3)}


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
