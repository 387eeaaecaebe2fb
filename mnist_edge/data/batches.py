"""Collect a data set that comes in batches, such as `tf.data.Dataset`, in memory."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from mnist_edge.data.catalog import Pair
from mnist_edge.errors import InputError
from mnist_edge.safety import files


def collect(source: Iterable[Any], split: str) -> Pair:
    """Returns all examples and labels of a source of `(x, y)`, batches or single examples.

    Args:
        source: As in `Dataset.from_batches`.
        split: "train" or "test", for error messages.

    Raises:
        InputError: It gives something else, nothing, or more than memory may hold.
    """
    xs: list[np.ndarray] = []
    ys: list[np.ndarray] = []
    size = 0
    for batch in _batches(source):
        if not isinstance(batch, (tuple, list)) or not 2 <= len(batch) <= 3:
            raise _refusal(split, type(batch).__name__)
        x, y = (np.asarray(part) for part in batch[:2])  # a third part would be weights
        if x.dtype.hasobject:
            raise _refusal(split, f"examples of type {type(batch[0]).__name__}")
        if y.ndim == 0:
            x, y = x[None], y[None]
        if len({x.shape[:1], y.shape[:1]}) > 1 or (xs and x.shape[1:] != xs[0].shape[1:]):
            raise _refusal(split, f"x {list(x.shape)} with y {list(y.shape)}")
        size += files.data_bytes(x.size, x.itemsize)
        files.require_room(split, size, "more", "Give a finite source (no repeat()), or less data.")
        xs.append(x)
        ys.append(y)
    if not xs:
        raise _refusal(split, "nothing")
    return np.concatenate(xs), np.concatenate(ys)


def _refusal(split: str, got: str) -> InputError:
    return InputError(
        f"{split} must give (x, y), examples of one shape and their labels. Got: {got}. "
        "Give a tf.data.Dataset, a keras.utils.PyDataset or an iterable of such pairs."
    )


def _batches(source: Any) -> Iterator[Any]:
    count = getattr(source, "num_batches", None)
    if count is not None:  # a PyDataset, which Python's own iteration would never end
        return (source[index] for index in range(count))
    if hasattr(source, "as_numpy_iterator"):
        return source.as_numpy_iterator()
    return iter(source)
