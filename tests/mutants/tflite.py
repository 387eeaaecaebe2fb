"""Changes of a TFLite file: of the objects that its schema reads it into."""

import numpy as np

from tests.mutants.drawn import FLOATS, NUMBERS, flipped_bits, index, pick


def parse(content):
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromPackedBuf(content, 0)


def pack(model):
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _graph(model, rng):
    return pick(rng, model.subgraphs)


def _operator(model, rng):
    return pick(rng, _graph(model, rng).operators)


def _tensor(model, rng):
    return pick(rng, _graph(model, rng).tensors)


def _reindexed(indices, count, rng):
    indices = np.array(indices, np.int32)
    indices[rng.integers(len(indices))] = index(rng, count)
    return indices


def _operator_input(model, rng):
    graph = _graph(model, rng)
    operator = pick(rng, graph.operators)
    operator.inputs = _reindexed(operator.inputs, len(graph.tensors), rng)


def _operator_output(model, rng):
    graph = _graph(model, rng)
    operator = pick(rng, graph.operators)
    operator.outputs = _reindexed(operator.outputs, len(graph.tensors), rng)


def _operator_arity(model, rng):
    operator, role = _operator(model, rng), pick(rng, ("inputs", "outputs"))
    indices = getattr(operator, role)
    longer = np.concatenate([indices, indices[:1]]).astype(np.int32)
    setattr(operator, role, pick(rng, (indices[:-1], indices[:0], indices[::-1], longer)))


def _operator_version(model, rng):
    pick(rng, model.operatorCodes).version = pick(rng, NUMBERS)


def _operator_code(model, rng):
    code = pick(rng, model.operatorCodes)
    code.builtinCode = int(rng.integers(220))
    code.deprecatedBuiltinCode = min(127, code.builtinCode)


def _operator_custom(model, rng):
    code = pick(rng, model.operatorCodes)
    code.customCode = pick(rng, (b"FlexErf", b"NoSuchOperator", b"\xff\x00\x1b[2J", b""))
    code.builtinCode = code.deprecatedBuiltinCode = 32  # CUSTOM


def _operator_code_index(model, rng):
    _operator(model, rng).opcodeIndex = abs(index(rng, len(model.operatorCodes)))


def _operator_option(model, rng):
    options = _operator(model, rng).builtinOptions
    name = pick(rng, sorted(vars(options)))
    if isinstance(getattr(options, name), float):
        setattr(options, name, pick(rng, FLOATS))
    else:
        setattr(options, name, pick(rng, NUMBERS) & 127)


def _operator_option_wide(model, rng):
    options = _operator(model, rng).builtinOptions
    names = [name for name in sorted(vars(options)) if name.endswith(("H", "W", "Factor"))]
    setattr(options, pick(rng, names), pick(rng, NUMBERS))


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
    shape[rng.integers(len(shape))] = pick(rng, NUMBERS)
    other = np.concatenate([shape, shape]).astype(np.int32)
    tensor.shape = pick(rng, (shape, shape, shape, shape[1:], shape[::-1], shape[:0], other))


def _tensor_shape_signature(model, rng):
    tensor = _tensor(model, rng)
    tensor.shapeSignature = np.array([pick(rng, NUMBERS) for _ in range(4)], np.int32)


def _tensor_type(model, rng):
    _tensor(model, rng).type = int(rng.integers(24))


def _tensor_buffer(model, rng):
    _tensor(model, rng).buffer = abs(index(rng, len(model.buffers)))


def _tensor_variable(model, rng):
    tensor = _tensor(model, rng)
    tensor.isVariable = not tensor.isVariable


def _tensor_sparsity(model, rng):
    from ai_edge_litert import schema_py_generated as schema

    tensor = _tensor(model, rng)
    tensor.sparsity = schema.SparsityParametersT()
    tensor.sparsity.traversalOrder = np.array([pick(rng, NUMBERS)] * 4, np.int32)
    tensor.sparsity.blockMap = np.array([pick(rng, NUMBERS)], np.int32)
    tensor.sparsity.dimMetadata = [schema.DimensionMetadataT() for _ in range(4)]


def _buffer_size(model, rng):
    buffer = pick(rng, [b for b in model.buffers if b.data is not None])
    data = buffer.data
    longer = np.concatenate([data, data]).astype(np.uint8)
    buffer.data = pick(rng, (data[:-1], data[: len(data) // 2], data[:1], longer))


def _buffer_bytes(model, rng):
    buffer = pick(rng, [b for b in model.buffers if b.data is not None])
    buffer.data = np.frombuffer(flipped_bits(buffer.data.tobytes(), rng), np.uint8)


def _buffer_offset(model, rng):
    buffer = pick(rng, model.buffers)
    buffer.offset, buffer.size = abs(pick(rng, NUMBERS)), abs(pick(rng, NUMBERS))


def _quantization_scale(model, rng):
    steps = _quantized(model, rng)
    scale = np.array(steps.scale, np.float32)
    scale[rng.integers(len(scale))] = pick(rng, FLOATS)
    steps.scale = pick(rng, (scale, scale, scale[:-1], np.concatenate([scale, scale])))


def _quantization_zero_point(model, rng):
    steps = _quantized(model, rng)
    points = np.array(steps.zeroPoint, np.int64)
    points[rng.integers(len(points))] = pick(rng, (*NUMBERS, -129, 1 << 40))
    steps.zeroPoint = pick(rng, (points, points, points[:-1], np.concatenate([points, points])))


def _quantization_dimension(model, rng):
    _quantized(model, rng).quantizedDimension = pick(rng, NUMBERS)


def _quantization_lost(model, rng):
    pick(rng, [t for t in _graph(model, rng).tensors if t.quantization]).quantization = None


def _quantized(model, rng):
    tensors = [tensor for graph in model.subgraphs for tensor in graph.tensors]
    steps = [t.quantization for t in tensors if t.quantization is not None]
    return pick(rng, [step for step in steps if step.scale is not None])


def _graph_ends(model, rng):
    graph, role = _graph(model, rng), pick(rng, ("inputs", "outputs"))
    indices = np.array(getattr(graph, role), np.int32)
    other = _reindexed(indices, len(graph.tensors), rng)
    twice = np.concatenate([indices, other]).astype(np.int32)
    setattr(graph, role, pick(rng, (other, other, other, twice, indices[:0])))


def _graphs(model, rng):
    model.subgraphs = pick(rng, ([], model.subgraphs * 2, model.subgraphs * 100))


def _schema_version(model, rng):
    model.version = abs(pick(rng, (*NUMBERS, 4, 99)))


def _signature(model, rng):
    signature = pick(rng, model.signatureDefs)
    one = pick(rng, [*signature.inputs, *signature.outputs])
    change = pick(rng, ("tensor", "graph", "name", "lost", "all lost"))
    if change == "tensor":
        one.tensorIndex = abs(index(rng, 40))
    elif change == "graph":
        signature.subgraphIndex = abs(pick(rng, NUMBERS))
    elif change == "name":
        one.name = pick(rng, (b"", b"\xff\xfe", b"x" * 100_000))
    elif change == "lost":
        signature.inputs = []
    else:
        model.signatureDefs = []


CHANGES = (
    *(_operator_input, _operator_output, _operator_arity, _operator_version, _operator_code),
    *(_operator_custom, _operator_code_index, _operator_option, _operator_option_wide),
    *(_operator_options_lost, _operators_reordered, _operator_removed),
    *(_tensor_shape, _tensor_shape_signature, _tensor_type, _tensor_buffer, _tensor_variable),
    *(_tensor_sparsity, _buffer_size, _buffer_bytes, _buffer_offset),
    *(_quantization_scale, _quantization_zero_point, _quantization_dimension, _quantization_lost),
    *(_graph_ends, _graphs, _schema_version, _signature),
)
