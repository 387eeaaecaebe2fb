"""Start Keras on the configured backend."""

import contextlib
import gc
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from mnist_edge import cli
from mnist_edge.errors import InputError

# Keras's backend names, which are also the names of their packages.
NAMES = ("tensorflow", "jax", "torch", "numpy", "openvino")
TRAINING = NAMES[:3]
# What Keras and TensorFlow import, where it is installed, for functions that no command calls:
# two fifths of their start.
_EXTRAS = ("jax", "matplotlib", "sklearn")

_is_ours = False  # this process


def chosen() -> str:
    """Returns the backend Keras will use: `KERAS_BACKEND`, else `keras.json`, else TensorFlow."""
    if named := os.environ.get("KERAS_BACKEND"):
        return named
    home = Path.home() if os.access(Path.home(), os.W_OK) else Path("/tmp")
    settings = Path(os.environ.get("KERAS_HOME", home / ".keras")) / "keras.json"
    try:
        return str(json.loads(settings.expanduser().read_text())["backend"])
    except (OSError, ValueError, KeyError, TypeError):
        return NAMES[0]


def start_keras() -> ModuleType:
    """Imports Keras and starts its backend, quietly; returns the `keras` module.

    Overrides the data format and float type of the user's `keras.json`: this project's models
    are channels-last and float32.

    Raises:
        InputError: Keras or its backend is not installed, or can't be started.
    """
    keras = import_keras()
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    return keras


def import_keras() -> ModuleType:
    """Imports Keras and starts its backend, quietly; raises the errors of `start_keras`."""
    if "keras" in sys.modules:
        return sys.modules["keras"]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # failures are reported by this project
    with cli.native_logs_held(), _without_extras():
        try:
            import keras

            keras.ops.zeros(())
        except ImportError as error:
            raise InputError(
                f"Keras with a backend is required. Got: {error}. "
                "Install 'mnist-edge[tensorflow]', or another backend and set KERAS_BACKEND."
            ) from error
        except Exception as error:  # Keras raises various types for bad settings
            raise InputError(
                f"Keras must start. Got: {cli.in_words(error)}. Check KERAS_BACKEND, one of "
                f"{', '.join(NAMES)}, and keras.json in ~/.keras or KERAS_HOME."
            ) from error
    if _is_ours:
        gc.freeze()  # a million objects that stay, and TensorFlow's converter collects garbage
    return keras


def start_lean() -> None:
    """Makes Keras start without the packages that only a user's own code would call it with.

    For processes that this project starts; call it before `start_keras`.
    """
    global _is_ours
    _is_ours = True


@contextlib.contextmanager
def _without_extras() -> Iterator[None]:
    """Makes imports of `_EXTRAS` fail in the block, as if they were not installed."""
    extras = {*_EXTRAS} - {chosen(), *sys.modules} if _is_ours else ()
    missing: dict[str, Any] = dict.fromkeys(extras)
    sys.modules.update(missing)
    try:
        yield
    finally:
        for name in missing:
            del sys.modules[name]


def require(names: tuple[str, ...], what: str) -> None:
    """Raises `InputError` unless Keras runs on one of the backends `names`, which `what` needs."""
    got = import_keras().backend.backend()
    if got not in names:
        raise InputError(
            f"{what} needs Keras on {' or '.join(names)}. Got: {got}. Set KERAS_BACKEND."
        )
