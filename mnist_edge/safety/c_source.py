"""A C source in a bundle is native code: it is compiled only if it can be made again.

The exporter makes it again from the bundle's TFLite file, in an isolated subprocess. All that a
stranger then decides are the weights and the graph, which the exporter checks.
"""

import functools
import importlib.util
from pathlib import Path

import mnist_edge
from mnist_edge.errors import InputError
from mnist_edge.safety.isolated import Allowance, Process, State, WorkerFailed

# As long as `supervise` lets a command open a model.
_ALLOWANCE = Allowance(timeout_seconds=300)
_MODULES = {"ai_edge_litert": "ai-edge-litert", "flatbuffers": "flatbuffers"}


def missing() -> str | None:
    """Returns which package the check lacks; None if it has all."""
    for module, package in _MODULES.items():
        if importlib.util.find_spec(module) is None:
            return f"{package} is not installed, without which no C source is checked"
    return None


@functools.cache
def fault(path: Path, sha256: str) -> str | None:
    """Returns why a bundle's C source must not be compiled; None if it may be.

    Args:
        path: The source.
        sha256: The SHA-256 that it has been found to have.
    """
    if cause := missing():
        return cause
    with Process(_REQUESTS, _ALLOWANCE, (InputError,)) as process:
        try:
            process.ask("check", str(path))
        except (InputError, WorkerFailed) as error:
            return str(error)
    return None


def _check(state: State, path: str) -> None:
    mnist_edge.import_module("export.c.origin").check(Path(path))


_REQUESTS = {"check": _check}
