"""Run Keras's own exporter, with this project's input and output names."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_edge.models import ports

if TYPE_CHECKING:
    import keras

# Names of a classifier's input and output in the artifacts.
INPUT, OUTPUT = "image", "probabilities"


def save(
    model: "keras.Model",
    path: Path,
    format: str,
    batch: int | None,
    **options: object,
) -> Path:
    """Saves a model with `keras.Model.export`, the first step of every conversion.

    Args:
        model: A classifier; or a model of another kind that returns a dict, whose keys become the
            names of the outputs.
        path: Where to save it; returned.
        format: Passed to `keras.Model.export`.
        batch: The batch size; None makes it dynamic.
        **options: Passed to `keras.Model.export`.
    """
    import keras

    results = dict(ports.outputs(model))
    if not ports.has_named_output(model):
        results = {OUTPUT: model.outputs[0]}
    signature: Any = {
        name: keras.InputSpec(shape=(batch, *shape), dtype="float32", name=name)
        for name, shape in input_shapes(model).items()
    }
    given: Any = dict(ports.inputs(model))
    if len(signature) == 1:
        given, (signature,) = model.inputs, signature.values()
    named = keras.Model(given, results, name=model.name)
    named.export(path, format=format, verbose=False, input_signature=[signature], **options)
    return path


def input_shapes(model: "keras.Model") -> dict[str, tuple[int, ...]]:
    """Returns the shape of one example of each input, by its name in the artifacts."""
    named = ports.inputs(model)
    shapes = {name: tuple(tensor.shape[1:]) for name, tensor in named}
    return shapes if len(shapes) > 1 else dict.fromkeys([INPUT], *shapes.values())


def in_batches(
    images: np.ndarray, batch: int, shapes: Mapping[str, Sequence[int]]
) -> list[dict[str, np.ndarray]]:
    """Calibration images in whole batches; fewer than one batch are repeated in turn.

    Args:
        images: Examples, float32 `[n, ...]`.
        batch: The batch size.
        shapes: Shape of one example of each input, by its name.
    """
    count = len(images) // batch * batch or batch
    chosen = images.take(range(count), axis=0, mode="wrap")
    return [
        dict(zip(shapes, ports.split(chosen[i : i + batch], list(shapes.values())), strict=True))
        for i in range(0, count, batch)
    ]
