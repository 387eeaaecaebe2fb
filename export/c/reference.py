"""LiteRT's reference kernels: what the C must equal bit for bit."""

import copy
from typing import Any

import numpy as np

from .graph import Node, Tensor, Unsupported

# Operators whose output's elements depend on the input's element alone. All are asked of the
# reference kernel, so that no table depends on how this machine's library rounds exp.
ELEMENTWISE = (
    *("ABS", "ADD", "ELU", "EXP", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "MAXIMUM"),
    *("MINIMUM", "MUL", "PRELU", "QUANTIZE", "RELU", "RELU6", "RELU_N1_TO_1", "RSQRT", "SQRT"),
    *("SQUARED_DIFFERENCE", "SUB", "TANH"),
)


def interpreter(content: bytes) -> Any:
    """Opens a TFLite file in the reference kernels, without any delegate."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    opened = Interpreter(
        model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    opened.allocate_tensors()
    return opened


def table(node: Node, flowing: Tensor) -> np.ndarray:
    """Asks the reference kernel of an elementwise operator for all 256 bytes.

    Args:
        node: The operator; all inputs but one are constants of one element.
        flowing: That input.

    Returns:
        uint8 `[256]`: the output's byte by the input's; int8 values have 128 added.

    Raises:
        Unsupported: The kernel refuses the operator.
    """
    try:
        opened = interpreter(_alone(node, flowing))
        values = np.arange(256, dtype=np.uint8)
        if flowing.dtype == "int8":
            values = (values ^ 128).view(np.int8)
        opened.set_tensor(opened.get_input_details()[0]["index"], values[None])
        opened.invoke()
        found = opened.get_tensor(opened.get_output_details()[0]["index"])[0]
    except (RuntimeError, ValueError) as error:
        raise Unsupported(f"is refused by LiteRT ({' '.join(str(error).split())})") from error
    return found.view(np.uint8) ^ 128 if node.output.dtype == "int8" else found


def _alone(node: Node, flowing: Tensor) -> bytes:
    """Returns a TFLite file of one operator on 256 elements."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, node.kind)
    code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), node.version
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers, graph.tensors = [schema.BufferT()], []
    for tensor in (*node.inputs, node.output):
        assert tensor is not None
        raw = schema.TensorT()
        raw.type = getattr(schema.TensorType, tensor.dtype.upper())
        raw.shape = np.array([1, 256] if tensor.data is None else [1], np.int32)
        raw.quantization = schema.QuantizationParametersT()
        raw.quantization.scale = tensor.scales
        raw.quantization.zeroPoint = np.array([tensor.zero_point], np.int64)
        if tensor.data is not None:
            raw.buffer = len(model.buffers)
            model.buffers.append(schema.BufferT())
            model.buffers[-1].data = np.frombuffer(tensor.data.tobytes(), np.uint8)
        graph.tensors.append(raw)
    operator = copy.copy(node.raw)
    operator.opcodeIndex = 0
    operator.inputs = np.arange(len(node.inputs), dtype=np.int32)
    operator.outputs = np.array([len(node.inputs)], np.int32)
    graph.operators, graph.outputs = [operator], operator.outputs
    graph.inputs = np.array([[t is flowing for t in node.inputs].index(True)], np.int32)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
