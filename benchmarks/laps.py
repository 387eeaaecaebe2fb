"""Lap after lap over the same images, in several processes at once.

A lap is every image once, at batch 1 or the batch that the file is fixed to.
"""

import concurrent.futures
import contextlib
import hashlib
import time

import numpy as np

from mnist_edge import expect
from mnist_edge.safety import limits
from mnist_edge.safety.isolated import Process

from . import child, worker

_LAP = {
    "sha256": expect.SHA256,
    "predictions": expect.count(least=1),
    "seconds": expect.POSITIVE,
    "resident_bytes": expect.or_null(expect.count(least=1)),
}


def lap(call, calls):
    """Makes every call once.

    Args:
        call: Takes an array, returns an array.
        calls: The arrays.

    Returns:
        dict: `sha256` of the results' bytes, how many `predictions` these are, `seconds` in
        calls, and `resident_bytes` of this process now, None where the system does not tell.
    """
    started = time.perf_counter()
    results = [call(values) for values in calls]
    seconds = time.perf_counter() - started
    digest = hashlib.sha256()
    for result in results:
        digest.update(np.ascontiguousarray(result).tobytes())
    return {
        "sha256": digest.hexdigest(),
        "predictions": sum(map(len, calls)),
        "seconds": seconds,
        "resident_bytes": limits.resident_bytes(),
    }


def _lap(state):
    if "calls" not in state:
        inputs, batch = state["inputs"], state["opened"].batch or 1
        state["calls"] = [
            inputs.take(range(i, i + batch), axis=0, mode="wrap")
            for i in range(0, len(inputs), batch)
        ]
    return lap(state["opened"].call, state["calls"])


def at_once(path, images, count, processes, allowance, lap_done=lambda: None):
    """Runs a file in several processes, one thread each, which open it at the same moment.

    Args:
        path: The artifact.
        images: float32 `[n, ...]`, as the model takes them.
        count: How many laps each.
        processes: How many.
        allowance: An `apart.Allowance`, of each.
        lap_done: Called as each lap of each process is done.

    Returns:
        `(runtime, laps)` a process: its name, and what `lap` returns, a list.

    Raises:
        WorkerFailed: A process ended before its last lap, or took too much.
    """

    def begin(process):
        process.ask("import", str(path), 1)

    def follow(process):
        opened = process.ask("open", str(path), 1, wanted=worker.OPENED)
        process.ask("keep", images)
        done = []
        for _ in range(count):
            done.append(process.ask("lap", wanted=_LAP))
            lap_done()
        return opened["runtime"], done

    with concurrent.futures.ThreadPoolExecutor(processes) as pool, contextlib.ExitStack() as stack:
        requests = child.REQUESTS | {"lap": _lap}
        started = [stack.enter_context(Process(requests, allowance)) for _ in range(processes)]
        for step in (begin, follow):
            asked = [pool.submit(step, process) for process in started]
            for future in concurrent.futures.as_completed(asked):
                future.result()  # the first to fail is the cause; the others are then ended
        return [future.result() for future in asked]
