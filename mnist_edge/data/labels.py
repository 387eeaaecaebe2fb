"""Encode labels of any usual kind as class numbers. Needs only NumPy."""

import numpy as np

from mnist_edge.errors import InputError
from mnist_edge.safety import files

_LONGEST_NAME = 200
_LARGEST_CODE_POINT = 0x10FFFF


def encode(
    y_train: np.ndarray, y_test: np.ndarray, where: str
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Encodes the labels of a training and a test set.

    Args:
        y_train: Integers, whole numbers stored as floats, booleans or text, `[n]` or `[n, 1]`, or
            one-hot rows `[n, classes]`.
        y_test: As `y_train`.
        where: Name of the data, for error messages.

    Returns:
        `(y_train, y_test, names)`. Text is numbered in sorted order, as in Keras and
        scikit-learn, and `names` are the texts; otherwise `names` is empty. Labels of any other
        kind are returned unchanged.

    Raises:
        InputError: Labels are text of which some is empty, too long or not printable.
    """
    train, test = _as_text(y_train), _as_text(y_test)
    if train is None or test is None:
        return _as_integers(y_train), _as_integers(y_test), ()
    names, numbers = np.unique(np.concatenate([train, test]), return_inverse=True)
    odd = [name for name in names if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable()]
    if odd:
        raise InputError(
            f"{where}: labels that are text must be printable and of 1 to {_LONGEST_NAME} "
            f"characters. Got: {files.short(repr(odd[0]))}. Give other labels."
        )
    return numbers[: len(train)], numbers[len(train) :], tuple(map(str, names))


def _as_text(y: np.ndarray) -> np.ndarray | None:
    """Returns labels that are text as `[n]` without outer blanks; None if they are not text."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or not y.size:
        return None
    for kind in (str, bytes):
        if y.dtype.kind == "O" and all(isinstance(label, kind) for label in y):
            y = y.astype(kind)
    if y.dtype.kind == "S":
        try:
            y = np.char.decode(y, "utf-8")
        except UnicodeDecodeError:
            return None
    if y.dtype.kind != "U":
        return None
    y = np.ascontiguousarray(y, y.dtype.newbyteorder("="))
    if y.itemsize and y.view(np.uint32).max() > _LARGEST_CODE_POINT:  # a damaged file
        return None
    return np.char.strip(y)


def _as_integers(y: np.ndarray) -> np.ndarray:
    """Returns labels `[n, 1]`, one-hot rows, booleans and whole floats as integers `[n]`."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.dtype.kind not in "buif" or not y.size:
        return y
    if y.ndim == 2:
        is_one_hot = np.isin(y, (0, 1)).all() and (np.count_nonzero(y, axis=1) == 1).all()
        return y.argmax(axis=1) if is_one_hot else y
    if y.dtype.kind == "b":
        return y.astype(np.uint8)
    if y.dtype.kind == "f" and np.abs(y).max() < 2**31 and (y == np.trunc(y)).all():  # not of NaN
        return y.astype(np.int64)
    return y
