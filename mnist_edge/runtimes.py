"""Open an artifact; every runtime becomes the same three functions.

Each runtime is imported inside the one function that opens it, so that a device needs
only the runtime it uses.
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
    """An artifact's input or output as its runtime reports it.

    Attributes:
        name: The tensor's name.
        shape: A free dimension is None or a name.
        dtype: NumPy's name of its element type.
        scale: What one integer step is worth; None for floats.
        zero_point: The integer that means 0.0; None for floats.
    """

    name: Text
    shape: tuple[Annotated[int | str | None, _DIMENSION], ...]
    dtype: Name
    scale: float | None = None
    zero_point: int | None = None


@dataclasses.dataclass(frozen=True)
class Predictor:
    """An artifact, ready to run.

    Attributes:
        runtime: The runtime's name and version.
        batch: The batch size that the artifact is fixed to, or None where it is free.
        encode: float32 pixels `[n, height, width, channels]`, 0 to 255, to what the
            artifact takes.
        call: What the artifact takes, NumPy array in, to what it gives, NumPy array
            out. This is what is timed.
        decode: What it gives, to float32 probabilities `[n, classes]`.
        input: Its one input; None where nothing was opened.
        output: Its one output; None likewise.
    """

    runtime: str
    batch: int | None
    encode: Callable[[np.ndarray], np.ndarray]
    call: Callable[[np.ndarray], np.ndarray]
    decode: Callable[[np.ndarray], np.ndarray]
    input: Tensor | None = None
    output: Tensor | None = None

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Probabilities of images.

        Args:
            images: float32 `[n, ...]`, as the model takes them.

        Returns:
            float32 `[n, classes]`.

        Raises:
            ValueError: The artifact gives more or fewer rows than it takes images.
            Exception: Whatever the runtime raises.
        """
        inputs = self.encode(images)
        batch = self.batch or len(inputs)
        outputs = []
        for i in range(0, len(inputs), batch):
            # A fixed batch that does not divide the images is filled up with the first ones.
            found = self.call(inputs.take(range(i, i + batch), axis=0, mode="wrap"))
            if np.shape(found)[:1] != (batch,):
                raise ValueError(f"gives {list(np.shape(found))} for {batch} images")
            outputs.append(found)
        return self.decode(np.concatenate(outputs)[: len(inputs)])


class RuntimeMissing(Exception):
    """The package that runs a kind of artifact is not installed: it can't be found."""


def is_artifact(path: Path | str) -> bool:
    """Whether a path ends as a file does that a runtime opens."""
    return Path(path).suffix in _RUNTIMES


def is_installed(path: Path | str) -> bool:
    """Whether the packages that run a file of this ending can be found; imports none."""
    package, _, _ = _RUNTIMES[Path(path).suffix].module.partition(".")
    needed = {package}
    if package == "keras" and backend.chosen() in backend.NAMES:  # what else it may be, it tells
        needed.add(backend.chosen())
    return all(map(importlib.util.find_spec, needed))


def require(path: Path | str) -> None:
    """Raises `RuntimeMissing` where a package that runs a file of this ending is missing."""
    if not is_installed(path):
        raise RuntimeMissing(f"{_RUNTIMES[Path(path).suffix].package} is not installed")


def import_runtime(path: Path | str, threads: int) -> None:
    """Imports the runtime that a file's ending names, so that opening is timed without it.

    Args:
        path: A `.keras`, `.tflite` or `.onnx` file.
        threads: How many threads a call may use; TensorFlow wants to know before.

    Raises:
        RuntimeMissing: The runtime is not installed.
        RuntimeError: It is, and can't be imported.
    """
    require(path)
    runtime = _RUNTIMES[Path(path).suffix]
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = str(threads)
    try:
        importlib.import_module(runtime.module)
    except Exception as error:  # a library that is missing, too little memory, anything
        cause = f"{runtime.package} is installed and can't be imported: {in_words(error)}"
        raise RuntimeError(cause) from error


def open_artifact(path: Path | str, threads: int = 1) -> Predictor:
    """Opens an artifact in the runtime that its ending names.

    Args:
        path: A `.keras`, `.tflite` or `.onnx` file.
        threads: How many threads a call may use.

    Returns:
        A `Predictor`.

    Raises:
        RuntimeMissing: The runtime is not installed.
        Exception: Whatever the runtime raises for a file that it can't open.
    """
    import_runtime(path, threads)
    return _RUNTIMES[Path(path).suffix].open(str(path), threads)


def _as_float32(values: np.ndarray) -> np.ndarray:
    return values


def _open_keras(path: str, threads: int) -> Predictor:
    import keras

    model = trained.load_model(Path(path), "Export the bundle again.")
    return Predictor(
        runtime=f"Keras {keras.version()}, {keras.backend.backend()}",
        batch=None,
        encode=_as_float32,
        call=model.predict_on_batch,
        decode=_as_float32,
    )


def _open_tflite(path: str, threads: int) -> Predictor:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=threads)
    try:
        interpreter.allocate_tensors()
    except RuntimeError as error:  # where memory is short it says nothing
        raise RuntimeError(str(error) or "its tensors can't be allocated") from error
    given = _only(interpreter.get_input_details(), "input")
    taken = _only(interpreter.get_output_details(), "output")
    input_index, output_index = given["index"], taken["index"]

    def call(values: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(input_index, values)
        interpreter.invoke()
        return interpreter.get_tensor(output_index)

    return Predictor(
        runtime=f"LiteRT {version('ai-edge-litert')}",
        batch=int(given["shape"][0]),
        encode=_quantizer(given),
        call=call,
        decode=_dequantizer(taken),
        input=_tflite_tensor(given),
        output=_tflite_tensor(taken),
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
        raise ValueError(f"has {len(tensors)} {role}s, one promised")
    return tensors[0]


def _quantizer(details: dict[str, Any]) -> Callable[[np.ndarray], np.ndarray]:
    """The function from real numbers to a TFLite tensor's elements."""
    dtype = np.dtype(details["dtype"])
    if dtype.kind == "f":
        return _as_float32
    scale, zero_point = details["quantization"]
    lowest, highest = np.iinfo(dtype).min, np.iinfo(dtype).max
    return lambda values: (
        (np.round(values / scale) + zero_point).clip(lowest, highest).astype(dtype)
    )


def _dequantizer(details: dict[str, Any]) -> Callable[[np.ndarray], np.ndarray]:
    """The function from a TFLite tensor's elements to real numbers."""
    if np.dtype(details["dtype"]).kind == "f":
        return _as_float32
    scale, zero_point = details["quantization"]
    return lambda integers: (integers.astype(np.float32) - zero_point) * np.float32(scale)


_EXTERNAL_FOLDER = "session.model_external_initializers_file_folder_path"


def _open_onnx(path: str, threads: int) -> Predictor:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    with tempfile.TemporaryDirectory() as nothing:
        # Its hash vouches for the file alone: what it keeps in others is not found.
        options.add_session_config_entry(_EXTERNAL_FOLDER, nothing)
        session = onnxruntime.InferenceSession(
            Path(path).read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    given, taken = _only(session.get_inputs(), "input"), _only(session.get_outputs(), "output")
    batch = given.shape[0]
    return Predictor(
        runtime=f"ONNX Runtime {onnxruntime.__version__}",
        batch=batch if isinstance(batch, int) else None,
        encode=_as_float32,
        call=lambda values: session.run([taken.name], {given.name: values})[0],
        decode=_as_float32,
        input=_onnx_tensor(given),
        output=_onnx_tensor(taken),
    )


_ONNX_DTYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}


def _onnx_tensor(value: Any) -> Tensor:
    return Tensor(value.name, tuple(value.shape), _ONNX_DTYPES.get(value.type, value.type))


@dataclasses.dataclass(frozen=True)
class _Runtime:
    """A runtime: the module to import, what to install for it, and how it opens a file."""

    module: str
    package: str
    open: Callable[[str, int], Predictor]


_RUNTIMES = {
    ".keras": _Runtime("keras", "keras with a backend", _open_keras),
    ".tflite": _Runtime("ai_edge_litert.interpreter", "ai-edge-litert", _open_tflite),
    ".onnx": _Runtime("onnxruntime", "onnxruntime", _open_onnx),
}
