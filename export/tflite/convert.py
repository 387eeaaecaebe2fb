"""Convert a Keras model to TFLite: prepare it once, convert it per variant."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_edge import cli

from .. import keras_export
from ..variants import Variant

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


def prepare(model: "keras.Model", batch: int | None, folder: Path, opset: int = 0) -> Path:
    """Saves a model as the SavedModel that every precision is converted from.

    The batch size is fixed: a dynamic one makes the graph compute shapes at run time, and
    XNNPACK splits it into two parts.

    Args:
        model: As `keras_export.save`.
        batch: The batch size; None means 1.
        folder: Where to save it.
        opset: Unused; for ONNX only.
    """
    return keras_export.save(model, folder / "saved_model", "tf_saved_model", batch or 1)


def convert(prepared: Path, variant: Variant, images: np.ndarray) -> bytes:
    """Converts a prepared model to a variant, with builtin operators; returns the bytes.

    Args:
        prepared: Path that `prepare` returned.
        variant: A variant of format "tflite".
        images: Calibration images, float32 `[n, ...]`; unused by variants without calibration.
    """
    return make_converter(prepared, variant, images).convert()


def make_converter(
    prepared: Path, variant: Variant, images: np.ndarray
) -> "tf.lite.TFLiteConverter":
    """Returns the configured converter of a variant; takes the arguments of `convert`."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(str(prepared))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if variant.weights != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if variant.weights == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if variant.calibrated:
        operators = {
            "int8": tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
            "int16": tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
        }
        converter.target_spec.supported_ops = [operators[variant.activations]]
        converter.representative_dataset = _representative_dataset(prepared, images)
        converter.inference_input_type = converter.inference_output_type = tf.dtypes.as_dtype(
            variant.io
        )
    return converter


def _representative_dataset(prepared: Path, images: np.ndarray) -> Callable[[], Iterator[Any]]:
    """Returns a function that yields the images in batches of the model's batch size."""
    import tensorflow as tf
    import tqdm

    signature = tf.saved_model.load(str(prepared)).signatures["serving_default"]
    inputs = signature.structured_input_signature[1]
    shapes = {name: inputs[name].shape[1:] for name in sorted(inputs)}
    batch = next(iter(inputs.values())).shape[0]
    given = keras_export.in_batches(images, batch, shapes)

    def batches() -> Iterator[Any]:
        shown = cli.visible_stderr()
        for one in tqdm.tqdm(given, "calibration", leave=False, disable=None, file=shown):
            yield one if len(one) > 1 else list(one.values())

    return batches
