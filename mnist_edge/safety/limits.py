"""Memory use, resource limits and lifetime of processes."""

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
    """Makes this process end when its parent ends, for whatever reason.

    On Linux the kernel kills it. Elsewhere a thread waits for the parent's end, which works only
    while Python code runs; on Windows it works only for processes of `multiprocessing`.

    Args:
        parent_pid: The parent's process id, as passed by the parent, which may have ended.
        from_main_thread: Whether the parent's main thread started this process. The kernel
            acts when the starting thread ends, so for other threads a thread waits instead.
    """
    if sys.platform == "linux" and from_main_thread:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:  # the parent has already ended
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
    """Returns a signal's name, such as "SIGSEGV", or "signal 37" if it has none."""
    names = {known.value: known.name for known in signal.Signals}
    return names.get(number, f"signal {number}")


def peak_resident_bytes(pid: int | str = "self") -> int | None:
    """Returns the peak resident memory of a process; None if the system does not report it.

    Read from /proc: in `getrusage`, a child's figure starts at its parent's.
    """
    return _bytes_of(f"/proc/{pid}/status", "VmHWM:")


def resident_bytes() -> int | None:
    """Returns this process's resident memory; None if the system does not report it."""
    return _bytes_of("/proc/self/status", "VmRSS:")


def held_bytes(pid: int | str = "self") -> int | None:
    """Returns a process's memory that is not backed by files, swapped out or not.

    None if the system does not report it, or there is no such process.
    """
    return _bytes_of(f"/proc/{pid}/status", ("RssAnon:", "RssShmem:", "VmSwap:"))


def available_bytes() -> int | None:
    """Returns the memory available without swapping; None if the system does not report it."""
    return _bytes_of("/proc/meminfo", "MemAvailable:")


def limit_memory(limit_mb: float) -> None:
    """Limits the additional address space of this process to `limit_mb` times 1e6 bytes.

    Huge allocations then fail at once. Call it after all imports: TensorFlow reserves many
    times the address space that it uses. Does nothing on a system without /proc.
    """
    reserved = _bytes_of("/proc/self/status", "VmSize:")
    if reserved is not None:
        lower("RLIMIT_AS", reserved + int(limit_mb * 1e6))


def forbid_writing() -> None:
    """Prevents this process from writing files, and discards its output.

    Call it after all imports: Keras writes its settings when it starts.
    """
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # its output goes to a file too
        os.dup2(null, stream)
    lower("RLIMIT_FSIZE", 0)


def lower(name: str, value: int) -> None:
    """Lowers a resource limit of this process permanently; never raises it."""
    try:
        import resource
    except ImportError:  # not a Unix
        return
    kind = getattr(resource, name)
    _, hard = resource.getrlimit(kind)
    if hard == resource.RLIM_INFINITY or value < hard:
        resource.setrlimit(kind, (value, value))


def _bytes_of(path: str, fields: str | tuple[str, ...]) -> int | None:
    """Returns the sum of some fields of a file in /proc; None if it has none of them."""
    with contextlib.suppress(OSError):
        lines = Path(path).read_text().splitlines()
        values = [int(line.split()[1]) * 1024 for line in lines if line.startswith(fields)]
        return sum(values) if values else None
    return None
