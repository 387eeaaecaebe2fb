"""Runs in the isolated subprocess: both models, side by side."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mnist_edge import backend, cli, runtimes
from mnist_edge.models import trained
from mnist_edge.safety import isolated, limits

from . import keras_side, match, onnx_side, tflite_side
from .activation import Activation
from .match import Match
from .records import Compared, LayerResult
from .statistics import Comparison

_TRACERS = {".tflite": tflite_side.trace, ".onnx": onnx_side.trace}
# Images from whose values the tensors are found.
_TO_MATCH = 8
# Longest side of a picture of a channel.
MOST_PIXELS = 48
_MOST_TEXT = 200


@dataclasses.dataclass
class State(isolated.State):
    """The Keras model; the last comparison's matched tensors, and each layer's worst channel."""

    model: Any = dataclasses.field(init=False)
    pairs: list[tuple[Activation, Activation, bool]] = dataclasses.field(init=False)
    worst: list[int] = dataclasses.field(init=False)


def _start(state: State, model: str) -> None:
    """Loads the Keras model, then limits further memory reservations."""
    backend.start_keras()
    limits.limit_memory(state.allowance.memory_limit_mb)
    state.model = trained.load_model(Path(model), "Export the bundle again.")


def _compare(state: State, path: str, images: np.ndarray) -> Compared:
    """Compares an artifact with the model; keeps what `_pictures` needs."""
    opened = runtimes.open_artifact(path)
    batch = opened.batch or 1
    traced = _TRACERS[Path(path).suffix](Path(path), batch)

    def both(given: np.ndarray) -> Iterator[tuple[list[Activation], list[Activation]]]:
        for start in range(0, len(given), batch):
            chosen = given.take(range(start, start + batch), axis=0, mode="wrap")
            yield keras_side.run(state.model, chosen), traced.run(opened.encode(chosen))

    layers, tensors = (_joined(side) for side in zip(*both(images[:_TO_MATCH]), strict=True))
    matches = match.find(layers, tensors)
    sums = [Comparison(layers[one.layer].values.shape[-1]) for one in matches]
    for expected, got in both(images):
        for one, total in zip(matches, sums, strict=True):
            tensor, like = got[one.tensor], expected[one.layer].values
            total.add(like, match.aligned(tensor.values, like, one.is_moved), tensor)
    times = traced.time(opened.encode(images[:batch])) if traced.time and matches else None
    results = _results(layers, tensors, matches, sums, _by_match(times, matches, batch))
    state.pairs = [(layers[one.layer], tensors[one.tensor], one.is_moved) for one in matches]
    state.worst = [each.worst_channel for each in results]
    last = max((one.layer for one in matches), default=-1)
    return Compared(opened.runtime, results, tuple(_text(one.name) for one in layers[last + 1 :]))


def _joined(batches: Sequence[list[Activation]]) -> list[Activation]:
    return [
        dataclasses.replace(same[0], values=np.concatenate([each.values for each in same]))
        for same in zip(*batches, strict=True)
    ]


def _by_match(
    times: Sequence[float] | None, matches: Sequence[Match], batch: int
) -> list[float | None]:
    """Sums the times of the tensors since the match before; microseconds per image."""
    if times is None:
        return [None] * len(matches)
    ends = sorted(one.tensor for one in matches)
    starts = dict(zip(ends, (-1, *ends), strict=False))
    return [
        round(sum(times[starts[one.tensor] + 1 : one.tensor + 1]) / batch, 2) for one in matches
    ]


def _results(
    layers: Sequence[Activation],
    tensors: Sequence[Activation],
    matches: Sequence[Match],
    sums: Sequence[Comparison],
    times: Sequence[float | None],
) -> tuple[LayerResult, ...]:
    results, start = [], 0
    for one, total, time_us in zip(matches, sums, times, strict=True):
        layer, tensor = layers[one.layer], tensors[one.tensor]
        result = LayerResult(
            layer=_text(layer.name),
            kind=_text(layer.kind),
            shape=layer.values.shape[1:],
            fused=tuple(_text(each.name) for each in layers[start : one.layer]),
            tensor=_text(tensor.name),
            operator=_text(tensor.kind),
            match=one.way,
            time_us=time_us,
            **total.figures(),
        )
        results.append(result)
        start = one.layer + 1
    return tuple(results)


def _text(name: str) -> str:
    return cli.one_line(name, _MOST_TEXT)


def _pictures(state: State, i: int) -> np.ndarray:
    """Returns a layer's worst channel for the first image: float32 `[2, height, width]`.

    Keras's first, then the artifact's; every n-th pixel of large ones.
    """
    layer, tensor, is_moved = state.pairs[i]
    both = np.stack([layer.values, match.aligned(tensor.values, layer.values, is_moved)])
    channel = both[:, 0, ..., state.worst[i]]
    step = -(-max(channel.shape[1:]) // MOST_PIXELS)
    return np.ascontiguousarray(channel[:, ::step, ::step])


REQUESTS: dict[str, Callable[..., object]] = {
    "start": _start,
    "compare": _compare,
    "pictures": _pictures,
}
