"""Read an ONNX file without running it: its graph and its size breakdown."""

import collections
import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ..graph import Constant, Graph, Operator

if TYPE_CHECKING:
    import onnx

# ONNX Runtime's own form of an operator of ONNX, which its quantizer writes.
_RUNTIME_OWN = ("com.microsoft", "DynamicQuantizeLSTM")
_NUMPY_NAMES = {"float": "float32", "double": "float64"}


def read_graph(content: bytes) -> Graph:
    """Reads the graph of an ONNX file; a damaged file may raise any exception."""
    import onnx
    from onnx import TensorProto

    model = onnx.load_from_string(content)
    external = next(_external_tensors(model), None)
    if external is not None:
        raise ValueError(f"tensor {external.name!r} is stored in another file")
    onnx.checker.check_model(model, full_check=True)
    model = onnx.shape_inference.infer_shapes(model)
    graph = model.graph
    parts = list(graphs(graph))

    def dtype(number: int) -> str:
        name = TensorProto.DataType.Name(number).lower()
        return _NUMPY_NAMES.get(name, name)

    constants = {
        t.name: Constant(t.name, dtype(t.data_type), math.prod(t.dims), len(t.dims))
        for part in parts
        for t in part.initializer
    }
    activations = {
        value.name: dtype(value.type.tensor_type.elem_type)
        for part in parts
        for value in (*part.input, *part.value_info, *part.output)
        if value.name not in constants
    }
    nodes = [node for part in parts for node in part.node]
    operators = _operators(nodes, constants, activations)
    counts = collections.Counter(c.dtype for c in constants.values()) + collections.Counter(
        activations.values()
    )
    opset = max(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    dimension = graph.input[0].type.tensor_type.shape.dim[0]
    batch = dimension.dim_value or dimension.dim_param or "free"
    io = (activations[graph.input[0].name], activations[graph.output[0].name])
    return Graph("onnx", opset, batch, io, operators, tuple(constants.values()), dict(counts))


def _external_tensors(message: Any) -> Iterator[Any]:
    """Yields the tensors in an ONNX message, at any depth, whose data is in another file."""
    for field, value in message.ListFields():
        if field.type != field.TYPE_MESSAGE:
            continue
        # A field that is not repeated holds one message, which has `ListFields`.
        for child in [value] if hasattr(value, "ListFields") else value:
            if getattr(child, "external_data", None) or getattr(child, "data_location", 0):
                yield child
            yield from _external_tensors(child)


def subgraphs(node: "onnx.NodeProto") -> Iterator["onnx.GraphProto"]:
    """Yields the graphs inside a node, such as the body of a loop."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g


def graphs(graph: "onnx.GraphProto") -> Iterator["onnx.GraphProto"]:
    """Yields a graph and the graphs inside its nodes, at any depth."""
    yield graph
    for node in graph.node:
        for inner in subgraphs(node):
            yield from graphs(inner)


def _operators(
    nodes: "Iterable[onnx.NodeProto]", constants: dict[str, Constant], activations: dict[str, str]
) -> tuple[Operator, ...]:
    """Converts nodes to operators, given the constants and the dtypes of all other tensors."""
    dequantize = {n.output[0]: n for n in nodes if n.op_type == "DequantizeLinear"}
    stored = constants | {
        output: constants[n.input[0]] for output, n in dequantize.items() if n.input[0] in constants
    }
    return tuple(
        Operator(
            name=node.name or node.output[0],
            kind=node.op_type,
            builtin=node.domain in ("", "ai.onnx") or (node.domain, node.op_type) == _RUNTIME_OWN,
            activations=tuple(
                dict.fromkeys(
                    activations[n]
                    for n in (*node.input, *node.output)
                    if n in activations and n not in stored
                )
            ),
            weights=tuple(stored[n] for n in node.input if n in stored),
            dequantized=len(node.input) > 1 and all(n in dequantize for n in node.input[:2]),
        )
        for node in nodes
    )


def size_breakdown(content: bytes) -> dict[str, int]:
    """Returns the number of bytes by purpose, except for the structure."""
    import onnx

    model = onnx.load_from_string(content)
    scales = {
        name
        for node in model.graph.node
        if node.op_type in ("QuantizeLinear", "DequantizeLinear")
        for name in node.input[1:]
    }
    sizes = {"weights": 0, "quantization": 0}
    for tensor in model.graph.initializer:
        stored = onnx.numpy_helper.to_array(tensor).nbytes
        sizes["quantization" if tensor.name in scales else "weights"] += stored
    return sizes | {"metadata": sum(prop.ByteSize() for prop in model.metadata_props)}
