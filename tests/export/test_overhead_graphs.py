"""The overhead graphs are what is made here: one operator, the artifacts' shapes.

`benchmarks/overhead.tflite` and `benchmarks/overhead.onnx` take the artifacts' input, float32
`[1, 28, 28, 1]`, and give their output, float32 `[1, 10]`, the first ten pixels. What such a
call costs is what the runtime itself costs.
"""

import flatbuffers
import numpy as np
import pytest

from benchmarks import overhead
from export import audit
from mnist_edge import runtimes

INPUT, OUTPUT = (1, 28, 28, 1), (1, 10)


def make_tflite():
    """The TFLite graph's bytes: a strided slice that drops two dimensions."""
    from ai_edge_litert import schema_py_generated as schema

    def tensor(name, shape, type, buffer=0):
        made = schema.TensorT()
        made.name, made.shape, made.type = name, np.array(shape, np.int32), type
        made.buffer = buffer
        return made

    bounds = {"begin": (0, 0, 0, 0), "end": (1, 1, 10, 1), "strides": (1, 1, 1, 1)}
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs, model.buffers = 3, [graph], [schema.BufferT()]
    graph.tensors = [tensor("image", INPUT, schema.TensorType.FLOAT32)]
    for number, (name, values) in enumerate(bounds.items(), 1):
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.array(values, "<i4").tobytes(), np.uint8)
        model.buffers.append(buffer)
        graph.tensors.append(tensor(name, (4,), schema.TensorType.INT32, number))
    graph.tensors.append(tensor("probabilities", OUTPUT, schema.TensorType.FLOAT32))
    graph.inputs, graph.outputs = np.array([0], np.int32), np.array([4], np.int32)
    code, operator = schema.OperatorCodeT(), schema.OperatorT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.STRIDED_SLICE
    code.version = 1
    operator.inputs, operator.outputs = np.arange(4, dtype=np.int32), graph.outputs
    operator.builtinOptionsType = schema.BuiltinOptions.StridedSliceOptions
    operator.builtinOptions = schema.StridedSliceOptionsT()
    operator.builtinOptions.shrinkAxisMask = 0b1010  # the second and the last dimension
    model.operatorCodes, graph.operators = [code], [operator]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def make_onnx():
    """The ONNX graph's bytes: the ten pixels by their places."""
    from onnx import TensorProto, helper, numpy_helper

    places = np.array([[(0, 0, column, 0) for column in range(10)]])
    graph = helper.make_graph(
        [helper.make_node("GatherND", ["image", "places"], ["probabilities"])],
        "empty",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, INPUT)],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, OUTPUT)],
        [numpy_helper.from_array(places, "places")],
    )
    # Old versions, so that every ONNX Runtime in use reads it.
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])
    return model.SerializeToString(deterministic=True)


@pytest.mark.parametrize(("format", "make"), [("tflite", make_tflite), ("onnx", make_onnx)])
def test_making_them_again_gives_the_shipped_bytes(format, make):
    content = overhead.GRAPHS[format].read_bytes()
    assert content == make()
    assert len(content) < 1000


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_an_overhead_graph_is_one_operator_and_gives_ten_pixels_of_an_image(format):
    path = overhead.GRAPHS[format]
    assert len(audit.read(path).operators) == 1
    opened = runtimes.open_artifact(path, threads=1)
    image = np.arange(28 * 28, dtype=np.float32).reshape(1, 28, 28, 1)
    output = opened.decode(opened.call(opened.encode(image)))
    assert (opened.batch, output.dtype) == (1, np.float32)
    np.testing.assert_array_equal(output, [range(10)])
