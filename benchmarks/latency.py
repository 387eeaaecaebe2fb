"""Measures microseconds per call, NumPy array in, NumPy array out.

Every round times each artifact once, so that noise affects all of them alike.
"""

import dataclasses
import math
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
Result = typing.TypeVar("Result")
# Microseconds, float64 `[rounds, calls]`, by batch size.
Samples = dict[int, np.ndarray]

# Batch sizes to time: a single image, a small batch, and a server's batch.
BATCHES = (1, 32, 256)
# Of a slow artifact a larger batch is timed only if its one call per round takes at most this
# share of the artifact's time in a round.
_BATCH_SHARE = 0.25
# The effort by default: seconds for small models, and at most this long for any.
_ROUNDS, _CALLS, _SECONDS = 20, 200, 60
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


@dataclasses.dataclass(frozen=True)
class Effort:
    """How much to time.

    Attributes:
        budget_seconds: Time for warm-up and rounds together. By default 60 s; as many rounds as
            fit if this is given, otherwise at most 20.
        rounds: Number of rounds; if given without a budget, they take as long as they take.
        calls: Calls per artifact and round; by default 200, or what fits the time.
        warmup: Calls per artifact before the first round, not counted; fewer if they take long.
    """

    budget_seconds: float | None = None
    rounds: int | None = None
    calls: int | None = None
    warmup: int = _CALLS

    @property
    def seconds(self) -> float:
        """The time that warm-up and rounds should take at most."""
        return self.budget_seconds or _SECONDS

    def turn_seconds(self, rows: int) -> float:
        """Returns the time of one artifact in one round; the warm-up counts as a round."""
        return self.seconds / ((self.rounds or _ROUNDS) + 1) / rows

    def turns(self, rows: int) -> int | None:
        """Returns the most turns of all artifacts, warm-up included; None if time alone ends."""
        rounds = self.rounds or (None if self.budget_seconds else _ROUNDS)
        return rounds and (rounds + 1) * rows

    def allows(self, rounds: int, elapsed: float, round_seconds: float) -> bool:
        """Whether another round is due after so many rounds and seconds."""
        if self.rounds and not self.budget_seconds:
            return rounds < self.rounds
        most = self.rounds or (math.inf if self.budget_seconds else _ROUNDS)
        return rounds < most and elapsed + round_seconds <= self.seconds


def in_rounds(
    workers: Mapping[Key, "Worker"],
    effort: Effort,
    failed: Callable[[Key, WorkerFailed], None],
    turn_done: Callable[[Key, float], object] = lambda key, seconds: None,
) -> dict[Key, Samples]:
    """Times all artifacts in turn, in each of several rounds, at least one.

    Args:
        workers: Workers to which `keep` has sent images, by key.
        effort: How much to time.
        failed: Called with the key and the error of a worker that fails; the rest continue.
        turn_done: Called with the key and the seconds of each artifact's turn in a round.

    Returns:
        The samples of the workers that did not fail, by key.
    """
    started = time.monotonic()
    turn_seconds = effort.turn_seconds(len(workers))
    running = dict(workers)

    def in_turn(act: Callable[[Key], Result]) -> dict[Key, Result]:
        results = {}
        for key in tuple(running):
            before = time.monotonic()
            try:
                results[key] = act(key)
            except WorkerFailed as error:
                del running[key]
                failed(key, error)
                continue
            turn_done(key, time.monotonic() - before)
        return results

    plans = in_turn(lambda key: _warm_up(workers[key], effort, turn_seconds))
    rounds: list[dict[Key, Samples]] = []
    round_seconds = 0.0
    while not rounds or effort.allows(len(rounds), time.monotonic() - started, round_seconds):
        before = time.monotonic()
        rounds.append(in_turn(lambda key: _turn(workers[key], plans[key])))
        round_seconds = time.monotonic() - before
    return {
        key: {batch: np.stack([one[key][batch] for one in rounds]) for batch in plans[key]}
        for key in running
    }


def _warm_up(worker: "Worker", effort: Effort, turn_seconds: float) -> dict[int, int]:
    """Warms an artifact up; returns the calls of its turn in a round, by batch size.

    Percentiles are of the first batch size.
    """
    first, *others = BATCHES if worker.opened.batch is None else (worker.opened.batch,)
    made, elapsed, seconds = 0, 0.0, 0.0
    while made < effort.warmup and elapsed < turn_seconds:
        count = min(max(1, made), effort.warmup - made)  # doubles, so that slow ones make few
        seconds = _seconds(worker, count, first)
        made, elapsed = made + count, elapsed + seconds
        seconds /= count
    plan = {first: effort.calls or max(1, min(_CALLS, int(turn_seconds / seconds)))}
    for batch in others:
        is_quick = effort.calls or batch * seconds / first <= _BATCH_SHARE * turn_seconds
        if batch > worker.most_batch or not is_quick:
            break
        seconds, first = _seconds(worker, 1, batch), batch
        plan[batch] = 1
    return plan


def _seconds(worker: "Worker", count: int, batch: int) -> float:
    """Makes calls; returns how long the request took."""
    before = time.monotonic()
    worker.time_calls(count, batch)
    return time.monotonic() - before


def _turn(worker: "Worker", plan: Mapping[int, int]) -> Samples:
    return {batch: worker.time_calls(count, batch) for batch, count in plan.items()}


def summarize(samples: Samples) -> CallTimes:
    """Computes percentiles and throughput of one artifact, without removing outliers.

    The percentiles are of the first batch size.
    """
    calls_us = next(iter(samples.values()))
    p50, p90, p99 = np.percentile(calls_us, [50, 90, 99])
    return CallTimes(
        calls=calls_us.size,
        p50_us=round(float(p50), 3),
        p50_interval_us=median_interval(calls_us),
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


def median_interval(samples_us: np.ndarray) -> Interval | None:
    """Returns `metrics.median_interval`, as reports have it."""
    found = metrics.median_interval(samples_us)
    return (round(found[0], 3), round(found[1], 3)) if found else None


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
