"""Microseconds per call, NumPy array in, NumPy array out.

All artifacts are timed in turn, round after round, so that noise falls on all alike.
"""

import dataclasses
import time
import typing
from collections.abc import Callable, Hashable, Mapping

import numpy as np

from mnist_edge import metrics
from mnist_edge.safety.isolated import WorkerFailed

from .measurement import KERAS_ROW, CallTimes, Interval, Latency

if typing.TYPE_CHECKING:
    from .child import FirstCall, Imported, Opened
    from .worker import Worker

Key = typing.TypeVar("Key", bound=Hashable)
# Microseconds, float64 `[rounds, calls]`, by batch size.
Samples = dict[int, np.ndarray]

# Beside single images: a few, and as many as a server would gather.
BATCHES = (1, 32, 256)
# A round times this many calls of each batch beyond single images: one of 256 images
# takes as long as 200 single ones.
_BATCH_CALLS = 1
_FLOAT = "tflite-float32"


def time_calls(
    call: Callable[[np.ndarray], object], inputs: np.ndarray, start: int, count: int, batch: int = 1
) -> np.ndarray:
    """Times calls.

    Args:
        call: Takes `[batch, ...]`.
        inputs: `[n, ...]`, used in turn from `start`, round and round.
        start: Index of the first input.
        count: Number of calls.
        batch: Inputs per call.

    Returns:
        float64 `[count]`, microseconds per call.
    """
    starts = range(start, start + count * batch, batch)
    calls = [inputs.take(range(i, i + batch), axis=0, mode="wrap") for i in starts]
    nanoseconds = np.empty(count)
    for i, values in enumerate(calls):
        before = time.perf_counter_ns()
        call(values)
        nanoseconds[i] = time.perf_counter_ns() - before
    return nanoseconds / 1000


def in_rounds(
    workers: Mapping[Key, "Worker"],
    rounds: int,
    calls: int,
    warmup: int,
    failed: Callable[[Key, WorkerFailed], None],
    turn_done: Callable[[], object] = lambda: None,
) -> dict[Key, Samples]:
    """Times all artifacts in turn.

    Args:
        workers: Each with its images kept.
        rounds: How many times each has its turn.
        calls: Calls per turn.
        warmup: Calls before the first round, not counted.
        failed: Called with a key and the error that ended its worker; the rest go on.
        turn_done: Called as each turn ends.

    Returns:
        The samples of those that did not fail.
    """
    turns: dict[Key, dict[int, list[np.ndarray]]] = {
        key: {batch: [] for batch in _batches(worker.opened.batch)}
        for key, worker in workers.items()
    }
    for number in range(rounds + 1):
        for key in tuple(turns):
            try:
                turn = _turn(workers[key], tuple(turns[key]), calls if number else warmup)
            except WorkerFailed as error:
                del turns[key]
                failed(key, error)
                continue
            if number:  # the first is the warm-up
                for batch, times_us in turn.items():
                    turns[key][batch].append(times_us)
            turn_done()
    return {
        key: {batch: np.stack(times_us) for batch, times_us in by_batch.items()}
        for key, by_batch in turns.items()
    }


def _batches(fixed: int | None) -> tuple[int, ...]:
    """The batch sizes to time, the first one call by call."""
    return BATCHES if fixed is None else (fixed,)


def _turn(worker: "Worker", batches: tuple[int, ...], calls: int) -> Samples:
    first, *others = batches
    return {
        first: worker.time_calls(calls, first),
        **{batch: worker.time_calls(_BATCH_CALLS, batch) for batch in others},
    }


def summarize(samples: Samples) -> CallTimes:
    """Percentiles and throughput of one artifact, every call counted, none clipped.

    The percentiles are of the first batch size.
    """
    calls_us = next(iter(samples.values()))
    p50, p90, p99 = np.percentile(calls_us, [50, 90, 99])
    interval = metrics.median_interval(calls_us)
    return CallTimes(
        calls=calls_us.size,
        p50_us=round(float(p50), 3),
        p50_interval_us=(round(interval[0], 3), round(interval[1], 3)) if interval else None,
        p90_us=round(float(p90), 3),
        p99_us=round(float(p99), 3),
        max_us=round(float(calls_us.max()), 3),
        images_per_second={
            str(batch): round(1e6 * batch / float(samples[batch].mean()))
            if batch in samples
            else None
            for batch in sorted({*BATCHES, *samples})
        },
    )


@dataclasses.dataclass(frozen=True)
class Start:
    """What an artifact's process told before its calls were timed."""

    threads: int
    pinned_cores: tuple[int, ...] | None
    imported: "Imported"
    opened: "Opened"
    first: "FirstCall"


def measure(
    times: Mapping[str, CallTimes],
    starts: Mapping[str, Start],
    siblings: Mapping[str, str],
    overhead_us: Mapping[str, float],
) -> dict[str, Latency]:
    """Latency of each artifact of a bundle, beside the others of the same rounds.

    Args:
        times: By variant.
        starts: By variant.
        siblings: Variant of the same format in float32, by quantized variant.
        overhead_us: Median of a call that computes nothing, by runtime.
    """
    p50_us = {variant: own.p50_us for variant, own in times.items()}

    def beside(variant: str, own: CallTimes) -> Latency:
        start, sibling = starts[variant], times.get(siblings.get(variant, ""))
        ends = sibling.p50_interval_us if sibling else None
        return Latency(
            **vars(own),
            threads=start.threads,
            pinned_cores=start.pinned_cores,
            load_ms=start.opened.load_ms,
            **vars(start.imported),
            **vars(start.first),
            speedup_vs_keras=_ratio(p50_us.get(KERAS_ROW), own.p50_us),
            speedup_vs_tflite_float32=_ratio(p50_us.get(_FLOAT), own.p50_us),
            times_runtime_overhead=_ratio(own.p50_us, overhead_us.get(start.opened.runtime)),
            slower_than_float=is_above(own.p50_interval_us, ends),
        )

    return {variant: beside(variant, own) for variant, own in times.items()}


def _ratio(us: float | None, other_us: float | None) -> float | None:
    return round(us / other_us, 3) if us and other_us else None


def is_above(one: Interval | None, other: Interval | None) -> bool | None:
    """Whether an interval lies above another: more than noise; None where one is missing."""
    return one[0] > other[1] if one and other else None
