"""Lock folders: one writer at a time, and no writer while others read.

Uses `flock` on the folder itself: it leaves no lock file behind, and a killed process releases
it. Does nothing where such locks are not supported (Windows, some network drives).
"""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from mnist_edge import bundle, staging
from mnist_edge.errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def held(written: Path, *read: Path) -> Iterator[None]:
    """Locks a command's folders for the duration of the block.

    Also cleans up what a killed command left in `written`; see `staging.recover`.

    Args:
        written: The folder to be written to. Created if missing, and removed again if nothing
            was written to it.
        *read: Folders to be read; other commands may read them at the same time.

    Raises:
        InputError: Another command is writing to one of the folders or reading `written`; or
            `written` is not writable.
    """
    for folder in read:
        bundle.require(folder)
    if written.exists() and not written.is_dir():
        raise InputError(f"{written} must be a folder. Got: a file. Give a folder by --output.")
    with contextlib.ExitStack() as stack:
        stack.enter_context(staging.created(written))
        if not os.access(written, os.W_OK | os.X_OK):  # fail early
            raise InputError(f"{written} can't be written to. Give another folder by --output.")
        stack.enter_context(_locked(written, shared=False))
        for folder in read:
            if not folder.samefile(written):
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
        # The file system has no locks.
    try:
        yield
    finally:
        os.close(descriptor)
