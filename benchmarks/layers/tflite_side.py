"""Read every intermediate tensor of a TFLite file in LiteRT, and time its operators."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .activation import Activation, Traced, per_image

# Operators that, given float inputs and int8 weights, round each image's input to 8 bits.
_HYBRID = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL"}
_LEVELS = 255
# Timed calls of each part of a graph: as many as fit into the time, within these limits. The first
# ones also fill the caches.
_WARMUP, _FEWEST, _CALLS, _SECONDS = 2, 3, 500, 0.25
# No times are better than a comparison that runs into its time limit.
_MOST_SECONDS = 120


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

    kept: list[int] = []

    def run(inputs: np.ndarray) -> list[Activation]:
        interpreter.set_tensor(image, inputs)
        interpreter.invoke()
        read = [
            _activation(interpreter, details[index], operator, batch, index in rounded)
            for index, operator, _ in flowing
        ]
        pairs = zip(flowing, read, strict=True)
        kept[:] = [position for (_, _, position), each in pairs if each is not None]
        return [each for each in read if each is not None]

    def times(inputs: np.ndarray) -> list[float] | None:
        return _times(path.read_bytes(), kept, inputs)

    return Traced(run, times)


def _times(content: bytes, operators: Sequence[int], inputs: np.ndarray) -> list[float] | None:
    """Times each operator, with the default delegate; LiteRT's Python package has no profiler.

    The graph up to an operator is timed, for each of them: what it takes longer than the graph up
    to the one before is the operator's time.

    Args:
        content: A TFLite file.
        operators: Positions of operators, ascending.
        inputs: One batch.

    Returns:
        Microseconds per call, from the operator before to each of them. None if that would take
        minutes, as in a network of 100 MB.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    model.signatureDefs = None  # name the outputs
    (graph, *_), everything = model.subgraphs, list(model.subgraphs[0].operators)
    elapsed: dict[int, float] = {}
    ends, started = (*dict.fromkeys(reversed(operators)), -1), time.monotonic()
    for end in ends:
        graph.operators = _needed(everything[: end + 1], graph.inputs)
        graph.outputs = _unread(graph.operators) or list(graph.inputs)
        elapsed[end] = _seconds_per_call(_packed(model), inputs)
        if (time.monotonic() - started) / len(elapsed) * len(ends) > _MOST_SECONDS:
            return None
    # No part takes longer than one that contains it; noise only adds.
    totals = np.minimum.accumulate([*(elapsed[end] for end in reversed(operators)), elapsed[-1]])
    return [float(each) for each in np.diff(totals[::-1]) * 1e6]


def _needed(operators: Sequence[Any], inputs: Iterable[int]) -> list[Any]:
    """Leaves out what computes with constants only for operators that are not there.

    A delegate doesn't run a graph whose output is, say, float16 weights made float32.
    """
    reached = set(map(int, inputs))
    for each in operators:
        if reached.intersection(map(int, each.inputs)):
            reached.update(map(int, each.outputs))
    reached.update(int(index) for each in operators for index in each.inputs)
    return [each for each in operators if reached.intersection(map(int, each.outputs))]


def _unread(operators: Iterable[Any]) -> list[int]:
    """Returns the results that none of the operators reads: a delegate drops what nobody reads."""
    read = {index for each in operators for index in each.inputs}
    return [index for each in operators for index in each.outputs if index not in read]


def _packed(model: Any) -> bytes:
    import flatbuffers

    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _seconds_per_call(content: bytes, inputs: np.ndarray) -> float:
    """Returns the shortest of some calls, which is the one that was disturbed least."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], inputs)
    found: list[float] = []
    while len(found) < _WARMUP + _FEWEST or (len(found) < _CALLS and sum(found) < _SECONDS):
        started = time.perf_counter()
        interpreter.invoke()
        found.append(time.perf_counter() - started)
    return min(found[_WARMUP:])


def _flow(
    interpreter: Any, details: dict[int, Any], image: int
) -> tuple[list[tuple[int, str, int]], set[int]]:
    """Returns the tensors that depend on the input, and those that are rounded.

    Each is returned with its operator's type and position. Rounded are those that a hybrid
    operator reads.
    """
    flowing, rounded, reached = [], set(), {image}
    for position, operator in enumerate(interpreter._get_ops_details()):
        inputs = [int(index) for index in operator["inputs"] if index >= 0]
        if not reached.intersection(inputs):
            continue  # computes with constants only, such as float16 weights made float32
        if operator["op_name"] in _HYBRID and len(inputs) > 1:
            types = [details[index]["dtype"] for index in inputs[:2]]
            if types == [np.float32, np.int8]:
                rounded.add(inputs[0])
        outputs = [int(index) for index in operator["outputs"] if int(index) in details]
        reached.update(outputs)
        flowing += [(index, operator["op_name"], position) for index in outputs]
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
