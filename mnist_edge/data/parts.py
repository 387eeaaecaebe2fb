"""Data of models with several inputs or outputs, and labels other than one class per example.

Arrays of several inputs or outputs are packed as columns of one, in the order of their names.
Needs only NumPy.
"""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from mnist_edge.data import catalog
from mnist_edge.data import labels as labels_of
from mnist_edge.errors import InputError
from mnist_edge.safety import files

MOST_CLASSES = 2**16


@dataclasses.dataclass(frozen=True)
class Part:
    """One input of a model: its name, and the shape of one example."""

    name: str
    shape: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Target:
    """What one output of a model is compared with.

    Attributes:
        name: The output's name; "" if the model has only one.
        kind: "classes", one class per example; "labels", several labels, each 0 or 1; "values",
            numbers.
        labels: Names of the classes, labels or values.
    """

    name: str
    kind: Literal["classes", "labels", "values"]
    labels: tuple[str, ...]

    @property
    def width(self) -> int:
        """Number of columns."""
        return 1 if self.kind == "classes" else len(self.labels)


def identifier(name: object) -> str:
    """Returns the name of the input or output that has this key."""
    return re.sub(r"\W", "_", str(name))


def pack(x_train: Any, x_test: Any, where: str) -> tuple[np.ndarray, np.ndarray, tuple[Part, ...]]:
    """Packs examples of several inputs as rows; other examples are returned as arrays.

    Args:
        x_train: An array, or a dict of arrays `[n, ...]` by the names of the inputs.
        x_test: As `x_train`.
        where: Name of the data, for error messages.

    Returns:
        `(x_train, x_test, parts)`: float32 `[n, values]` and the names and shapes of the inputs,
        or the arrays and no parts.

    Raises:
        InputError: The dicts differ in names or shapes, or their arrays in length.
    """
    if not isinstance(x_train, Mapping) or not isinstance(x_test, Mapping):
        return np.asarray(x_train), np.asarray(x_test), ()
    train, test = _sorted(x_train), _sorted(x_test)
    inputs = tuple(Part(name, array.shape[1:]) for name, array in train.items())
    _require_same(inputs, tuple(Part(n, a.shape[1:]) for n, a in test.items()), "x", where)
    return _rows(train, "x_train", where), _rows(test, "x_test", where), inputs


def encode(
    y_train: Any, y_test: Any, where: str
) -> tuple[np.ndarray, np.ndarray, tuple[Target, ...], tuple[str, ...]]:
    """Encodes labels of any kind; a dict of arrays by the names of outputs is packed.

    Args:
        y_train: As of a `Dataset`.
        y_test: As `y_train`.
        where: Name of the data, for error messages.

    Returns:
        `(y_train, y_test, targets, names)`. One class per example: integers `[n]`, no targets and
        the names of the classes if the labels are text. Otherwise float32 or uint8
        `[n, columns]` and the targets. Invalid labels are returned unchanged, without targets.

    Raises:
        InputError: The dicts differ in names, or their arrays in length; or an array is invalid.
    """
    if not isinstance(y_train, Mapping) or not isinstance(y_test, Mapping):
        return _encode(np.asarray(y_train), np.asarray(y_test), where)
    train, test = _sorted(y_train), _sorted(y_test)
    _require_same(tuple(train), tuple(test), "y", where)
    targets = []
    for name in train:
        place = f"{where}, y of {name!r}"
        own_train, own_test, (*found,), names = _encode(train[name], test[name], place)
        if not found:
            if own_train.ndim != 1 or own_train.dtype.kind not in "iu":
                raise InputError(
                    f"{place} must be classes, labels of 0 and 1, or numbers. Got: "
                    f"{own_train.dtype} {list(own_train.shape)}. Give other data."
                )
            classes = 1 + int(max(own_train.max(), own_test.max()))
            found = [Target("", "classes", catalog.name_classes(names, classes) if names else
                            catalog.numbered((), classes))]  # fmt: skip
        train[name], test[name] = own_train, own_test
        targets.append(dataclasses.replace(found[0], name=name))
    arrays = _rows(train, "y_train", where), _rows(test, "y_test", where)
    return *arrays, tuple(targets), ()


def _encode(
    y_train: np.ndarray, y_test: np.ndarray, where: str
) -> tuple[np.ndarray, np.ndarray, tuple[Target, ...], tuple[str, ...]]:
    """As `encode`, for one output."""
    train, test, names = labels_of.encode(y_train, y_test, where)
    is_class = [y.ndim == 1 and y.dtype.kind in "ui" for y in (train, test)]
    if y_train.dtype.kind == "f" and all(is_class) and train.size and test.size:
        low, high = min(train.min(), test.min()), max(train.max(), test.max())
        is_class = [low >= 0 and high < MOST_CLASSES]  # whole numbers of any size may be values
    if all(is_class) or any(y.dtype.kind not in "buif" or not y.size for y in (train, test)):
        return train, test, (), names
    train, test = (y.reshape(len(y), -1) if y.ndim <= 2 else y for y in (y_train, y_test))
    if train.ndim != 2 or test.ndim != 2 or train.shape[1] != test.shape[1]:
        return y_train, y_test, (), ()
    is_binary = train.shape[1] > 1 and all(np.isin(y, (0, 1)).all() for y in (train, test))
    dtype = np.uint8 if is_binary else np.float32
    target = Target("", "labels" if is_binary else "values", catalog.numbered((), train.shape[1]))
    return train.astype(dtype), test.astype(dtype), (target,), ()


def named(targets: tuple[Target, ...], labels: Sequence[str]) -> tuple[Target, ...]:
    """Gives the labels or values of a single target their names, if there are any."""
    if len(targets) != 1 or not labels:
        return targets
    (target,) = targets
    return (dataclasses.replace(target, labels=catalog.name_classes(labels, len(target.labels))),)


def labels(targets: Sequence[Target]) -> tuple[str, ...]:
    """Returns the names of all classes, labels and values, after the name of their output."""
    return tuple(
        f"{target.name}: {label}" if target.name else label
        for target in targets
        for label in target.labels
    )


def unpack(
    arrays: Mapping[str, np.ndarray], inputs: Sequence[Part], targets: Sequence[Target]
) -> dict[str, np.ndarray]:
    """Returns arrays by name as they were given: `x_train_image` for an input named image."""
    shapes = {"x": {part.name: part.shape for part in inputs}}
    shapes["y"] = {target.name: (target.width,) for target in targets if target.name}
    found: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        own = shapes[name[0]]
        ends = np.cumsum([math.prod(shape) for shape in own.values()])[:-1]
        pieces = np.split(array, ends, axis=1) if own else []
        found |= {
            f"{name}_{each}": piece.reshape(len(array), *shape)
            for (each, shape), piece in zip(own.items(), pieces, strict=True)
        } or {name: array}
    return found


def _sorted(arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
    named = {identifier(name): np.asarray(array) for name, array in arrays.items()}
    return dict(sorted(named.items()))


def _require_same(train: object, test: object, what: str, where: str) -> None:
    if train != test:
        raise InputError(
            f"{where}: {what}_train and {what}_test must have the same names and shapes. Got: "
            f"{files.short(train)} and {files.short(test)}. Give other data."
        )


def _rows(arrays: Mapping[str, np.ndarray], name: str, where: str) -> np.ndarray:
    """Packs arrays `[n, ...]` as rows `[n, values]`, float32."""
    lengths = {key: array.shape[:1] for key, array in arrays.items()}
    wrong = [key for key, array in arrays.items() if array.dtype.kind not in "buif"]
    if wrong or not arrays or len(set(lengths.values())) > 1 or () in lengths.values():
        got = f"{wrong[0]} of {arrays[wrong[0]].dtype}" if wrong else f"{files.short(lengths)}"
        raise InputError(
            f"{where}: the arrays of {name} must be numbers, as many rows in each. Got: {got}. "
            "Give other data."
        )
    count = len(next(iter(arrays.values())))
    return np.concatenate(
        [array.reshape(count, -1).astype(np.float32) for array in arrays.values()], axis=1
    )
