"""The bundle: one folder a model, the only thing that one stage hands to the next.

Names, hashes and writing are here, so that no file of a bundle is ever half-written:
a file is written beside its final name and moved into place when it is whole.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

from mnist_edge.cli import InputError

ARTIFACTS = Path("artifacts")
MODEL = "model.keras"
MODEL_H5 = "model.h5"
WEIGHTS = "model.weights.h5"
TRAIN = "train.json"
HISTORY = "history.csv"
CHECKPOINT = "checkpoint"
STATE = "state.json"
REFERENCE = "reference.npz"
GOLDEN = "golden.npz"
MANIFEST = "manifest.json"
BENCHMARK_JSON = "benchmark.json"
BENCHMARK_MARKDOWN = "benchmark.md"
BENCHMARK_PICTURE = "benchmark.png"
DISAGREEMENTS_PICTURE = "benchmark-disagreements.png"
ROBUSTNESS_PICTURE = "benchmark-robustness.png"
EVALUATION = "evaluate.json"
CONFUSION = "confusion.csv"
PLOTS = "plots"  # a folder of .png

# A folder of files that are being written, and one of files that are whole and on their way.
STAGED, _READY = ".staged-", ".ready-"
# The longest of this project's records is a hundredth of it; Python's objects take tenfold.
_MOST_JSON_BYTES = 2**26
# The records that vouch for other files by hash; moved into place after them.
_VOUCHERS = (TRAIN, MANIFEST)


def sha256_file(path):
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_array(array):
    """SHA-256 of a NumPy array's elements in C order, as 64 hexadecimal digits."""
    return hashlib.sha256(array.tobytes()).hexdigest()


@contextlib.contextmanager
def staged(folder):
    """Writes files into `folder` all together, or not at all.

    Yields a new folder beside the final files. When the block ends, each file in it, and
    in folders in it, is flushed to the disk and moved over its namesake in `folder`, the
    records that hold the others' hashes last. When the block raises, `folder` is as it was;
    `sweep` finishes a move that was cut.

    Args:
        folder: Where the files are to stand; made where it is missing.

    Yields:
        `pathlib.Path` of the staging folder.
    """
    folder = Path(folder)
    with made(folder):
        stage = Path(tempfile.mkdtemp(prefix=STAGED, dir=folder))
        try:
            yield stage
            _flush(stage)
            ready = stage.rename(stage.with_name(stage.name.replace(STAGED, _READY)))
        finally:
            shutil.rmtree(stage, ignore_errors=True)
        try:
            _move(ready, folder)
        except KeyboardInterrupt:
            _move(ready, folder)  # half of it is no state to stop in
            raise
        finally:
            shutil.rmtree(ready, ignore_errors=True)


@contextlib.contextmanager
def staged_folder(folder):
    """Writes a new folder whole, or not at all; yields the staging folder, beside it."""
    stage = Path(tempfile.mkdtemp(prefix=STAGED, dir=folder.parent))
    try:
        yield stage
        _flush(stage)
        stage.rename(folder)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _flush(stage):
    for path in _files(stage):
        with open(path, "rb") as file:
            os.fsync(file.fileno())


def _files(stage):
    """A staging folder's files, those that vouch for others last."""
    files = [path for path in stage.rglob("*") if path.is_file()]
    return sorted(files, key=lambda path: (path.name in _VOUCHERS, path))


def _move(stage, folder):
    for path in _files(stage):
        final = folder / path.relative_to(stage)
        final.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, final)


@contextlib.contextmanager
def made(folder):
    """Makes a folder where it is missing; what is still empty when the block ends goes again."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for path in missing:
            with contextlib.suppress(OSError):
                path.rmdir()


def sweep(folder):
    """Clears up after a command that was killed while it wrote to `folder`.

    What it had not finished is removed. What was whole and was being moved into place is
    moved to the end, so that no two files of different runs stay side by side.
    """
    for path in folder.glob(_READY + "*"):
        _move(path, folder)
        shutil.rmtree(path)
    for path in folder.glob(STAGED + "*"):
        shutil.rmtree(path, ignore_errors=True)


# What a bundle holds of this project's making, whichever stage it has come to.
_MARKS = (TRAIN, MANIFEST, EVALUATION, BENCHMARK_JSON, CHECKPOINT)


def refuse_foreign(folder, *allowed):
    """Raises `InputError` where a folder holds other people's files and is no bundle.

    Args:
        folder: What is to be written to.
        *allowed: Paths that may stand in it all the same.
    """
    if not folder.is_dir() or any((folder / mark).exists() for mark in _MARKS):
        return
    foreign = [
        path
        for path in sorted(folder.iterdir())
        if path not in allowed and not path.name.startswith((STAGED, _READY))
    ]
    if foreign:
        raise InputError(
            f"{folder} must be a bundle, or a new or empty folder. Got: {foreign[0].name} in it. "
            "Give another folder by --output."
        )


def write_json(path, document):
    """Writes `document` as indented JSON with a final newline."""
    Path(path).write_text(json.dumps(document, indent=2) + "\n")


def read_json(path, keys, remedy):
    """Reads a JSON object.

    Args:
        path: The file.
        keys: What it must hold.
        remedy: What to do where it is missing or damaged; ends the error's line.

    Raises:
        InputError: The file is missing or holds something else.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} is required and does not exist. {remedy}")
    if not path.is_file() or path.stat().st_size > _MOST_JSON_BYTES:
        raise InputError(
            f"{path} must be a file of at most {_MOST_JSON_BYTES:,} bytes and is not. {remedy}"
        )
    try:
        document = json.loads(path.read_text())
    except RecursionError:
        raise InputError(f"{path} must be JSON. Got: lists without end. {remedy}") from None
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
