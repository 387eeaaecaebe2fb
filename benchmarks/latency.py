"""Measures microseconds per call, NumPy array in, NumPy array out.

Every round times each artifact once, so that noise affects all of them alike.
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

# Batch sizes to time: a single image, a small batch, and a server's batch.
BATCHES = (1, 32, 256)
# Calls per round of each larger batch: one call on 256 images takes as long as 200 calls on
# one.
_BATCH_CALLS = 1
_FLOAT = "tflite-float32"


def time_calls(
    call: Callable[[np.ndarray], object], inputs: np.ndarray, start: int, count: int, batch: int = 1
) -> np.ndarray:
    """Times calls.

    Args:
        call: Function of an array `[batch, ...]`.
        inputs: `[n, ...]`, used in turn from `start`, wrapping around.
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
    """Times all artifacts in turn, in each of several rounds.

    Args:
        workers: Workers to which `keep` has sent images, by key.
        rounds: Number of rounds.
        calls: Calls per artifact and round.
        warmup: Calls before the first round, not counted.
        failed: Called with the key and the error of a worker that fails; the rest continue.
        turn_done: Called after each artifact's turn in a round.

    Returns:
        The samples of the workers that did not fail, by key.
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
            if number:  # round 0 is the warm-up
                for batch, times_us in turn.items():
                    turns[key][batch].append(times_us)
            turn_done()
    return {
        key: {batch: np.stack(times_us) for batch, times_us in by_batch.items()}
        for key, by_batch in turns.items()
    }


def _batches(fixed: int | None) -> tuple[int, ...]:
    """Returns the batch sizes to time; percentiles are of the first one."""
    return BATCHES if fixed is None else (fixed,)


def _turn(worker: "Worker", batches: tuple[int, ...], calls: int) -> Samples:
    first, *others = batches
    return {
        first: worker.time_calls(calls, first),
        **{batch: worker.time_calls(_BATCH_CALLS, batch) for batch in others},
    }


def summarize(samples: Samples) -> CallTimes:
    """Computes percentiles and throughput of one artifact, without removing outliers.

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
    """Costs of starting an artifact's process, before its calls are timed."""

    threads: int
    pinned_cores: tuple[int, ...] | None
    imported: "Imported"
    opened: "Opened"
    first: "FirstCall"


def combine(
    times: Mapping[str, CallTimes],
    starts: Mapping[str, Start],
    siblings: Mapping[str, str],
    overhead_us: Mapping[str, float],
) -> dict[str, Latency]:
    """Combines each artifact's times with its ratios to the bundle's other artifacts.

    Args:
        times: Call times by variant, all from the same rounds.
        starts: Start-up costs by variant.
        siblings: The float32 variant of the same format, by reduced-precision variant.
        overhead_us: Median latency of the overhead graph, by runtime.
    """
    p50_us = {variant: own.p50_us for variant, own in times.items()}

    def combine(variant: str, own: CallTimes) -> Latency:
        start, sibling = starts[variant], times.get(siblings.get(variant, ""))
        sibling_interval = sibling.p50_interval_us if sibling else None
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
            slower_than_float=is_above(own.p50_interval_us, sibling_interval),
        )

    return {variant: combine(variant, own) for variant, own in times.items()}


def _ratio(us: float | None, other_us: float | None) -> float | None:
    return round(us / other_us, 3) if us and other_us else None


def is_above(one: Interval | None, other: Interval | None) -> bool | None:
    """Whether an interval lies entirely above another; None if either is missing."""
    return one[0] > other[1] if one and other else None
