"""A process apart: what is done there to a stranger's file can end it, and nothing else.

Its time, its memory and the length of its answers are limited, and an answer is read as
data alone (`messages`): what has taken the process over can't reach its parent.
"""

import contextlib
import dataclasses
import multiprocessing
import os
import signal
import socket
import tempfile
import threading
import time

from mnist_edge import expect
from mnist_edge.cli import in_words, one_line
from mnist_edge.safety import limits, messages, scratch

# How often a child's memory is looked at while an answer is awaited.
_POLL_SECONDS = 0.05
# What an answer may take unless its request says otherwise: JSON of a few lines.
_MOST_BYTES = 2**20
# Characters of an error.
_MOST_WORDS = 600
# Of what the process wrote to standard error, the end is read.
_LOG, _LOG_BYTES = "log", 4096


class WorkerFailed(Exception):
    """A process apart can't go on, or its file can't; the message is the cause, in one line."""


class TookTooLong(WorkerFailed):
    """The time that it was allowed was up."""


class TookTooMuch(WorkerFailed):
    """It held more memory than it was allowed."""


class Ended(WorkerFailed):
    """It ended by itself; `how` is the signal's name, or the status, in words."""

    def __init__(self, how, message):
        super().__init__(message)
        self.how = how


@dataclasses.dataclass(frozen=True)
class Allowance:
    """What a child may take.

    Attributes:
        timeout_seconds: How long an answer may take. Keras with TensorFlow starts in
            about 5 s on two idle cores.
        memory_limit_mb: Peak resident memory in 1e6 bytes, watched from outside where
            the system has /proc; and, from `limits.limit_memory` on, what it may reserve more.
        cores: The cores to stay on; None for any.
    """

    timeout_seconds: float = 120
    memory_limit_mb: float = 4000
    cores: tuple[int, ...] | None = None


DEFAULT = Allowance()


class Process:
    """A process of its own, and the requests that it answers.

    Args:
        requests: Functions by name, importable ones. Each is called in the process with a
            dict that lasts as long as the process, `allowance` in it, and the request's
            arguments; it returns an array of numbers or what JSON holds.
        allowance: An `Allowance`.
        passed_on: Exceptions that are raised here as they were there; all others become
            `WorkerFailed`.
    """

    def __init__(self, requests, allowance=DEFAULT, passed_on=()):
        context = multiprocessing.get_context("spawn")
        self._allowance, self._passed_on = allowance, passed_on
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(_POLL_SECONDS)
        self._opened = contextlib.ExitStack()
        folder = self._opened.enter_context(scratch.folder())
        self._log = self._opened.enter_context((folder / _LOG).open("w+b"))
        parent = (os.getpid(), threading.current_thread() is threading.main_thread())
        given = (theirs, parent, folder, requests, allowance, passed_on)
        self._process = context.Process(target=_serve, args=given, daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, request, *arguments, wanted=None, most_bytes=_MOST_BYTES):
        """Asks for something and waits for the answer.

        Args:
            request: Name of one of the requests.
            *arguments: Arrays of numbers, and what JSON holds.
            wanted: What a dict must hold, as `expect.mismatch` takes it; None for any answer.
            most_bytes: The longest answer that is taken.

        Returns:
            What is wanted, and nothing else that the answer held; or else the answer, its type
            and shape the process's word alone: to be checked.

        Raises:
            WorkerFailed: The request failed; or the process ended, took too much or
                answered what is none, and is ended now.
        """
        try:
            body = self._exchange(request, messages.pack([request, *arguments]), most_bytes)
            outcome, answer = messages.unpack(body)
        except (EOFError, ConnectionError):
            self._process.join(1)  # one that only closed its end may go on without end
            raise self._ending(request) from None
        except ValueError as error:
            self._end()
            raise WorkerFailed(f"answered {request!r} with what is none: {error}") from error
        except WorkerFailed:
            self._end()  # now: what hangs or eats memory must not outlive its row
            raise
        if outcome is True:
            return answer if wanted is None else _chosen(request, answer, wanted)
        kinds = {kind.__name__: kind for kind in self._passed_on}
        kind = kinds.get(outcome if isinstance(outcome, str) else None, WorkerFailed)
        raise kind(one_line(answer, _MOST_WORDS))

    def is_alive(self):
        """Whether it can be asked again."""
        return self._process.is_alive()

    def close(self):
        """Ends the process."""
        self._end()
        self._socket.close()
        self._opened.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _end(self):
        self._process.kill()
        self._process.join()

    def _exchange(self, request, message, most_bytes):
        """Sends a message and returns the body of the one that comes back, a bytearray."""
        deadline = time.monotonic() + self._allowance.timeout_seconds

        def check():
            self._check_memory(request)
            if time.monotonic() > deadline:
                raise TookTooLong(
                    f"no answer to {request!r} in {self._allowance.timeout_seconds:g} s"
                )

        rest = memoryview(message)
        while rest:  # a child that hangs does not read
            with contextlib.suppress(TimeoutError):
                rest = rest[self._socket.send(rest) :]
            check()
        length = int.from_bytes(self._receive(messages.FRAME_BYTES, check))
        if length > most_bytes:
            raise WorkerFailed(
                f"answered {request!r} with {length:,} bytes, at most {most_bytes:,} allowed"
            )
        return self._receive(length, check)

    def _receive(self, count, check):
        received = bytearray(count)
        rest = memoryview(received)
        while rest:
            try:
                taken = self._socket.recv_into(rest)
            except TimeoutError:
                check()
                continue
            if not taken:
                raise EOFError
            rest = rest[taken:]
            check()
        return received

    def _check_memory(self, request):
        limit_mb = self._allowance.memory_limit_mb
        used_mb = (limits.peak_resident_bytes(self._process.pid) or 0) / 1e6
        if used_mb > limit_mb:
            raise TookTooMuch(
                f"took {used_mb:.0f} MB of memory in {request!r}, at most {limit_mb:g} allowed"
            )

    def _ending(self, request):
        """The error: how the process ended, and the last that it wrote to standard error."""
        exitcode = self._process.exitcode
        if exitcode is None:
            self._end()
            return WorkerFailed(f"process closed its connection in {request!r}")
        how = f"status {exitcode}"
        words = f"process ended with {how}"
        if exitcode < 0:
            names = {number.value: number.name for number in signal.Signals}
            how = names.get(-exitcode, f"signal {-exitcode}")
            words = f"runtime crashed by {how}"
        self._log.seek(max(0, os.path.getsize(self._log.name) - _LOG_BYTES))
        log = self._log.read(_LOG_BYTES).decode(errors="replace").split("\n")
        said = [line for line in map(one_line, log) if line and not line.startswith("INFO")]
        last = f" ({said[-1][:200]})" if said else ""
        return Ended(how, f"{words} in {request!r}{last}")


def _chosen(request, answer, wanted):
    wrong = expect.mismatch(answer, wanted)
    if wrong:
        raise WorkerFailed(f"answered {request!r} wrongly: {wrong}")
    return {name: answer[name] for name in wanted}


def _serve(connection, parent, folder, requests, allowance, passed_on):
    """The child's loop: a request in, an answer or an exception's words out."""
    limits.die_with_parent(*parent)
    for name in ("SIGINT", "SIGHUP"):  # sent to the whole group: the parent's to handle
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    # Temporary files go with the parent's: this process is killed, and removes none.
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    written = os.open(folder / _LOG, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):  # runtimes log at start, whatever their level
        os.dup2(written, stream)
    limits.lower("RLIMIT_CORE", 0)
    limits.lower("RLIMIT_FSIZE", int(allowance.memory_limit_mb * 1e6))
    if allowance.cores:  # before anything is imported that starts threads
        os.sched_setaffinity(0, allowance.cores)
    state = {"allowance": allowance}
    with connection.makefile("rb") as stream:
        while head := stream.read(messages.FRAME_BYTES):
            request, *arguments = messages.unpack(stream.read(int.from_bytes(head)))
            try:
                outcome = [True, requests[request](state, *arguments)]
            except passed_on as error:
                outcome = [type(error).__name__, str(error)]
            except Exception as error:  # whatever a runtime raises is the cause
                outcome = [False, in_words(error)]
            connection.sendall(messages.pack(outcome))
