"""Scale features of very different ranges in float32 before the quantized part of a graph."""

from typing import TYPE_CHECKING

import numpy as np

from .. import scaling

if TYPE_CHECKING:
    import onnx

# The nodes that scale; they stay in float32.
NODES = ("Sub_input", "Mul_input")


def scale_features(model: "onnx.ModelProto", images: np.ndarray) -> bool:
    """Scales features in float32 before the dense layer that reads them, in place.

    Does nothing if one scale for the input loses no detail, or if no dense layer reads the
    input. Operators that scale features before the dense layer are taken out.

    Args:
        model: A model in float32.
        images: Calibration images, float32 `[n, ..., features]`.

    Returns:
        Whether it changed the model.
    """
    from onnx import helper, numpy_helper

    graph = model.graph
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    read, given, removed = graph.input[0].name, scaling.identity(images), []
    while len(readers := [node for node in graph.node if read in node.input]) == 1:
        (dense,) = readers
        more = None
        if len(dense.input) == 2 and dense.input[0] == read:
            more = given.then(dense.op_type.lower(), constants.get(dense.input[1]))
        if more is None:
            break
        given, read = more, dense.output[0]
        removed.append(dense)
    if (
        len(readers) != 1
        or len(graph.input) != 1
        or images.ndim != 2
        or not scaling.loses_detail(images)
    ):
        return False
    parameters = _dense_parameters(dense, read, constants)
    if not parameters:
        return False
    wanted = scaling.balanced(images, given, parameters[0])
    new = dict(zip(("offset", "factor"), wanted.offset_and_factor(), strict=True))
    new |= dict(zip(("kernel", "bias"), scaling.absorb(given, wanted, *parameters), strict=True))
    graph.initializer.extend(numpy_helper.from_array(v, f"input_{k}") for k, v in new.items())
    nodes = [
        helper.make_node("Sub", [graph.input[0].name, "input_offset"], ["moved"], NODES[0]),
        helper.make_node("Mul", ["moved", "input_factor"], ["scaled"], NODES[1]),
        helper.make_node(
            "Gemm", ["scaled", "input_kernel", "input_bias"], dense.output, dense.name
        ),
    ]
    kept = [node for node in graph.node if node not in (*removed, dense)]
    del graph.node[:]
    graph.node.extend([*nodes, *kept])
    return True


def _dense_parameters(
    node: "onnx.NodeProto", read: str, constants: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray | float] | None:
    """Returns weights `[features, outputs]` and bias of a dense node that reads a tensor."""
    from onnx import helper

    if node.op_type not in ("MatMul", "Gemm") or node.input[0] != read:
        return None
    options = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    factors = [options.get("alpha", 1), options.get("beta", 1), 1 - options.get("transA", 0)]
    weights = constants.get(node.input[1])
    bias = constants.get(node.input[2]) if len(node.input) > 2 else 0.0
    if weights is None or bias is None or weights.ndim != 2 or set(factors) != {1}:
        return None
    return weights.T if options.get("transB") else weights, bias
