"""Open artifacts: one interface, `Predictor`, to Keras, LiteRT and ONNX Runtime.

Each runtime is imported only by the function that opens its files, so that a device needs only
the runtime it uses.
"""

import dataclasses
import importlib
import importlib.util
import os
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from mnist_edge import backend
from mnist_edge.cli import in_words
from mnist_edge.models import trained
from mnist_edge.schema import Check, Name, Text

_DIMENSION = Check(
    "an integer, a name or null",
    lambda value: value is None or type(value) is int or isinstance(value, str),
)


@dataclasses.dataclass(frozen=True)
class Tensor:
    """An artifact's input or output, as reported by its runtime.

    Attributes:
        name: The tensor's name.
        shape: Its dimensions; a dynamic one is None or a name.
        dtype: NumPy's name of its element type.
        scale: Quantization step size; None for floats.
        zero_point: The integer that represents 0.0; None for floats.
    """

    name: Text
    shape: tuple[Annotated[int | str | None, _DIMENSION], ...]
    dtype: Name
    scale: float | None = None
    zero_point: int | None = None


@dataclasses.dataclass(frozen=True)
class Predictor:
    """An opened artifact.

    Attributes:
        runtime: The runtime's name and version.
        batch: Fixed batch size; None if it is dynamic.
        encode: Converts float32 pixels `[n, height, width, channels]`, 0 to 255, to the
            artifact's input.
        call: Runs the artifact on one input array and returns its output array. The benchmarks
            time only this.
        decode: Converts the output to float32 probabilities `[n, classes]`.
        input: The artifact's only input; None if not reported (Keras).
        output: The artifact's only output; None if not reported.
    """

    runtime: str
    batch: int | None
    encode: Callable[[np.ndarray], np.ndarray]
    call: Callable[[np.ndarray], np.ndarray]
    decode: Callable[[np.ndarray], np.ndarray]
    input: Tensor | None = None
    output: Tensor | None = None

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Predicts the probabilities of images.

        Args:
            images: float32 `[n, ...]`, in the model's input shape.

        Returns:
            float32 `[n, classes]`.

        Raises:
            ValueError: The number of output rows is not the number of images.
            Exception: Whatever the runtime raises.
        """
        inputs = self.encode(images)
        batch = self.batch or len(inputs)
        outputs = []
        for i in range(0, len(inputs), batch):
            # The last batch is padded to the fixed batch size with the first images.
            output = self.call(inputs.take(range(i, i + batch), axis=0, mode="wrap"))
            if np.shape(output)[:1] != (batch,):
                raise ValueError(f"output shape is {list(np.shape(output))} for {batch} images")
            outputs.append(output)
        return self.decode(np.concatenate(outputs)[: len(inputs)])


class RuntimeMissing(Exception):
    """The package that runs an artifact is not installed."""


def is_artifact(path: Path | str) -> bool:
    """Whether a path has a suffix that a runtime opens."""
    return Path(path).suffix in _RUNTIMES


def is_installed(path: Path | str) -> bool:
    """Whether the packages that run a file of this suffix can be found, without importing them."""
    package, _, _ = _RUNTIMES[Path(path).suffix].module.partition(".")
    needed = {package}
    if package == "keras" and backend.chosen() in backend.NAMES:  # Keras reports others
        needed.add(backend.chosen())
    return all(map(importlib.util.find_spec, needed))


def require(path: Path | str) -> None:
    """Raises `RuntimeMissing` if a package that runs a file of this suffix is missing."""
    if not is_installed(path):
        raise RuntimeMissing(f"{_RUNTIMES[Path(path).suffix].package} is not installed")


def import_runtime(path: Path | str, threads: int) -> None:
    """Imports the runtime for a file's suffix, so that timing `open_artifact` excludes it.

    Args:
        path: A `.keras`, `.tflite` or `.onnx` file.
        threads: Number of threads per call; TensorFlow must know it before it is imported.

    Raises:
        RuntimeMissing: The runtime is not installed.
        RuntimeError: It is installed and can't be imported.
    """
    require(path)
    runtime = _RUNTIMES[Path(path).suffix]
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = str(threads)
    try:
        importlib.import_module(runtime.module)
    except Exception as error:  # e.g. a missing library, too little memory
        cause = f"{runtime.package} is installed and can't be imported: {in_words(error)}"
        raise RuntimeError(cause) from error


def open_artifact(path: Path | str, threads: int = 1) -> Predictor:
    """Opens an artifact in the runtime for its suffix.

    Args:
        path: A `.keras`, `.tflite` or `.onnx` file.
        threads: Number of threads per call.

    Raises:
        RuntimeMissing: The runtime is not installed.
        Exception: Whatever the runtime raises if it can't open the file.
    """
    import_runtime(path, threads)
    return _RUNTIMES[Path(path).suffix].open(str(path), threads)


def _unchanged(values: np.ndarray) -> np.ndarray:
    return values


def _open_keras(path: str, threads: int) -> Predictor:
    import keras

    model = trained.load_model(Path(path), "Export the bundle again.")
    return Predictor(
        runtime=f"Keras {keras.version()}, {keras.backend.backend()}",
        batch=None,
        encode=_unchanged,
        call=model.predict_on_batch,
        decode=_unchanged,
    )


def _open_tflite(path: str, threads: int) -> Predictor:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=threads)
    try:
        interpreter.allocate_tensors()
    except RuntimeError as error:  # empty message if out of memory
        raise RuntimeError(str(error) or "its tensors can't be allocated") from error
    input_details = _only(interpreter.get_input_details(), "input")
    output_details = _only(interpreter.get_output_details(), "output")
    input_index, output_index = input_details["index"], output_details["index"]

    def call(values: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(input_index, values)
        interpreter.invoke()
        return interpreter.get_tensor(output_index)

    return Predictor(
        runtime=f"LiteRT {version('ai-edge-litert')}",
        batch=int(input_details["shape"][0]),
        encode=_quantizer(input_details),
        call=call,
        decode=_dequantizer(output_details),
        input=_tflite_tensor(input_details),
        output=_tflite_tensor(output_details),
    )


def _tflite_tensor(details: dict[str, Any]) -> Tensor:
    dtype = np.dtype(details["dtype"])
    shape = tuple(details["shape"].tolist())
    if dtype.kind == "f":
        return Tensor(details["name"], shape, dtype.name)
    scale, zero_point = details["quantization"]
    return Tensor(details["name"], shape, dtype.name, float(scale), int(zero_point))


def _only(tensors: list[Any], role: str) -> Any:
    if len(tensors) != 1:
        raise ValueError(f"has {len(tensors)} {role}s, one expected")
    return tensors[0]


def _quantizer(details: dict[str, Any]) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function that quantizes floats to a TFLite tensor's elements."""
    dtype = np.dtype(details["dtype"])
    if dtype.kind == "f":
        return _unchanged
    scale, zero_point = details["quantization"]
    lowest, highest = np.iinfo(dtype).min, np.iinfo(dtype).max
    return lambda values: (
        (np.round(values / scale) + zero_point).clip(lowest, highest).astype(dtype)
    )


def _dequantizer(details: dict[str, Any]) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function that dequantizes a TFLite tensor's elements to floats."""
    if np.dtype(details["dtype"]).kind == "f":
        return _unchanged
    scale, zero_point = details["quantization"]
    return lambda integers: (integers.astype(np.float32) - zero_point) * np.float32(scale)


_EXTERNAL_FOLDER = "session.model_external_initializers_file_folder_path"


def _open_onnx(path: str, threads: int) -> Predictor:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    with tempfile.TemporaryDirectory() as empty:
        # The hash covers only the file itself, so data in external files must not be loaded.
        options.add_session_config_entry(_EXTERNAL_FOLDER, empty)
        session = onnxruntime.InferenceSession(
            Path(path).read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    only_input = _only(session.get_inputs(), "input")
    only_output = _only(session.get_outputs(), "output")
    batch = only_input.shape[0]
    return Predictor(
        runtime=f"ONNX Runtime {onnxruntime.__version__}",
        batch=batch if isinstance(batch, int) else None,
        encode=_unchanged,
        call=lambda values: session.run([only_output.name], {only_input.name: values})[0],
        decode=_unchanged,
        input=_onnx_tensor(only_input),
        output=_onnx_tensor(only_output),
    )


_ONNX_DTYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}


def _onnx_tensor(value: Any) -> Tensor:
    return Tensor(value.name, tuple(value.shape), _ONNX_DTYPES.get(value.type, value.type))


@dataclasses.dataclass(frozen=True)
class _Runtime:
    """A runtime: the module to import, the package to install, and the function to open a file."""

    module: str
    package: str
    open: Callable[[str, int], Predictor]


_RUNTIMES = {
    ".keras": _Runtime("keras", "keras with a backend", _open_keras),
    ".tflite": _Runtime("ai_edge_litert.interpreter", "ai-edge-litert", _open_tflite),
    ".onnx": _Runtime("onnxruntime", "onnxruntime", _open_onnx),
}
