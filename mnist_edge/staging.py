"""Write the files of a folder atomically: all of them, or none.

Files are written to a staging folder next to their destination and moved into place when all
are complete. If a command is killed, the next command on the folder cleans up (`recover`).
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mnist_edge.bundle import MANIFEST, PROJECT, STAGED, TRAIN, read_json
from mnist_edge.errors import InputError
from mnist_edge.safety import files

# Subfolders of the staging folder: the new files, and the files that they replace.
_NEW, _OLD = "new", "old"
# Records that contain the hashes of other files; moved into place after them.
_HASH_RECORDS = (TRAIN, MANIFEST)


@contextlib.contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """Writes files into `folder` atomically: all of them, or none.

    Yields an empty staging folder. When the block ends, all files in it and its subfolders are
    flushed to disk and moved to `folder`, replacing files of the same name; records that
    contain hashes of other files are moved last. If the block raises or a file can't be moved,
    `folder` is unchanged. If the process is killed during the move, `recover` completes it.

    Args:
        folder: The destination; created if missing.

    Raises:
        InputError: A folder or a link is in the way of a file or a folder.
    """
    folder = Path(folder)
    with created(folder):
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
    """Writes a new folder atomically; yields the staging folder, next to it."""
    stage = Path(tempfile.mkdtemp(prefix=STAGED, dir=folder.parent))
    try:
        yield stage
        _flush(stage, _names(stage))
        stage.rename(folder)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def write_file(path: Path, content: bytes) -> None:
    """Writes a file named by the user atomically.

    Links are followed. A path that is not a regular file (a device, a pipe) is written to
    directly.
    """
    path = Path(path)
    # Checks the path as given: for /dev/stdout, the resolved path does not exist.
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    final = Path(os.path.realpath(path))
    with (
        created(final.parent),
        tempfile.TemporaryDirectory(prefix=STAGED, dir=final.parent) as stage,
    ):
        (Path(stage) / final.name).write_bytes(content)
        _flush(Path(stage), [final.name])
        os.replace(Path(stage) / final.name, final)


def _flush(stage: Path, names: list[str]) -> None:
    for name in names:
        with open(stage / name, "rb") as file:
            os.fsync(file.fileno())


def _names(stage: Path) -> list[str]:
    """Returns the relative paths of a staging folder's files, `_HASH_RECORDS` last."""
    paths = [path.relative_to(stage) for path in stage.rglob("*") if path.is_file()]
    return [str(path) for path in sorted(paths, key=lambda p: (p.name in _HASH_RECORDS, p))]


def _check_places(folder: Path, names: list[str]) -> None:
    """Raises `InputError` if a file can't be moved into place, before anything is moved."""
    for name in names:
        for parent in Path(name).parents[:-1]:
            if files.kind(folder / parent) not in ("a folder", "nothing"):
                raise InputError(
                    f"{folder / parent} must be a folder and is not. "
                    f"Got: {files.kind(folder / parent)}. Move it elsewhere."
                )
        if files.kind(folder / name) == "a folder":
            raise InputError(f"{folder / name} must be a file. Got: a folder. Move it elsewhere.")


def _commit(stage: Path, folder: Path, names: list[str]) -> None:
    """Moves all files into place; if one can't be moved, moves all of them back.

    If that fails too, old and new files are kept, and the next command tries again.
    """
    journal = _journal(folder)
    try:
        _record(journal, stage, names)
        _move(stage, folder, names)
    except KeyboardInterrupt:
        _move(stage, folder, names)  # complete the move first
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
    """Moves files that are still staged into place, and the files that they replace aside."""
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
def created(folder: Path) -> Iterator[None]:
    """Creates a folder and its parents; removes those still empty when the block ends."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for path in missing:
            with contextlib.suppress(OSError):
                path.rmdir()


# The journal of moves is kept in the user's state folder and not in the bundle, so that an
# untrusted bundle can't cause files to be moved.


def _journal(folder: Path) -> Path:
    """Returns the path of the journal of moves into a folder."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    name = hashlib.sha256(os.path.realpath(folder).encode(errors="surrogateescape")).hexdigest()
    return state / PROJECT / f"{name}.json"


def _identity(stage: Path) -> list[int]:
    """Returns a folder's device and inode, which a folder that replaces it does not share."""
    status = stage.lstat()
    return [status.st_dev, status.st_ino]


def _record(journal: Path, stage: Path, names: list[str]) -> None:
    document = {"stage": stage.name, "identity": _identity(stage), "names": names}
    # Without a journal, only the hashes reveal an interrupted move.
    with contextlib.suppress(OSError):
        write_file(journal, json.dumps(document).encode())


def recover(folder: Path) -> None:
    """Cleans up after a command that was killed while it wrote to `folder`.

    Completes an interrupted move into place, so that files of different runs are not mixed. Only
    moves in the user's own journal are completed, whatever the folder contains. Other staging
    folders are removed.

    Raises:
        OSError: A file still can't be moved; nothing is removed.
    """
    journal = _journal(folder)
    stage, names = _recorded(journal, folder)
    if stage:  # if this fails, old and new files are kept for the next command
        _check_places(folder, names)
        _move(stage, folder, names)
    with contextlib.suppress(OSError):
        journal.unlink(missing_ok=True)
    for path in folder.glob(STAGED + "*"):
        if files.kind(path) == "a folder" and path.lstat().st_uid == _user():
            shutil.rmtree(path, ignore_errors=True)


def _recorded(journal: Path, folder: Path) -> tuple[Path | None, list[str]]:
    """Returns the staging folder of an interrupted move, or None, and the files to move."""
    with contextlib.suppress(InputError, OSError, TypeError):
        record = read_json(journal, ("stage", "identity", "names"), "")
        stage = folder / record["stage"]
        if files.kind(stage) == "a folder" and _identity(stage) == record["identity"]:
            return stage, record["names"]
    return None, []


def _user() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0  # Windows: every file's is 0
