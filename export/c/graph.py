"""Read a TFLite file into a graph that is small, typed and checked: any file may be damaged."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# More than any microcontroller holds; a damaged file may claim any size.
MOST_ELEMENTS = 2**26
MOST_OPERATORS = 10_000
_DTYPES = {"INT8": np.int8, "UINT8": np.uint8, "INT32": np.int32, "FLOAT32": np.float32}


class Unsupported(Exception):
    """What can't be generated: which operator and layer, and why, in words."""


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor.

    Attributes:
        index: Its number in the graph.
        name: Its name; may be empty.
        shape: Its dimensions, each 1 or more.
        dtype: "int8", "uint8", "int32" or "float32".
        scales: Step sizes, float32 `[1]` or one per slice along `axis`; empty if not quantized.
        zero_point: The integer that represents 0.0.
        axis: Dimension that several scales belong to.
        data: Its value if it is a constant.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: np.ndarray
    zero_point: int
    axis: int
    data: np.ndarray | None

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def is_byte(self) -> bool:
        """Whether an element takes one byte."""
        return self.dtype in ("int8", "uint8")

    @property
    def bytes(self) -> int:
        """Number of bytes."""
        return self.size if self.is_byte else 4 * self.size

    @property
    def scale(self) -> np.float32:
        """Its only step size."""
        if len(self.scales) != 1:
            raise Unsupported(f"has {len(self.scales)} scales in place of 1")
        return np.float32(self.scales[0])

    @property
    def zero(self) -> int:
        """The byte, 0 to 255, that represents 0.0: int8 values are kept with 128 added."""
        return self.zero_point + (128 if self.dtype == "int8" else 0)

    @property
    def values(self) -> np.ndarray:
        """A constant as it is kept: int8 values with 128 added, as uint8."""
        if self.data is None:
            raise Unsupported(f"needs a constant in place of {self.name!r}")
        return (
            (self.data.astype(np.int16) + 128).astype(np.uint8)
            if self.dtype == "int8"
            else (self.data)
        )


@dataclasses.dataclass(frozen=True)
class Node:
    """An operator.

    Attributes:
        kind: Such as "CONV_2D".
        inputs: Its inputs; None if one is left out.
        outputs: Its outputs.
        options: The fields of its options.
        raw: The operator as the schema's object.
        version: Its version.
    """

    kind: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: Mapping[str, Any]
    raw: Any
    version: int

    @property
    def layer(self) -> str:
        """The name of the layer, or at least of the output."""
        name = self.outputs[0].name.partition(";")[0] if self.outputs else ""
        return name or (f"tensor {self.outputs[0].index}" if self.outputs else "no output")

    @property
    def output(self) -> Tensor:
        """The only output."""
        if len(self.outputs) != 1:
            raise Unsupported(f"has {len(self.outputs)} outputs in place of 1")
        return self.outputs[0]

    def input(self, i: int) -> Tensor:
        """Returns an input that must be there."""
        tensor = self.inputs[i] if i < len(self.inputs) else None
        if tensor is None:
            raise Unsupported(f"lacks input {i}")
        return tensor

    def constant(self, i: int) -> np.ndarray:
        """Returns the value of an input that must be a constant of integers."""
        tensor = self.input(i)
        if tensor.data is None or tensor.dtype != "int32":
            raise Unsupported(f"needs a constant of int32 as input {i}")
        return tensor.data


@dataclasses.dataclass(frozen=True)
class Net:
    """A graph: one input, one output, operators in the order in which they run."""

    input: Tensor
    output: Tensor
    nodes: tuple[Node, ...]
    tensors: tuple[Tensor, ...]


def read(content: bytes) -> Net:
    """Reads a TFLite file.

    Raises:
        Unsupported: It is damaged, or has several inputs, outputs or graphs.
    """
    try:
        return _read(content)
    except Unsupported:
        raise
    except Exception as error:  # a damaged file causes many kinds
        raise Unsupported(f"is no valid TFLite file ({type(error).__name__})") from error


def _read(content: bytes) -> Net:
    from ai_edge_litert import schema_py_generated as schema

    if content[4:8] != b"TFL3":
        raise Unsupported("is no TFLite file")
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    if len(model.subgraphs) != 1:
        raise Unsupported(f"has {len(model.subgraphs)} graphs in place of 1")
    types = {code: name for name, code in vars(schema.TensorType).items()}
    kinds = {code: name for name, code in vars(schema.BuiltinOperator).items()}
    graph = model.subgraphs[0]
    for ends, role in ((graph.inputs, "inputs"), (graph.outputs, "outputs")):
        if len(ends) != 1:
            raise Unsupported(f"has {len(ends)} {role} in place of 1")
    if len(graph.operators) > MOST_OPERATORS:
        raise Unsupported(f"has {len(graph.operators):,} operators, more than {MOST_OPERATORS:,}")
    tensors = [
        _tensor(i, raw, types, model.buffers, _fixed(raw)) for i, raw in enumerate(graph.tensors)
    ]

    def at(index: int) -> Tensor:
        if not 0 <= index < len(tensors):
            raise Unsupported(f"names tensor {index}, and has {len(tensors)}")
        return tensors[index]

    nodes = []
    for raw in graph.operators:
        code = model.operatorCodes[raw.opcodeIndex]
        kind = kinds[max(code.builtinCode, code.deprecatedBuiltinCode)]
        custom = (code.customCode or b"").decode(errors="replace") if kind == "CUSTOM" else ""
        inputs = tuple(None if i == -1 else at(i) for i in _list(raw.inputs))
        outputs = tuple(map(at, _list(raw.outputs)))
        options = {} if raw.builtinOptions is None else vars(raw.builtinOptions)
        nodes.append(Node(custom or kind, inputs, outputs, options, raw, int(code.version)))
    net = Net(at(graph.inputs[0]), at(graph.outputs[0]), tuple(nodes), tuple(tensors))
    _check_order(net)
    return net


def _list(indices: Any) -> list[int]:
    return [] if indices is None else [int(i) for i in indices]


def _fixed(raw: Any) -> tuple[int, ...]:
    """Returns a tensor's dimensions; a batch of any size is 1."""
    shape = tuple(_list(raw.shape))
    if min(shape, default=1) < 1 or math.prod(shape) > MOST_ELEMENTS:
        raise Unsupported(f"has a tensor of shape {list(shape)}")
    return shape


def _tensor(
    index: int,
    raw: Any,
    types: Mapping[int, str],
    buffers: Sequence[Any],
    shape: tuple[int, ...],
) -> Tensor:
    kind, name = types[raw.type], (raw.name or b"").decode(errors="replace")
    if kind not in _DTYPES:
        raise Unsupported(f"has a tensor {name!r} of {kind.lower()}")
    if raw.sparsity is not None or raw.isVariable:
        raise Unsupported(f"has a tensor {name!r} that is sparse or a variable")
    dtype = np.dtype(_DTYPES[kind])
    scales, zero, axis = _steps(raw.quantization, name, dtype, shape)
    buffer, data = buffers[raw.buffer], None
    if buffer.offset or buffer.size:
        raise Unsupported("keeps data outside of its buffers")
    if buffer.data is not None and len(buffer.data):
        stored = np.asarray(buffer.data, np.uint8).tobytes()
        if len(stored) != math.prod(shape) * dtype.itemsize:
            raise Unsupported(f"has {len(stored)} bytes of {name!r}, of shape {list(shape)}")
        data = np.frombuffer(stored, dtype.newbyteorder("<")).reshape(shape)
    return Tensor(index, name, shape, dtype.name, scales, zero, axis, data)


def _steps(
    raw: Any, name: str, dtype: np.dtype, shape: tuple[int, ...]
) -> tuple[np.ndarray, int, int]:
    """Returns a tensor's scales, zero point and axis; checks that its range holds them."""
    if raw is None or raw.scale is None or not len(raw.scale):
        return np.zeros(0, np.float32), 0, 0
    scales = np.asarray(raw.scale, np.float32)
    zeros = np.zeros(1, np.int64) if raw.zeroPoint is None else np.asarray(raw.zeroPoint)
    usable = np.isfinite(scales) & (scales > 0)
    if not usable.all():
        raise Unsupported(f"has a scale of {scales[~usable][0]} in {name!r}")
    if len(scales) > 1:
        axis = int(raw.quantizedDimension)
        if not 0 <= axis < len(shape) or shape[axis] != len(scales) or zeros.any():
            raise Unsupported(f"has {len(scales)} scales in {name!r} along dimension {axis}")
        return scales, 0, axis
    zero = int(zeros[0]) if len(zeros) else 0
    if len(zeros) > 1 or (dtype.kind != "f" and not _holds(dtype, zero)):
        raise Unsupported(f"has a zero point of {zero} in {name!r}")
    return scales, zero, 0


def _holds(dtype: np.dtype, value: int) -> bool:
    limits = np.iinfo(dtype)
    return bool(limits.min <= value <= limits.max)


def _check_order(net: Net) -> None:
    """Raises if a tensor is read before it is written, or written twice."""
    written = {tensor.index for tensor in net.tensors if tensor.data is not None}
    if net.input.index in written:
        raise Unsupported("has a constant as its input")
    written.add(net.input.index)
    for node in net.nodes:
        for tensor in node.inputs:
            if tensor is not None and tensor.index not in written:
                raise Unsupported(f"reads tensor {tensor.index} before it is computed")
        for tensor in node.outputs:
            if tensor.index in written:
                raise Unsupported(f"writes tensor {tensor.index} twice")
            written.add(tensor.index)
    if net.output.index not in written or net.output.data is not None:
        raise Unsupported("does not compute its output")
