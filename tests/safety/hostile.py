"""Files that mean harm, made by hand; `mutants` draws others by seed."""

import numpy as np

from benchmarks import overhead
from tests.mutants.tflite import pack, parse

_EMPTY_TFLITE = overhead.GRAPHS["tflite"].read_bytes()
_EMPTY_ONNX = overhead.GRAPHS["onnx"].read_bytes()
LARGE = 10**12
FOREVER = 2**62


def _tflite(change):
    model = parse(_EMPTY_TFLITE)
    change(model, model.subgraphs[0])
    return pack(model)


def _negative_index(model, graph):
    graph.operators[0].inputs = np.full(len(graph.operators[0].inputs), -1, np.int32)


def _unknown_builtin(model, graph):
    model.operatorCodes[0].builtinCode = 100_000


def _unknown_custom(model, graph):
    model.operatorCodes[0].builtinCode = model.operatorCodes[0].deprecatedBuiltinCode = 32
    model.operatorCodes[0].customCode = b"NoSuchOperator"


def _future_schema(model, graph):
    model.version = 99


def _future_operator(model, graph):
    model.operatorCodes[0].version = 99


def _shape(*shape):
    def change(model, graph):
        graph.tensors[graph.inputs[0]].shape = np.array(shape, np.int32)

    return change


def _ends(role, copies):
    def change(model, graph):
        setattr(graph, role, np.repeat(getattr(graph, role), copies).astype(np.int32))

    return change


def _forever(model, graph):
    """WHILE, whose condition is a constant."""
    from ai_edge_litert import schema_py_generated as schema

    truth = schema.BufferT()
    truth.data = np.ones(1, np.uint8)
    model.buffers.append(truth)
    taken = graph.tensors[graph.outputs[0]]

    def tensor(kind, shape, buffer=0):
        made = schema.TensorT()
        made.type, made.shape, made.buffer = kind, np.array(shape, np.int32), buffer
        made.name = b"loop"
        return made

    def subgraph(tensors, output):
        made = schema.SubGraphT()
        made.tensors, made.operators, made.name = tensors, [], b"loop"
        made.inputs, made.outputs = np.zeros(1, np.int32), np.full(1, output, np.int32)
        return made

    float32, bool_ = schema.TensorType.FLOAT32, schema.TensorType.BOOL
    last = len(model.buffers) - 1
    model.subgraphs += [
        subgraph([tensor(float32, taken.shape), tensor(bool_, [1], last)], 1),
        subgraph([tensor(float32, taken.shape)], 0),
    ]
    graph.tensors.append(tensor(float32, taken.shape))
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.WHILE
    code.version = 1
    model.operatorCodes.append(code)
    loop = schema.OperatorT()
    loop.opcodeIndex = len(model.operatorCodes) - 1
    loop.inputs = np.array(graph.outputs, np.int32)
    loop.outputs = np.array([len(graph.tensors) - 1], np.int32)
    loop.builtinOptionsType = schema.BuiltinOptions.WhileOptions
    loop.builtinOptions = schema.WhileOptionsT()
    loop.builtinOptions.condSubgraphIndex, loop.builtinOptions.bodySubgraphIndex = 1, 2
    graph.operators.append(loop)
    graph.outputs = loop.outputs


def tflite():
    """Hostile TFLite files by name."""
    half = len(_EMPTY_TFLITE) // 2
    changes = {
        "an operator's tensor index -1": _negative_index,
        "an unknown operator": _unknown_builtin,
        "an unknown custom operator": _unknown_custom,
        "a future schema": _future_schema,
        "a future operator": _future_operator,
        "2**31 elements": _shape(46341, 46341, 1, 1),
        "2**60 elements": _shape(2**30, 2**30, 1, 1),
        "a negative shape": _shape(1, -28, 28, 1),
        "no elements": _shape(0, 28, 28, 1),
        "two inputs": _ends("inputs", 2),
        "no input": _ends("inputs", 0),
        "two outputs": _ends("outputs", 2),
        "no output": _ends("outputs", 0),
        "no end": _forever,
    }
    return {
        "empty": b"",
        "truncated": _EMPTY_TFLITE[:half],
        "another format": _EMPTY_ONNX,
        "zeros in the middle": _EMPTY_TFLITE[:half] + bytes(64) + _EMPTY_TFLITE[half + 64 :],
        **{name: _tflite(change) for name, change in changes.items()},
    }


def onnx_of(nodes, constants=(), outputs=(("probabilities", 1, ["batch", 10]),), **options):
    """An ONNX file of a graph that takes images.

    Args:
        nodes: `(operator, inputs, outputs, attributes)` each; "image" comes in.
        constants: Arrays or `TensorProto`s by name.
        outputs: Name, element type and shape each.
        **options: `opset`, `ir_version`, `inputs`.
    """
    import onnx
    from onnx import helper

    initializers = [
        value
        if isinstance(value, onnx.TensorProto)
        else onnx.numpy_helper.from_array(np.asarray(value), name)
        for name, value in dict(constants).items()
    ]
    inputs = options.get("inputs", (("image", 1, ["batch", 28, 28, 1]),))
    graph = helper.make_graph(
        [helper.make_node(kind, given, taken, **more) for kind, given, taken, more in nodes],
        "hostile",
        [helper.make_tensor_value_info(*value) for value in inputs],
        [helper.make_tensor_value_info(*value) for value in outputs],
        initializers,
    )
    opset = helper.make_opsetid("", options.get("opset", 18))
    model = helper.make_model(graph, opset_imports=[opset])
    model.ir_version = options.get("ir_version", 9)
    return model.SerializeToString()


def _ten(name="flat"):
    """Nodes from the image to ten numbers a row, and their constants."""
    nodes = [
        ("Reshape", ["image", "rows"], ["pixels"], {}),
        ("Gather", ["pixels", "first"], [name], {"axis": 1}),
    ]
    return nodes, {"rows": np.array([-1, 784]), "first": np.arange(10)}


def external(location):
    """An ONNX file that keeps a tensor of ten numbers elsewhere."""
    import onnx

    tensor = onnx.TensorProto(name="w", data_type=1, dims=[10])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "40")):
        tensor.external_data.add(key=key, value=value)
    nodes, constants = _ten()
    return onnx_of(
        [*nodes, ("Add", ["flat", "w"], ["probabilities"], {})], {**constants, "w": tensor}
    )


def _bomb(kind, given, constants):
    nodes, more = _ten()
    nodes += [
        (kind, given, ["bomb"], {}),
        ("ReduceMax", ["bomb"], ["most"], {"keepdims": 0}),
        ("Add", ["flat", "most"], ["probabilities"], {}),
    ]
    return onnx_of(nodes, more | constants)


def _huge_initializer():
    import onnx

    return onnx.TensorProto(name="w", data_type=1, dims=[LARGE], raw_data=bytes(40))


def _endless():
    from onnx import helper

    body = helper.make_graph(
        [helper.make_node("Identity", [name], [f"{name}_next"]) for name in ("go", "state")],
        "body",
        [
            helper.make_tensor_value_info("i", 7, []),
            helper.make_tensor_value_info("go", 9, []),
            helper.make_tensor_value_info("state", 1, None),
        ],
        [
            helper.make_tensor_value_info("go_next", 9, []),
            helper.make_tensor_value_info("state_next", 1, None),
        ],
    )
    nodes, constants = _ten()
    loop = ("Loop", ["count", "true", "flat"], ["probabilities"], {"body": body})
    return onnx_of([*nodes, loop], constants | {"count": np.array(FOREVER), "true": np.array(True)})


def _output(kind, given, element, shape, constants=(), **attributes):
    nodes, more = _ten()
    return onnx_of(
        [*nodes, (kind, given, ["probabilities"], attributes)],
        more | dict(constants),
        (("probabilities", element, shape),),
    )


def onnx():
    """Hostile ONNX files by name."""
    nodes, constants = _ten("probabilities")
    one = np.ones((1, 1), np.float32)
    good = onnx_of(nodes, constants)
    image = ("image", 1, ["batch", 28, 28, 1])
    return {
        "empty": b"",
        "truncated": good[: len(good) // 2],
        "another format": _EMPTY_TFLITE,
        "zeros in the middle": good[:60] + bytes(64) + good[124:],
        "an unknown operator": _output("NoSuchOperator", ["flat"], 1, ["batch", 10]),
        "a future opset": onnx_of(nodes, constants, opset=999),
        "a future format": onnx_of(nodes, constants, ir_version=999),
        "a folder above": external("../secret.bin"),
        "two folders above": external("../../secret.bin"),
        "an absolute path": external("/etc/hostname"),
        "a link to elsewhere": external("link.bin"),
        "a file beside it": external("beside.bin"),
        "ConstantOfShape": _bomb("ConstantOfShape", ["n"], {"n": np.array([LARGE])}),
        "3 GB": _bomb("ConstantOfShape", ["n"], {"n": np.array([750_000_000])}),
        "Expand": _bomb("Expand", ["one", "n"], {"one": one, "n": np.array([10**6, 10**6])}),
        "Tile": _bomb("Tile", ["one", "n"], {"one": one, "n": np.array([10**6, 10**6])}),
        "a huge initializer": onnx_of(
            [*_ten()[0], ("Add", ["flat", "w"], ["probabilities"], {})],
            {**constants, "w": _huge_initializer()},
        ),
        "two inputs": onnx_of(nodes, constants, inputs=(image, ("other", 1, [1]))),
        "no input": onnx_of(
            [("Identity", ["rows"], ["probabilities"], {})],
            constants,
            (("probabilities", 7, [2]),),
            inputs=(),
        ),
        "integers": _output("Cast", ["flat"], 7, ["batch", 10], to=7),
        "text": _output("Cast", ["flat"], 8, ["batch", 10], to=8),
        "one dimension": _output("ReduceMax", ["flat"], 1, ["batch"], axes=[1], keepdims=0),
        "too many classes": _output(
            "Tile", ["flat", "n"], 1, ["batch", 10**5], {"n": np.array([1, 10**4])}
        ),
        "too many rows": _output("Tile", ["flat", "n"], 1, ["x", 10], {"n": np.array([2, 1])}),
        "no end": _endless(),
    }


def nan():
    """An ONNX file that answers NaN."""
    return _output("Div", ["flat", "z"], 1, ["batch", 10], {"z": np.array(0, np.float32)})
