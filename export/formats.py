"""The one table of formats: what converts, finishes, reads and describes a file of each."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .graph import Graph
from .onnx import convert as onnx_convert
from .onnx import inspect as onnx_inspect
from .onnx import metadata as onnx_metadata
from .tflite import convert as tflite_convert
from .tflite import inspect as tflite_inspect
from .tflite import metadata as tflite_metadata
from .tflite import optimize
from .variants import Variant

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True)
class Format:
    """A kind of file that a model is exported to.

    Attributes:
        packages: What it takes to make one: by package, the module to import.
        prepare: A model, its batch (None is free), a folder and ONNX's opset to the file in
            it that every variant is converted from.
        convert: That file, a variant and its calibration images, float32 `[n, ...]`, to bytes.
        finish: Bytes as converted to smaller ones that compute the same bits.
        embed: Puts metadata into a file, values by name.
        read_graph: A file's operators and tensors, without running it.
        read_metadata: What a file of anybody's says of itself, values by name.
        size_breakdown: A file's bytes by purpose.
    """

    packages: Mapping[str, str]
    prepare: Callable[["keras.Model", int | None, Path, int], Path]
    convert: Callable[[Path, Variant, np.ndarray], bytes]
    finish: Callable[[bytes], bytes]
    embed: Callable[[bytes, Mapping[str, Any]], bytes]
    read_graph: Callable[[bytes], Graph]
    read_metadata: Callable[[Path], dict[str, object]]
    size_breakdown: Callable[[bytes], dict[str, int]]


FORMATS = {
    "tflite": Format(
        packages={"tensorflow": "tensorflow", "ai-edge-litert": "ai_edge_litert.interpreter"},
        prepare=tflite_convert.prepare,
        convert=tflite_convert.convert,
        finish=optimize.rewrite,
        embed=tflite_metadata.embed,
        read_graph=tflite_inspect.read_graph,
        read_metadata=tflite_metadata.read,
        size_breakdown=tflite_inspect.size_breakdown,
    ),
    "onnx": Format(
        packages={
            "tensorflow": "tensorflow",
            "tf2onnx": "tf2onnx",
            "onnx": "onnx",
            "onnxsim": "onnxsim",
            "onnxruntime": "onnxruntime.quantization",
        },
        prepare=onnx_convert.prepare,
        convert=onnx_convert.convert,
        finish=bytes,
        embed=onnx_metadata.embed,
        read_graph=onnx_inspect.read_graph,
        read_metadata=onnx_metadata.read,
        size_breakdown=onnx_inspect.size_breakdown,
    ),
}
