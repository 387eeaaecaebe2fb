"""What LiteRT's reference kernels answer, byte by byte; in an isolated subprocess."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mnist_edge import runtimes
from mnist_edge.errors import InputError
from mnist_edge.safety.isolated import DEFAULT, Process, State, WorkerFailed

_MOST_BYTES = 2**28


def predict(path: Path, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Runs a TFLite file with one input and one output on images.

    Args:
        path: The file, of batch size 1.
        images: float32 `[n, ...]`, in the model's input shape.

    Returns:
        The bytes that it takes and gives, each uint8 `[n, bytes per image]`.

    Raises:
        InputError: The file can't be run.
    """
    try:
        with Process(_REQUESTS, DEFAULT, state=_State) as process:
            inputs = process.ask("open", str(path), images, most_bytes=_MOST_BYTES)
            outputs = process.ask("run", most_bytes=_MOST_BYTES)
    except WorkerFailed as error:
        raise InputError(f"{path} must run in LiteRT. Got: {error}. Export it again.") from error
    for found in (inputs, outputs):
        is_bytes = isinstance(found, np.ndarray) and found.dtype == np.uint8
        if not is_bytes or found.ndim != 2 or len(found) != len(images):
            raise InputError(f"{path} must give one row per image. Got: another answer.")
    return inputs, outputs


@dataclasses.dataclass
class _State(State):
    opened: runtimes.Predictor = dataclasses.field(init=False)
    inputs: np.ndarray = dataclasses.field(init=False)


def _open(state: _State, path: str, images: np.ndarray) -> np.ndarray:
    state.opened = opened = runtimes.open_artifact(path, kernels="reference")
    state.inputs = inputs = opened.encode(images)
    return _as_bytes(inputs)


def _run(state: _State) -> np.ndarray:
    outputs = [state.opened.call(one[None])[0] for one in state.inputs]
    return _as_bytes(np.stack(outputs))


def _as_bytes(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values).reshape(len(values), -1).view(np.uint8)


_REQUESTS: dict[str, Callable[..., Any]] = {"open": _open, "run": _run}
