"""Shrink a TFLite file by removing what no runtime reads.

The converter names every tensor after the layers that it came from, gives each activation an
empty buffer, and repeats equal vectors: on `edge` in int8, almost a quarter of the file.
The operators stay the same, and the export fails unless the outputs are bit for bit those of
the converter's file.
"""

from typing import Any

import flatbuffers
import numpy as np

# Information on the conversion. Runtimes may read other entries, such as control dependencies.
_NOTES = {b"min_runtime_version", b"CONVERSION_METADATA"}
# `force_align` of buffer data in the schema.
_ALIGNMENT = 16


def rewrite(content: bytes) -> bytes:
    """Returns a smaller TFLite file that computes the same; deterministic.

    Runtimes need what is kept: zero points that are all 0 (LiteRT rejects a file without
    them), the scales of biases (XNNPACK rejects an operator without them), the deprecated
    operator codes, the signature, and alignment. Input and output tensors get the
    signature's names.
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
                tensor.hasRank = False  # only distinguishes a scalar from an unknown shape
    for signature in model.signatureDefs or []:
        tensors = model.subgraphs[signature.subgraphIndex].tensors
        for value in (*signature.inputs, *signature.outputs):
            tensors[value.tensorIndex].name = value.name
    _drop_buffers(model)
    builder = _SharingBuilder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _drop_buffers(model: Any) -> None:
    """Removes empty buffers in place, except buffer 0, which means no data."""
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
    """Builder that writes equal vectors and strings once, and aligns buffer data.

    Overrides the methods that the schema's objects call in `Pack`.
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
