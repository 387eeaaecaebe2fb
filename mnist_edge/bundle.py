"""The bundle: one folder per model, through which the stages exchange files.

Defines the file names, hashes files and arrays, and checks that a folder may be written to.
"""

import hashlib
import json
import os
import shlex
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mnist_edge.errors import InputError, did_you_mean
from mnist_edge.safety import files

ARTIFACTS = Path("artifacts")
MODEL = "model.keras"
MODEL_H5 = "model.h5"
WEIGHTS = "model.weights.h5"
TRAIN = "train.json"
HISTORY = "history.csv"
CHECKPOINT = "checkpoint"
EPOCH = "epoch-"  # prefix: one folder per finished epoch, in the checkpoint
STATE = "state.json"
REFERENCE = "reference.npz"
GOLDEN = "golden.npz"
DATA = "data.npz"  # the data set, if it was given as arrays in memory
MANIFEST = "manifest.json"
EVALUATION = "evaluate.json"
CONFUSION = "confusion.csv"
PLOTS = "plots"  # a folder of .png

# About 100 times the longest record; parsed into Python objects it takes 10 times the memory.
_MOST_JSON_BYTES = 2**26
# Prefix of the staging folder: files being written, next to those that they replace.
STAGED = ".staged-"
# VGG16, the largest classifier in common use, takes 553 MB; Flatbuffers end at 2 GiB.
MOST_FILE_BYTES = 2**31
PROJECT = "mnist-edge"


def sha256_file(path: Path, most_bytes: int = MOST_FILE_BYTES) -> str:
    """Returns the SHA-256 of a regular file's bytes, as 64 hexadecimal digits.

    Raises:
        InputError: It is not a regular file (e.g. a symbolic link), or larger than `most_bytes`.
    """
    with files.open_regular(path, most_bytes) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_array(array: np.ndarray) -> str:
    """Returns the SHA-256 of an array's elements in C order, as 64 hexadecimal digits."""
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()  # `tobytes` would copy


def is_ours(folder: Path) -> bool:
    """Whether a folder contains a record written by this project."""
    return any(map(_is_record, sorted(folder.glob("*.json"))))


def _is_record(path: Path) -> bool:
    """Whether a file is a record written by this project, judging by its content only."""
    try:
        record = read_json(path, ("schema",), "")
    except InputError:
        return False
    versions = record.get("versions")  # older records name the project here
    named = record.get("project") == PROJECT or (isinstance(versions, dict) and PROJECT in versions)
    return named and isinstance(record["schema"], int)


def refuse_foreign(folder: Path, *allowed: Path) -> None:
    """Raises `InputError` if a folder contains files but is not a bundle.

    Args:
        folder: The folder to be written to.
        *allowed: Paths that it may contain anyway.
    """
    if not folder.is_dir() or is_ours(folder):
        return
    foreign = [
        path for path in sorted(folder.iterdir()) if path not in allowed and not _is_leftover(path)
    ]
    if foreign:
        raise InputError(
            f"{folder} must be a bundle, or a new or empty folder. Got: {foreign[0].name} in it. "
            "Give another folder by --output."
        )


def _is_leftover(path: Path) -> bool:
    """Whether a run that was killed during its first epochs left this folder."""
    if files.kind(path) != "a folder":
        return False
    if path.name == CHECKPOINT:
        return all(inner.name.startswith((STAGED, EPOCH)) for inner in path.iterdir())
    return path.name.startswith(STAGED)


def refuse_replacing(folder: Path, names: Iterable[str]) -> None:
    """Raises `InputError` if reports would replace files that this project did not write.

    Args:
        folder: The folder to be written to; if it `is_ours`, its reports may be replaced.
        names: Names of the files and folders to be written.
    """
    if not folder.is_dir() or is_ours(folder):
        return
    found = [name for name in names if os.path.lexists(folder / name)]
    if found:
        raise InputError(
            f"{folder / found[0]} must not exist, or be written by mnist-edge. Got: another file. "
            "Give another folder by --output."
        )


def require(folder: Path) -> None:
    """Raises `InputError` if a path that should be a bundle is not a folder."""
    if folder.is_dir():
        return
    remedy = "Give the folder that train or export wrote."
    got = "a file" if os.path.lexists(folder) else "nothing of this name"
    if got == "a file" and folder.suffix == Path(MODEL).suffix:
        remedy = f"Run: python -m export {shlex.quote(str(folder))} --data DATA --output FOLDER"
    elif got == "a file" and is_ours(folder.parent):
        remedy = f"Give the folder that it is in: {folder.parent}"
    elif got != "a file":
        near = [path for parent in (ARTIFACTS, folder.parent) for path in parent.glob("*/*.json")]
        bundles = [str(path.parent) for path in near if path.name in (TRAIN, MANIFEST)]
        remedy = did_you_mean(str(folder), bundles) or remedy
    raise InputError(f"{folder} must be a bundle's folder. Got: {got}. {remedy}")


def write_json(path: Path, document: dict) -> None:
    """Writes `document` as indented JSON with a final newline."""
    Path(path).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def read_json(path: Path, keys: Iterable[str], remedy: str) -> dict:
    """Reads a JSON object.

    Args:
        path: The file.
        keys: Keys that the object must have.
        remedy: What to do if it is missing or damaged; the last sentence of the error message.

    Raises:
        InputError: The file is missing or is not such an object.
    """
    require(Path(path).parent)
    if not os.path.lexists(path):
        raise InputError(f"{path} is required and does not exist. {remedy}")
    try:
        with files.open_regular(path, _MOST_JSON_BYTES, remedy) as file:
            document = json.loads(file.read())
    except RecursionError:
        raise InputError(f"{path} must be JSON. Got: too many nested levels. {remedy}") from None
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{path} must be JSON. Got: {error}. {remedy}") from error
    if not isinstance(document, dict):
        raise InputError(f"{path} must be a JSON object. Got: {type(document).__name__}. {remedy}")
    missing = [key for key in keys if key not in document]
    if missing:
        raise InputError(f"{path} must contain {', '.join(missing)} and does not. {remedy}")
    return document
