"""Open artifacts: one interface, `Predictor`, to Keras, LiteRT, ONNX Runtime and compiled C.

Each runtime is imported only by the function that opens its files, so that a device needs only
the runtime it uses.
"""

import ctypes
import dataclasses
import functools
import importlib
import importlib.util
import math
import os
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from mnist_edge import artifact_metadata, backend, c_compiler, schema
from mnist_edge.artifact_metadata import Metadata
from mnist_edge.cli import in_words
from mnist_edge.errors import InputError
from mnist_edge.models import ports, trained
from mnist_edge.safety import scratch
from mnist_edge.schema import Check, Name, Text, integer, one_of

_DIMENSION = Check(
    "an integer, a name or null",
    lambda value: value is None or type(value) is int or isinstance(value, str),
)


# Input values per call of an artifact of any batch size: layers' outputs are several times as many,
# 28 images of 224 x 224 pixels in color take 17 MB, their activations some 100.
_MOST_VALUES = 2**22


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
            artifact's input. An artifact with several inputs takes rows, float32 `[n, values]`,
            in which the values of each input follow each other, in the order of their names.
        call: Runs the artifact on one input array and returns its output array. The benchmarks
            time only this. With several inputs or outputs, it also splits and joins them.
        decode: Converts the output to float32 probabilities `[n, classes]`; those of several
            outputs follow each other, in the order of their names.
        inputs: The artifact's inputs, sorted by name; empty if not reported (Keras).
        outputs: The artifact's outputs, sorted by name; empty if not reported.
        metadata: Reads what the file says of itself; None if it says nothing.
    """

    runtime: str
    batch: int | None
    encode: Callable[[np.ndarray], np.ndarray]
    call: Callable[[np.ndarray], np.ndarray]
    decode: Callable[[np.ndarray], np.ndarray]
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    metadata: Callable[[], Metadata | None] = lambda: None

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
        step = self.batch or max(1, _MOST_VALUES // inputs[0].size)
        outputs = []
        for i in range(0, len(inputs), step):
            # The last batch is padded to a fixed batch size with the first images.
            batch = self.batch or min(step, len(inputs) - i)
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
    """Whether what runs a file of this suffix can be found, without importing it."""
    if Path(path).suffix == ".c":
        return c_compiler.command() is not None
    package, _, _ = _RUNTIMES[Path(path).suffix].module.partition(".")
    needed = {package}
    if package == "keras" and backend.chosen() in backend.NAMES:  # Keras reports others
        needed.add(backend.chosen())
    return all(map(importlib.util.find_spec, needed))


def require(path: Path | str) -> None:
    """Raises `RuntimeMissing` if a package that runs a file of this suffix is missing."""
    if not is_installed(path):
        if Path(path).suffix == ".c":
            raise RuntimeMissing(c_compiler.MISSING)
        raise RuntimeMissing(f"{_RUNTIMES[Path(path).suffix].package} is not installed")


def import_runtime(path: Path | str, threads: int) -> None:
    """Imports the runtime for a file's suffix, so that timing `open_artifact` excludes it.

    Args:
        path: A `.keras`, `.tflite`, `.onnx` or `.c` file.
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
        path: A `.keras`, `.tflite`, `.onnx` or `.c` file.
        threads: Number of threads per call.

    Raises:
        InputError: There is no such file, or it has another suffix.
        RuntimeMissing: The runtime is not installed.
        Exception: Whatever the runtime raises if it can't open the file.
    """
    if not is_artifact(path) or not Path(path).is_file():
        got = "nothing of this name" if not Path(path).exists() else "something else"
        raise InputError(
            f"{path} must be a .keras, .tflite, .onnx or .c file. Got: {got}. Give an artifact "
            "of a bundle."
        )
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
        call=ports.caller(model, model.predict_on_batch),
        decode=_unchanged,
    )


def _open_tflite(path: str, threads: int) -> Predictor:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=threads)
    try:
        interpreter.allocate_tensors()
    except RuntimeError as error:  # empty message if out of memory
        raise RuntimeError(str(error) or "its tensors can't be allocated") from error
    return of_interpreter(interpreter, lambda: artifact_metadata.of_tflite(Path(path)))


def of_interpreter(
    interpreter: Any, metadata: Callable[[], Metadata | None] = lambda: None
) -> Predictor:
    """Returns the predictor of a LiteRT interpreter whose tensors are allocated."""
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    _require_some(inputs, outputs)
    if len(inputs) > 1 or len(outputs) > 1:
        return _several_tflite(interpreter)
    (input_details,), (output_details,) = inputs, outputs
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
        inputs=(_tflite_tensor(input_details),),
        outputs=(_tflite_tensor(output_details),),
        metadata=metadata,
    )


def _several_tflite(interpreter: Any) -> Predictor:
    """Opens a TFLite file with several inputs or outputs, named by its signature."""
    if len(interpreter.get_signature_list()) != 1:
        raise ValueError("has several inputs or outputs, and no signature that names them")
    runner = interpreter.get_signature_runner()
    inputs, outputs = (
        [details | {"name": name} for name, details in sorted(found.items())]
        for found in (runner.get_input_details(), runner.get_output_details())
    )
    shapes = [details["shape"][1:].tolist() for details in inputs]
    encoders, decoders = map(_quantizer, inputs), map(_dequantizer, outputs)
    feeds = list(zip([one["index"] for one in inputs], encoders, strict=True))
    reads = list(zip([one["index"] for one in outputs], decoders, strict=True))

    def call(rows: np.ndarray) -> np.ndarray:
        for (index, encode), part in zip(feeds, ports.split(rows, shapes), strict=True):
            interpreter.set_tensor(index, encode(part))
        interpreter.invoke()
        return ports.join([decode(interpreter.get_tensor(index)) for index, decode in reads])

    return Predictor(
        runtime=f"LiteRT {version('ai-edge-litert')}",
        batch=int(inputs[0]["shape"][0]),
        encode=_unchanged,
        call=call,
        decode=_unchanged,
        inputs=tuple(map(_tflite_tensor, inputs)),
        outputs=tuple(map(_tflite_tensor, outputs)),
    )


def _require_some(inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    if not inputs or not outputs:
        raise ValueError("has no input" if outputs else "has no output")


def _tflite_tensor(details: dict[str, Any]) -> Tensor:
    dtype = np.dtype(details["dtype"])
    shape = tuple(details["shape"].tolist())
    if dtype.kind == "f":
        return Tensor(details["name"], shape, dtype.name)
    scale, zero_point = details["quantization"]
    return Tensor(details["name"], shape, dtype.name, float(scale), int(zero_point))


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
    inputs, outputs = (
        sorted(found, key=lambda tensor: tensor.name)
        for found in (session.get_inputs(), session.get_outputs())
    )
    _require_some(inputs, outputs)
    names, shapes = [one.name for one in outputs], [one.shape[1:] for one in inputs]

    def call(values: np.ndarray) -> np.ndarray:
        return session.run(names, {inputs[0].name: values})[0]

    def call_several(rows: np.ndarray) -> np.ndarray:
        parts = ports.split(rows, shapes)
        feeds = {one.name: part for one, part in zip(inputs, parts, strict=True)}
        return ports.join(session.run(names, feeds))

    batch = inputs[0].shape[0]
    return Predictor(
        runtime=f"ONNX Runtime {onnxruntime.__version__}",
        batch=batch if isinstance(batch, int) else None,
        encode=_unchanged,
        call=call if len(inputs) == len(outputs) == 1 else call_several,
        decode=_unchanged,
        inputs=tuple(map(_onnx_tensor, inputs)),
        outputs=tuple(map(_onnx_tensor, outputs)),
        metadata=lambda: artifact_metadata.of_onnx(session.get_modelmeta().custom_metadata_map),
    )


_ONNX_DTYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}


def _onnx_tensor(value: Any) -> Tensor:
    return Tensor(value.name, tuple(value.shape), _ONNX_DTYPES.get(value.type, value.type))


@dataclasses.dataclass(frozen=True)
class CSource:
    """What a C source's comment says of its functions.

    Attributes:
        prefix: Prefix of their names.
        input: What the caller gives.
        output: What `PREFIX_predict_quantized` writes.
        scratch_bytes: Bytes of memory that the caller gives on a small target.
        lanes_bytes: The same where there may be kernels with vectors.
    """

    prefix: Annotated[str, Check("a C identifier", lambda value: _is_identifier(value))]
    input: Tensor
    output: Tensor
    scratch_bytes: Annotated[int, integer(1, 2**31)]
    lanes_bytes: Annotated[int, integer(1, 2**31)]


def _is_identifier(value: object) -> bool:
    return isinstance(value, str) and value.isidentifier() and value.isascii()


_C_DTYPES = one_of("float32", "int8", "uint8")
_SCRATCH_ALIGNMENT = 64  # more than a source asks for


def _open_c(path: str, threads: int) -> Predictor:
    """Compiles and loads a C source, which is native code from then on: check its hash first."""
    fields = artifact_metadata.read_c(Path(path))
    if not fields:
        raise ValueError("is no C source of mnist-edge: the comment with its metadata is missing")
    about = schema.decode(CSource, fields.get("c"), "c")
    with scratch.folder() as folder:
        library = ctypes.CDLL(str(c_compiler.shared_library(Path(path), folder)))
    given, output = _c_array(about.input), _c_array(about.output)
    memory = np.zeros(about.lanes_bytes + _SCRATCH_ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _SCRATCH_ALIGNMENT
    function = getattr(library, f"{about.prefix}_predict_quantized")
    function.restype = None
    places = given.ctypes.data, output.ctypes.data, memory.ctypes.data + start
    run = functools.partial(function, *map(ctypes.c_void_p, places))

    def call(values: np.ndarray) -> np.ndarray:
        given[...] = values
        run()
        return output.copy()

    call.memory = memory  # type: ignore[attr-defined]  # lives as long as the function
    return Predictor(
        runtime=f"C, {c_compiler.name()}",
        batch=1,
        encode=_quantizer(_c_details(about.input)),
        call=call,
        decode=_dequantizer(_c_details(about.output)),
        inputs=(about.input,),
        outputs=(about.output,),
        metadata=lambda: artifact_metadata.of_c(fields),
    )


def _c_array(tensor: Tensor) -> np.ndarray:
    sizes = [size for size in tensor.shape if isinstance(size, int) and size > 0]
    if not _C_DTYPES.accepts(tensor.dtype) or len(sizes) < len(tensor.shape) or sizes[:1] != [1]:
        raise ValueError(f"has an input or output of {tensor.dtype}, {list(tensor.shape)}")
    if math.prod(sizes) > _MOST_VALUES:
        raise ValueError(f"has an input or output of {math.prod(sizes):,} values")
    return np.zeros(sizes, tensor.dtype)


def _c_details(tensor: Tensor) -> dict[str, Any]:
    return {"dtype": tensor.dtype, "quantization": (tensor.scale, tensor.zero_point)}


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
    ".c": _Runtime("mnist_edge.c_compiler", "a C compiler", _open_c),
}
