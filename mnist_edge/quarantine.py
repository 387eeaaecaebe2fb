"""Load a model of others' in a process of its own first, where it can do no harm to ours.

    python -m mnist_edge.quarantine model.keras

says whether a file would be taken. `python -m export` does the same with every model file
that it is given. What crashes Keras or the HDF5 library, hangs or eats memory there costs a
line here. It is no sandbox: code that got to run would run as you. That none does is what
`mnist_edge.keras_file` is for, which goes first.
"""

import json
import multiprocessing
import os
import signal
import sys
from pathlib import Path

import numpy as np

from mnist_edge import backend, cli, footprint, keras_file, trained, weights_file
from mnist_edge.cli import InputError

# Keras with TensorFlow starts in about 5 s on two idle cores; NASNetLarge, of 1,041 layers,
# took 70 s on two busy ones.
SECONDS = 300
# Of addresses, which is what the kernel counts, on top of what Keras itself takes. Threads
# take 0.8 GB; ConvNeXtTiny took 2.7 in all, of which 0.9 were memory in use.
MEMORY_BYTES = 4_000_000_000
_MEMORY_ERRORS = ("OOM when allocating", "Unable to allocate", "bad_alloc")
_MOST_ANSWER_BYTES = 10_000
_REMEDY = (
    "Rebuild the model from Keras's own layers, with weights of a common size, and save it by "
    "model.save('name.keras')."
)


def trial(path, remedy=_REMEDY, allow_h5=False):
    """Loads a model file in a child process, and has it predict a batch of zeros there.

    Args:
        path: A `.keras` file, or an `.h5` file where that is allowed.
        remedy: What to do where it can't be loaded; ends the error's line.
        allow_h5: Whether the older format is taken.

    Returns:
        dict: `weights` and `largest_output`, as `mnist_edge.footprint` has them.

    Raises:
        InputError: It can't be loaded, or took more than it may.
    """
    try:
        if allow_h5 and Path(path).suffix in keras_file.OLD_ENDINGS:
            keras_file.check_regular(path, keras_file.OLD_ENDINGS)
        else:
            keras_file.check(path)
        return ask(examine, str(path))
    except Exception as error:  # whatever a file makes `zipfile` raise, say
        raise InputError(keras_file.refusal(path, error, remedy)) from error


def examine(path):
    """What the child does; arguments, result and errors as `trial`'s, the errors bare."""
    old_format = not path.endswith(keras_file.ENDING)
    with weights_file.opened(path) as file:
        weights_file.check(file)
        if old_format:
            weights_file.check_old_config(file)
    if not old_format:
        _check_size(keras_file.check(path))
    model = trained.read_model(path, allow_h5=old_format)
    footprint.check(model)
    inputs = getattr(model, "inputs", None) or ()
    if len(inputs) == 1 and None not in inputs[0].shape[1:]:
        shape = (footprint.batch_size(model), *inputs[0].shape[1:])
        model.predict_on_batch(np.zeros(shape, np.float32))
    return {"weights": footprint.weights(model), "largest_output": footprint.largest_output(model)}


def _check_size(config):
    """Builds a model without values: how much it takes is known before it is taken."""
    import keras

    config = config | {"compile_config": None}
    try:
        with keras.StatelessScope(initialize_variables=False):
            model = keras.saving.deserialize_keras_object(config, safe_mode=True)
    except Exception:
        return  # an optimizer within needs values; what is wrong, the load itself tells better
    finally:
        keras.utils.clear_session(free_memory=False)  # which would give the variables values later
    footprint.check(model)


def ask(function, argument, seconds=SECONDS, memory_bytes=MEMORY_BYTES, start=None):
    """Calls a function in a child process, under limits.

    Args:
        function: Of a module; returns what JSON can say.
        argument: What it is called with.
        seconds: How long it may take, the child's start included.
        memory_bytes: How much more it may take than the child has after its start. The
            kernel sees to it, where there is /proc.
        start: What the child calls before it is limited; starts Keras by default.

    Returns:
        What the function returns.

    Raises:
        ValueError: It raised, crashed, or took more than it may; the reason.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    arguments = (theirs, start or backend.start_keras, function, argument, memory_bytes)
    process = context.Process(target=_serve, args=arguments, daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(seconds):
            raise ValueError(f"it took more than {seconds:g} s")
        # JSON and not `recv`, which unpickles: a child that a file took over must not
        # hand us code.
        answer = json.loads(ours.recv_bytes(_MOST_ANSWER_BYTES))
    except EOFError:
        process.join()
        raise ValueError(_ending(process.exitcode, memory_bytes)) from None
    finally:
        process.kill()
        process.join()
        ours.close()
    if "reason" in answer:
        raise ValueError(answer["reason"])
    return answer["result"]


def _ending(exitcode, memory_bytes):
    how = signal.Signals(-exitcode).name if exitcode < 0 else f"status {exitcode}"
    return f"it crashed Keras ({how}), or asked for more than {memory_bytes / 1e9:g} GB of memory"


def _serve(connection, start, function, argument, memory_bytes):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}  # no GPU memory
    start()
    _confine(memory_bytes)
    try:
        answer = {"result": function(argument)}
    except Exception as error:
        answer = {"reason": _reason(error, memory_bytes)}
    connection.send_bytes(json.dumps(answer).encode())


def _reason(error, memory_bytes):
    text = str(error)
    if isinstance(error, MemoryError) or any(words in text for words in _MEMORY_ERRORS):
        return f"it asks for more than {memory_bytes / 1e9:g} GB of memory"
    return text[:2000] or type(error).__name__


def _confine(memory_bytes):
    """Limits this process: more memory, no file written, no core dumped."""
    try:
        import resource
    except ImportError:
        return  # not a Unix
    limits = {resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0}
    statm = Path("/proc/self/statm")
    if statm.exists():
        used_bytes = int(statm.read_text().split()[0]) * resource.getpagesize()
        limits[resource.RLIMIT_AS] = used_bytes + memory_bytes
    for kind, limit in limits.items():
        _, most = resource.getrlimit(kind)
        limit = limit if most == resource.RLIM_INFINITY else min(limit, most)
        resource.setrlimit(kind, (limit, limit))


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
