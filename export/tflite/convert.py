"""Convert a Keras model to TFLite: prepare it once, convert it per variant."""

import contextlib
import types
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_edge import cli

from .. import keras_export
from ..variants import VARIANTS, Variant
from . import quantizable
from .front import Front, split

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

# Beside the SavedModel, where the model has recurrent layers.
_UNROLLED = "unrolled"
_SHUFFLED = 10


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
    batch, kind = batch or 1, "tf_saved_model"
    with quantizable.unrolled(model) as has_loops:
        if has_loops:
            # What can't be unrolled keeps its loop, which fails the calibrated variants alone.
            with contextlib.suppress(Exception):
                keras_export.save(model, folder / _UNROLLED, kind, batch)
    return keras_export.save(model, folder / "saved_model", kind, batch)


def convert(prepared: Path, variant: Variant, images: np.ndarray) -> bytes:
    """Converts a prepared model to a variant, with builtin operators; returns the bytes.

    Args:
        prepared: Path that `prepare` returned.
        variant: A variant of format "tflite".
        images: Calibration images, float32 `[n, ...]`; unused by variants without calibration.
    """
    converter, _ = _converter(prepared, variant, images)
    with _without_building():
        return converter.convert()


def calibrated(prepared: Path, images: np.ndarray) -> tuple[bytes, Front | None]:
    """Returns the float graph with the ranges of its tensors, for `quantize`, and its front."""
    converter, fronts = _converter(prepared, VARIANTS["tflite-int8"], images)
    converter._experimental_calibrate_only = True
    with _without_building():
        content = converter.convert()
    return content, fronts[0]


def quantize(content: bytes, front: Front | None, float_nodes: Collection[str], io: str) -> bytes:
    """Quantizes what `calibrated` returned to int8, except for the nodes of these names.

    `io` is the dtype of input and output; with a front they are float32.
    """
    import tensorflow as tf
    from tensorflow.lite.python import convert as tf_convert
    from tensorflow.lite.python import util

    quantized = tf_convert.mlir_quantize(content, denylisted_nodes=float_nodes)
    if front:
        return front.attach(quantized)
    dtype = tf.dtypes.as_dtype(io)
    return bytes(util.modify_model_io_type(quantized, dtype, dtype))


def _converter(
    prepared: Path, variant: Variant, images: np.ndarray
) -> tuple["tf.lite.TFLiteConverter", list[Front | None]]:
    """Returns a configured converter; takes the arguments of `convert`.

    The list gets the front of a calibrated variant when the converter converts.
    """
    import tensorflow as tf

    unrolled = prepared.with_name(_UNROLLED)
    source = unrolled if variant.calibrated and unrolled.exists() else prepared
    with _without_building():
        converter = tf.lite.TFLiteConverter.from_saved_model(str(source))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if variant.weights != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if variant.weights == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if not variant.calibrated:
        return converter, []
    operators = {
        "int8": tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
        "int16": tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
    }
    converter.target_spec.supported_ops = [operators[variant.activations]]
    if source is unrolled and variant.activations == "int16" and images.ndim > 2:
        images = _with_shuffled(images)
    converter.representative_dataset = _representative_dataset(prepared, images)
    converter.inference_input_type = converter.inference_output_type = tf.dtypes.as_dtype(
        variant.io
    )
    return converter, _rewrite_first(converter, prepared, variant, images)


@contextlib.contextmanager
def _without_building() -> Iterator[None]:
    """Keeps TensorFlow's converter from building the model, twice per variant.

    It reads no more of it than the signature's name, and where in Python each operator was made,
    which `keras_export.save` does not save. That is a tenth of an export.
    """
    from tensorflow.core.framework.graph_debug_info_pb2 import GraphDebugInfo
    from tensorflow.lite.python import lite

    loaded = types.SimpleNamespace(
        signatures={"serving_default": None}, graph_debug_info=GraphDebugInfo()
    )
    load, lite._load = lite._load, lambda *_: loaded
    try:
        yield
    finally:
        lite._load = load


def _rewrite_first(
    converter: "tf.lite.TFLiteConverter", prepared: Path, variant: Variant, images: np.ndarray
) -> list[Front | None]:
    """Lets a converter rewrite the float graph and take its front off before it calibrates.

    TensorFlow has no public step between the two.
    """
    import tensorflow as tf

    quantize, fronts = converter._quantize, []

    def rewritten(
        content: bytes, input_type: object, output_type: object, *args: object, **options: object
    ) -> bytes:
        front, inner = split(quantizable.rewrite(content, variant.activations), images)
        fronts.append(front)
        if front:
            inputs = front.apply(images)
            converter.representative_dataset = _representative_dataset(prepared, inputs)
            input_type = output_type = tf.float32
        with quantizable.naming(inner, variant.activations):
            quantized: bytes = quantize(inner, input_type, output_type, *args, **options)
        if front and not converter._experimental_calibrate_only:
            return front.attach(quantized)
        return quantized

    converter._quantize = rewritten
    return fronts


def _with_shuffled(images: np.ndarray) -> np.ndarray:
    """Returns images and a few with their values shuffled.

    A step of an unrolled layer may always be 0, such as an image's first row, and its tensors
    without any range overflow in LiteRT's int16. A wider range costs little of 16 bits.
    """
    rng = np.random.default_rng(0)
    shuffled = rng.permuted(images[:_SHUFFLED].reshape(len(images[:_SHUFFLED]), -1), axis=1)
    return np.concatenate([images, shuffled.reshape(-1, *images.shape[1:])])


def _representative_dataset(prepared: Path, images: np.ndarray) -> Callable[[], Iterator[Any]]:
    """Returns a function that yields the images in batches of the model's batch size."""
    import tqdm
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    # The signature alone: `tf.saved_model.load` would build the model.
    (graph,) = SavedModel.FromString((prepared / "saved_model.pb").read_bytes()).meta_graphs
    inputs = graph.signature_def["serving_default"].inputs
    sides = {name: [d.size for d in inputs[name].tensor_shape.dim] for name in sorted(inputs)}
    ((batch, *_), *_) = sides.values()
    given = keras_export.in_batches(images, batch, {name: s[1:] for name, s in sides.items()})

    def batches() -> Iterator[Any]:
        shown = cli.visible_stderr()
        for one in tqdm.tqdm(given, "calibration", leave=False, disable=None, file=shown):
            yield one if len(one) > 1 else list(one.values())

    return batches
