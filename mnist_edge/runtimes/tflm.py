"""TFLite Micro: opens a file in the interpreter of its wheel, and names its operators in C++.

The interpreter may end the process on a file that it does not support: call it in an isolated
subprocess (`safety.isolated`).
"""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from mnist_edge import artifact_metadata
from mnist_edge.cli import one_line

from .predictor import Predictor, Tensor, dequantizer, quantizer

# Address space for the arena; a page takes memory only once it is used.
_MOST_ARENA_BYTES = 2**28
_TOTAL = re.compile(r"Arena allocation total (\d+) bytes")
# Where in its source a message comes from.
_SOURCE = re.compile(r"\S*tensorflow/lite/\S+\.(?:cc|h)(?::\d+)? ")

# Operators of `MicroMutableOpResolver`, as of tflite-micro 0.dev20261023182759 (commit 8f6596d);
# `tests/test_tflm.py` asks the wheel for each builtin operator of TFLite's schema.
_NAMES = """
    ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE AVERAGE_POOL_2D BATCH_MATMUL
    BATCH_TO_SPACE_ND BROADCAST_ARGS BROADCAST_TO CALL_ONCE CAST CEIL CONCATENATION CONV_2D
    COS CUMSUM DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE DIV DYNAMIC_UPDATE_SLICE ELU
    EMBEDDING_LOOKUP EQUAL EXP EXPAND_DIMS FILL FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED
    GATHER GATHER_ND GREATER GREATER_EQUAL HARD_SWISH IF L2_NORMALIZATION L2_POOL_2D
    LEAKY_RELU LESS LESS_EQUAL LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC LOG_SOFTMAX
    MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL NEG NOT_EQUAL PACK PAD PADV2 PRELU
    QUANTIZE READ_VARIABLE REDUCE_ALL REDUCE_MAX REDUCE_MIN RELU RELU6 RESHAPE RESIZE_BILINEAR
    RESIZE_NEAREST_NEIGHBOR REVERSE_V2 ROUND RSQRT SELECT_V2 SHAPE SIN SLICE SOFTMAX
    SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE SQUEEZE
    STRIDED_SLICE SUB SUM SVDF TANH TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM
    UNPACK VAR_HANDLE WHILE ZEROS_LIKE
"""
OPERATORS = frozenset(_NAMES.split())
# Methods whose names don't follow from the operator's.
_METHODS = {
    "BATCH_MATMUL": "BatchMatMul",
    "CUMSUM": "CumSum",
    "PADV2": "PadV2",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTM",
}


def resolver(operators: Iterable[str]) -> tuple[str, ...]:
    """Returns the lines of C++ that register operators with a `MicroMutableOpResolver`.

    Args:
        operators: Names in TFLite's schema, such as "CONV_2D"; those that TFLite Micro lacks get
            no line.
    """
    known = sorted(OPERATORS.intersection(operators))
    return tuple(f"resolver.Add{_METHODS.get(name) or _camel_case(name)}();" for name in known)


def _camel_case(name: str) -> str:
    return "".join(w if w[0].isdigit() else w.capitalize() for w in name.split("_"))


def open_file(path: Path) -> tuple[Any, int]:
    """Opens a file in TFLite Micro.

    Returns:
        `(interpreter, arena_bytes)`: the wheel's interpreter, and the memory that it takes for
        activations and its own structures, in which pointers have this machine's size. The wheel
        reports up to 8 bytes more than the smallest arena in which it runs.

    Raises:
        RuntimeError: TFLite Micro refuses the file; the message is its own.
    """
    from tflite_micro import runtime

    printed: list[str] = []
    try:
        with _captured(printed):
            interpreter = runtime.Interpreter.from_file(str(path), arena_size=_MOST_ARENA_BYTES)
            interpreter.print_allocations()
    except RuntimeError as error:
        lines = (one_line(line).rstrip(".") for line in _SOURCE.sub("", printed[0]).split("\n"))
        raise RuntimeError("; ".join(filter(None, lines)) or str(error)) from error
    found = _TOTAL.search(printed[0])
    if not found:
        raise RuntimeError("the interpreter does not report its arena")
    return interpreter, int(found[1])


def open_artifact(path: str, threads: int) -> Predictor:
    """Opens a TFLite file in TFLite Micro, which has one thread and names no tensor."""
    interpreter, arena_bytes = open_file(Path(path))
    given = interpreter.get_input_details(0)

    def call(values: np.ndarray) -> np.ndarray:
        interpreter.set_input(values, 0)
        interpreter.invoke()
        return interpreter.get_output(0)

    return Predictor(
        runtime=f"TFLite Micro {version('tflite-micro')}",
        batch=int(given["shape"][0]),
        encode=quantizer(_tensor(given)),
        call=call,
        decode=dequantizer(_tensor(interpreter.get_output_details(0))),
        fields=lambda: artifact_metadata.read_tflite(Path(path)),
        arena_bytes=arena_bytes,
    )


def call_on_zeros(interpreter: Any, inputs: int) -> None:
    """Calls an opened file with so many inputs on zeros."""
    for i in range(inputs):
        one = interpreter.get_input_details(i)
        interpreter.set_input(np.zeros(one["shape"], one["dtype"]), i)
    interpreter.invoke()


def _tensor(details: dict[str, Any]) -> Tensor:
    parameters, dtype = details["quantization_parameters"], np.dtype(details["dtype"])
    scales, zero_points = parameters["scales"], parameters["zero_points"]
    about = "", tuple(map(int, details["shape"])), dtype.name
    if dtype.kind == "f":
        return Tensor(*about)
    return Tensor(*about, *((float(scales[0]), int(zero_points[0])) if len(scales) else (0.0, 0)))


@contextlib.contextmanager
def _captured(printed: list[str]) -> Iterator[None]:
    """Appends what the block writes to standard error, C++ included, to `printed`."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            held.seek(0)
            printed.append(held.read().decode(errors="replace"))
