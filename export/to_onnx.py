"""Convert a Keras model to ONNX, through Keras's own export (tf2onnx)."""

OPSET = 18


def convert(model, variant, path, calibration):
    """Writes one ONNX file: named input and output, free batch dimension named `batch`.

    Args:
        model: A `keras.Model` with one input and one output.
        variant: A `Variant` of format "onnx".
        path: Where the file goes.
        calibration: A `Calibration`; used where the variant is calibrated.
    """
    import keras
    import onnx

    signature = keras.InputSpec(shape=(None, *model.input.shape[1:]), dtype="float32", name="image")
    named = keras.Model(model.input, {"probabilities": model.output})
    named.export(
        path, format="onnx", verbose=False, input_signature=[signature], opset_version=OPSET
    )
    graph = onnx.load(path)
    for value in (*graph.graph.input, *graph.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    # tf2onnx writes operators that it can't map as they are, without an exception.
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, path)
