"""Run Keras's own exporter, with this project's input and output names."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras


def save(
    model: "keras.Model", path: Path, format: str, batch: int | None, **options: object
) -> Path:
    """Saves a model with `keras.Model.export`, the first step of every conversion.

    Args:
        model: A model with one input and one output.
        path: Where to save it; returned.
        format: Passed to `keras.Model.export`.
        batch: The batch size; None makes it dynamic.
        **options: Passed to `keras.Model.export`.
    """
    import keras

    named = keras.Model(model.inputs, {"probabilities": model.outputs[0]}, name=model.name)
    shape = (batch, *model.inputs[0].shape[1:])
    signature = [keras.InputSpec(shape=shape, dtype="float32", name="image")]
    named.export(path, format=format, verbose=False, input_signature=signature, **options)
    return path


def in_batches(images: np.ndarray, batch: int) -> list[np.ndarray]:
    """Calibration images in whole batches; fewer than one batch are repeated in turn."""
    count = len(images) // batch * batch or batch
    chosen = images.take(range(count), axis=0, mode="wrap")
    return [chosen[i : i + batch] for i in range(0, count, batch)]
