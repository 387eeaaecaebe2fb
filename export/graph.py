"""Read an artefact's graph without running it, TFLite and ONNX into one form."""

import collections
import dataclasses
import math

from mnist_edge.cli import InputError, in_words

# Flatbuffers and Protocol Buffers both end here.
_MOST_BYTES = 2**31


@dataclasses.dataclass(frozen=True)
class Constant:
    """A stored tensor: its name, element type, and number of elements and dimensions."""

    name: str
    dtype: str
    size: int
    rank: int


@dataclasses.dataclass(frozen=True)
class Operator:
    """A node of the graph.

    Attributes:
        name: Its name, or its output's.
        kind: "CONV_2D", "Conv" and so on; a custom operator's own name.
        builtin: Whether it belongs to the format's own set.
        activations: Element types of what flows through it, constants left out.
        weights: The `Constant`s that it reads, directly or through DequantizeLinear.
        dequantised: Whether data and weights both come from DequantizeLinear, ONNX's
            way to say that a runtime may compute in integers.
    """

    name: str
    kind: str
    builtin: bool
    activations: tuple[str, ...]
    weights: tuple[Constant, ...]
    dequantised: bool = False


@dataclasses.dataclass(frozen=True)
class Graph:
    """What an artefact holds, whichever its format.

    Attributes:
        format: "tflite" or "onnx".
        opset: ONNX's operator set; the schema's version in TFLite.
        batch: int, or the name of the free dimension.
        io: Element types of input and output.
        operators: `Operator`s in order.
        constants: `Constant`s.
        tensors: How many tensors have each element type, constants and activations.
    """

    format: str
    opset: int
    batch: int | str
    io: tuple[str, str]
    operators: list[Operator]
    constants: list[Constant]
    tensors: dict[str, int]


def read(path):
    """Reads an artefact's graph without running it.

    Args:
        path: A `.tflite` or `.onnx` file.

    Returns:
        A `Graph`.

    Raises:
        InputError: The file is missing, or is neither.
    """
    readers = {".tflite": read_tflite, ".onnx": read_onnx}
    if path.suffix not in readers or not path.is_file():
        raise InputError(f"{path} must be a .tflite or .onnx file and is not.")
    if path.stat().st_size > _MOST_BYTES:
        raise InputError(f"{path} must be a file of at most {_MOST_BYTES:,} bytes and is not.")
    try:
        return readers[path.suffix](path.read_bytes())
    except Exception as error:  # parsers of both formats raise whatever they stumble on
        raise damaged(path, error) from error


def damaged(path, error):
    """The `InputError` of a file whose reading raised `error`."""
    return InputError(
        f"{path} must be a whole {path.suffix} file. Got: {in_words(error)}. Export it again."
    )


def read_tflite(content):
    """Reads the bytes of a TFLite file, as `read` does; raises what the parser raises."""
    from ai_edge_litert import schema_py_generated as schema

    if content[4:8] != b"TFL3":
        raise ValueError("no TFL3 mark")
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    types = {code: name.lower() for name, code in vars(schema.TensorType).items()}
    kinds = {code: name for name, code in vars(schema.BuiltinOperator).items()}
    operators, constants, counts = [], [], collections.Counter()

    def name(tensor, i):
        return tensor.name.decode() if tensor.name else f"tensor {i}"  # `export.tflite.optimize` drops names

    for graph in model.subgraphs:
        known = {}
        for i, tensor in enumerate(graph.tensors):
            shape = [] if tensor.shape is None else list(tensor.shape)
            dtype = types[tensor.type]
            counts[dtype] += 1
            if model.buffers[tensor.buffer].data is not None:
                known[i] = Constant(name(tensor, i), dtype, math.prod(shape), len(shape))
        constants += known.values()
        for node in graph.operators:
            code = model.operatorCodes[node.opcodeIndex]
            number = max(code.builtinCode, code.deprecatedBuiltinCode)
            custom = (code.customCode or b"").decode()
            # -1 stands for an input that is left out: a bias, say, but not the data.
            required = [*node.inputs[:1], *node.outputs]
            if min(required, default=0) < 0 or min(node.inputs, default=0) < -1:
                raise ValueError("an operator's tensor index is negative")
            used = [i for i in (*node.inputs, *node.outputs) if i >= 0]
            flowing = [types[graph.tensors[i].type] for i in used if i not in known]
            operators.append(
                Operator(
                    name=name(graph.tensors[node.outputs[0]], node.outputs[0]),
                    kind=custom or kinds[number],
                    builtin=not custom,
                    activations=tuple(dict.fromkeys(flowing)),
                    weights=tuple(known[i] for i in used if i in known),
                )
            )
    main = model.subgraphs[0]
    given, taken = main.tensors[main.inputs[0]], main.tensors[main.outputs[0]]
    io = (types[given.type], types[taken.type])
    signature = given.shapeSignature
    batch = "free" if signature is not None and signature[0] < 0 else int(given.shape[0])
    return Graph("tflite", model.version, batch, io, operators, constants, dict(counts))


def read_onnx(content):
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
            dequantised=len(node.input) > 1 and all(n in source for n in node.input[:2]),
        )
        for node in nodes
    ]


_NUMPY_NAMES = {"float": "float32", "double": "float64"}
