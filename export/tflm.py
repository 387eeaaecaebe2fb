"""What the manifest says of a TFLite file on TFLite Micro."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from mnist_edge import runtimes
from mnist_edge.manifest import ArtifactEntry, TflmRecord
from mnist_edge.runtimes import tflm
from mnist_edge.safety import limits
from mnist_edge.safety.isolated import Allowance, Process, State, WorkerFailed

from .graph import Graph

# Opening and one call take milliseconds; the arena takes what the file needs, of 268 MB at most.
_ALLOWANCE = Allowance(timeout_seconds=60, memory_limit_mb=1000)


def describe(graph: Graph) -> TflmRecord | None:
    """Lists the operators of a TFLite file for TFLite Micro; None for other formats."""
    if graph.format != "tflite":
        return None
    kinds = {operator.kind for operator in graph.operators}
    return TflmRecord(resolver=tflm.resolver(kinds), lacking=tuple(sorted(kinds - tflm.OPERATORS)))


def measured(entries: Iterable[ArtifactEntry], folder: Path) -> list[ArtifactEntry]:
    """Adds whether TFLite Micro runs each file, and its arena, if tflite-micro is installed.

    The files are opened in a process of their own, as the interpreter may crash; after one that
    is refused, in another.

    Args:
        entries: The files' entries in the manifest.
        folder: Where the files are.
    """
    found, process = [], None
    with contextlib.ExitStack() as stack:
        for entry in entries:
            path, record = folder / entry.file, entry.tflm
            if record and runtimes.is_installed(path, "tflm"):
                process = process or stack.enter_context(Process(_REQUESTS, _ALLOWANCE))
                try:
                    arena_bytes = process.ask("run", str(path), len(entry.inputs))
                    record = dataclasses.replace(record, runs=True, arena_bytes=arena_bytes)
                except WorkerFailed as error:
                    record = dataclasses.replace(record, runs=False, refusal=str(error))
                    process = None
            found.append(dataclasses.replace(entry, tflm=record))
    return found


def _run(state: State, path: str, inputs: int) -> int:
    """Calls the file on zeros, in the subprocess; returns its arena in bytes."""
    runtimes.import_runtime(path, 1, "tflm")
    limits.limit_memory(state.allowance.memory_limit_mb)
    interpreter, arena_bytes = tflm.open_file(Path(path))
    tflm.call_on_zeros(interpreter, inputs)
    return arena_bytes


_REQUESTS: dict[str, Callable[..., Any]] = {"run": _run}
