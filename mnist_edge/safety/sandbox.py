"""Load a model of others' in a process of its own first, where it can do no harm to ours.

    python -m mnist_edge.safety.sandbox model.keras

says whether a file would be taken. `python -m export` does the same with every model file
that it is given. What crashes Keras or the HDF5 library, hangs or eats memory there costs a
line here. It is no sandbox: code that got to run would run as you. That none does is what
`mnist_edge.safety.keras_file` is for, which goes first.
"""

import os
import sys
from pathlib import Path

import numpy as np

from mnist_edge import backend, cli, expect
from mnist_edge.errors import InputError
from mnist_edge.models import trained
from mnist_edge.safety import footprint, isolated, keras_file, limits

# Keras with TensorFlow starts in about 5 s on two idle cores; NASNetLarge, of 1,041 layers,
# took 70 s on two busy ones. Of addresses, which is what the kernel counts, on top of what
# Keras itself takes, threads take 0.8 GB; ConvNeXtTiny took 2.7 in all, of which 0.9 were
# memory in use.
_ALLOWANCE = isolated.Allowance(timeout_seconds=300, memory_limit_mb=4000)
_MEMORY_ERRORS = ("OOM when allocating", "Unable to allocate", "bad_alloc")
_FOUND = {"weights": expect.COUNT, "largest_output": expect.COUNT}
_REMEDY = (
    "Rebuild the model from Keras's own layers, with weights of a common size, and save it by "
    "model.save('name.keras')."
)


def trial(path, remedy=_REMEDY, allow_h5=False):
    """Loads a model file in a process apart, and has it predict a batch of zeros there.

    Args:
        path: A `.keras` file, or an `.h5` file where that is allowed.
        remedy: What to do where it can't be loaded; ends the error's line.
        allow_h5: Whether the older format is taken.

    Returns:
        dict: `weights` and `largest_output`, as `mnist_edge.safety.footprint` has them.

    Raises:
        InputError: It can't be loaded, or took more than it may; or Keras is not installed.
    """
    try:
        if allow_h5 and Path(path).suffix in keras_file.OLD_ENDINGS:
            keras_file.check_regular(path, keras_file.OLD_ENDINGS)
        else:
            keras_file.check(path)
        return examine_apart(str(path))
    except InputError:
        raise
    except Exception as error:  # whatever a file makes `zipfile` raise, say
        raise InputError(keras_file.refusal(path, error, remedy)) from error


def examine(path: str) -> dict:
    """What the process apart does; arguments and result as `trial`'s, the errors bare."""
    model = trained.read_model(Path(path), allow_h5=True)
    inputs = getattr(model, "inputs", None) or ()
    if len(inputs) == 1 and None not in inputs[0].shape[1:]:
        shape = (footprint.batch_size(model), *inputs[0].shape[1:])
        model.predict_on_batch(np.zeros(shape, np.float32))
    return {"weights": footprint.weights(model), "largest_output": footprint.largest_output(model)}


def examine_apart(path, allowance=_ALLOWANCE):
    """As `examine`, in a process of its own, under limits.

    Args:
        path: The file, a str.
        allowance: An `apart.Allowance`. The kernel sees to its memory, where there is /proc.

    Raises:
        ValueError: The file can't be loaded, crashed Keras, or took more than it may.
        InputError: Keras is not installed.
    """
    much = f"more than {allowance.memory_limit_mb / 1000:g} GB of memory"
    passed_on = (InputError, MemoryError, ValueError)
    try:
        with isolated.Process(REQUESTS, allowance, passed_on) as process:
            process.ask("start")
            return process.ask("examine", path, wanted=_FOUND)
    except (MemoryError, isolated.TookTooMuch) as error:
        raise ValueError(f"it asks for {much}") from error
    except isolated.TookTooLong as error:
        raise ValueError(f"it took more than {allowance.timeout_seconds:g} s") from error
    except isolated.Ended as error:
        raise ValueError(f"it crashed Keras ({error.how}), or asked for {much}") from error


def _start(state):
    os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}  # no GPU memory
    backend.start_keras()
    confine(state)


def confine(state):
    """Limits the process from here on: so much more memory, and no file written."""
    limits.limit_memory(state["allowance"].memory_limit_mb)
    limits.write_nothing()


def _examine(state, path):
    try:
        return examine(path)
    except Exception as error:  # what Keras raises is anything
        if isinstance(error, MemoryError) or any(words in str(error) for words in _MEMORY_ERRORS):
            raise MemoryError from error
        raise ValueError(keras_file.reason(error)) from error


# What the process apart may be asked for.
REQUESTS = {"start": _start, "examine": _examine}


@cli.command
def main(argv=None):
    """Parses `argv`, tries each file, prints a line each; returns the exit status."""
    parser = cli.parser(__doc__)
    parser.add_argument("file", type=Path, help=".keras file")
    parser.add_argument("--allow-h5", action="store_true", help="take an .h5 file as well")
    arguments = parser.parse_args(argv)
    found = trial(arguments.file, allow_h5=arguments.allow_h5)
    print(
        f"{arguments.file} loads: {found['weights']:,} weights, its largest layer gives "
        f"{found['largest_output']:,} values an example"
    )
    return cli.OK


if __name__ == "__main__":
    sys.exit(main())
