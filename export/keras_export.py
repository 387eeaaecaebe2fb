"""Have Keras export a model, its input and output by the project's names."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def save(
    model: "keras.Model", path: Path, format: str, batch: int | None, **options: object
) -> Path:
    """Saves a model in a format of Keras's own exporter, where every conversion starts.

    Args:
        model: With one input and one output.
        path: Where to save it; returned.
        format: As `keras.Model.export` takes it, and the options that it takes there.
        batch: The batch size; None leaves it free.
        **options: More for `keras.Model.export`.
    """
    import keras

    named = keras.Model(model.inputs, {"probabilities": model.outputs[0]}, name=model.name)
    shape = (batch, *model.inputs[0].shape[1:])
    signature = [keras.InputSpec(shape=shape, dtype="float32", name="image")]
    named.export(path, format=format, verbose=False, input_signature=signature, **options)
    return path
