"""Make the empty graphs that the benchmarks hold every call against.

    python -m export.empty

writes `benchmarks/overhead.tflite` and `benchmarks/overhead.onnx`: one operator each, which
takes the artifacts' input, float32 `[1, 28, 28, 1]`, and gives their output, float32
`[1, 10]`, the first ten pixels. What such a call costs is what the runtime itself costs.
"""

import sys
from pathlib import Path

import flatbuffers
import numpy as np

from mnist_edge import bundle, cli

FOLDER = Path(__file__).parent.parent / "benchmarks"
TAKEN, GIVEN = (1, 28, 28, 1), (1, 10)


def tflite():
    """The empty TFLite graph, bytes: a strided slice that drops two dimensions."""
    from ai_edge_litert import schema_py_generated as schema

    def tensor(name, shape, type, buffer=0):
        made = schema.TensorT()
        made.name, made.shape, made.type = name, np.array(shape, np.int32), type
        made.buffer = buffer
        return made

    bounds = {"begin": (0, 0, 0, 0), "end": (1, 1, 10, 1), "strides": (1, 1, 1, 1)}
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs, model.buffers = 3, [graph], [schema.BufferT()]
    graph.tensors = [tensor("image", TAKEN, schema.TensorType.FLOAT32)]
    for number, (name, values) in enumerate(bounds.items(), 1):
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.array(values, "<i4").tobytes(), np.uint8)
        model.buffers.append(buffer)
        graph.tensors.append(tensor(name, (4,), schema.TensorType.INT32, number))
    graph.tensors.append(tensor("probabilities", GIVEN, schema.TensorType.FLOAT32))
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


def onnx():
    """The empty ONNX graph, bytes: the ten pixels by their places."""
    from onnx import TensorProto, helper, numpy_helper

    places = np.array([[(0, 0, column, 0) for column in range(10)]])
    graph = helper.make_graph(
        [helper.make_node("GatherND", ["image", "places"], ["probabilities"])],
        "empty",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, TAKEN)],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, GIVEN)],
        [numpy_helper.from_array(places, "places")],
    )
    # Old versions, so that every ONNX Runtime in use reads it.
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])
    return model.SerializeToString(deterministic=True)


@cli.command
def main(argv=None):
    """Writes both files; returns the exit status."""
    cli.parser(__doc__).parse_args(argv)
    with bundle.staged(FOLDER) as stage:
        (stage / "overhead.tflite").write_bytes(tflite())
        (stage / "overhead.onnx").write_bytes(onnx())
    return cli.OK


if __name__ == "__main__":
    sys.exit(main())
