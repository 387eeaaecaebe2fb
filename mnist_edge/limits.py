"""What a process has taken of the machine, and what it may take from here on."""

import contextlib
import os
from pathlib import Path


def peak_resident_bytes(pid="self"):
    """Largest resident memory that a process has had.

    From /proc, not from `getrusage`: there a child's figure starts from its parent's,
    since `exec` carries it over.

    Args:
        pid: The process; this one unless told otherwise.

    Returns:
        int; None where the system or the process has no such record.
    """
    return _status_bytes("VmHWM:", pid)


def resident_bytes():
    """Resident memory of this process now, int; None where the system has no such record."""
    return _status_bytes("VmRSS:")


def limit_memory(limit_mb):
    """Lets this process reserve so much more than it has, so that a bomb fails at once.

    Call it when all libraries are imported: the system's limit counts addresses, and
    TensorFlow reserves many times what it uses. Does nothing where there is no /proc.

    Args:
        limit_mb: In 1e6 bytes.
    """
    reserved = _status_bytes("VmSize:")
    if reserved is not None:
        lower("RLIMIT_AS", reserved + int(limit_mb * 1e6))


def write_nothing():
    """Lets this process write no file any more; what it says is heard by nobody.

    Call it when all libraries are imported: Keras writes its settings when it starts.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # its log is a file too
        os.dup2(nowhere, stream)
    lower("RLIMIT_FSIZE", 0)


def _status_bytes(field, pid="self"):
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) * 1024
    return None


def lower(name, value):
    """Lowers one of the process's limits for good; one that is lower stays."""
    try:
        import resource
    except ImportError:  # not a Unix
        return
    kind = getattr(resource, name)
    _, hard = resource.getrlimit(kind)
    if hard == resource.RLIM_INFINITY or value < hard:
        resource.setrlimit(kind, (value, value))
