"""Small TFLite files, built operator by operator: any scales, zero points and options."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

# What export says of a network that reads MNIST's digits.
FIELDS = {
    "project": "mnist-edge",
    "model": "tiny",
    "source_model_sha256": "0" * 64,
    "variant": "c-int8",
    "input": {"name": "image", "shape": [28, 28, 1], "layout": "NHWC", "range": [0.0, 255.0]},
    "output": {"name": "probabilities", "labels": list("0123456789")},
}

# Of operators that have no second version.
VERSIONS = {"PRELU": 1, "RESHAPE": 1, "HARD_SWISH": 1, "ELU": 1}


class Builder:
    """A graph of one input; `op` adds an operator and returns its output's number."""

    def __init__(self, shape, dtype="int8", scale=0.05, zero=-3):
        self.model, self.graph = schema.ModelT(), schema.SubGraphT()
        self.model.version, self.model.operatorCodes = 3, []
        self.model.buffers, self.graph.tensors, self.graph.operators = [schema.BufferT()], [], []
        self.model.subgraphs = [self.graph]
        self.graph.inputs = np.array([self.tensor(shape, dtype, scale, zero)], np.int32)

    def tensor(self, shape, dtype="int8", scale=None, zero=0, data=None, axis=0):
        raw = schema.TensorT()
        raw.shape, raw.type = np.array(shape, np.int32), getattr(schema.TensorType, dtype.upper())
        raw.name = f"layer_{len(self.graph.tensors)}"
        if scale is not None:
            raw.quantization = schema.QuantizationParametersT()
            raw.quantization.scale = np.array(scale, np.float32).reshape(-1)
            raw.quantization.zeroPoint = np.full(raw.quantization.scale.size, zero, np.int64)
            raw.quantization.quantizedDimension = axis
        if data is not None:
            raw.buffer = len(self.model.buffers)
            self.model.buffers.append(schema.BufferT())
            values = np.asarray(data, dtype).tobytes()
            self.model.buffers[-1].data = np.frombuffer(values, np.uint8)
        self.graph.tensors.append(raw)
        return len(self.graph.tensors) - 1

    def constant(self, data, dtype="int32", **steps):
        return self.tensor(np.shape(data), dtype, data=data, **steps)

    def op(self, kind, inputs, shape, scale=0.05, zero=-3, dtype="int8", options=None, **fields):
        """Adds an operator with one output, or as many as `shape` is a list of."""
        shapes = shape if isinstance(shape, list) else [shape]
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), VERSIONS.get(kind, 2)
        self.model.operatorCodes.append(code)
        node = schema.OperatorT()
        node.opcodeIndex = len(self.model.operatorCodes) - 1
        node.inputs = np.array(inputs, np.int32)
        made = [self.tensor(one, dtype, scale, zero) for one in shapes]
        node.outputs = np.array(made, np.int32)
        if options:
            node.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            node.builtinOptions = getattr(schema, f"{options}T")()
            for name, value in fields.items():
                setattr(node.builtinOptions, name, value)
        self.graph.operators.append(node)
        self.graph.outputs = node.outputs[-1:]
        return made if isinstance(shape, list) else made[0]

    def content(self):
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())
