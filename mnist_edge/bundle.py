"""The bundle: one folder per model, the only thing that one stage hands to the next.

The names of its files, their hashes, and whether a folder is one of this project's.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mnist_edge.errors import InputError
from mnist_edge.safety import files

ARTIFACTS = Path("artifacts")
MODEL = "model.keras"
MODEL_H5 = "model.h5"
WEIGHTS = "model.weights.h5"
TRAIN = "train.json"
HISTORY = "history.csv"
CHECKPOINT = "checkpoint"
EPOCH = "epoch-"  # a folder per finished epoch, in the checkpoint
STATE = "state.json"
REFERENCE = "reference.npz"
GOLDEN = "golden.npz"
DATA = "data.npz"  # of arrays that were in memory
MANIFEST = "manifest.json"
EVALUATION = "evaluate.json"
CONFUSION = "confusion.csv"
PLOTS = "plots"  # a folder of .png

# The longest of this project's records is a hundredth of it; Python's objects take tenfold.
_MOST_JSON_BYTES = 2**26
# A folder of files that are being written, beside those that they replace.
STAGED = ".staged-"
# VGG16, the largest classifier in common use, takes 553 MB; Flatbuffers end at 2 GiB.
MOST_FILE_BYTES = 2**31
PROJECT = "mnist-edge"


def sha256_file(path: Path, most_bytes: int = MOST_FILE_BYTES) -> str:
    """SHA-256 of a regular file's bytes, as 64 hexadecimal digits.

    Raises:
        InputError: It is no regular file, a symbolic link say, or larger than `most_bytes`.
    """
    with files.open_regular(path, most_bytes) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_array(array: np.ndarray) -> str:
    """SHA-256 of a NumPy array's elements in C order, as 64 hexadecimal digits."""
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()  # `tobytes` would copy it


def is_ours(folder: Path) -> bool:
    """Whether a folder is a bundle or holds reports: one of its records says so itself."""
    return any(map(_is_record, sorted(folder.glob("*.json"))))


def _is_record(path: Path) -> bool:
    """Whether a file is a record of this project's, by what it holds and not by its name."""
    try:
        record = read_json(path, ("schema",), "")
    except InputError:
        return False
    versions = record.get("versions")  # which is where older records name the project
    named = record.get("project") == PROJECT or (isinstance(versions, dict) and PROJECT in versions)
    return named and isinstance(record["schema"], int)


def refuse_foreign(folder: Path, *allowed: Path) -> None:
    """Raises `InputError` where a folder holds other people's files and is no bundle.

    Args:
        folder: What is to be written to.
        *allowed: Paths that may stand in it all the same.
    """
    if not folder.is_dir() or is_ours(folder):
        return
    foreign = [
        path for path in sorted(folder.iterdir()) if path not in allowed and not _is_begun(path)
    ]
    if foreign:
        raise InputError(
            f"{folder} must be a bundle, or a new or empty folder. Got: {foreign[0].name} in it. "
            "Give another folder by --output."
        )


def _is_begun(path: Path) -> bool:
    """Whether it is what a run leaves that was killed in its first epochs."""
    if files.kind(path) != "a folder":
        return False
    if path.name == CHECKPOINT:
        return all(inner.name.startswith((STAGED, EPOCH)) for inner in path.iterdir())
    return path.name.startswith(STAGED)


def refuse_replacing(folder: Path, names: Iterable[str]) -> None:
    """Raises `InputError` where reports would replace files that are not this project's.

    Args:
        folder: What is to be written to; one that `is_ours` holds our own reports.
        names: Of the files and folders to be written.
    """
    if not folder.is_dir() or is_ours(folder):
        return
    found = [name for name in names if os.path.lexists(folder / name)]
    if found:
        raise InputError(
            f"{folder / found[0]} must not exist, or be mnist-edge's own. Got: another's file. "
            "Give another folder by --output."
        )


def write_json(path: Path, document: dict) -> None:
    """Writes `document` as indented JSON with a final newline."""
    Path(path).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def read_json(path: Path, keys: Iterable[str], remedy: str) -> dict:
    """Reads a JSON object.

    Args:
        path: The file.
        keys: What it must hold.
        remedy: What to do where it is missing or damaged; ends the error's line.

    Raises:
        InputError: The file is missing or holds something else.
    """
    if not os.path.lexists(path):
        raise InputError(f"{path} is required and does not exist. {remedy}")
    try:
        with files.open_regular(path, _MOST_JSON_BYTES, remedy) as file:
            document = json.loads(file.read())
    except RecursionError:
        raise InputError(f"{path} must be JSON. Got: lists without end. {remedy}") from None
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{path} must be JSON. Got: {error}. {remedy}") from error
    if not isinstance(document, dict):
        raise InputError(
            f"{path} must hold a JSON object. Got: {type(document).__name__}. {remedy}"
        )
    missing = [key for key in keys if key not in document]
    if missing:
        raise InputError(f"{path} must hold {', '.join(missing)} and does not. {remedy}")
    return document
