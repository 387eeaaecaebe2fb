"""Name the layer that can't be exported."""

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

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def refusing(
    model: "keras.Model", format: str, export: Callable[["keras.Model", Path], object]
) -> Iterator[None]:
    """Turns whatever a converter raises into one line that names the layer.

    Args:
        model: What is converted in the block.
        format: "tflite" or "onnx".
        export: Converts a model to that format, with a folder for what it writes.

    Raises:
        InputError: The block raised anything.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # converters raise whatever they stumble on
        full = [os.strerror(n) for n in _DISK_ERRORS if os.strerror(n) in str(error)]
        if full:
            raise InputError(f"no room for intermediate files: {full[0]}. Free some.") from error
        layer = _unsupported_layer(model, export)
        what = f"layer {layer.name!r} ({type(layer).__name__})" if layer else "the model"
        first = str(error).strip().split("\n")[0][:200].rstrip(".")
        raise InputError(
            f"{what} can't be exported to {format}: {first}. Replace the layer, or leave the "
            f"{format} variants out by --variants."
        ) from error


def _unsupported_layer(
    model: "keras.Model", export: Callable[["keras.Model", Path], object]
) -> "keras.Layer | None":
    """The first layer that can't be exported by itself; None where each can."""
    import keras

    for layer in model.layers:
        given = getattr(layer, "input", None)  # one that is never called has none
        if given is None or isinstance(given, list) or isinstance(layer, keras.layers.InputLayer):
            continue
        image = keras.Input(given.shape[1:], name="image")
        with scratch.folder() as folder:
            try:
                export(keras.Model(image, layer(image)), folder)
            except Exception:  # that it raises is the answer
                return layer
    return None
