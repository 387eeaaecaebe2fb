"""Try an untrusted model in an isolated subprocess before loading it.

`python -m export` does so with every file that is not part of a bundle. A model that crashes
Keras or the HDF5 library, hangs or takes too much memory there is one error message here. This
does not contain malicious code, which would run with your rights: `mnist_edge.safety.keras_file`,
which runs first, refuses models with code.
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mnist_edge import backend
from mnist_edge.errors import InputError
from mnist_edge.safety import isolated, keras_file, limits

# Keras with TensorFlow starts in about 5 s on two idle cores; NASNetLarge, with 1,041 layers,
# took 70 s on two busy ones. The kernel limits address space: in addition to Keras's own,
# threads take 0.8 GB, and ConvNeXtTiny took 2.7 GB in all, of which 0.9 GB was used memory.
_ALLOWANCE = isolated.Allowance(timeout_seconds=300, memory_limit_mb=4000)
_MEMORY_ERRORS = ("OOM when allocating", "Unable to allocate", "bad_alloc")


def trial(path: Path, remedy: str, allowance: isolated.Allowance = _ALLOWANCE) -> None:
    """Loads a `.keras` file in a subprocess and has the model predict a batch of zeros.

    Args:
        path: The file.
        remedy: What to do if it can't be loaded; ends the error message.
        allowance: Limits of the subprocess.

    Raises:
        InputError: It can't be loaded, or exceeds the limits; or Keras is not installed.
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
    except Exception as error:  # `zipfile`, for one, may raise anything
        raise InputError(keras_file.refusal(path, error, remedy)) from error


def start(state: isolated.State) -> None:
    """Imports Keras, then limits the memory of the subprocess and forbids it to write files."""
    os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}  # no GPU memory
    backend.start_keras()
    confine(state)


def confine(state: isolated.State) -> None:
    """Limits memory and writing of the subprocess permanently."""
    limits.limit_memory(state.allowance.memory_limit_mb)
    limits.forbid_writing()


def load(state: isolated.State, path: str) -> None:
    """Loads a model and predicts a batch of zeros; raises `ValueError` with the reason."""
    import keras

    try:
        model = keras_file.load(Path(path))
        inputs = list(getattr(model, "inputs", None) or ())
        if inputs and not any(None in tensor.shape[1:] for tensor in inputs):
            size = keras_file.batch_size(model)
            zeros = [np.zeros((size, *tensor.shape[1:]), np.float32) for tensor in inputs]
            several = len(zeros) > 1
            model.predict_on_batch(
                keras.tree.pack_sequence_as(model._inputs_struct, zeros) if several else zeros[0]
            )
    except Exception as error:  # Keras may raise anything
        if isinstance(error, MemoryError) or any(text in str(error) for text in _MEMORY_ERRORS):
            most_gb = state.allowance.memory_limit_mb / 1000
            raise ValueError(f"it asks for more than {most_gb:g} GB of memory") from error
        raise ValueError(keras_file.reason(error)) from error


# The requests of the subprocess.
REQUESTS: dict[str, Callable[..., None]] = {"start": start, "load": load}
