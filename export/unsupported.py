"""Report the layer that can't be exported."""

import contextlib
import errno
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_edge.errors import InputError
from mnist_edge.safety import scratch

from . import keras_export

if TYPE_CHECKING:
    import keras


class NoRoom(InputError):
    """The disk is full: no variant can be made."""


# In messages of the TFLite converter.
_NO_OPERATOR = re.compile(r"'tf\.(\w+)' op is neither a custom op nor a flex op")
# In Keras's, which say what was called, and the cause in bold.
_CAUSES = re.compile(r"Exception encountered when calling [^\n]+\s+(?:\x1b\[1m)?([^\n\x1b]+)")
_PATH = re.compile(r"\w+(?:/\w+)+")
_TRACED_AGAIN = re.compile(r"_\d+$")  # TensorFlow's suffix of a name that it has seen
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def refusing(
    model: "keras.Model", format: str, export: Callable[["keras.Model", Path], object]
) -> Iterator[None]:
    """Turns any exception of a converter into an `InputError` that names the layer.

    Args:
        model: The model that the block converts.
        format: "tflite" or "onnx".
        export: Converts a model to that format; takes the model and a work folder.

    Raises:
        InputError: The block raised an exception.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # converters raise many kinds
        full = [os.strerror(n) for n in _DISK_ERRORS if os.strerror(n) in str(error)]
        if full:
            raise NoRoom(
                f"no room for intermediate files: {full[0]}. Free some disk space."
            ) from error
        layer = named_layer(model, str(error)) or _unsupported_layer(model, export)
        what = f"layer {layer.name!r} ({type(layer).__name__})" if layer else "the model"
        raise InputError(
            f"{what} can't be exported to {format}: {_reason(error)}. Replace the layer, or leave "
            "the variants that fail out with --skip."
        ) from error


def _reason(error: Exception) -> str:
    """Returns a converter's message in one line."""
    if missing := _NO_OPERATOR.search(str(error)):
        return f"TFLite has no operator for TensorFlow's {missing[1]}"
    lines = _CAUSES.findall(str(error)) or str(error).strip().split("\n")[:1]
    return str(lines[-1][:200].rstrip("."))


def named_layer(model: "keras.Model", message: str) -> "keras.Layer | None":
    """Returns the layer that a text names by a path, as `model/layer_1/Elu`; else None."""
    layers = {layer.name: layer for layer in keras_export.operations(model)}
    for path in _PATH.findall(message):
        for part in path.split("/")[-2::-1]:  # the last part is the operator
            # Exporting traces a layer again, so `relu_1` is `relu` even beside another `relu_1`.
            for name in (_TRACED_AGAIN.sub("", part), part):
                if name in layers:
                    return layers[name]
    return None


def _unsupported_layer(
    model: "keras.Model", export: Callable[["keras.Model", Path], object]
) -> "keras.Layer | None":
    """Returns a layer whose export fails on its own; None if none does.

    Layers of equal settings and inputs fail alike, so only the first of them is tried. They are
    exported side by side, and the half that fails is halved: a hundred layers take seven
    conversions, together about as long as the model's.
    """
    import keras

    different: dict[object, keras.Layer] = {}
    for layer in model.layers:
        tensor = getattr(layer, "input", None)  # None if the layer is never called
        if tensor is None or isinstance(tensor, list) or isinstance(layer, keras.layers.InputLayer):
            continue
        settings = {**layer.get_config(), "name": ""}
        different.setdefault((type(layer), repr(settings), tensor.shape), layer)
    layers = list(different.values())
    while len(layers) > 1:
        half = len(layers) // 2
        layers = layers[half:] if _can_export(layers[:half], export) else layers[:half]
    return next((layer for layer in layers if not _can_export(layers, export)), None)


def _can_export(
    layers: Sequence["keras.Layer"], export: Callable[["keras.Model", Path], object]
) -> bool:
    """Whether layers can be exported, each with an input and an output of its own."""
    import keras

    images = [
        keras.Input(layer.input.shape[1:], name=f"image_{i}") for i, layer in enumerate(layers)
    ]
    called = [layer(image) for layer, image in zip(layers, images, strict=True)]
    outputs = {f"output_{i}": value for i, value in enumerate(keras.tree.flatten(called))}
    with scratch.folder() as folder:
        try:
            export(keras.Model(images, outputs), folder)
        except Exception:  # whatever the error, a layer fails
            return False
    return True
