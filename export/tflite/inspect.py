"""Read a TFLite file without running it: its graph and its size breakdown."""

import collections
import io
import math
import zipfile
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..graph import Constant, Graph, Operator


def read_graph(content: bytes) -> Graph:
    """Reads the graph of a TFLite file; a damaged file may raise any exception."""
    from ai_edge_litert import schema_py_generated as schema

    if content[4:8] != b"TFL3":
        raise ValueError("it lacks the file identifier TFL3")
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    types = {code: name.lower() for name, code in vars(schema.TensorType).items()}
    kinds = {code: name for name, code in vars(schema.BuiltinOperator).items()}
    operators: list[Operator] = []
    constants: list[Constant] = []
    counts: collections.Counter[str] = collections.Counter()

    def name(tensor: Any, i: int) -> str:
        return tensor.name.decode() if tensor.name else f"tensor {i}"  # `optimize` drops names

    for graph in model.subgraphs:
        known, selected = {}, set()  # constants; rows of constants, as embeddings are
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
            # -1 marks an omitted optional input, such as a bias.
            required = [*node.inputs[:1], *node.outputs]
            if min(required, default=0) < 0 or min(node.inputs, default=0) < -1:
                raise ValueError("an operator's tensor index is negative")
            used = [i for i in (*node.inputs, *node.outputs) if i >= 0]
            if kinds[number] == "GATHER" and node.inputs[0] in known:
                selected.update(node.outputs)
            moving = [i for i in used if i not in known and i not in selected]
            flowing = [types[graph.tensors[i].type] for i in moving]
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
    image, probabilities = main.tensors[main.inputs[0]], main.tensors[main.outputs[0]]
    io = (types[image.type], types[probabilities.type])
    signature = image.shapeSignature
    batch = "free" if signature is not None and signature[0] < 0 else int(image.shape[0])
    return Graph(
        "tflite", model.version, batch, io, tuple(operators), tuple(constants), dict(counts)
    )


def size_breakdown(content: bytes) -> dict[str, int]:
    """Returns the number of bytes by purpose, except for the structure."""
    from ai_edge_litert import schema_py_generated as schema

    end = len(content)
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            end = min(info.header_offset for info in archive.infolist())
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    tensors = [tensor for graph in model.subgraphs for tensor in graph.tensors]
    stored = [model.buffers[number].data for number in {tensor.buffer for tensor in tensors}]
    quantization = [tensor.quantization for tensor in tensors if tensor.quantization is not None]
    return {
        "weights": _distinct_bytes(stored),
        "quantization": _distinct_bytes([parameters.scale for parameters in quantization])
        + _distinct_bytes([parameters.zeroPoint for parameters in quantization]),
        "metadata": len(content) - end,
    }


def _distinct_bytes(arrays: Iterable[np.ndarray | None]) -> int:
    """Returns the bytes of the arrays; equal arrays, which a file may share, count once."""
    return sum(map(len, {array.tobytes() for array in arrays if array is not None}))
