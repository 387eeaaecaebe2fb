"""Table of formats: the functions that convert to, optimize and read each."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_edge import runtimes
from mnist_edge.runtimes import Predictor

from .c import convert as c_convert
from .c import inspect as c_inspect
from .c import metadata as c_metadata
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
        embed: Embeds metadata, given as a mapping, in an artifact's bytes; also takes the
            golden images, float32 `[n, ...]`, for a format that keeps them.
        read_graph: Reads the operators and tensors of an artifact without running it.
        read_metadata: Reads the metadata of a possibly untrusted file.
        size_breakdown: Returns the number of bytes by purpose.
        open_converted: Opens what `convert` returned, as a file; the artifact's outputs must be
            bit for bit those of it.
        companions: Returns the further files of an artifact, by the end of their names.
        made_from: Returns the SHA-256 of the bundle's artifact that an artifact was made from;
            None if it was not made from one.
        falls_back: Whether alternatives are tried if a quantized variant fails the gate.
    """

    packages: Mapping[str, str]
    prepare: Callable[["keras.Model", int | None, Path, int], Path]
    convert: Callable[[Path, Variant, np.ndarray], bytes]
    finish: Callable[[bytes], bytes]
    embed: Callable[[bytes, Mapping[str, Any], np.ndarray], bytes]
    read_graph: Callable[[bytes], Graph]
    read_metadata: Callable[[Path], dict[str, object]]
    size_breakdown: Callable[[bytes], dict[str, int]]
    open_converted: Callable[[Path], Predictor] = runtimes.open_artifact
    companions: Callable[[bytes], dict[str, bytes]] = lambda content: {}
    made_from: Callable[[bytes], str | None] = lambda content: None
    falls_back: bool = True


FORMATS = {
    "tflite": Format(
        packages={"tensorflow": "tensorflow", "ai-edge-litert": "ai_edge_litert.interpreter"},
        prepare=tflite_convert.prepare,
        convert=tflite_convert.convert,
        finish=optimize.rewrite,
        embed=lambda content, fields, golden: tflite_metadata.embed(content, fields),
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
        embed=lambda content, fields, golden: onnx_metadata.embed(content, fields),
        read_graph=onnx_inspect.read_graph,
        read_metadata=onnx_metadata.read,
        size_breakdown=onnx_inspect.size_breakdown,
    ),
    "c": Format(
        packages={"tensorflow": "tensorflow", "ai-edge-litert": "ai_edge_litert.interpreter"},
        prepare=tflite_convert.prepare,
        convert=c_convert.convert,
        finish=optimize.rewrite,
        embed=c_convert.embed,
        read_graph=c_inspect.read_graph,
        read_metadata=c_metadata.read,
        size_breakdown=c_inspect.size_breakdown,
        open_converted=c_convert.open_reference,
        companions=c_metadata.companions,
        made_from=c_metadata.made_from,
        falls_back=False,  # what helps is done to the TFLite file that it is made from
    ),
}
