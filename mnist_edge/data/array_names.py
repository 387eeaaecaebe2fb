"""Recognize a data set's arrays by their names: `x_train`, `trainImages`, `X` and others."""

import re
from collections.abc import Sequence
from pathlib import Path

from mnist_edge.errors import InputError
from mnist_edge.safety import files

_GIVEN = re.compile(r"(?P<path>.*\.npz)(:(?P<names>[^/\\]+))?", re.IGNORECASE | re.DOTALL)
_SPLITS = {"": "train", "train": "train", "training": "train", "test": "test", "testing": "test"}
_PARTS = {
    "x": ("x", "image", "images", "img", "imgs", "data", "features", "inputs"),
    "y": ("y", "label", "labels", "target", "targets", "class", "classes"),
}
# Every usual name, in lower-case letters alone -> its split and part, e.g. "train x".
_ROLES = {
    name: f"{role} {part}"
    for split, role in _SPLITS.items()
    for part, words in _PARTS.items()
    for word in words
    for name in (split + word, word + split)
}
_PART = re.compile(r"(?P<array>[xy]_(train|test))(_(?P<part>.+))?")
_NEEDED = ("train x", "train y", "test x", "test y")
_KERAS_NAMES = ("x_train", "y_train", "x_test", "y_test")


def parse(source: str) -> tuple[Path | None, tuple[str, ...]]:
    """Splits FILE.npz:a,b,c,d into the path and the names, which may be missing.

    The path is None if the source is no `.npz`.

    Raises:
        InputError: There are neither two names nor four.
    """
    match = _GIVEN.fullmatch(source)
    if not match:
        return None, ()
    if Path(source).exists() or not match["names"]:
        return Path(source), ()
    names = tuple(name.strip() for name in match["names"].split(","))
    if len(names) not in (2, 4) or len(set(names)) < len(names):
        raise InputError(
            f"{match['path']}: must be followed by the names of 4 arrays, or 2 without a test set, "
            f"e.g. :x_train,y_train,x_test,y_test. Got: {files.short(', '.join(names))}."
        )
    return Path(match["path"]), names


def grouped(held: Sequence[str]) -> dict[str, dict[str, str]]:
    """Finds the arrays of several inputs or outputs, `x_train_image` or `y_test_digit`.

    Returns:
        "x_train" etc. -> name of the input or output -> name of the array; "" for an array without
        such a name. Empty unless there are two of some kind.
    """
    found: dict[str, dict[str, str]] = {}
    for name in held:
        match = _PART.fullmatch(name)
        if match:
            found.setdefault(match["array"], {})[match["part"] or ""] = name
    several = any(len(own) > 1 or "" not in own for own in found.values())
    return found if several and "x_train" in found and "y_train" in found else {}


def find(path: Path, held: Sequence[str]) -> tuple[str, ...]:
    """Returns the names of the training and test arrays, or of one pair without a test set.

    Args:
        path: The file, for error messages.
        held: Names of the arrays in it.

    Raises:
        InputError: Names are missing, or several have the same role.
    """
    if set(_KERAS_NAMES) <= set(held):
        return _KERAS_NAMES
    found: dict[str, list[str]] = {}
    for name in held:
        role = _ROLES.get(re.sub("[^a-z]", "", name.lower()))
        if role:
            found.setdefault(role, []).append(name)
    needed = _NEEDED if any(role.startswith("test") for role in found) else _NEEDED[:2]
    wrong = [
        name for name, role in zip(_KERAS_NAMES, _NEEDED, strict=True)
        if role in (needed if found else _NEEDED) and len(found.get(role, ())) != 1
    ]  # fmt: skip
    if wrong:
        got = files.short(", ".join(held)) or "no array"
        raise InputError(
            f"{path} must hold {', '.join(wrong)}, under these or other usual names. Got: {got}. "
            f"Name them: {path.name}:X,Y,X_TEST,Y_TEST, or :X,Y to split off a test set."
        )
    return tuple(found[role][0] for role in needed)
