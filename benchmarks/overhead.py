"""Calls timed beside the artifacts: runtime overhead, an empty call, a reference workload.

All are timed in the same rounds as the artifacts. The reference workload is a fixed computation
for comparing machines.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mnist_edge import runtimes
from mnist_edge.runtimes import Predictor

# Graphs of one operator with the artifacts' input and output, by format; their latency is the
# runtime's overhead. `tests/export/test_overhead_graphs.py` generates them.
GRAPHS = {format: Path(__file__).with_name(f"overhead.{format}") for format in ("tflite", "onnx")}
# Names used in place of a file's path: an empty call, which measures the benchmark's own
# overhead, and a NumPy computation of about 10 µs on one thread.
EMPTY_CALL, REFERENCE_WORKLOAD = "harness.empty", "harness.reference"


def _workload() -> Callable[[np.ndarray], np.ndarray]:
    values = np.linspace(0, 1, 30_000, dtype=np.float32)
    result = np.empty_like(values)
    return lambda _: np.exp(values, out=result)


def _identity(values: np.ndarray) -> np.ndarray:
    return values


_CALLS = {EMPTY_CALL: lambda: _identity, REFERENCE_WORKLOAD: _workload}


def import_runtime(path: str, threads: int, kernels: str = "") -> None:
    """Imports the runtime for `path`; the harness's own calls need none."""
    if path not in _CALLS:
        runtimes.import_runtime(path, threads, kernels)


def open_artifact(path: str, threads: int, kernels: str = "") -> Predictor:
    """Opens an artifact, or one of the harness's own calls by name."""
    if path not in _CALLS:
        return runtimes.open_artifact(path, threads, kernels)
    return Predictor("NumPy", None, encode=_identity, call=_CALLS[path](), decode=_identity)
