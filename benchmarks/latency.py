"""Microseconds a call: NumPy array in, NumPy array out."""

import time

import numpy as np

from mnist_edge import metrics

# Beside single images: a few, and as many as a server would gather.
BATCHES = (1, 32, 256)


def time_calls(call, inputs, start, count, batch=1):
    """Times calls.

    Args:
        call: Takes `[batch, ...]`, returns an array.
        inputs: `[n, ...]`, used in turn from `start`, round and round.
        start: Index of the first input.
        count: How many calls.
        batch: Inputs a call.

    Returns:
        float64 `[count]`, microseconds a call.
    """
    starts = range(start, start + count * batch, batch)
    calls = [inputs.take(range(i, i + batch), axis=0, mode="wrap") for i in starts]
    nanoseconds = np.empty(count)
    for i, values in enumerate(calls):
        before = time.perf_counter_ns()
        call(values)
        nanoseconds[i] = time.perf_counter_ns() - before
    return nanoseconds / 1000


def batches(fixed):
    """The batch sizes to time, the first one call by call.

    Args:
        fixed: The artifact's batch, None where it is free.
    """
    return BATCHES if fixed is None else (fixed,)


def summary(samples):
    """Percentiles and throughput of one artifact, every call counted, none clipped.

    Args:
        samples: float64 `[rounds, calls]`, microseconds, by batch; the first is what
            the percentiles are of.

    Returns:
        dict, as a row's `latency` holds it.
    """
    calls_us = next(iter(samples.values()))
    p50, p90, p99 = np.percentile(calls_us, [50, 90, 99])
    interval = metrics.median_interval(calls_us)
    return {
        "calls": calls_us.size,
        "p50_us": round(float(p50), 3),
        "p50_interval_us": interval and [round(end, 3) for end in interval],
        "p90_us": round(float(p90), 3),
        "p99_us": round(float(p99), 3),
        "max_us": round(float(calls_us.max()), 3),
        "images_per_second": {
            str(batch): round(1e6 * batch / float(samples[batch].mean()))
            if batch in samples
            else None
            for batch in sorted({*BATCHES, *samples})
        },
    }
