"""Name the layer that can't be exported."""

import contextlib
import errno
import os

from mnist_edge.errors import InputError
from mnist_edge.safety import scratch

from .onnx.convert import OLDEST_OPSET
from .tflite import convert as tflite_convert
from .variants import VARIANTS

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def refusing(model, format, prepare):
    """Turns whatever a converter raises into one line that names the layer.

    Args:
        model: The `keras.Model` that is converted in the block.
        format: "tflite" or "onnx".
        prepare: The format's `prepare`.

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
        layer = _culprit(model, format, prepare)
        what = f"layer {layer.name!r} ({type(layer).__name__})" if layer else "the model"
        first = str(error).strip().split("\n")[0][:200].rstrip(".")
        raise InputError(
            f"{what} can't be exported to {format}: {first}. Replace the layer, or leave the "
            f"{format} variants out by --variants."
        ) from error


def _culprit(model, format, prepare):
    """The first layer that can't be exported by itself; None where each can."""
    import keras

    for layer in model.layers:
        given = getattr(layer, "input", None)  # one that is never called has none
        if given is None or isinstance(given, list) or isinstance(layer, keras.layers.InputLayer):
            continue
        image = keras.Input(given.shape[1:], name="image")
        with scratch.folder() as folder:
            try:
                alone = keras.Model(image, layer(image))
                _export_alone(alone, format, prepare, folder)
            except Exception:  # that it raises is the answer
                return layer
    return None


def _export_alone(model, format, prepare, folder):
    prepared = prepare(model, 1, OLDEST_OPSET, folder)
    if format == "tflite":
        tflite_convert.convert(prepared, VARIANTS["tflite-float32"], None)
