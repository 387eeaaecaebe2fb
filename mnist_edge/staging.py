"""Write files all together, or not at all.

A file is written beside its final name and moved into place when it is whole, so that none of a
bundle is ever half-written; what a command that was killed left is cleared up by the next one.
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

# In it: the new files, and those that they replace while all are moved into place.
_NEW, _OLD = "new", "old"
# The records that vouch for other files by hash; moved into place after them.
_VOUCHERS = (TRAIN, MANIFEST)


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
