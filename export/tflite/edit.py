"""Edit the graph of a TFLite file, as the schema's objects."""

import copy
from typing import Any

import flatbuffers
import numpy as np


class Graph:
    """The main graph of a TFLite file. An operand is a tensor's index or a constant's value.

    Attributes:
        nodes: Its operators; their `inputs` and `outputs` are indices of tensors.
        tensors: Its tensors.
    """

    def __init__(self, content: bytes) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self._schema, self._model = schema, schema.ModelT.InitFromPackedBuf(content, 0)
        self._main = self._model.subgraphs[0]
        self._kinds = {code: name for name, code in vars(schema.BuiltinOperator).items()}
        self.nodes, self.tensors = self._main.operators, self._main.tensors

    @property
    def input(self) -> int:
        """Index of the first input tensor."""
        return int(self._main.inputs[0])

    @property
    def has_one_input(self) -> bool:
        """Whether the graph has a single input."""
        return len(self._main.inputs) == 1

    def set_input(self, index: int) -> None:
        """Makes another tensor the graph's only input."""
        for signature in self._model.signatureDefs or []:
            for value in signature.inputs:
                value.tensorIndex = index
        self._main.inputs = [index]

    def content(self) -> bytes:
        """Returns the file."""
        self._drop_unused()
        builder = flatbuffers.Builder(1024)
        builder.Finish(self._model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def kind(self, node: Any) -> str:
        """Returns the kind of an operator, such as "MUL"."""
        code = self._model.operatorCodes[node.opcodeIndex]
        return self._kinds[max(code.builtinCode, code.deprecatedBuiltinCode)]

    def casts_to_int32(self, node: Any) -> bool:
        """Whether an operator casts to int32."""
        dtype = self.tensors[node.outputs[0]].type
        return self.kind(node) == "CAST" and dtype == self._schema.TensorType.INT32

    def name(self, node: Any) -> str:
        """Returns the name of an operator's output, the first of those that it was made from."""
        return str(self.tensors[node.outputs[0]].name.decode().partition(";")[0])

    def readers(self, index: int) -> list[Any]:
        """Returns the operators that read a tensor."""
        return [node for node in self.nodes if index in node.inputs]

    def redirect(self, old: int, new: int) -> None:
        """Lets every operator that reads a tensor read another one."""
        for node in self.readers(old):
            node.inputs = [new if i == old else i for i in node.inputs]

    def constant(self, index: int) -> np.ndarray | None:
        """Returns the value of a constant in float32; None if the tensor is none."""
        tensor = self.tensors[index]
        data = self._model.buffers[tensor.buffer].data
        if data is None or tensor.type != self._schema.TensorType.FLOAT32:
            return None
        return np.frombuffer(data.tobytes(), np.float32).reshape(self.shape(index))

    def integer(self, index: int) -> int:
        """Returns the value of a constant of one int32."""
        data = self._model.buffers[self.tensors[index].buffer].data
        return int(np.frombuffer(data.tobytes(), np.int32)[0])

    def is_read(self, index: int) -> bool:
        """Whether an operator reads a tensor, or it is an output of the graph."""
        return index in self._main.outputs or bool(self.readers(index))

    def shape(self, index: int) -> tuple[int, ...]:
        """Returns the shape of a tensor."""
        shape = self.tensors[index].shape
        return () if shape is None else tuple(map(int, shape))

    def insert(
        self, before: Any, kind: str, *operands: int | float | np.ndarray, fused: str = "NONE"
    ) -> int:
        """Inserts an elementwise operator in float32; returns the index of its output.

        The output has the shape that the output of the operator `before` has.
        """
        node = self._schema.OperatorT()
        self.replace(node, kind, *operands, fused=fused)
        name = f"{self.name(before)}/{kind.lower()}_{len(self.tensors)}"
        return self._insert(before, node, name)

    def insert_copy(self, node: Any, kind: str) -> int:
        """Inserts a copy of an operator before it, of a kind with the same options."""
        other = copy.copy(node)
        other.opcodeIndex = self._code(kind)
        return self._insert(node, other, f"{self.name(node)}/{kind.lower()}")

    def insert_mean(self, before: Any, index: int) -> int:
        """Inserts the mean over a tensor's last axis, of which one value is left."""
        node = self._schema.OperatorT()
        node.inputs = [index, self.add_constant(np.array([-1], np.int32))]
        node.opcodeIndex = self._code("MEAN")
        node.builtinOptionsType = self._schema.BuiltinOptions.ReducerOptions
        node.builtinOptions = self._schema.ReducerOptionsT()
        node.builtinOptions.keepDims = True
        mean = self._insert(before, node, f"{self.name(before)}/mean")
        self.tensors[mean].shape = [*self.shape(index)[:-1], 1]
        return mean

    def _insert(self, before: Any, node: Any, name: str) -> int:
        output = self.add_tensor(name, self.shape(before.outputs[0]))
        node.outputs = [output]
        self.nodes.insert(self.nodes.index(before), node)
        return output

    def replace(
        self, node: Any, kind: str, *operands: int | float | np.ndarray, fused: str = "NONE"
    ) -> None:
        """Makes an operator an elementwise one, with the output that it had."""
        node.inputs = [o if isinstance(o, int) else self.add_constant(o) for o in operands]
        node.opcodeIndex = self._code(kind)
        options = f"{kind.capitalize()}Options"
        make = getattr(self._schema, f"{options}T", lambda: None)
        node.builtinOptions = make()
        node.builtinOptionsType = getattr(self._schema.BuiltinOptions, options, 0)
        if hasattr(node.builtinOptions, "fusedActivationFunction"):
            function = getattr(self._schema.ActivationFunctionType, fused)
            node.builtinOptions.fusedActivationFunction = function

    def insert_for(self, before: Any, output: int, kind: str, *operands: int | np.ndarray) -> None:
        """Inserts an operator that computes an existing tensor."""
        node = self._schema.OperatorT()
        self.replace(node, kind, *operands)
        node.outputs = [output]
        self.nodes.insert(self.nodes.index(before), node)

    def prepend(self, output: int, kind: str, *operands: int | np.ndarray) -> None:
        """Makes an elementwise operator the first one, with this output."""
        node = self._schema.OperatorT()
        self.replace(node, kind, *operands)
        if kind == "CAST":
            node.builtinOptions.outDataType = self.tensors[output].type
        node.outputs = [output]
        self.nodes.insert(0, node)

    def add_constant(self, value: float | np.ndarray) -> int:
        """Adds a constant, int32 if the array is, else float32; returns its index."""
        is_index = isinstance(value, np.ndarray) and value.dtype == np.int32
        array = np.asarray(value, np.int32 if is_index else np.float32)
        buffer = self._schema.BufferT()
        buffer.data = np.frombuffer(array.tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        name = f"constant_{len(self.tensors)}"
        index = self.add_tensor(name, array.shape, len(self._model.buffers) - 1)
        if is_index:
            self.tensors[index].type = self._schema.TensorType.INT32
        return index

    def add_tensor(self, name: str, shape: tuple[int, ...], buffer: int = 0) -> int:
        """Adds a tensor in float32; returns its index. Buffer 0 means that it is computed."""
        tensor = self._schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name.encode(), list(shape), buffer
        tensor.type, tensor.hasRank = self._schema.TensorType.FLOAT32, True
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def _drop_unused(self) -> None:
        """Drops tensors and operator codes that no operator uses; the calibrator rejects such."""
        main = self._main
        lists = [part for node in self.nodes for part in (node.inputs, node.outputs)]
        used = sorted({int(i) for part in (*lists, main.inputs, main.outputs) for i in part} - {-1})
        new = {old: i for i, old in enumerate(used)} | {-1: -1}
        for part in (self._main, *self.nodes):
            part.inputs, part.outputs = (
                [new[int(i)] for i in p] for p in (part.inputs, part.outputs)
            )
        for signature in self._model.signatureDefs or []:
            for value in (*signature.inputs, *signature.outputs):
                value.tensorIndex = new[value.tensorIndex]
        main.tensors = self.tensors = [self.tensors[i] for i in used]
        nodes = [node for graph in self._model.subgraphs for node in graph.operators]
        codes = sorted({node.opcodeIndex for node in nodes})
        for node in nodes:
            node.opcodeIndex = codes.index(node.opcodeIndex)
        self._model.operatorCodes = [self._model.operatorCodes[i] for i in codes]

    def _code(self, kind: str) -> int:
        """Returns the index of an operator code, which is added if missing."""
        number = getattr(self._schema.BuiltinOperator, kind)
        codes = self._model.operatorCodes
        for i, code in enumerate(codes):
            if max(code.builtinCode, code.deprecatedBuiltinCode) == number:
                return i
        code = self._schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = number
        code.version = 1
        codes.append(code)
        return len(codes) - 1
