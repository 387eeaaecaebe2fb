"""Read an ONNX file without running it: its graph, and its size by purpose."""

import collections
import math

from ..graph import Constant, Graph, Operator

_NUMPY_NAMES = {"float": "float32", "double": "float64"}


def read_graph(content):
    """Reads the bytes of an ONNX file, as `read` does; raises what the parser raises."""
    import onnx
    from onnx import TensorProto

    model = onnx.load_from_string(content)
    external = next(_kept_elsewhere(model), None)
    if external is not None:
        raise ValueError(f"tensor {external.name!r} is kept in another file, one file promised")
    onnx.checker.check_model(model, full_check=True)
    model = onnx.shape_inference.infer_shapes(model)
    graph = model.graph

    def dtype(number):
        return _NUMPY_NAMES.get(name := TensorProto.DataType.Name(number).lower(), name)

    known = {
        t.name: Constant(t.name, dtype(t.data_type), math.prod(t.dims), len(t.dims))
        for t in graph.initializer
    }
    flowing = {
        value.name: dtype(value.type.tensor_type.elem_type)
        for value in (*graph.input, *graph.value_info, *graph.output)
        if value.name not in known
    }
    operators = _onnx_operators(graph.node, known, flowing)
    counts = collections.Counter(c.dtype for c in known.values()) + collections.Counter(
        flowing.values()
    )
    opset = max(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    dimension = graph.input[0].type.tensor_type.shape.dim[0]
    batch = dimension.dim_value or dimension.dim_param or "free"
    io = (flowing[graph.input[0].name], flowing[graph.output[0].name])
    return Graph("onnx", opset, batch, io, operators, list(known.values()), dict(counts))


def _kept_elsewhere(message):
    """The tensors in an ONNX message, at any depth, whose data is in another file."""
    for field, value in message.ListFields():
        if field.type != field.TYPE_MESSAGE:
            continue
        # `[value]` where there is one alone, which has fields itself.
        for one in [value] if hasattr(value, "ListFields") else value:
            if getattr(one, "external_data", None) or getattr(one, "data_location", 0):
                yield one
            yield from _kept_elsewhere(one)


def _onnx_operators(nodes, known, flowing):
    """`Operator`s of ONNX nodes.

    Args:
        nodes: `onnx.NodeProto`s.
        known: `Constant` by name.
        flowing: Element type of what is not constant, by name.
    """
    source = {n.output[0]: n for n in nodes if n.op_type == "DequantizeLinear"}
    stored = known | {
        output: known[n.input[0]] for output, n in source.items() if n.input[0] in known
    }
    return [
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
    ]


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
    spent = {"weights": 0, "quantisation": 0}
    for tensor in model.graph.initializer:
        stored = onnx.numpy_helper.to_array(tensor).nbytes
        spent["quantisation" if tensor.name in steps else "weights"] += stored
    return spent | {"contract": sum(prop.ByteSize() for prop in model.metadata_props)}
