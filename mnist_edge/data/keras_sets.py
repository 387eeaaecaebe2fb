"""Keras's own data sets, through its loader and its cache."""

from mnist_edge import backend
from mnist_edge.cli import one_line
from mnist_edge.errors import InputError

PREFIX = "keras:"
NAMES = ("mnist", "fashion_mnist")


def read(source):
    """Loads a data set as Keras does: from its cache, or else from the network.

    Args:
        source: "keras:mnist" or "keras:fashion_mnist".

    Returns:
        dict of `x_train`, `y_train`, `x_test`, `y_test`.

    Raises:
        InputError: Keras is missing, has no such set, or can't fetch it.
    """
    name = source.removeprefix(PREFIX)
    if name not in NAMES:
        choices = " or ".join(PREFIX + name for name in NAMES)
        raise InputError(f"--data must be {choices} where Keras is to load it. Got: {source}.")
    loader = getattr(backend.start_keras().datasets, name)
    try:
        (x_train, y_train), (x_test, y_test) = loader.load_data()
    except Exception as error:  # Keras raises a bare Exception where a download fails
        came = one_line(error).rstrip(".")
        raise InputError(
            f"{source} must be in Keras's cache or within reach of the network. Got: {came}. "
            "Copy ~/.keras/datasets from a machine that has it, or give another --data."
        ) from error
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
