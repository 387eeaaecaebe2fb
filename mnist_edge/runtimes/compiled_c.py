"""C sources, compiled and loaded into this process."""

import ctypes
import dataclasses
import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np

from mnist_edge import artifact_metadata, schema
from mnist_edge.errors import InputError
from mnist_edge.safety import scratch
from mnist_edge.schema import Check, integer, one_of

from . import c_compiler
from .predictor import MOST_VALUES, Predictor, Tensor, dequantizer, quantizer


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


_DTYPES = one_of("float32", "int8", "uint8")
_SCRATCH_ALIGNMENT = 64  # more than a source asks for


def read(path: Path, remedy: str) -> CSource:
    """Reads what an untrusted C source says of its functions.

    Args:
        path: The source.
        remedy: What to do if it is wrong; the last sentence of the error message.

    Raises:
        InputError: It is no C file of export.
    """
    try:
        return schema.decode(CSource, artifact_metadata.read_c(path).get("c"), "c")
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{path} must be a C file of export. Got: {error}. {remedy}") from error


def open_artifact(
    path: str, threads: int, flags: Sequence[str] = (), kernels: str = ""
) -> Predictor:
    """Compiles and loads a C source, which is native code from then on: check its hash first."""
    fields = artifact_metadata.read_c(Path(path))
    if not fields:
        raise ValueError("is no C source of mnist-edge: the comment with its metadata is missing")
    about = schema.decode(CSource, fields.get("c"), "c")
    with scratch.folder() as folder:
        file = c_compiler.shared_library(Path(path), folder, flags)
        library, compiled_bytes = ctypes.CDLL(str(file)), c_compiler.shipped_bytes(file)
    given, output = _array(about.input), _array(about.output)
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
        runtime=f"C, {c_compiler.name()}{kernels}",
        batch=1,
        encode=quantizer(about.input),
        call=call,
        decode=dequantizer(about.output),
        inputs=(about.input,),
        outputs=(about.output,),
        fields=lambda: fields,
        compiled_bytes=compiled_bytes,
    )


def _array(tensor: Tensor) -> np.ndarray:
    sizes = [size for size in tensor.shape if isinstance(size, int) and size > 0]
    if not _DTYPES.accepts(tensor.dtype) or len(sizes) < len(tensor.shape) or sizes[:1] != [1]:
        raise ValueError(f"has an input or output of {tensor.dtype}, {list(tensor.shape)}")
    if math.prod(sizes) > MOST_VALUES:
        raise ValueError(f"has an input or output of {math.prod(sizes):,} values")
    return np.zeros(sizes, tensor.dtype)
