"""Folders for temporary files; those of killed processes are removed by the next command.

A process keeps a file in its folder locked (`flock`), and the system releases the lock when
the process ends for any reason. Without such locks (Windows, some network drives), the folder
of a killed process remains.
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
# The locked file. A folder without it, such as a checkout, is never removed.
_LOCK = ".mnist-edge-scratch"


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Creates a folder for temporary files and removes it at the end of the block.

    First removes the folders of this user's killed processes.
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
def temporary_files() -> Iterator[None]:
    """Puts all temporary files of the block, libraries' included, into this process's folder."""
    before, tempfile.tempdir = tempfile.tempdir, _of_process()
    try:
        yield
    finally:
        tempfile.tempdir = before


@functools.cache
def _of_process() -> str | None:
    """Returns this process's folder, removed at exit; None if it can't be created."""
    stack, owner = contextlib.ExitStack(), os.getpid()
    try:
        path = stack.enter_context(folder())
    except OSError:  # such as a full disk; the command may need no temporary file
        return None

    def close() -> None:
        if os.getpid() == owner:  # not at the exit of a forked child
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
        os.close(lock)  # another process removed the folder before it was locked


def _sweep() -> None:
    if not fcntl:
        return
    for path in Path(tempfile.gettempdir()).glob(_PREFIX + "*"):
        with contextlib.suppress(OSError):
            _remove_dead(path)


def _remove_dead(path: Path) -> None:
    """Removes a folder of this user whose process has ended.

    Raises:
        OSError: It is not such a folder, or its process is running.
    """
    info = path.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid() or info.st_mode & 0o077:
        return
    lock = os.open(path / _LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if stat.S_ISREG(os.fstat(lock).st_mode):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(lock)
