"""Functions that run in an artifact's own process: open it, predict, time calls.

`benchmarks.worker` sends the requests.
"""

import dataclasses
import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Annotated

import numpy as np

from mnist_edge import data
from mnist_edge.runtimes import Predictor
from mnist_edge.safety import isolated, limits
from mnist_edge.schema import Count, CountFrom1, NotNegative, Positive, Sha256, Text, integer

from . import latency, overhead


@dataclasses.dataclass(frozen=True)
class Imported:
    """Time to import the runtime, and peak memory of the process before the import."""

    import_ms: NotNegative
    memory_idle_bytes: Count | None


@dataclasses.dataclass(frozen=True)
class Opened:
    """An opened artifact.

    `batch` is its fixed batch size, None if any size is accepted; `arena_bytes` is the memory that
    TFLite Micro takes for it, `compiled_bytes` code and constants of a compiled C source, None in
    other runtimes.
    """

    runtime: Text
    # Larger than any batch in a report; a malicious file may declare 2**31.
    batch: Annotated[int, integer(1, 2**16)] | None
    load_ms: NotNegative
    arena_bytes: Count | None = None
    compiled_bytes: Count | None = None


@dataclasses.dataclass(frozen=True)
class FirstCall:
    """Time of the first call, and peak memory of the process up to its end."""

    first_call_us: NotNegative
    memory_peak_bytes: Count | None


@dataclasses.dataclass(frozen=True)
class Lap:
    """One pass over the images: SHA-256 of the results, seconds in calls, memory afterwards."""

    sha256: Sha256
    predictions: CountFrom1
    seconds: Positive
    resident_bytes: CountFrom1 | None


@dataclasses.dataclass
class State(isolated.State):
    """The opened artifact and its encoded inputs; how many are timed; the batches of a lap."""

    opened: Predictor = dataclasses.field(init=False)
    inputs: np.ndarray = dataclasses.field(init=False)
    timed: int = 0
    calls: Sequence[np.ndarray] = ()


def _import(state: State, path: str, threads: int, kernels: str = "") -> Imported:
    """Imports the file's runtime, then limits further memory reservations."""
    idle_bytes = limits.peak_resident_bytes()
    started = time.perf_counter()
    overhead.import_runtime(path, threads, kernels)
    imported = time.perf_counter()
    limits.limit_memory(state.allowance.memory_limit_mb)
    return Imported(round(1000 * (imported - started), 2), idle_bytes)


def _open(state: State, path: str, threads: int, kernels: str = "") -> Opened:
    for name in ("opened", "inputs"):  # free the last ones first
        vars(state).pop(name, None)
    started = time.perf_counter()
    state.opened = opened = overhead.open_artifact(path, threads, kernels)
    load_ms = round(1000 * (time.perf_counter() - started), 2)
    sizes = opened.arena_bytes, opened.compiled_bytes
    return Opened(opened.runtime, opened.batch, load_ms, *sizes)


def _first_call(state: State, images: np.ndarray) -> FirstCall:
    """Makes the first call, before more images take memory, and reads the peak memory."""
    opened = state.opened
    inputs = opened.encode(images)[: opened.batch or 1]
    (first_call_us,) = latency.time_calls(opened.call, inputs, 0, 1, opened.batch or 1)
    return FirstCall(round(float(first_call_us), 1), limits.peak_resident_bytes())


def _predict(state: State, images: np.ndarray) -> np.ndarray:
    found = state.opened.predict(images)
    if found.dtype.kind != "f" or found.ndim != 2 or found.shape[1] > data.MOST_CLASSES:
        raise ValueError(
            f"must return float32 [n, classes], at most {data.MOST_CLASSES} classes. "
            f"Got: {found.dtype} {list(found.shape)}"
        )
    return found.astype(np.float32, copy=False)


def _keep(state: State, images: np.ndarray) -> None:
    state.inputs = state.opened.encode(images)
    state.timed = 0


def _time_calls(state: State, count: int, batch: int) -> np.ndarray:
    started = state.timed
    state.timed += count * batch
    return latency.time_calls(state.opened.call, state.inputs, started, count, batch)


def _lap(state: State) -> Lap:
    if not state.calls:
        inputs, batch = state.inputs, state.opened.batch or 1
        state.calls = [
            inputs.take(range(i, i + batch), axis=0, mode="wrap")
            for i in range(0, len(inputs), batch)
        ]
    return lap(state.opened.call, state.calls)


def lap(call: Callable[[np.ndarray], np.ndarray], calls: Sequence[np.ndarray]) -> Lap:
    """Calls the artifact once on each batch of `calls`."""
    started = time.perf_counter()
    results = [call(values) for values in calls]
    seconds = time.perf_counter() - started
    digest = hashlib.sha256()
    for result in results:
        digest.update(np.ascontiguousarray(result).tobytes())
    return Lap(digest.hexdigest(), sum(map(len, calls)), seconds, limits.resident_bytes())


REQUESTS: dict[str, Callable[..., object]] = {
    "import": _import,
    "open": _open,
    "first call": _first_call,
    "predict": _predict,
    "keep": _keep,
    "time calls": _time_calls,
    "lap": _lap,
}
