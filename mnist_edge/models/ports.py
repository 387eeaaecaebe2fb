"""Models with several inputs or outputs: their names, and their values as columns of one array.

Inputs and outputs are sorted by name, because exporters keep names but not the order. One example
is a row in which the values of each input follow each other; predictions likewise.
"""

import collections
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_edge.data.parts import identifier

if TYPE_CHECKING:
    import keras

# Named tensors of a model, sorted by name.
Ports = list[tuple[str, "keras.KerasTensor"]]


def inputs(model: "keras.Model") -> Ports:
    """Returns a model's inputs, named by their keys if it takes a dict."""
    names = _keys(model, "_inputs_struct") or [tensor.name for tensor in model.inputs]
    return sorted(_named(model.inputs, names))


def outputs(model: "keras.Model") -> Ports:
    """Returns a model's outputs, named by their keys or the layers that compute them."""
    names = _keys(model, "_outputs_struct") or getattr(model, "output_names", None)
    return sorted(_named(model.outputs, names or [model.layers[-1].name]))


def has_named_output(model: "keras.Model") -> bool:
    """Whether a model returns a dict."""
    return bool(_keys(model, "_outputs_struct"))


def _keys(model: "keras.Model", structure: str) -> list[str]:
    """Returns the keys of a model's inputs or outputs, in their order, if they are a dict."""
    found = getattr(model, structure, None)
    return sorted(found) if isinstance(found, dict) else []


def _named(tensors: Sequence[Any], names: Sequence[str]) -> Ports:
    """Makes names valid identifiers, and unique by numbers."""
    seen: collections.Counter[str] = collections.Counter()
    found = []
    for tensor, name in zip(tensors, names, strict=True):
        valid = identifier(name)
        seen[valid] += 1
        found.append((valid if seen[valid] == 1 else f"{valid}_{seen[valid]}", tensor))
    return found


def is_single(model: "keras.Model") -> bool:
    """Whether a model has one input and one output."""
    return len(model.inputs) == len(model.outputs) == 1


def example_shape(model: "keras.Model") -> tuple[int, ...]:
    """Returns the shape of one example: of the only input, or the number of values of several."""
    if len(model.inputs) == 1:
        return tuple(model.inputs[0].shape[1:])
    return (sum(math.prod(tensor.shape[1:]) for tensor in model.inputs),)


def split(rows: np.ndarray, shapes: Sequence[Sequence[int]]) -> list[np.ndarray]:
    """Splits rows `[n, values]` into one array `[n, *shape]` per shape; one input is not split."""
    if len(shapes) == 1:
        return [rows]
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    if rows.shape[1:] != (ends[-1],):
        raise ValueError(
            f"several inputs take rows of {ends[-1]} values. Got: {list(rows.shape[1:])}"
        )
    parts = np.split(rows, ends[:-1], axis=1)
    return [part.reshape(len(rows), *s) for part, s in zip(parts, shapes, strict=True)]


def join(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Joins arrays `[n, ...]` to rows `[n, values]`; a single one is returned as it is."""
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


def caller(model: "keras.Model", predict: Callable[..., Any]) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function of one array for a model with any number of inputs and outputs.

    Args:
        model: The model.
        predict: Its `predict` or `predict_on_batch`.
    """
    if is_single(model) and not has_named_output(model):
        return predict
    import keras

    named, results = inputs(model), outputs(model)
    shapes = [tensor.shape[1:] for _, tensor in named]
    places = [_place(tensor, model.inputs) for _, tensor in named]
    answers = [_place(tensor, model.outputs) for _, tensor in results]

    def call(rows: np.ndarray) -> np.ndarray:
        given: list[Any] = [None] * len(shapes)
        for place, part in zip(places, split(rows, shapes), strict=True):
            given[place] = part
        packed = keras.tree.pack_sequence_as(model._inputs_struct, given)
        found = keras.tree.flatten(predict(packed))
        return join([np.asarray(found[place]) for place in answers])

    return call


def _place(tensor: Any, among: Sequence[Any]) -> int:
    return next(i for i, one in enumerate(among) if one is tensor)
