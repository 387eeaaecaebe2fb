"""Read every intermediate tensor of a TFLite file in LiteRT."""

from pathlib import Path
from typing import Any

import numpy as np

from .activation import Activation, Traced, per_image

# Operators that, given float inputs and int8 weights, round each image's input to 8 bits.
_HYBRID = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL"}
_LEVELS = 255


def trace(path: Path, batch: int) -> Traced:
    """Opens a file with every tensor kept and without delegate, which would hide tensors.

    Args:
        path: The file.
        batch: Its batch size.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        str(path),
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        num_threads=1,
    )
    interpreter.allocate_tensors()
    image = interpreter.get_input_details()[0]["index"]
    details = {each["index"]: each for each in interpreter.get_tensor_details()}
    flowing, rounded = _flow(interpreter, details, image)

    def run(inputs: np.ndarray) -> list[Activation]:
        interpreter.set_tensor(image, inputs)
        interpreter.invoke()
        read = (
            _activation(interpreter, details[index], operator, batch, index in rounded)
            for index, operator in flowing
        )
        return [each for each in read if each is not None]

    return Traced(run)


def _flow(
    interpreter: Any, details: dict[int, Any], image: int
) -> tuple[list[tuple[int, str]], set[int]]:
    """Returns the tensors that depend on the input, each with its operator, and the rounded ones.

    Rounded are those that a hybrid operator reads.
    """
    flowing, rounded, reached = [], set(), {image}
    for operator in interpreter._get_ops_details():
        inputs = [int(index) for index in operator["inputs"] if index >= 0]
        if not reached.intersection(inputs):
            continue  # computes with constants only, such as float16 weights made float32
        if operator["op_name"] in _HYBRID and len(inputs) > 1:
            types = [details[index]["dtype"] for index in inputs[:2]]
            if types == [np.float32, np.int8]:
                rounded.add(inputs[0])
        outputs = [int(index) for index in operator["outputs"] if int(index) in details]
        reached.update(outputs)
        flowing += [(index, operator["op_name"]) for index in outputs]
    return flowing, rounded


def _activation(
    interpreter: Any, details: dict[str, Any], operator: str, batch: int, is_rounded: bool
) -> Activation | None:
    """Reads a tensor, dequantized; None if it holds no numbers per image."""
    dtype, (scale, zero_point) = np.dtype(details["dtype"]), details["quantization"]
    if dtype.kind not in "fiu" or (dtype.kind != "f" and not scale):
        return None  # booleans, or indices and shapes
    try:
        values = interpreter.get_tensor(details["index"])
    except ValueError:  # without data
        return None
    ends = None
    if dtype.kind != "f":
        limits = np.iinfo(dtype)
        ends = ((limits.min - zero_point) * scale, (limits.max - zero_point) * scale)
        values = (values.astype(np.float32) - zero_point) * np.float32(scale)
    found = per_image(values, batch)
    if found is None:
        return None
    step = scale if ends else 0.0
    return Activation(
        details["name"], operator, _rounded(found) if is_rounded else found, ends, step
    )


def _rounded(values: np.ndarray) -> np.ndarray:
    """Rounds each image's values as a hybrid operator does: 8 bits between their ends and 0."""
    flat = values.reshape(len(values), -1)
    low, high = flat.min(1, initial=0), flat.max(1, initial=0)
    step = np.maximum((high - low) / _LEVELS, np.finfo(np.float32).tiny)[:, None]
    return (np.rint(flat / step) * step).reshape(values.shape)
