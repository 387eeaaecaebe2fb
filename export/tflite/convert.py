"""Convert a Keras model to TFLite: prepare it once, convert it per variant."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnist_edge import cli

from .. import keras_export
from ..variants import Variant

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


def prepare(model: "keras.Model", batch: int | None, folder: Path, opset: int = 0) -> Path:
    """Saves a model as the SavedModel that every precision is converted from.

    The batch is fixed: with a free one the graph computes shapes at run time, and
    XNNPACK takes it in two parts instead of one.

    Args:
        model: With one input and one output.
        batch: The batch size; None is 1.
        folder: Where to save it.
        opset: Not used; ONNX alone has one.
    """
    return keras_export.save(model, folder / "saved_model", "tf_saved_model", batch or 1)


def convert(prepared: Path, variant: Variant, images: np.ndarray) -> bytes:
    """Converts to one precision, with builtin operators only.

    Args:
        prepared: What `prepare` returned.
        variant: Of format "tflite".
        images: float32 `[n, ...]`; they calibrate a variant that needs it.
    """
    return converter(prepared, variant, images).convert()


def converter(prepared: Path, variant: Variant, images: np.ndarray) -> "tf.lite.TFLiteConverter":
    """The converter of a variant; arguments as `convert`'s."""
    import tensorflow as tf

    made = tf.lite.TFLiteConverter.from_saved_model(str(prepared))
    made.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if variant.weights != "float32":
        made.optimizations = [tf.lite.Optimize.DEFAULT]
    if variant.weights == "float16":
        made.target_spec.supported_types = [tf.float16]
    if variant.calibrated:
        operators = {
            "int8": tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
            "int16": tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
        }
        made.target_spec.supported_ops = [operators[variant.activations]]
        made.representative_dataset = _representative_dataset(prepared, images)
        made.inference_input_type = made.inference_output_type = tf.dtypes.as_dtype(variant.io)
    return made


def _representative_dataset(
    prepared: Path, images: np.ndarray
) -> Callable[[], Iterator[list[np.ndarray]]]:
    """A function that yields the images in batches of the model's size."""
    import tensorflow as tf
    import tqdm

    signature = tf.saved_model.load(str(prepared)).signatures["serving_default"]
    batch = signature.structured_input_signature[1]["image"].shape[0]
    whole = len(images) // batch * batch or batch
    if len(images) < whole:
        images = images.repeat(whole, axis=0)[:whole]

    def batches() -> Iterator[list[np.ndarray]]:
        starts = range(0, whole, batch)
        shown = cli.visible_stderr()
        for i in tqdm.tqdm(starts, "calibration", leave=False, disable=None, file=shown):
            yield [images[i : i + batch]]

    return batches
