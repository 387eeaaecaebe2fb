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
from collections.abc import Iterable, Iterator
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
MANIFEST = "manifest.json"
BENCHMARK_JSON = "benchmark.json"
BENCHMARK_MARKDOWN = "benchmark.md"
BENCHMARK_PICTURE = "benchmark.png"
DISAGREEMENTS_PICTURE = "benchmark-disagreements.png"
ROBUSTNESS_PICTURE = "benchmark-robustness.png"
EVALUATION = "evaluate.json"
CONFUSION = "confusion.csv"
PLOTS = "plots"  # a folder of .png

# A folder of files that are being written, beside those that they replace.
STAGED = ".staged-"
# In it: the new files, and those that they replace while all are moved into place.
_NEW, _OLD = "new", "old"
# The longest of this project's records is a hundredth of it; Python's objects take tenfold.
_MOST_JSON_BYTES = 2**26
# VGG16, the largest classifier in common use, takes 553 MB; Flatbuffers end at 2 GiB.
MOST_FILE_BYTES = 2**31
# The records that vouch for other files by hash; moved into place after them.
_VOUCHERS = (TRAIN, MANIFEST)
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
    return hashlib.sha256(np.ascontiguousarray(array)).hexdigest()  # `tobytes` would copy it


@contextlib.contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """Writes files into `folder` all together, or not at all.

    Yields a new folder beside the final files. When the block ends, each file in it, and
    in folders in it, is flushed to the disk and moved over its namesake in `folder`, the
    records that hold the others' hashes last. When the block raises, or a file can't be moved,
    `folder` is as it was. A move that a kill cut is finished by `recover`.

    Args:
        folder: Where the files are to stand; made where it is missing.

    Raises:
        InputError: A folder or a link stands where a file or a folder must go.
    """
    folder = Path(folder)
    with made(folder):
        stage = Path(tempfile.mkdtemp(prefix=STAGED, dir=folder))
        new = stage / _NEW
        try:
            for part in (_NEW, _OLD):
                (stage / part).mkdir()
            yield new
            names = _names(new)
            _check_places(folder, names)
            _flush(new, names)
        except BaseException:
            shutil.rmtree(stage, ignore_errors=True)
            raise
        _commit(stage, folder, names)


@contextlib.contextmanager
def staged_folder(folder: Path) -> Iterator[Path]:
    """Writes a new folder whole, or not at all; yields the staging folder, beside it."""
    stage = Path(tempfile.mkdtemp(prefix=STAGED, dir=folder.parent))
    try:
        yield stage
        _flush(stage, _names(stage))
        stage.rename(folder)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def write_file(path: Path, content: bytes) -> None:
    """Writes a file that the user names, whole or not at all.

    A link is followed, as every tool does with a file that it is given by name; what is no
    regular file, a device or a pipe, is written to and never replaced.
    """
    path = Path(path)
    if path.exists() and not path.is_file():  # by its name: /dev/stdout leads to no other
        path.write_bytes(content)
        return
    final = Path(os.path.realpath(path))
    with made(final.parent), tempfile.TemporaryDirectory(prefix=STAGED, dir=final.parent) as stage:
        (Path(stage) / final.name).write_bytes(content)
        _flush(Path(stage), [final.name])
        os.replace(Path(stage) / final.name, final)


def _flush(stage: Path, names: list[str]) -> None:
    for name in names:
        with open(stage / name, "rb") as file:
            os.fsync(file.fileno())


def _names(stage: Path) -> list[str]:
    """Paths of a staging folder's files within it, those that vouch for others last."""
    paths = [path.relative_to(stage) for path in stage.rglob("*") if path.is_file()]
    return [str(path) for path in sorted(paths, key=lambda p: (p.name in _VOUCHERS, p))]


def _check_places(folder: Path, names: list[str]) -> None:
    """Raises `InputError` before anything is moved where a file's place is not to be had."""
    for name in names:
        for parent in Path(name).parents[:-1]:
            if files.kind(folder / parent) not in ("a folder", "nothing"):
                raise InputError(
                    f"{folder / parent} must be a folder and is not. "
                    f"Got: {files.kind(folder / parent)}. Move it elsewhere."
                )
        if files.kind(folder / name) == "a folder":
            raise InputError(
                f"{folder / name} must be a file. Got: a folder in its place. Move it elsewhere."
            )


def _commit(stage: Path, folder: Path, names: list[str]) -> None:
    """Moves all files into place; where one can't be moved, moves all of them back.

    Where that fails too, both sets stay, and the next command tries again.
    """
    journal = _journal(folder)
    try:
        _record(journal, stage, names)
        _move(stage, folder, names)
    except KeyboardInterrupt:
        _move(stage, folder, names)  # half of it is no state to stop in
        _forget(journal, stage)
        raise
    except OSError:
        _move_back(stage, folder, names)
        _forget(journal, stage)
        raise
    _forget(journal, stage)


def _forget(journal: Path, stage: Path) -> None:
    with contextlib.suppress(OSError):
        journal.unlink(missing_ok=True)
    shutil.rmtree(stage, ignore_errors=True)


def _move(stage: Path, folder: Path, names: list[str]) -> None:
    """Moves those files into place that are not there yet, and what they replace aside."""
    for name in names:
        new, old, final = stage / _NEW / name, stage / _OLD / name, folder / name
        if not os.path.lexists(new):
            continue
        for parent in (old.parent, final.parent):
            parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(final):
            os.replace(final, old)
        os.replace(new, final)


def _move_back(stage: Path, folder: Path, names: list[str]) -> None:
    for name in names:
        new, old, final = stage / _NEW / name, stage / _OLD / name, folder / name
        if not os.path.lexists(new):
            os.replace(final, new)
        if os.path.lexists(old):
            os.replace(old, final)


@contextlib.contextmanager
def made(folder: Path) -> Iterator[None]:
    """Makes a folder where it is missing; what is still empty when the block ends goes again."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for path in missing:
            with contextlib.suppress(OSError):
                path.rmdir()


# Which moves have begun stands outside of every bundle, among the user's own files: what a
# bundle from elsewhere holds can't name anything that is then moved.


def _journal(folder: Path) -> Path:
    """Where it is recorded that files are being moved into a folder."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    name = hashlib.sha256(os.path.realpath(folder).encode(errors="surrogateescape")).hexdigest()
    return state / PROJECT / f"{name}.json"


def _identity(stage: Path) -> list[int]:
    """What tells a staging folder from any other that may come to stand in its place."""
    found = stage.lstat()
    return [found.st_dev, found.st_ino]


def _record(journal: Path, stage: Path, names: list[str]) -> None:
    document = {"stage": stage.name, "identity": _identity(stage), "names": names}
    # Where the user has no place for it, a move that is cut is seen by the hashes alone.
    with contextlib.suppress(OSError):
        write_file(journal, json.dumps(document).encode())


def recover(folder: Path) -> None:
    """Clears up after a command that was killed while it wrote to `folder`.

    Files that were whole and being moved into place are moved to the end, so that no two files
    of different runs stay side by side. This holds for what this user's own command recorded
    among the user's own files, and for nothing that the folder itself holds. Other staging
    folders are removed.

    Raises:
        OSError: A file still can't be moved; nothing is removed.
    """
    journal = _journal(folder)
    stage, names = _recorded(journal, folder)
    if stage:  # where this fails, both sets stay for the command after this one
        _check_places(folder, names)
        _move(stage, folder, names)
    with contextlib.suppress(OSError):
        journal.unlink(missing_ok=True)
    for path in folder.glob(STAGED + "*"):
        if files.kind(path) == "a folder" and path.lstat().st_uid == _user():
            shutil.rmtree(path, ignore_errors=True)


def _recorded(journal: Path, folder: Path) -> tuple[Path | None, list[str]]:
    """The staging folder of a move that was cut, and its files; None where there is none."""
    with contextlib.suppress(InputError, OSError, TypeError):
        record = read_json(journal, ("stage", "identity", "names"), "")
        stage = folder / record["stage"]
        if files.kind(stage) == "a folder" and _identity(stage) == record["identity"]:
            return stage, record["names"]
    return None, []


def _user() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0  # Windows: every file's is 0


def is_ours(folder: Path) -> bool:
    """Whether a folder is a bundle or holds reports: one of its records says so itself."""
    return any(map(_is_record, (folder / name for name in _RECORDS)))


_RECORDS = (TRAIN, MANIFEST, EVALUATION, BENCHMARK_JSON)


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
