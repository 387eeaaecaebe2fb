"""Changes of an ONNX file: of its protocol buffer."""

from tests.mutants.drawn import FLOATS, NUMBERS, flipped_bits, pick


def parse(content):
    import onnx

    return onnx.ModelProto.FromString(content)


def pack(model):
    return model.SerializeToString(deterministic=True)


def _attribute_removed(model, rng):
    node = pick(rng, [n for n in model.graph.node if n.attribute])
    del node.attribute[int(rng.integers(len(node.attribute)))]


def _attribute_value(model, rng):
    given = [a for n in model.graph.node for a in n.attribute]
    one = pick(rng, given)
    if one.ints:
        one.ints[int(rng.integers(len(one.ints)))] = pick(rng, (*NUMBERS, 1 << 40))
    elif one.s:
        one.s = pick(rng, (b"SAME_UPPER", b"VALID", b"", b"\xff\x1b[2J"))
    else:
        one.i, one.f = pick(rng, NUMBERS), pick(rng, FLOATS)


def _attribute_list(model, rng):
    one = pick(rng, [a for n in model.graph.node for a in n.attribute if a.ints])
    one.ints[:] = pick(rng, ([], [1], list(one.ints) * 2, list(one.ints)[:-1], [0] * 10_000))


def _attribute_type(model, rng):
    one = pick(rng, [a for n in model.graph.node for a in n.attribute])
    one.type = int(rng.integers(1, 12))


def _node_type(model, rng):
    known = ("Relu", "Add", "MatMul", "Conv", "Loop", "If", "ConstantOfShape", "Resize", "NoSuch")
    pick(rng, model.graph.node).op_type = pick(rng, known)


def _node_domain(model, rng):
    pick(rng, model.graph.node).domain = pick(rng, ("com.example", "com.microsoft", "ai.onnx.ml"))


def _node_input(model, rng):
    node = pick(rng, model.graph.node)
    node.input[int(rng.integers(len(node.input)))] = pick(rng, _names(model))


def _node_output(model, rng):
    node = pick(rng, model.graph.node)
    node.output[int(rng.integers(len(node.output)))] = pick(rng, _names(model))


def _names(model):
    names = {name for node in model.graph.node for name in (*node.input, *node.output)}
    return [*sorted(names), "", "no such tensor"]


def _node_arity(model, rng):
    node = pick(rng, model.graph.node)
    names = pick(rng, (node.input, node.output))
    names[:] = pick(rng, ([], names[:-1], names[::-1], [*names, *names]))


def _nodes_reordered(model, rng):
    one, other = (pick(rng, model.graph.node) for _ in range(2))
    kept = type(one).FromString(one.SerializeToString())
    one.CopyFrom(other)
    other.CopyFrom(kept)


def _node_removed(model, rng):
    del model.graph.node[int(rng.integers(len(model.graph.node)))]


def _initializer_shape(model, rng):
    dims = pick(rng, [t for t in model.graph.initializer if t.dims]).dims
    if rng.random() < 0.3:
        dims[:] = pick(rng, (dims[::-1], dims[1:], [*dims, 1], [1 << 40], []))
    else:
        dims[int(rng.integers(len(dims)))] = pick(rng, (*NUMBERS, 1 << 40))


def _initializer_type(model, rng):
    pick(rng, model.graph.initializer).data_type = int(rng.integers(25))


def _initializer_bytes(model, rng):
    tensor = pick(rng, [t for t in model.graph.initializer if t.raw_data])
    tensor.raw_data = flipped_bits(tensor.raw_data, rng)


def _initializer_size(model, rng):
    tensor = pick(rng, [t for t in model.graph.initializer if t.raw_data])
    data = tensor.raw_data
    tensor.raw_data = pick(rng, (data[:-1], data * 2, b"", data[: len(data) // 2]))


def _initializer_removed(model, rng):
    del model.graph.initializer[int(rng.integers(len(model.graph.initializer)))]


def _external_data(model, rng):
    tensor = pick(rng, model.graph.initializer)
    tensor.data_location = 1
    if rng.random() < 0.5:
        tensor.ClearField("raw_data")
    places = ("../../x", "/etc/passwd", "manifest.json", "", "\\\\host\\share", "/dev/zero")
    for key, value in (("location", pick(rng, places)), ("length", str(pick(rng, NUMBERS)))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value


def _opset(model, rng):
    pick(rng, model.opset_import).version = pick(rng, (*NUMBERS, 17, 99))


def _opset_domain(model, rng):
    pick(rng, model.opset_import).domain = pick(rng, ("com.example", "ai.onnx.ml"))


def _ir_version(model, rng):
    model.ir_version = pick(rng, (*NUMBERS, 99))


def _value(model, rng):
    graph = model.graph
    return pick(rng, [*graph.input, *graph.input, *graph.output, *graph.output, *graph.value_info])


def _value_shape(model, rng):
    dims = _value(model, rng).type.tensor_type.shape.dim
    change = pick(rng, ("size", "size", "name", "less", "more"))
    if change == "size":
        pick(rng, dims).dim_value = pick(rng, (*NUMBERS, 1 << 40))
    elif change == "name":
        pick(rng, dims).dim_param = "batch"
    elif change == "less":
        del dims[0]
    else:
        dims.add().dim_value = 1


def _value_type(model, rng):
    _value(model, rng).type.tensor_type.elem_type = int(rng.integers(25))


def _value_name(model, rng):
    _value(model, rng).name = pick(rng, _names(model))


def _graph_ends(model, rng):
    ends = pick(rng, (model.graph.input, model.graph.output))
    if rng.random() < 0.5:
        del ends[0]
    else:
        ends.add().CopyFrom(ends[0])
        ends[-1].name = pick(rng, _names(model))


CHANGES = (
    *(_attribute_removed, _attribute_value, _attribute_list, _attribute_type),
    *(_node_type, _node_domain, _node_input, _node_output, _node_arity),
    *(_nodes_reordered, _node_removed),
    *(_initializer_shape, _initializer_type, _initializer_bytes, _initializer_size),
    *(_initializer_removed, _external_data, _opset, _opset_domain, _ir_version),
    *(_value_shape, _value_type, _value_name, _graph_ends),
)
