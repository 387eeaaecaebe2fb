"""Folders for temporary files; a killed process's are removed by the next command.

A folder's process keeps a file in it locked (`flock`), and the system takes the lock off when
that process ends, however it ends. Where there is no such lock (Windows, some network drives),
a killed process's folder stays.
"""

import atexit
import contextlib
import functools
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_PREFIX = "mnist-edge-"
# The locked file. A folder without it is not ours, whatever its name: a checkout, say.
_LOCK = ".mnist-edge-scratch"


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Makes a folder for temporary files, and removes it when the block ends.

    First removes those of this user's processes that were killed.
    """
    with contextlib.suppress(OSError):
        _sweep()
    path, lock = _make()
    try:
        yield path
    finally:
        os.close(lock)
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def used() -> Iterator[None]:
    """Has every temporary file of the block, libraries' too, made in a folder of this process."""
    before, tempfile.tempdir = tempfile.tempdir, _of_process()
    try:
        yield
    finally:
        tempfile.tempdir = before


@functools.cache
def _of_process() -> str | None:
    """This process's folder, removed when it ends: libraries remove what is theirs then, too."""
    stack, owner = contextlib.ExitStack(), os.getpid()
    try:
        path = stack.enter_context(folder())
    except OSError:  # a full disk, say, and a command that may need no temporary file
        return None

    def close() -> None:
        if os.getpid() == owner:  # a fork's end is no end
            stack.close()

    atexit.register(close)
    return str(path)


def _make() -> tuple[Path, int]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        lock = os.open(path / _LOCK, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        with contextlib.suppress(OSError):  # a file system without locks
            if fcntl:
                fcntl.flock(lock, fcntl.LOCK_EX)
        if os.fstat(lock).st_nlink:
            return path, lock
        os.close(lock)  # another process took it for a dead one's before it was locked


def _sweep() -> None:
    if not fcntl:
        return
    for path in Path(tempfile.gettempdir()).glob(_PREFIX + "*"):
        with contextlib.suppress(OSError):
            _remove_dead(path)


def _remove_dead(path: Path) -> None:
    """Removes a folder of a process of this user's that has ended.

    Raises:
        OSError: It is no such folder, or its process lives.
    """
    about = path.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o077:
        return
    lock = os.open(path / _LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if stat.S_ISREG(os.fstat(lock).st_mode):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(lock)
