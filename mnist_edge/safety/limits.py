"""What a process has taken of the machine, what it may take, and how long it may live."""

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_PARENT_CHECK_SECONDS = 0.5


def die_with_parent(parent_pid: int, from_main_thread: bool = True) -> None:
    """Makes this process end when its parent does, however the parent ends.

    Linux kills it then, whatever it is doing. Elsewhere a thread waits for the parent's end,
    which needs Python to be running here from time to time; of a process that
    `multiprocessing` did not start, Windows tells no parent's end.

    Args:
        parent_pid: The parent's process id, from the parent: it may have ended by now.
        from_main_thread: Whether the parent's main thread started this process. Linux takes
            the end of the thread that did for the parent's, so another's can't be used.
    """
    if sys.platform == "linux" and from_main_thread:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:  # it had ended before
            os._exit(1)
    else:
        threading.Thread(target=_end_after, args=(parent_pid,), daemon=True).start()


def _end_after(parent_pid: int) -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
    else:
        while os.name == "nt" or os.getppid() == parent_pid:
            time.sleep(_PARENT_CHECK_SECONDS)
    os._exit(1)


def signal_name(number: int) -> str:
    """A signal's name, "SIGSEGV" say; "signal 37" where it has none."""
    names = {known.value: known.name for known in signal.Signals}
    return names.get(number, f"signal {number}")


def peak_resident_bytes(pid: int | str = "self") -> int | None:
    """Largest resident memory that a process has had; None where there is no such record.

    From /proc, not from `getrusage`: there a child's figure starts from its parent's,
    since `exec` carries it over.
    """
    return _bytes_of(f"/proc/{pid}/status", "VmHWM:")


def resident_bytes() -> int | None:
    """Resident memory of this process now; None where the system has no such record."""
    return _bytes_of("/proc/self/status", "VmRSS:")


def held_bytes(pid: int | str = "self") -> int | None:
    """Memory that a process holds now and that no file backs, swapped out or not.

    None where the system or the process has no such record.
    """
    return _bytes_of(f"/proc/{pid}/status", ("RssAnon:", "RssShmem:", "VmSwap:"))


def available_bytes() -> int | None:
    """Memory that programs may still take before the system swaps; None where it is unknown."""
    return _bytes_of("/proc/meminfo", "MemAvailable:")


def limit_memory(limit_mb: float) -> None:
    """Lets this process reserve 1e6 bytes times `limit_mb` more, so that a bomb fails at once.

    Call it when all libraries are imported: the system's limit counts addresses, and
    TensorFlow reserves many times what it uses. Does nothing where there is no /proc.
    """
    reserved = _bytes_of("/proc/self/status", "VmSize:")
    if reserved is not None:
        lower("RLIMIT_AS", reserved + int(limit_mb * 1e6))


def write_nothing() -> None:
    """Lets this process write no file any more; what it says is heard by nobody.

    Call it when all libraries are imported: Keras writes its settings when it starts.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # its log is a file too
        os.dup2(nowhere, stream)
    lower("RLIMIT_FSIZE", 0)


def lower(name: str, value: int) -> None:
    """Lowers one of the process's limits for good; one that is lower stays."""
    try:
        import resource
    except ImportError:  # not a Unix
        return
    kind = getattr(resource, name)
    _, hard = resource.getrlimit(kind)
    if hard == resource.RLIM_INFINITY or value < hard:
        resource.setrlimit(kind, (value, value))


def _bytes_of(path: str, fields: str | tuple[str, ...]) -> int | None:
    """The sum of some fields of a record in /proc; None where it has none of them."""
    with contextlib.suppress(OSError):
        lines = Path(path).read_text().splitlines()
        values = [int(line.split()[1]) * 1024 for line in lines if line.startswith(fields)]
        return sum(values) if values else None
    return None
