"""Turn the bytes of a `tflite-int8` into a C source, and open what it must equal."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mnist_edge.errors import InputError
from mnist_edge.runtimes import Predictor, litert

from ..tflite import convert as tflite_convert
from ..tflite import metadata as tflite_metadata
from ..variants import VARIANTS, Variant
from . import graph, likeness, lower, metadata, reference, source
from .graph import Unsupported
from .source import Golden
from .steps import Program

_FROM = VARIANTS["tflite-int8"]


def convert(prepared: Path, variant: Variant, images: np.ndarray) -> bytes:
    """Converts a prepared model to the TFLite file that the source is made from.

    Args:
        prepared: The path that TFLite's `prepare` returned.
        variant: "c-int8".
        images: Calibration images, float32 `[n, ...]`.

    Raises:
        InputError: An operator has no C; the message names it and the layer.
    """
    content = tflite_convert.convert(prepared, _FROM, images)
    program(content)  # the converter's names of layers are still in it
    return content


def program(content: bytes) -> Program:
    """Reads and lowers a TFLite file.

    Raises:
        InputError: It has no C.
    """
    try:
        return lower.lower(graph.read(content))
    except Unsupported as error:
        raise InputError(
            f"the int8 TFLite file must hold operators that C has. Got: a file that {error}. "
            "Replace the layer, or leave c-int8 out (docs/c.md)."
        ) from error


def embed(content: bytes, fields: Mapping[str, Any], golden: np.ndarray) -> bytes:
    """Returns the C source of a TFLite file.

    Args:
        content: The file, without metadata.
        fields: The metadata of the source.
        golden: Images for the self-test, float32 `[n, ...]`.

    Raises:
        InputError: It has no C.
    """
    return of_tflite(
        tflite_metadata.embed(content, {**fields, "variant": _FROM.name}), fields, golden
    )


def of_tflite(origin: bytes, fields: Mapping[str, Any], golden: np.ndarray) -> bytes:
    """Returns the C source of a TFLite file as it is in a bundle, with its metadata.

    Args:
        origin: The file.
        fields: The metadata of the source.
        golden: Images for the self-test, float32 `[n, ...]`.

    Raises:
        InputError: It has no C.
    """
    lowered = program(origin)
    name = source.identifier(str(fields["model"]))
    opened = litert.of_interpreter(reference.interpreter(origin))
    given, output = source.vectors(lowered, opened, golden)
    head = metadata.head(fields, lowered, name, origin, hashlib.sha256(origin).hexdigest())
    reads_digits = likeness.fits(lowered.input_tensor, fields["output"]["labels"])
    return source.write(lowered, name, head, Golden(given, output), reads_digits).encode()


def open_reference(path: Path) -> Predictor:
    """Opens a TFLite file in LiteRT's reference kernels."""
    return litert.of_interpreter(reference.interpreter(path.read_bytes()))
