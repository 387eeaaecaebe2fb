"""Convert a Keras model to TFLite: prepare it once, convert it per variant."""

from pathlib import Path

from mnist_edge import cli


def prepare(model, batch, opset, folder):
    """Saves a model as the SavedModel that every precision is converted from.

    The batch is fixed: with a free one the graph computes shapes at run time, and
    XNNPACK takes it in two parts instead of one.

    Args:
        model: A `keras.Model` with one input and one output.
        batch: The batch size; None is 1.
        opset: Not used; ONNX alone has one.
        folder: Where to save it.

    Returns:
        `pathlib.Path` of the SavedModel.
    """
    import keras

    path = Path(folder) / "saved_model"
    shape = (batch or 1, *model.inputs[0].shape[1:])
    named = keras.Model(model.inputs, {"probabilities": model.outputs[0]}, name=model.name)
    named.export(
        path,
        format="tf_saved_model",
        verbose=False,
        input_signature=[keras.InputSpec(shape=shape, dtype="float32", name="image")],
    )
    return path


def convert(prepared, variant, calibration):
    """Converts to one precision, with builtin operators only.

    Args:
        prepared: What `prepare` returned.
        variant: A `Variant` of format "tflite".
        calibration: A `Calibration`; used where the variant is calibrated.

    Returns:
        bytes of the flatbuffer.
    """
    return converter(prepared, variant, calibration).convert()


def converter(prepared, variant, calibration):
    """The `tf.lite.TFLiteConverter` of a variant; arguments as `convert`'s."""
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
        made.representative_dataset = _representative_dataset(prepared, calibration)
        made.inference_input_type = made.inference_output_type = tf.dtypes.as_dtype(variant.io)
    return made


def _representative_dataset(prepared, calibration):
    import tensorflow as tf
    import tqdm

    signature = tf.saved_model.load(str(prepared)).signatures["serving_default"]
    batch = signature.structured_input_signature[1]["image"].shape[0]
    whole = len(calibration.images) // batch * batch or batch
    images = calibration.images
    if len(images) < whole:
        images = images.repeat(whole, axis=0)[:whole]

    def batches():
        starts = range(0, whole, batch)
        shown = cli.visible_stderr()
        for i in tqdm.tqdm(starts, "calibration", leave=False, disable=None, file=shown):
            yield [images[i : i + batch]]

    return batches
