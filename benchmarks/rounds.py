"""Time all artifacts in turn, round after round, so that noise falls on all alike."""

import numpy as np

from . import latency
from .worker import WorkerFailed

# A round times this many calls of each batch beyond single images: one of 256 images
# takes as long as 200 single ones.
_BATCH_CALLS = 1


def in_rounds(workers, rounds, calls, warmup, failed, turn_done=lambda: None):
    """Times all artifacts in turn.

    Args:
        workers: `Worker` by row, each with its images kept.
        rounds: How many times each has its turn.
        calls: Calls a turn.
        warmup: Calls before the first round, not counted.
        failed: Called with a row and the `WorkerFailed` that ended it; the rest go on.
        turn_done: Called as each turn ends.

    Returns:
        By row, without those that failed: float64 `[rounds, calls]`, microseconds, by
        batch, as `latency.summary` takes it.
    """
    samples = {
        row: {batch: [] for batch in latency.batches(worker.opened["batch"])}
        for row, worker in workers.items()
    }
    for number in range(rounds + 1):
        for row in tuple(samples):
            try:
                turn = _turn(workers[row], samples[row], calls if number else warmup)
            except WorkerFailed as error:
                del samples[row]
                failed(row, error)
                continue
            if number:  # the first is the warm-up
                for batch, taken in turn.items():
                    samples[row][batch].append(taken)
            turn_done()
    return {
        row: {batch: np.stack(turns) for batch, turns in by_batch.items()}
        for row, by_batch in samples.items()
    }


def _turn(worker, by_batch, calls):
    first, *others = by_batch
    return {
        first: worker.time_calls(calls, first),
        **{batch: worker.time_calls(_BATCH_CALLS, batch) for batch in others},
    }


def add_ratios(blocks, float_siblings):
    """Adds each row's speed relative to others of the same run, in place.

    Args:
        blocks: `{row: summary}` of one bundle and one number of threads.
        float_siblings: Row of the same format in float32, by quantized row.
    """
    for name, key in (("keras", "keras"), ("tflite_float32", "tflite-float32")):
        if key in blocks:
            for block in blocks.values():
                ratio = blocks[key]["p50_us"] / block["p50_us"]
                block[f"speed_over_{name}"] = round(ratio, 3)
    for row, sibling in float_siblings.items():
        if row in blocks and sibling in blocks:
            ends = [blocks[one]["p50_interval_us"] for one in (row, sibling)]
            blocks[row]["slower_than_float"] = is_above(*ends)


def is_above(one: list[float] | None, other: list[float] | None) -> bool | None:
    """Whether an interval lies above another: more than noise; None where one is missing."""
    return one[0] > other[1] if one and other else None


def add_floor(block, empty_us):
    """Adds how many times the empty graph of its runtime a call takes, in place.

    Args:
        block: A row's summary.
        empty_us: Median of that empty graph in the same rounds; None where it was not timed.
    """
    if empty_us:
        block["times_empty_graph"] = round(block["p50_us"] / empty_us, 3)
