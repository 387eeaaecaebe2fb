"""Microseconds a call at batch 1: NumPy array in, NumPy array out."""

import time

import numpy as np


def time_calls(call, inputs, start, count):
    """Times single calls.

    Args:
        call: Takes `[1, ...]`, returns an array.
        inputs: `[n, ...]`, used in turn from `start`, round and round.
        start: Index of the first input.
        count: How many calls.

    Returns:
        float64 `[count]`, microseconds a call.
    """
    singles = [inputs[i : i + 1] for i in (np.arange(start, start + count) % len(inputs))]
    nanoseconds = np.empty(count)
    for i, single in enumerate(singles):
        before = time.perf_counter_ns()
        call(single)
        nanoseconds[i] = time.perf_counter_ns() - before
    return nanoseconds / 1000


def in_rounds(workers, rounds, calls, warmup):
    """Times all artefacts in turn, round after round, so that noise falls on all alike.

    Args:
        workers: `Worker` by row.
        rounds: How many times each has its turn.
        calls: Calls a turn.
        warmup: Calls before the first round, not counted.

    Returns:
        float64 `[rounds * calls]`, microseconds, by row.
    """
    for worker in workers.values():
        worker.time_calls(warmup)
    samples = {row: [] for row in workers}
    for _ in range(rounds):
        for row, worker in workers.items():
            samples[row].append(worker.time_calls(calls))
    return {row: np.concatenate(turns) for row, turns in samples.items()}


def summary(samples):
    """Median and 99th percentile of microseconds a call, as the report's keys."""
    p50, p99 = np.percentile(samples, [50, 99])
    return {"latency_p50_us": round(float(p50), 2), "latency_p99_us": round(float(p99), 2)}
