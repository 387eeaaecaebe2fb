"""Write a TFLite file again with nothing in it that no runtime reads.

The converter names every tensor by the layers that it came from, gives each activation an
empty buffer and repeats equal vectors; on `edge` in int8 that is almost a quarter of the file.
What the operators compute is left alone, and a file whose outputs are not the converter's bit
for bit is refused.
"""

from typing import Any

import flatbuffers
import numpy as np

# Notes of the converter; other metadata, control dependencies say, a runtime may read.
_NOTES = {b"min_runtime_version", b"CONVERSION_METADATA"}
# The schema's force_align of a buffer's data.
_ALIGNMENT = 16


def rewrite(content: bytes) -> bytes:
    """Writes a TFLite file again, smaller.

    Kept for the runtimes' sake: zero points that are all 0 and the scales of biases (LiteRT
    refuses a file without the first, XNNPACK an operator without the second), the old
    field of operator codes, the signature, and alignment. The tensors of input and output
    take the signature's names. The same content gives the same bytes.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    model.description = None
    notes = model.metadata or []
    model.metadata = [note for note in notes if note.name not in _NOTES] or None
    for graph in model.subgraphs:
        graph.name = None
        for i, tensor in enumerate(graph.tensors):
            if i not in (*graph.inputs, *graph.outputs):
                tensor.name = None
            if tensor.quantization is not None and tensor.quantization.scale is None:
                tensor.quantization = None
            if tensor.shape is not None and len(tensor.shape):
                tensor.hasRank = False  # only a scalar is told by it from an unknown shape
    for signature in model.signatureDefs or []:
        tensors = model.subgraphs[signature.subgraphIndex].tensors
        for value in (*signature.inputs, *signature.outputs):
            tensors[value.tensorIndex].name = value.name
    _drop_buffers(model)
    builder = _SharingBuilder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _drop_buffers(model: Any) -> None:
    """Leaves buffer 0, which stands for none, and those that hold something, in place."""
    users = [tensor for graph in model.subgraphs for tensor in graph.tensors]
    users += model.metadata or []
    for user in users:
        if model.buffers[user.buffer].data is None:
            user.buffer = 0
    kept = sorted({0, *(user.buffer for user in users)})
    for user in users:
        user.buffer = kept.index(user.buffer)
    model.buffers = [model.buffers[old] for old in kept]


class _SharingBuilder(flatbuffers.Builder):
    """Writes equal vectors and strings once, and bytes (a buffer's data) aligned.

    Overrides what the schema's objects call to write themselves.
    """

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._written: dict[object, int] = {}

    def CreateNumpyVector(self, x: np.ndarray) -> int:
        key = (x.dtype.str, x.tobytes())
        if key not in self._written:
            if x.dtype == np.uint8:
                self.Prep(_ALIGNMENT, x.size)
            self._written[key] = super().CreateNumpyVector(x)
        return self._written[key]

    def CreateString(self, s: bytes | str, *args: str) -> int:
        if s not in self._written:
            self._written[s] = super().CreateString(s, *args)
        return self._written[s]
