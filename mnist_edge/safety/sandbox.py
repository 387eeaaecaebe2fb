"""Load a stranger's model in an isolated subprocess first, where it can do no harm to ours.

`python -m export` does so with every file that is no bundle's. What crashes Keras or the HDF5
library, hangs or eats memory there costs a line here. It is no sandbox: code that got to run
would run as you. That none does is what `mnist_edge.safety.keras_file` is for, which goes first.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mnist_edge import backend
from mnist_edge.errors import InputError
from mnist_edge.safety import isolated, keras_file, limits

# Keras with TensorFlow starts in about 5 s on two idle cores; NASNetLarge, of 1,041 layers,
# took 70 s on two busy ones. Of addresses, which is what the kernel counts, on top of what
# Keras itself takes, threads take 0.8 GB; ConvNeXtTiny took 2.7 in all, of which 0.9 were
# memory in use.
_ALLOWANCE = isolated.Allowance(timeout_seconds=300, memory_limit_mb=4000)
_MEMORY_ERRORS = ("OOM when allocating", "Unable to allocate", "bad_alloc")


def trial(path: Path, remedy: str, allowance: isolated.Allowance = _ALLOWANCE) -> None:
    """Loads a `.keras` file in a subprocess, and has it predict a batch of zeros there.

    Args:
        path: The file.
        remedy: What to do where it can't be loaded; ends the error's line.
        allowance: The kernel sees to its memory, where there is /proc.

    Raises:
        InputError: It can't be loaded, or took more than it may; or Keras is not installed.
    """
    try:
        keras_file.check(path)
        with isolated.Process(REQUESTS, allowance, (InputError, ValueError)) as process:
            process.ask("start")
            process.ask("load", str(path))
    except InputError:
        raise
    except isolated.WorkerFailed as error:
        most = f"{allowance.memory_limit_mb:g} MB of memory and {allowance.timeout_seconds:g} s"
        cause = f"{error} ({most} are allowed)"
        raise InputError(keras_file.refusal(path, cause, remedy)) from error
    except Exception as error:  # whatever a file makes `zipfile` raise, say
        raise InputError(keras_file.refusal(path, error, remedy)) from error


def start(state: dict[str, Any]) -> None:
    """Imports Keras; from then on the subprocess gets so much more memory, and writes no file."""
    os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}  # no GPU memory
    backend.start_keras()
    confine(state)


def confine(state: dict[str, Any]) -> None:
    """Limits the subprocess for good."""
    limits.limit_memory(state["allowance"].memory_limit_mb)
    limits.write_nothing()


def load(state: dict[str, Any], path: str) -> None:
    """Loads a model and has it predict a batch of zeros; a `ValueError` is the reason."""
    try:
        model = keras_file.load(Path(path))
        inputs = list(getattr(model, "inputs", None) or ())
        if len(inputs) == 1 and None not in inputs[0].shape[1:]:
            shape = (keras_file.batch_size(model), *inputs[0].shape[1:])
            model.predict_on_batch(np.zeros(shape, np.float32))
    except Exception as error:  # what Keras raises is anything
        if isinstance(error, MemoryError) or any(words in str(error) for words in _MEMORY_ERRORS):
            most_gb = state["allowance"].memory_limit_mb / 1000
            raise ValueError(f"it asks for more than {most_gb:g} GB of memory") from error
        raise ValueError(keras_file.reason(error)) from error


# What the subprocess may be asked for.
REQUESTS: dict[str, Callable[..., None]] = {"start": start, "load": load}
