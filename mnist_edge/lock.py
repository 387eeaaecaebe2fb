"""One command at a time writes to a folder, and none writes to what another reads.

The system's own lock on the folder itself (`flock`): no file is left behind, and a process
that is killed holds nothing. Where the system or the file system has no such locks (Windows,
some network drives) none is held.
"""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from mnist_edge import staging
from mnist_edge.errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def held(written: Path, *read: Path) -> Iterator[None]:
    """Keeps other commands off this one's folders until the block ends.

    What a killed command left half-written in `written` is removed.

    Args:
        written: The folder that is written to; made where it is missing, and removed again
            where nothing was written.
        *read: Folders that are read: others may read them at the same time.

    Raises:
        InputError: Another command writes to one of them, or reads `written`; or `written`
            can't be written to.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(staging.made(written))
        if not os.access(written, os.W_OK | os.X_OK):  # now, and not when the work is done
            raise InputError(f"{written} can't be written to. Give another folder by --output.")
        stack.enter_context(_locked(written, shared=False))
        for folder in read:
            if folder.is_dir() and not folder.samefile(written):
                stack.enter_context(_locked(folder, shared=True))
        staging.recover(written)
        yield


@contextlib.contextmanager
def _locked(folder: Path, shared: bool) -> Iterator[None]:
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_NB | (fcntl.LOCK_SH if shared else fcntl.LOCK_EX))
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            os.close(descriptor)
            raise InputError(
                f"{folder} is in use by another command. Wait until it has ended, or give "
                "another folder by --output."
            ) from None
        # A file system without locks: as on Windows.
    try:
        yield
    finally:
        os.close(descriptor)
