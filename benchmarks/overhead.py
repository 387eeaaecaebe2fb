"""What a call costs that computes nothing, and a known computation to compare machines by.

All of it is timed in the same rounds as the artifacts.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mnist_edge import runtimes
from mnist_edge.runtimes import Predictor

# By format, a graph of one operator with the artifacts' input and output, made by
# `tests/export/test_overhead_graphs.py`: the runtime's own overhead.
GRAPHS = {format: Path(__file__).with_name(f"overhead.{format}") for format in ("tflite", "onnx")}
# No files, only names: a call of nothing, which is what the harness itself costs, and a
# fixed computation of about 10 µs, in NumPy on one thread whatever the artifacts do.
EMPTY_CALL, REFERENCE_WORKLOAD = "harness.empty", "harness.reference"


def _workload() -> Callable[[np.ndarray], np.ndarray]:
    values = np.linspace(0, 1, 30_000, dtype=np.float32)
    result = np.empty_like(values)
    return lambda _: np.exp(values, out=result)


def _as_it_is(values: np.ndarray) -> np.ndarray:
    return values


_CALLS = {EMPTY_CALL: lambda: _as_it_is, REFERENCE_WORKLOAD: _workload}


def import_runtime(path: str, threads: int) -> None:
    """As `runtimes.import_runtime`; what is no file needs none."""
    if path not in _CALLS:
        runtimes.import_runtime(path, threads)


def open_artifact(path: str, threads: int) -> Predictor:
    """As `runtimes.open_artifact`, and opens what is no file."""
    if path not in _CALLS:
        return runtimes.open_artifact(path, threads)
    return Predictor("NumPy", None, encode=_as_it_is, call=_CALLS[path](), decode=_as_it_is)
