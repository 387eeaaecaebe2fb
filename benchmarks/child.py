"""What runs in an artifact's own process: open it, predict, time calls, answer.

`benchmarks.worker` asks; the first argument of each function is the process's memory.
"""

import time

import numpy as np

from mnist_edge import data
from mnist_edge.safety import limits

from . import latency, overhead


def _import(state, path, threads):
    """Imports the file's runtime, and limits what is reserved from here on."""
    idle_bytes = limits.peak_resident_bytes()
    started = time.perf_counter()
    overhead.import_runtime(path, threads)
    imported = time.perf_counter()
    limits.limit_memory(state["allowance"].memory_limit_mb)
    return {
        "import_ms": round(1000 * (imported - started), 2),
        "memory_idle_bytes": idle_bytes,
    }


def _open(state, path, threads):
    state.pop("opened", None)
    state.pop("inputs", None)
    started = time.perf_counter()
    state["opened"] = opened = overhead.open_artifact(path, threads)
    return {
        "runtime": opened.runtime,
        "batch": opened.batch,
        "load_ms": round(1000 * (time.perf_counter() - started), 2),
    }


def _first_call(state, images):
    """The first call, and the most memory until then: no more images are here yet."""
    opened = state["opened"]
    inputs = opened.encode(images)[: opened.batch or 1]
    (first_call_us,) = latency.time_calls(opened.call, inputs, 0, 1, opened.batch or 1)
    return {
        "first_call_us": round(float(first_call_us), 1),
        "memory_peak_bytes": limits.peak_resident_bytes(),
    }


def _predict(state, images):
    found = state["opened"].predict(images)
    if found.dtype.kind != "f" or found.ndim != 2 or found.shape[1] > data.MOST_CLASSES:
        raise ValueError(
            f"gives {found.dtype} {list(found.shape)}; float32 [n, classes] promised, at most "
            f"{data.MOST_CLASSES} classes"
        )
    return found.astype(np.float32, copy=False)


def _keep(state, images):
    state["inputs"] = state["opened"].encode(images)
    state["timed"] = 0


def _time_calls(state, count, batch):
    started = state["timed"]
    state["timed"] += count * batch
    return latency.time_calls(state["opened"].call, state["inputs"], started, count, batch)


REQUESTS = {
    "import": _import,
    "open": _open,
    "first call": _first_call,
    "predict": _predict,
    "keep": _keep,
    "time calls": _time_calls,
}
