"""What the manifest says of a TFLite file on TFLite Micro."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mnist_edge import runtimes
from mnist_edge.manifest import ArtifactEntry, TflmRecord
from mnist_edge.runtimes import tflm
from mnist_edge.safety import limits
from mnist_edge.safety.isolated import Allowance, Process, WorkerFailed

from .graph import Graph

# Opening and one call take milliseconds; the arena takes what the file needs, of 268 MB at most.
_ALLOWANCE = Allowance(timeout_seconds=60, memory_limit_mb=1000)


def describe(graph: Graph) -> TflmRecord | None:
    """Lists the operators of a TFLite file for TFLite Micro; None for other formats."""
    if graph.format != "tflite":
        return None
    kinds = {operator.kind for operator in graph.operators}
    return TflmRecord(resolver=tflm.resolver(kinds), lacking=tuple(sorted(kinds - tflm.OPERATORS)))


def measured(entry: ArtifactEntry, path: Path) -> ArtifactEntry:
    """Adds whether TFLite Micro runs a file, and its arena, if tflite-micro is installed.

    The file is opened in a process of its own, as the interpreter may crash.

    Args:
        entry: The file's entry in the manifest.
        path: The file.
    """
    if not entry.tflm or not runtimes.is_installed(path, "tflm"):
        return entry
    with Process(_REQUESTS, _ALLOWANCE) as process:
        try:
            arena_bytes = process.ask("run", str(path), len(entry.inputs))
            found = dataclasses.replace(entry.tflm, runs=True, arena_bytes=arena_bytes)
        except WorkerFailed as error:
            found = dataclasses.replace(entry.tflm, runs=False, refusal=str(error))
    return dataclasses.replace(entry, tflm=found)


def _run(state: dict[str, Any], path: str, inputs: int) -> int:
    """Calls the file on zeros, in the subprocess; returns its arena in bytes."""
    runtimes.import_runtime(path, 1, "tflm")
    limits.limit_memory(state["allowance"].memory_limit_mb)
    interpreter, arena_bytes = tflm.open_file(Path(path))
    tflm.call_on_zeros(interpreter, inputs)
    return arena_bytes


_REQUESTS: dict[str, Callable[..., Any]] = {"run": _run}
