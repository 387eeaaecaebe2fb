"""Table of formats: the functions that convert to, optimize and read each."""

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
    """A file format that models are exported to.

    Attributes:
        packages: Packages that the export needs, each with the module to import.
        prepare: Saves a model in the form that every variant is converted from. Takes the
            model, the batch size (None: any), a folder and the ONNX opset; returns the path.
        convert: Converts the prepared model to an artifact's bytes. Takes its path, the
            variant and the calibration images, float32 `[n, ...]`.
        finish: Shrinks an artifact's bytes; its outputs stay bit for bit the same.
        embed: Embeds metadata, given as a mapping, in an artifact's bytes.
        read_graph: Reads the operators and tensors of an artifact without running it.
        read_metadata: Reads the metadata of a possibly untrusted file.
        size_breakdown: Returns the number of bytes by purpose.
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
