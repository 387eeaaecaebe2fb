"""Convert a Keras model to TFLite, through Keras's own LiteRT export."""


def convert(model, variant, path, calibration):
    """Writes one TFLite file: builtin operators only, batch 1.

    The model is rebuilt on a fixed batch of 1: with a free batch the graph computes
    shapes at run time and XNNPACK takes it in two parts instead of one.

    Args:
        model: A `keras.Model` with one input and one output.
        variant: A `Variant` of format "tflite".
        path: Where the file goes.
        calibration: A `Calibration`; used where the variant is calibrated.
    """
    import keras
    import tensorflow as tf

    image = keras.Input(batch_shape=(1, *model.input.shape[1:]), name="image")
    fixed = keras.models.clone_model(model, input_tensors=image)
    fixed.set_weights(model.get_weights())
    named = keras.Model(image, {"probabilities": fixed.output})
    named.export(
        path,
        format="litert",
        verbose=False,
        input_signature=[keras.InputSpec(shape=image.shape, dtype="float32", name="image")],
        **_options(tf, variant, calibration),
    )


def _options(tf, variant, calibration):
    """The converter's settings for a variant; Keras's defaults would let Flex operators in."""
    if variant.activations == "float32":
        return {"target_spec": {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}}
    io = tf.dtypes.as_dtype(variant.io)
    return {
        "optimizations": [tf.lite.Optimize.DEFAULT],
        "representative_dataset": lambda: ([image[None]] for image in calibration.images),
        "target_spec": {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]},
        "inference_input_type": io,
        "inference_output_type": io,
    }
