"""Reopen an artefact in its runtime: what does it take, give and compute?

The benchmarks open artefacts by code of their own: a mistake here is seen there.
"""

import dataclasses

import numpy as np

_ONNX_DTYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}


@dataclasses.dataclass(frozen=True)
class Tensor:
    """An artefact's input or output as its runtime reports it.

    Attributes:
        name: The tensor's name.
        shape: Its shape; a free dimension is its name.
        dtype: NumPy's name of its element type.
        scale: What one integer step is worth; None for floats.
        zero_point: The integer that means 0.0; None for floats.
    """

    name: str
    shape: list
    dtype: str
    scale: float | None = None
    zero_point: int | None = None


def run(path, images):
    """Opens an artefact and runs it.

    Args:
        path: A `.tflite` or `.onnx` file.
        images: float32 `[n, ...]`, as the model takes them.

    Returns:
        `(probabilities, inputs, outputs)`: float32 `[n, classes]` and a `Tensor` each.
    """
    return _run_tflite(path, images) if path.suffix == ".tflite" else _run_onnx(path, images)


def _run_tflite(path, images):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    (signature,) = interpreter.get_signature_list().values()
    (given,), (taken,) = interpreter.get_input_details(), interpreter.get_output_details()
    inputs = _tflite_tensor(given, signature["inputs"][0])
    outputs = _tflite_tensor(taken, signature["outputs"][0])

    def call(values):
        if inputs.scale is not None:
            integers = np.round(values / inputs.scale) + inputs.zero_point
            limits = np.iinfo(inputs.dtype)
            values = integers.clip(limits.min, limits.max).astype(inputs.dtype)
        interpreter.set_tensor(given["index"], values)
        interpreter.invoke()
        return interpreter.get_tensor(taken["index"])

    results = _in_batches(call, images, inputs.shape[0])
    if outputs.scale is not None:
        results = (results.astype(np.float32) - outputs.zero_point) * np.float32(outputs.scale)
    return results, inputs, outputs


def _tflite_tensor(details, name):
    dtype = np.dtype(details["dtype"])
    shape = details["shape"].tolist()
    if dtype.kind == "f":
        return Tensor(name, shape, dtype.name)
    scale, zero_point = details["quantization"]
    return Tensor(name, shape, dtype.name, float(scale), int(zero_point))


def _run_onnx(path, images):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (given,), (taken,) = session.get_inputs(), session.get_outputs()
    inputs, outputs = (
        Tensor(value.name, value.shape, _ONNX_DTYPES[value.type]) for value in (given, taken)
    )
    batch = given.shape[0] if isinstance(given.shape[0], int) else len(images)
    results = _in_batches(lambda v: session.run(None, {given.name: v})[0], images, batch)
    return results, inputs, outputs


def _in_batches(call, images, batch):
    """Calls on `batch` images at a time; the last batch is filled up with its last image."""
    results = []
    for start in range(0, len(images), batch):
        part = images[start : start + batch]
        filled = np.concatenate([part, part[-1:].repeat(batch - len(part), axis=0)])
        results.append(call(filled)[: len(part)])
    return np.concatenate(results)
