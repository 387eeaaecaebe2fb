"""Run a command in a child process that is watched: it opens models and data of strangers.

    if __name__ == "__main__":
        sys.exit(supervise.run(main))

The child does the command's work, all of it; this process only waits. Where the child crashes,
takes too much memory or is too long in opening a model, it is ended: one line, exit status 2.
What a model costs may depend on the data that it gets, so that no trial beforehand shows it.
Where there is no /proc (macOS, Windows) the command runs as it is.
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

from mnist_edge.cli import one_line, open_streams, say
from mnist_edge.errors import BAD_INPUT, InputError
from mnist_edge.safety import limits

# Environment variable that holds another limit, in 1e6 bytes.
LIMIT = "MNIST_EDGE_MEMORY_MB"
# Exporting or training `accurate` took 1,100, training on 200,000 images 1,400.
_LIMIT_MB = 8000
# The least command took 400; where even this is not free, the system ends what is too large.
_LEAST_LIMIT_MB = 1000
_OF_AVAILABLE = 0.8
# NASNetLarge, of 1,041 layers, takes 70 s on two busy cores.
_OPENING_SECONDS = 300
_POLL_SECONDS = 0.05
# What a path may take in a message: `write` to a pipe is atomic up to 4,096 bytes.
_MOST_PATH_BYTES = 1000
_ENDING = ("SIGINT", "SIGTERM", "SIGHUP")
# Ctrl-C reaches both processes, and the child a second time from its parent.
_SAME_INTERRUPT_SECONDS = 1

_report_to: int | None = None  # in a child: the pipe by which it says what it opens


def run(main: Callable[[], int]) -> int:
    """Runs a command's `main` in a child process, under limits; returns its exit status.

    Call it before any thread is started: the child is a fork. Signals that end a command are
    passed on to it, and it ends when this process does. `main` may also be called as it is;
    then nothing is watched.
    """
    if limits.held_bytes() is None:
        return main()
    open_streams()  # else the pipe may come to be standard output
    try:
        limit_mb = _limit_mb()
    except InputError as error:
        return _failed(str(error))
    parent, (told, tell) = os.getpid(), os.pipe()
    numbers = [n for n in map(signal.Signals.__getitem__, _ENDING) if _is_heard(n)]
    for stream in (sys.stdout, sys.stderr):  # what waits in them would be written twice
        stream.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)  # none is lost, and none handled twice
    child = os.fork()
    if child == 0:
        os.close(told)
        _become_child(parent, tell)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
        return main()
    os.close(tell)

    def pass_on(number: int, frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.kill(child, number)

    for number in numbers:
        signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
    return _watch(child, told, limit_mb)


@contextlib.contextmanager
def opening(path: Path | str) -> Iterator[None]:
    """Says that a model file is opened in the block, which may not take for ever.

    Does nothing where the process is not watched.
    """
    _tell(os.fsencode(path)[:_MOST_PATH_BYTES].replace(b"\n", b" "))
    try:
        yield
    finally:
        _tell(b"")


def _tell(message: bytes) -> None:
    if _report_to is not None:
        os.write(_report_to, message + b"\n")


def _is_heard(number: int) -> bool:
    return signal.getsignal(number) != signal.SIG_IGN  # as `nohup` has it


def _limit_mb() -> float:
    given = os.environ.get(LIMIT)
    if given is None:
        available_mb = (limits.available_bytes() or math.inf) / 1e6
        return max(_LEAST_LIMIT_MB, min(_LIMIT_MB, _OF_AVAILABLE * available_mb))
    if not given.isdecimal() or int(given) == 0:
        raise InputError(f"{LIMIT} must be a number of megabytes, 8000 say. Got: {given[:40]!r}.")
    return int(given)


def _become_child(parent: int, tell: int) -> None:
    global _report_to
    _report_to = tell
    limits.die_with_parent(parent)
    limits.lower("RLIMIT_CORE", 0)  # a crash is a line, not gigabytes in a file
    last = -math.inf

    def interrupt(number: int, frame: object) -> None:
        nonlocal last
        before, last = last, time.monotonic()
        if last - before > _SAME_INTERRUPT_SECONDS:
            raise KeyboardInterrupt

    if _is_heard(signal.SIGINT):
        signal.signal(signal.SIGINT, interrupt)


def _watch(child: int, told: int, limit_mb: float) -> int:
    """Waits for the child's end, or brings it about; returns the exit status."""
    path, deadline, pipes = "", math.inf, [told]
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return _status(os.waitstatus_to_exitcode(status), path)
        if not select.select(pipes, [], [], _POLL_SECONDS)[0]:
            pass
        elif message := os.read(told, 2**16):
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
                f"Got: more{_with(path)}. Give a smaller model or less data, or raise {LIMIT}."
            )
        else:
            continue
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return _failed(fault)


def _status(code: int, path: str) -> int:
    """The exit status for a child's: a crash is said in a line."""
    if code >= 0:
        return code
    name = limits.signal_name(-code)
    if name in _ENDING:  # before the command could answer it
        return 128 - code
    if name == "SIGKILL":
        fault = (
            f"was killed{_with(path)}: memory may have run out. Give a smaller model or less data"
        )
    else:
        fault = f"crashed by {name}{_with(path)}. Give another model or other data"
    return _failed(f"the command {fault}.")


def _with(path: str) -> str:
    return f", with {path} open" if path else ""


def _failed(line: str) -> int:
    say(f"error: {one_line(line, most=None)}")
    return BAD_INPUT
