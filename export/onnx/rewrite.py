"""Rewrite the graph that Keras exports so that every ONNX variant can be made from it."""

from typing import TYPE_CHECKING

import numpy as np

from .inspect import graphs, subgraphs

if TYPE_CHECKING:
    import onnx


def mend(graph: "onnx.GraphProto") -> None:
    """Rewrites, in place, what quantizers or ONNX Runtime don't read as it was meant."""
    _fold_input_scale(graph)
    _drop_idle_factors(graph)
    _keep_pooled_zeros(graph)
    _share_loop_constants(graph)


def _fold_input_scale(graph: "onnx.GraphProto") -> None:
    """Folds `image * scale` into the first convolution's weights, in place.

    The TFLite converter does this too. ONNX Runtime does not, and on a small network the
    multiplication takes a fifth of the call.
    """
    import onnx
    from onnx import numpy_helper

    weights = {tensor.name: tensor for tensor in graph.initializer}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    first = graph.node[0]
    scale = weights.get(first.input[1]) if first.op_type == "Mul" else None
    if scale is None or numpy_helper.to_array(scale).size != 1:
        return
    if len(list(graphs(graph))) > 1:
        return  # a loop may read any tensor
    node, moved = first, []
    while node.op_type in ("Mul", "Reshape", "Transpose"):
        moved.append(node)
        following = readers.get(node.output[0], [])
        if len(following) != 1 or (node is not first and node.op_type == "Mul"):
            return
        (node,) = following
    kernel = weights.get(node.input[1]) if node.op_type == "Conv" else None
    if kernel is None or len(readers[kernel.name]) != 1:
        return
    scaled = numpy_helper.to_array(kernel) * numpy_helper.to_array(scale).reshape(())
    kernel.CopyFrom(numpy_helper.from_array(scaled, kernel.name))
    for reader in readers[first.output[0]]:
        reader.input[:] = [first.input[0] if n == first.output[0] else n for n in reader.input]
    graph.node.remove(first)
    if len(readers[scale.name]) == 1:
        graph.initializer.remove(scale)


def _drop_idle_factors(graph: "onnx.GraphProto") -> None:
    """Removes `beta` from each Gemm that adds nothing, in place.

    onnxsim writes 0, and the quantizers leave a Gemm whose `beta` is not 1 in float32.
    """
    for node in graph.node:
        if node.op_type == "Gemm" and len(node.input) == 2:
            kept = [each for each in node.attribute if each.name != "beta"]
            del node.attribute[:]
            node.attribute.extend(kept)


def _keep_pooled_zeros(graph: "onnx.GraphProto") -> None:
    """Pads what a MaxPool reads with the smallest float above 0 in place of 0, in place.

    ONNX Runtime 1.31 makes a Pad of zeros a part of the MaxPool behind it, which pads with minus
    infinity: where all values at a border are negative, they win over the zeros (ResNet50V2).
    """
    import onnx

    constants = {each.name: each for each in graph.initializer}
    pooled = {node.input[0] for node in graph.node if node.op_type == "MaxPool"}
    for node in graph.node:
        if node.op_type != "Pad" or node.output[0] not in pooled:
            continue
        value = constants.get(node.input[2]) if len(node.input) > 2 else None
        if value is not None and onnx.numpy_helper.to_array(value).any():
            continue
        least = np.array(np.finfo(np.float32).tiny)
        graph.initializer.append(onnx.numpy_helper.from_array(least, f"{node.output[0]}_least"))
        node.input[:] = [*node.input[:2], f"{node.output[0]}_least", *node.input[3:]]


def _share_loop_constants(graph: "onnx.GraphProto") -> None:
    """Lets loops read their weights from the graph around them, in place.

    tf2onnx passes weights through every iteration, where no quantizer finds them.
    """
    constants = {tensor.name for tensor in graph.initializer}
    read = {name for part in graphs(graph) for node in part.node for name in node.input}
    read |= {value.name for value in graph.output}
    for node in graph.node:
        bodies = list(subgraphs(node))
        if node.op_type != "Loop" or len(list(graphs(bodies[0]))) > 1:
            continue
        body, passed = bodies[0], list(node.input[2:])  # after the count and the condition
        for i in reversed(range(len(passed))):
            inner = body.input[i + 2].name
            is_unchanged = body.output[i + 1].name == inner
            if passed[i] not in constants or not is_unchanged or node.output[i] in read:
                continue
            for reader in body.node:
                reader.input[:] = [passed[i] if name == inner else name for name in reader.input]
            del node.input[i + 2], node.output[i], body.input[i + 2], body.output[i + 1]


def name_by_order(graph: "onnx.GraphProto") -> None:
    """Names nodes and tensors by operator and order, in place, and sorts the constants.

    tf2onnx numbers and lists them in an order that varies between processes, so the same model
    would give different bytes.
    """
    kept = {"", *(value.name for value in (*graph.input, *graph.output))}
    _rename(graph, {name: name for name in kept}, "")


def _rename(graph: "onnx.GraphProto", names: dict[str, str], prefix: str) -> None:
    """Renames a graph and the graphs inside its loops; adds the new names to `names`, by old."""
    for i, value in enumerate(graph.input):
        names.setdefault(value.name, f"{prefix}input_{i}")
    for i, node in enumerate(graph.node):
        node.name = f"{prefix}{node.op_type}_{i}"
        for k, old in enumerate(node.input):
            names.setdefault(old, f"{node.name}_constant_{k}")
        for inner in subgraphs(node):
            _rename(inner, names, f"{node.name}_")
        for k, old in enumerate(node.output):
            names.setdefault(old, f"{node.name}_output_{k}")
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
    for named in (*graph.initializer, *graph.input, *graph.output):
        named.name = names.get(named.name, named.name)
    graph.initializer.sort(key=lambda tensor: tensor.name)
    del graph.value_info[:]
