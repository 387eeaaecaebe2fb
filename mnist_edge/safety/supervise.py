"""Run a command that opens untrusted files in a supervised child process.

    if __name__ == "__main__":
        sys.exit(supervise.run(main))

The child does all of the command's work; this process only waits. If the child crashes, takes
too much memory or takes too long to open a model, the command ends with one line and exit
status 2. A trial beforehand would not suffice, since a model's memory may depend on the data.
On systems without /proc (macOS, Windows) the command runs unsupervised.
"""

import contextlib
import math
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from mnist_edge import backend
from mnist_edge.cli import one_line, open_streams, say
from mnist_edge.errors import BAD_INPUT, InputError
from mnist_edge.safety import limits

# Environment variable that overrides the memory limit, in units of 1e6 bytes.
LIMIT = "MNIST_EDGE_MEMORY_MB"
# Exporting or training `accurate` took 1,100 MB, training on 200,000 images 1,400 MB.
_LIMIT_MB = 8000
# Applies even if less memory is free. The smallest command took 400 MB.
_LEAST_LIMIT_MB = 1000
_SHARE_OF_AVAILABLE = 0.8
# NASNetLarge, with 1,041 layers, takes 70 s on two busy cores.
_OPENING_SECONDS = 300
_POLL_SECONDS = 0.05
# Longest path in a message; `write` to a pipe is atomic up to 4,096 bytes.
_MOST_PATH_BYTES = 1000
_ENDING = ("SIGINT", "SIGTERM", "SIGHUP")
# The child gets Ctrl-C twice: from the terminal and from its parent.
_SAME_INTERRUPT_SECONDS = 1

_report_to: int | None = None  # in the child: pipe to the parent for the path being opened


def run(main: Callable[[], int]) -> int:
    """Runs a command's `main` in a child process under limits; returns its exit status.

    Call it before any thread is started: the child is a fork. Signals that end a command are
    forwarded to the child, and the child ends with this process. Calling `main` directly runs
    it unsupervised.
    """
    backend.start_lean()
    if limits.held_bytes() is None:
        return main()
    open_streams()  # otherwise the pipe could become file descriptor 1
    try:
        limit_mb = allowed_mb()
    except InputError as error:
        return _failed(str(error))
    parent, (read_end, write_end) = os.getpid(), os.pipe()
    numbers = [n for n in map(signal.Signals.__getitem__, _ENDING) if _is_handled(n)]
    for stream in (sys.stdout, sys.stderr):  # their buffers would be written twice
        stream.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)  # so that each is handled exactly once
    child = os.fork()
    if child == 0:
        os.close(read_end)
        _become_child(parent, write_end)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
        return main()
    os.close(write_end)

    def forward(number: int, frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):  # the child has just ended
            os.kill(child, number)

    for number in numbers:
        signal.signal(number, forward)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
    return _watch(child, read_end, limit_mb)


@contextlib.contextmanager
def opening(path: Path | str) -> Iterator[None]:
    """Limits the time of the block, which opens a model file.

    Does nothing if the process is not supervised.
    """
    _report(os.fsencode(path)[:_MOST_PATH_BYTES].replace(b"\n", b" "))
    try:
        yield
    finally:
        _report(b"")


def _report(message: bytes) -> None:
    if _report_to is not None:
        os.write(_report_to, message + b"\n")


def _is_handled(number: int) -> bool:
    return signal.getsignal(number) != signal.SIG_IGN  # `nohup` ignores SIGHUP


def allowed_mb() -> float:
    """Returns the memory that a command may take, in units of 1e6 bytes."""
    value = os.environ.get(LIMIT)
    if value is None:
        available_mb = (limits.available_bytes() or math.inf) / 1e6
        return max(_LEAST_LIMIT_MB, min(_LIMIT_MB, _SHARE_OF_AVAILABLE * available_mb))
    if not value.isdecimal() or int(value) == 0:
        raise InputError(
            f"{LIMIT} must be a number of megabytes, such as 8000. Got: {value[:40]!r}."
        )
    return int(value)


def _become_child(parent: int, write_end: int) -> None:
    global _report_to
    _report_to = write_end
    limits.die_with_parent(parent)
    limits.lower("RLIMIT_CORE", 0)  # no core dump of gigabytes
    last = -math.inf

    def interrupt(number: int, frame: object) -> None:
        nonlocal last
        before, last = last, time.monotonic()
        if last - before > _SAME_INTERRUPT_SECONDS:
            raise KeyboardInterrupt

    if _is_handled(signal.SIGINT):
        signal.signal(signal.SIGINT, interrupt)


def _watch(child: int, read_end: int, limit_mb: float) -> int:
    """Waits for the child, or kills it if it exceeds a limit; returns the exit status."""
    path, deadline, pipes = "", math.inf, [read_end]
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return _status(os.waitstatus_to_exitcode(status), path)
        if not select.select(pipes, [], [], _POLL_SECONDS)[0]:
            pass
        elif message := os.read(read_end, 2**16):
            for line in message.split(b"\n")[:-1]:
                path = os.fsdecode(line) or path
                deadline = time.monotonic() + _OPENING_SECONDS if line else math.inf
        else:
            pipes = []  # the child has closed its end
        if time.monotonic() > deadline:
            fault = f"{path} must open within {_OPENING_SECONDS} s. Give a smaller model."
        elif (limits.held_bytes(child) or 0) > limit_mb * 1e6:
            fault = (
                f"the command must take at most {limit_mb:,.0f} MB of memory. "
                f"Got: more{_opened(path)}. Give a smaller model or less data, or raise {LIMIT}."
            )
        else:
            continue
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return _failed(fault)


def _status(code: int, path: str) -> int:
    """Returns the exit status for that of the child, and reports a crash."""
    if code >= 0:
        return code
    name = limits.signal_name(-code)
    if name in _ENDING:  # before the command could handle it
        return 128 - code
    if name == "SIGKILL":
        fault = (
            f"was killed{_opened(path)}: memory may have run out. Give a smaller model or less data"
        )
    else:
        fault = f"crashed by {name}{_opened(path)}. Give another model or other data"
    return _failed(f"the command {fault}.")


def _opened(path: str) -> str:
    return f", with {path} open" if path else ""


def _failed(message: str) -> int:
    say(f"error: {one_line(message, most=None)}")
    return BAD_INPUT
