"""Open an artefact; every runtime becomes the same three functions.

Each runtime is imported inside the one function that opens it, so that a device needs
only the runtime it uses.
"""

import dataclasses
import os
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np


@dataclasses.dataclass(frozen=True)
class Opened:
    """An artefact, ready to run.

    Attributes:
        runtime: The runtime's name and version.
        batch: The batch size that the artefact is fixed to, or None where it is free.
        encode: float32 pixels `[n, height, width, channels]`, 0 to 255, to what the
            artefact takes.
        call: What the artefact takes, NumPy array in, to what it gives, NumPy array
            out. This is what is timed.
        decode: What it gives, to float32 probabilities `[n, classes]`.
    """

    runtime: str
    batch: int | None
    encode: Callable
    call: Callable
    decode: Callable


class RuntimeMissing(Exception):
    """The package that runs a kind of artefact is not installed."""


def open_artifact(path, threads):
    """Opens an artefact in the runtime that its ending names.

    Args:
        path: A `.keras`, `.tflite` or `.onnx` file.
        threads: How many threads a call may use.

    Returns:
        An `Opened`.

    Raises:
        RuntimeMissing: The runtime is not installed.
        Exception: Whatever the runtime raises for a file that it can't open.
    """
    opener, package = _RUNTIMES[Path(path).suffix]
    try:
        return opener(str(path), threads)
    except ImportError as error:
        raise RuntimeMissing(f"{package} is not installed: {error}") from error


def _as_float32(values):
    return values


def _open_keras(path, threads):
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = str(threads)
    import keras

    model = keras.saving.load_model(path, compile=False, safe_mode=True)
    return Opened(
        runtime=f"Keras {keras.version()}, {keras.backend.backend()}",
        batch=None,
        encode=_as_float32,
        call=model.predict_on_batch,
        decode=_as_float32,
    )


def _open_tflite(path, threads):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=threads)
    interpreter.allocate_tensors()
    (given,), (taken,) = interpreter.get_input_details(), interpreter.get_output_details()
    input_index, output_index = given["index"], taken["index"]

    def call(values):
        interpreter.set_tensor(input_index, values)
        interpreter.invoke()
        return interpreter.get_tensor(output_index)

    return Opened(
        runtime=f"LiteRT {version('ai-edge-litert')}",
        batch=int(given["shape"][0]),
        encode=_quantiser(given),
        call=call,
        decode=_dequantiser(taken),
    )


def _quantiser(details):
    """The function from real numbers to a TFLite tensor's elements."""
    dtype = np.dtype(details["dtype"])
    if dtype.kind == "f":
        return _as_float32
    scale, zero_point = details["quantization"]
    lowest, highest = np.iinfo(dtype).min, np.iinfo(dtype).max
    return lambda values: (
        (np.round(values / scale) + zero_point).clip(lowest, highest).astype(dtype)
    )


def _dequantiser(details):
    """The function from a TFLite tensor's elements to real numbers."""
    if np.dtype(details["dtype"]).kind == "f":
        return _as_float32
    scale, zero_point = details["quantization"]
    return lambda integers: (integers.astype(np.float32) - zero_point) * np.float32(scale)


def _open_onnx(path, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (given,), (taken,) = session.get_inputs(), session.get_outputs()
    batch = given.shape[0]
    return Opened(
        runtime=f"ONNX Runtime {onnxruntime.__version__}",
        batch=batch if isinstance(batch, int) else None,
        encode=_as_float32,
        call=lambda values: session.run([taken.name], {given.name: values})[0],
        decode=_as_float32,
    )


_RUNTIMES = {
    ".keras": (_open_keras, "keras with tensorflow"),
    ".tflite": (_open_tflite, "ai-edge-litert"),
    ".onnx": (_open_onnx, "onnxruntime"),
}
