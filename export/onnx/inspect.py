"""Read an ONNX file without running it: its graph, and its size by purpose."""

import collections
import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ..graph import Constant, Graph, Operator

if TYPE_CHECKING:
    import onnx

_NUMPY_NAMES = {"float": "float32", "double": "float64"}


def read_graph(content: bytes) -> Graph:
    """Reads the graph of an ONNX file; raises whatever the parser stumbles on."""
    import onnx
    from onnx import TensorProto

    model = onnx.load_from_string(content)
    external = next(_kept_elsewhere(model), None)
    if external is not None:
        raise ValueError(f"tensor {external.name!r} is kept in another file, one file promised")
    onnx.checker.check_model(model, full_check=True)
    model = onnx.shape_inference.infer_shapes(model)
    graph = model.graph

    def dtype(number: int) -> str:
        name = TensorProto.DataType.Name(number).lower()
        return _NUMPY_NAMES.get(name, name)

    known = {
        t.name: Constant(t.name, dtype(t.data_type), math.prod(t.dims), len(t.dims))
        for t in graph.initializer
    }
    flowing = {
        value.name: dtype(value.type.tensor_type.elem_type)
        for value in (*graph.input, *graph.value_info, *graph.output)
        if value.name not in known
    }
    operators = _operators(graph.node, known, flowing)
    counts = collections.Counter(c.dtype for c in known.values()) + collections.Counter(
        flowing.values()
    )
    opset = max(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    dimension = graph.input[0].type.tensor_type.shape.dim[0]
    batch = dimension.dim_value or dimension.dim_param or "free"
    io = (flowing[graph.input[0].name], flowing[graph.output[0].name])
    return Graph("onnx", opset, batch, io, operators, tuple(known.values()), dict(counts))


def _kept_elsewhere(message: Any) -> Iterator[Any]:
    """The tensors in an ONNX message, at any depth, whose data is in another file."""
    for field, value in message.ListFields():
        if field.type != field.TYPE_MESSAGE:
            continue
        # `[value]` where there is one alone, which has fields itself.
        for one in [value] if hasattr(value, "ListFields") else value:
            if getattr(one, "external_data", None) or getattr(one, "data_location", 0):
                yield one
            yield from _kept_elsewhere(one)


def _operators(
    nodes: "Iterable[onnx.NodeProto]", known: dict[str, Constant], flowing: dict[str, str]
) -> tuple[Operator, ...]:
    """The nodes as operators, by the constants and the element types of all else."""
    source = {n.output[0]: n for n in nodes if n.op_type == "DequantizeLinear"}
    stored = known | {
        output: known[n.input[0]] for output, n in source.items() if n.input[0] in known
    }
    return tuple(
        Operator(
            name=node.name or node.output[0],
            kind=node.op_type,
            builtin=node.domain in ("", "ai.onnx"),
            activations=tuple(
                dict.fromkeys(
                    flowing[n]
                    for n in (*node.input, *node.output)
                    if n in flowing and n not in stored
                )
            ),
            weights=tuple(stored[n] for n in node.input if n in stored),
            dequantized=len(node.input) > 1 and all(n in source for n in node.input[:2]),
        )
        for node in nodes
    )


def size_breakdown(content: bytes) -> dict[str, int]:
    """Bytes by purpose; what is left is structure."""
    import onnx

    model = onnx.load_from_string(content)
    steps = {
        name
        for node in model.graph.node
        if node.op_type in ("QuantizeLinear", "DequantizeLinear")
        for name in node.input[1:]
    }
    spent = {"weights": 0, "quantization": 0}
    for tensor in model.graph.initializer:
        stored = onnx.numpy_helper.to_array(tensor).nbytes
        spent["quantization" if tensor.name in steps else "weights"] += stored
    return spent | {"metadata": sum(prop.ByteSize() for prop in model.metadata_props)}
