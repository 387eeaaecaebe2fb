"""What an artefact's bytes are spent on."""

import io
import zipfile


def shares(content, format):
    """Divides an artefact's size by what it is spent on.

    Args:
        content: The artefact's bytes.
        format: "tflite" or "onnx".

    Returns:
        dict of int, bytes: `weights`, constants as they are stored; `quantisation`, scales
        and zero points; `contract`; `structure`, all the rest. Their sum is the size.
    """
    found = _SHARES[format](content)
    return found | {"structure": len(content) - sum(found.values())}


def _of_tflite(content):
    from ai_edge_litert import schema_py_generated as schema

    end = len(content)
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            end = min(info.header_offset for info in archive.infolist())
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    tensors = [tensor for graph in model.subgraphs for tensor in graph.tensors]
    stored = [model.buffers[number].data for number in {tensor.buffer for tensor in tensors}]
    steps = [tensor.quantization for tensor in tensors if tensor.quantization is not None]
    return {
        "weights": _distinct_bytes(stored),
        "quantisation": _distinct_bytes([step.scale for step in steps])
        + _distinct_bytes([step.zeroPoint for step in steps]),
        "contract": len(content) - end,
    }


def _distinct_bytes(arrays):
    """Bytes of arrays, None left out, equal ones counted once: a file may share them."""
    return sum(map(len, {array.tobytes() for array in arrays if array is not None}))


def _of_onnx(content):
    import onnx

    model = onnx.load_from_string(content)
    steps = {
        name
        for node in model.graph.node
        if node.op_type in ("QuantizeLinear", "DequantizeLinear")
        for name in node.input[1:]
    }
    spent = {"weights": 0, "quantisation": 0}
    for tensor in model.graph.initializer:
        stored = onnx.numpy_helper.to_array(tensor).nbytes
        spent["quantisation" if tensor.name in steps else "weights"] += stored
    return spent | {"contract": sum(prop.ByteSize() for prop in model.metadata_props)}


_SHARES = {"tflite": _of_tflite, "onnx": _of_onnx}
