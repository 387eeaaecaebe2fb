"""Artefacts as a hostile or careless hand would change them: seeded, each reproducible.

    for name, content in mutants("tflite", contents, count=300, seed=0): ...

A mutant is one change of the file's structure, at a place and to a value drawn by seed; one
in six is of its bytes instead. `_TFLITE` and `_ONNX` list the changes, each a function that
takes what was parsed and a generator, and changes it in place.
"""

import numpy as np

# Where a size, an index or a count goes wrong.
_NUMBERS = (-1, -2, 0, 1, 2, 3, 7, 255, 1 << 16, 1 << 24, (1 << 31) - 1)
_FLOATS = (0.0, -1.0, float("nan"), float("inf"), 1e-45, 1e38)
_BYTE_SHARE = 1 / 6


def mutants(format, contents, count, seed=0, start=0):
    """Yields mutants.

    Args:
        format: "tflite" or "onnx".
        contents: Files' bytes by name of the variant; mutated in turn.
        count: How many.
        seed: The same seed gives the same mutants, whatever their count.
        start: Number of the first.

    Yields:
        `(name, content)`: "17 tflite-int8 tensor shape", and bytes that no file had.
    """
    parse, pack, changes = _FORMATS[format]
    variants = sorted(contents)
    plains = {variant: pack(parse(contents[variant])) for variant in variants}
    for number in range(start, start + count):
        rng = np.random.default_rng([seed, number])
        variant = variants[number % len(variants)]
        plain = plains[variant]
        while True:
            if rng.random() < _BYTE_SHARE:
                change = _pick(rng, _BYTES)
                content = change(plain, rng)
            else:
                model, change = parse(plain), _pick(rng, changes)
                try:
                    change(model, rng)
                    content = pack(model)
                except (IndexError, TypeError, AttributeError, ValueError):
                    continue  # there is no such thing in this file, or no way to write it
            if content != plain:
                break
        yield f"{number} {variant} {change.__name__.strip('_').replace('_', ' ')}", content


def _pick(rng, values):
    return values[int(rng.integers(len(values)))]


def _index(rng, count):
    """An index: of another thing, or of none."""
    return int(_pick(rng, (*_NUMBERS, count, int(rng.integers(count)), int(rng.integers(count)))))


# Bytes.


def _flipped_bits(content, rng):
    changed = bytearray(content)
    for place in rng.integers(len(content), size=_pick(rng, (1, 2, 8, 64))):
        changed[place] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _truncated(content, rng):
    return content[: int(rng.integers(len(content)))]


def _overwritten_number(content, rng):
    place = int(rng.integers(len(content) - 8)) & ~3
    value = _pick(rng, _NUMBERS).to_bytes(4, "little", signed=True)
    return content[:place] + value + content[place + 4 :]


def _cut_out(content, rng):
    first, last = sorted(rng.integers(len(content), size=2))
    return content[:first] + content[last:]


_BYTES = (_flipped_bits, _flipped_bits, _truncated, _overwritten_number, _cut_out)

# TFLite.


def _parse_tflite(content):
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromPackedBuf(content, 0)


def _pack_tflite(model):
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _graph(model, rng):
    return _pick(rng, model.subgraphs)


def _operator(model, rng):
    return _pick(rng, _graph(model, rng).operators)


def _tensor(model, rng):
    return _pick(rng, _graph(model, rng).tensors)


def _reindexed(indices, count, rng):
    indices = np.array(indices, np.int32)
    indices[rng.integers(len(indices))] = _index(rng, count)
    return indices


def _operator_input(model, rng):
    graph = _graph(model, rng)
    operator = _pick(rng, graph.operators)
    operator.inputs = _reindexed(operator.inputs, len(graph.tensors), rng)


def _operator_output(model, rng):
    graph = _graph(model, rng)
    operator = _pick(rng, graph.operators)
    operator.outputs = _reindexed(operator.outputs, len(graph.tensors), rng)


def _operator_arity(model, rng):
    operator, role = _operator(model, rng), _pick(rng, ("inputs", "outputs"))
    indices = getattr(operator, role)
    longer = np.concatenate([indices, indices[:1]]).astype(np.int32)
    setattr(operator, role, _pick(rng, (indices[:-1], indices[:0], indices[::-1], longer)))


def _operator_version(model, rng):
    _pick(rng, model.operatorCodes).version = _pick(rng, _NUMBERS)


def _operator_code(model, rng):
    code = _pick(rng, model.operatorCodes)
    code.builtinCode = int(rng.integers(220))
    code.deprecatedBuiltinCode = min(127, code.builtinCode)


def _operator_custom(model, rng):
    code = _pick(rng, model.operatorCodes)
    code.customCode = _pick(rng, (b"FlexErf", b"NoSuchOperator", b"\xff\x00\x1b[2J", b""))
    code.builtinCode = code.deprecatedBuiltinCode = 32  # CUSTOM


def _operator_code_index(model, rng):
    _operator(model, rng).opcodeIndex = abs(_index(rng, len(model.operatorCodes)))


def _operator_option(model, rng):
    options = _operator(model, rng).builtinOptions
    name = _pick(rng, sorted(vars(options)))
    if isinstance(getattr(options, name), float):
        setattr(options, name, _pick(rng, _FLOATS))
    else:
        setattr(options, name, _pick(rng, _NUMBERS) & 127)


def _operator_option_wide(model, rng):
    options = _operator(model, rng).builtinOptions
    names = [name for name in sorted(vars(options)) if name.endswith(("H", "W", "Factor"))]
    setattr(options, _pick(rng, names), _pick(rng, _NUMBERS))


def _operator_options_lost(model, rng):
    operator = _operator(model, rng)
    operator.builtinOptions, operator.builtinOptionsType = None, int(rng.integers(120))


def _operators_reordered(model, rng):
    operators = _graph(model, rng).operators
    one, other = rng.integers(len(operators), size=2)
    operators[one], operators[other] = operators[other], operators[one]


def _operator_removed(model, rng):
    operators = _graph(model, rng).operators
    operators.pop(int(rng.integers(len(operators))))


def _tensor_shape(model, rng):
    tensor = _tensor(model, rng)
    shape = np.array(tensor.shape, np.int32)
    shape[rng.integers(len(shape))] = _pick(rng, _NUMBERS)
    other = np.concatenate([shape, shape]).astype(np.int32)
    tensor.shape = _pick(rng, (shape, shape, shape, shape[1:], shape[::-1], shape[:0], other))


def _tensor_shape_signature(model, rng):
    tensor = _tensor(model, rng)
    tensor.shapeSignature = np.array([_pick(rng, _NUMBERS) for _ in range(4)], np.int32)


def _tensor_type(model, rng):
    _tensor(model, rng).type = int(rng.integers(24))


def _tensor_buffer(model, rng):
    _tensor(model, rng).buffer = abs(_index(rng, len(model.buffers)))


def _tensor_variable(model, rng):
    tensor = _tensor(model, rng)
    tensor.isVariable = not tensor.isVariable


def _tensor_sparsity(model, rng):
    from ai_edge_litert import schema_py_generated as schema

    tensor = _tensor(model, rng)
    tensor.sparsity = schema.SparsityParametersT()
    tensor.sparsity.traversalOrder = np.array([_pick(rng, _NUMBERS)] * 4, np.int32)
    tensor.sparsity.blockMap = np.array([_pick(rng, _NUMBERS)], np.int32)
    tensor.sparsity.dimMetadata = [schema.DimensionMetadataT() for _ in range(4)]


def _buffer_size(model, rng):
    buffer = _pick(rng, [b for b in model.buffers if b.data is not None])
    data = buffer.data
    longer = np.concatenate([data, data]).astype(np.uint8)
    buffer.data = _pick(rng, (data[:-1], data[: len(data) // 2], data[:1], longer))


def _buffer_bytes(model, rng):
    buffer = _pick(rng, [b for b in model.buffers if b.data is not None])
    buffer.data = np.frombuffer(_flipped_bits(buffer.data.tobytes(), rng), np.uint8)


def _buffer_offset(model, rng):
    buffer = _pick(rng, model.buffers)
    buffer.offset, buffer.size = abs(_pick(rng, _NUMBERS)), abs(_pick(rng, _NUMBERS))


def _quantisation_scale(model, rng):
    steps = _quantised(model, rng)
    scale = np.array(steps.scale, np.float32)
    scale[rng.integers(len(scale))] = _pick(rng, _FLOATS)
    steps.scale = _pick(rng, (scale, scale, scale[:-1], np.concatenate([scale, scale])))


def _quantisation_zero_point(model, rng):
    steps = _quantised(model, rng)
    points = np.array(steps.zeroPoint, np.int64)
    points[rng.integers(len(points))] = _pick(rng, (*_NUMBERS, -129, 1 << 40))
    steps.zeroPoint = _pick(rng, (points, points, points[:-1], np.concatenate([points, points])))


def _quantisation_dimension(model, rng):
    _quantised(model, rng).quantizedDimension = _pick(rng, _NUMBERS)


def _quantisation_lost(model, rng):
    _pick(rng, [t for t in _graph(model, rng).tensors if t.quantization]).quantization = None


def _quantised(model, rng):
    tensors = [tensor for graph in model.subgraphs for tensor in graph.tensors]
    steps = [t.quantization for t in tensors if t.quantization is not None]
    return _pick(rng, [step for step in steps if step.scale is not None])


def _graph_ends(model, rng):
    graph, role = _graph(model, rng), _pick(rng, ("inputs", "outputs"))
    indices = np.array(getattr(graph, role), np.int32)
    other = _reindexed(indices, len(graph.tensors), rng)
    twice = np.concatenate([indices, other]).astype(np.int32)
    setattr(graph, role, _pick(rng, (other, other, other, twice, indices[:0])))


def _graphs(model, rng):
    model.subgraphs = _pick(rng, ([], model.subgraphs * 2, model.subgraphs * 100))


def _schema_version(model, rng):
    model.version = abs(_pick(rng, (*_NUMBERS, 4, 99)))


def _signature(model, rng):
    signature = _pick(rng, model.signatureDefs)
    one = _pick(rng, [*signature.inputs, *signature.outputs])
    change = _pick(rng, ("tensor", "graph", "name", "lost", "all lost"))
    if change == "tensor":
        one.tensorIndex = abs(_index(rng, 40))
    elif change == "graph":
        signature.subgraphIndex = abs(_pick(rng, _NUMBERS))
    elif change == "name":
        one.name = _pick(rng, (b"", b"\xff\xfe", b"x" * 100_000))
    elif change == "lost":
        signature.inputs = []
    else:
        model.signatureDefs = []


_TFLITE = (
    *(_operator_input, _operator_output, _operator_arity, _operator_version, _operator_code),
    *(_operator_custom, _operator_code_index, _operator_option, _operator_option_wide),
    *(_operator_options_lost, _operators_reordered, _operator_removed),
    *(_tensor_shape, _tensor_shape_signature, _tensor_type, _tensor_buffer, _tensor_variable),
    *(_tensor_sparsity, _buffer_size, _buffer_bytes, _buffer_offset),
    *(_quantisation_scale, _quantisation_zero_point, _quantisation_dimension, _quantisation_lost),
    *(_graph_ends, _graphs, _schema_version, _signature),
)

# ONNX.


def _parse_onnx(content):
    import onnx

    return onnx.ModelProto.FromString(content)


def _pack_onnx(model):
    return model.SerializeToString(deterministic=True)


def _attribute_removed(model, rng):
    node = _pick(rng, [n for n in model.graph.node if n.attribute])
    del node.attribute[int(rng.integers(len(node.attribute)))]


def _attribute_value(model, rng):
    given = [a for n in model.graph.node for a in n.attribute]
    one = _pick(rng, given)
    if one.ints:
        one.ints[int(rng.integers(len(one.ints)))] = _pick(rng, (*_NUMBERS, 1 << 40))
    elif one.s:
        one.s = _pick(rng, (b"SAME_UPPER", b"VALID", b"", b"\xff\x1b[2J"))
    else:
        one.i, one.f = _pick(rng, _NUMBERS), _pick(rng, _FLOATS)


def _attribute_list(model, rng):
    one = _pick(rng, [a for n in model.graph.node for a in n.attribute if a.ints])
    one.ints[:] = _pick(rng, ([], [1], list(one.ints) * 2, list(one.ints)[:-1], [0] * 10_000))


def _attribute_type(model, rng):
    one = _pick(rng, [a for n in model.graph.node for a in n.attribute])
    one.type = int(rng.integers(1, 12))


def _node_type(model, rng):
    known = ("Relu", "Add", "MatMul", "Conv", "Loop", "If", "ConstantOfShape", "Resize", "NoSuch")
    _pick(rng, model.graph.node).op_type = _pick(rng, known)


def _node_domain(model, rng):
    _pick(rng, model.graph.node).domain = _pick(rng, ("com.example", "com.microsoft", "ai.onnx.ml"))


def _node_input(model, rng):
    node = _pick(rng, model.graph.node)
    node.input[int(rng.integers(len(node.input)))] = _pick(rng, _names(model))


def _node_output(model, rng):
    node = _pick(rng, model.graph.node)
    node.output[int(rng.integers(len(node.output)))] = _pick(rng, _names(model))


def _names(model):
    names = {name for node in model.graph.node for name in (*node.input, *node.output)}
    return [*sorted(names), "", "no such tensor"]


def _node_arity(model, rng):
    node = _pick(rng, model.graph.node)
    names = _pick(rng, (node.input, node.output))
    names[:] = _pick(rng, ([], names[:-1], names[::-1], [*names, *names]))


def _nodes_reordered(model, rng):
    one, other = (_pick(rng, model.graph.node) for _ in range(2))
    kept = type(one).FromString(one.SerializeToString())
    one.CopyFrom(other)
    other.CopyFrom(kept)


def _node_removed(model, rng):
    del model.graph.node[int(rng.integers(len(model.graph.node)))]


def _initialiser_shape(model, rng):
    dims = _pick(rng, [t for t in model.graph.initializer if t.dims]).dims
    if rng.random() < 0.3:
        dims[:] = _pick(rng, (dims[::-1], dims[1:], [*dims, 1], [1 << 40], []))
    else:
        dims[int(rng.integers(len(dims)))] = _pick(rng, (*_NUMBERS, 1 << 40))


def _initialiser_type(model, rng):
    _pick(rng, model.graph.initializer).data_type = int(rng.integers(25))


def _initialiser_bytes(model, rng):
    tensor = _pick(rng, [t for t in model.graph.initializer if t.raw_data])
    tensor.raw_data = _flipped_bits(tensor.raw_data, rng)


def _initialiser_size(model, rng):
    tensor = _pick(rng, [t for t in model.graph.initializer if t.raw_data])
    data = tensor.raw_data
    tensor.raw_data = _pick(rng, (data[:-1], data * 2, b"", data[: len(data) // 2]))


def _initialiser_removed(model, rng):
    del model.graph.initializer[int(rng.integers(len(model.graph.initializer)))]


def _external_data(model, rng):
    tensor = _pick(rng, model.graph.initializer)
    tensor.data_location = 1
    if rng.random() < 0.5:
        tensor.ClearField("raw_data")
    places = ("../../x", "/etc/passwd", "manifest.json", "", "\\\\host\\share", "/dev/zero")
    for key, value in (("location", _pick(rng, places)), ("length", str(_pick(rng, _NUMBERS)))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value


def _opset(model, rng):
    _pick(rng, model.opset_import).version = _pick(rng, (*_NUMBERS, 17, 99))


def _opset_domain(model, rng):
    _pick(rng, model.opset_import).domain = _pick(rng, ("com.example", "ai.onnx.ml"))


def _ir_version(model, rng):
    model.ir_version = _pick(rng, (*_NUMBERS, 99))


def _value(model, rng):
    graph = model.graph
    return _pick(rng, [*graph.input, *graph.input, *graph.output, *graph.output, *graph.value_info])


def _value_shape(model, rng):
    dims = _value(model, rng).type.tensor_type.shape.dim
    change = _pick(rng, ("size", "size", "name", "less", "more"))
    if change == "size":
        _pick(rng, dims).dim_value = _pick(rng, (*_NUMBERS, 1 << 40))
    elif change == "name":
        _pick(rng, dims).dim_param = "batch"
    elif change == "less":
        del dims[0]
    else:
        dims.add().dim_value = 1


def _value_type(model, rng):
    _value(model, rng).type.tensor_type.elem_type = int(rng.integers(25))


def _value_name(model, rng):
    _value(model, rng).name = _pick(rng, _names(model))


def _graph_ends_onnx(model, rng):
    ends = _pick(rng, (model.graph.input, model.graph.output))
    if rng.random() < 0.5:
        del ends[0]
    else:
        ends.add().CopyFrom(ends[0])
        ends[-1].name = _pick(rng, _names(model))


_ONNX = (
    *(_attribute_removed, _attribute_value, _attribute_list, _attribute_type),
    *(_node_type, _node_domain, _node_input, _node_output, _node_arity),
    *(_nodes_reordered, _node_removed),
    *(_initialiser_shape, _initialiser_type, _initialiser_bytes, _initialiser_size),
    *(_initialiser_removed, _external_data, _opset, _opset_domain, _ir_version),
    *(_value_shape, _value_type, _value_name, _graph_ends_onnx),
)

_FORMATS = {
    "tflite": (_parse_tflite, _pack_tflite, _TFLITE),
    "onnx": (_parse_onnx, _pack_onnx, _ONNX),
}
