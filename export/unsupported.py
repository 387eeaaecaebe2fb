"""Report the layer that can't be exported."""

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_edge.errors import InputError
from mnist_edge.safety import scratch

if TYPE_CHECKING:
    import keras


class NoRoom(InputError):
    """The disk is full: no variant can be made."""


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
        layer = _unsupported_layer(model, export)
        what = f"layer {layer.name!r} ({type(layer).__name__})" if layer else "the model"
        first = str(error).strip().split("\n")[0][:200].rstrip(".")
        raise InputError(
            f"{what} can't be exported to {format}: {first}. Replace the layer, or select "
            f"other variants than {format} with --variants."
        ) from error


def _unsupported_layer(
    model: "keras.Model", export: Callable[["keras.Model", Path], object]
) -> "keras.Layer | None":
    """Returns the first layer whose export fails on its own; None if none does."""
    import keras

    for layer in model.layers:
        tensor = getattr(layer, "input", None)  # None if the layer is never called
        if tensor is None or isinstance(tensor, list) or isinstance(layer, keras.layers.InputLayer):
            continue
        image = keras.Input(tensor.shape[1:], name="image")
        with scratch.folder() as folder:
            try:
                export(keras.Model(image, layer(image)), folder)
            except Exception:  # whatever the error, this layer fails
                return layer
    return None
