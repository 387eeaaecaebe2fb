"""Record the output of every layer of a Keras model, those of nested models too."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .activation import Activation, per_image

if TYPE_CHECKING:
    import keras


def run(model: "keras.Model", images: np.ndarray) -> list[Activation]:
    """Runs a model and returns the output of each layer, in order of execution.

    Layers that return their input (such as Dropout) are left out, and so are layers inside a
    recurrent one, which run once per time step.

    Args:
        model: The model; its layers are called eagerly.
        images: float32 `[n, ...]`, in the model's input shape.
    """
    import keras

    with _recorded(model) as calls:
        model(images, training=False)
    found = []
    for name, kind, output in calls:
        values = per_image(np.asarray(keras.ops.convert_to_numpy(output)), len(images))
        if values is not None:
            found.append(Activation(name, kind, values))
    return found


@contextlib.contextmanager
def _recorded(model: "keras.Model") -> Iterator[list[tuple[str, str, Any]]]:
    """Yields a list to which each call of a layer adds its path, its class and its output."""
    import keras

    opaque = (keras.layers.RNN, keras.layers.TimeDistributed)
    calls: list[tuple[str, str, Any]] = []
    active: list[keras.Operation] = []
    seen: dict[int, Any] = {}  # by `id`, kept so that no id is used twice
    counts: dict[str, int] = {}
    original = keras.Operation.__call__

    def record(layer: "keras.Operation", inputs: Any, outputs: Any) -> None:
        path = "/".join(each.name for each in active[1:]) or layer.name
        seen.update((id(each), each) for each in keras.tree.flatten(inputs))
        for each in keras.tree.flatten(outputs):
            if id(each) not in seen and "float" in keras.backend.standardize_dtype(each.dtype):
                counts[path] = counts.get(path, 0) + 1
                name = path if counts[path] == 1 else f"{path} ({counts[path]})"
                calls.append((name, type(layer).__name__, each))
            seen[id(each)] = each

    def call(layer: "keras.Operation", *args: Any, **kwargs: Any) -> Any:
        hidden = any(isinstance(each, opaque) for each in active)
        active.append(layer)
        try:
            outputs = original(layer, *args, **kwargs)
            if not hidden:
                record(layer, (args, kwargs), outputs)
        finally:
            active.pop()
        return outputs

    keras.Operation.__call__ = call
    try:
        yield calls
    finally:
        keras.Operation.__call__ = original
