"""An isolated subprocess: what is done there to a stranger's file can end it, and nothing else.

Its time, its memory and the length of its answers are limited, and an answer is read as data
alone: what has taken the subprocess over can't reach its parent. A message is its length, a
line of JSON, and the bytes of the arrays of numbers that the line describes; never a pickle.
"""

import contextlib
import dataclasses
import json
import math
import multiprocessing
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from mnist_edge import schema
from mnist_edge.cli import in_words, one_line
from mnist_edge.safety import limits, scratch

# How often the subprocess's memory is looked at while an answer is awaited.
_POLL_SECONDS = 0.05
# What an answer may take unless its request says otherwise: JSON of a few lines.
_MOST_BYTES = 2**20
# Characters of an error.
_MOST_WORDS = 600
# Of what the subprocess wrote to standard error, the end is read.
_LOG, _LOG_BYTES = "log", 4096
# Opens every message: the length of the rest.
FRAME_BYTES = 8
# Truth values, integers and floats as NumPy's `dtype.str` has them; an array holds nothing else.
_DTYPES = frozenset(np.dtype(code).str for code in "?bBhHiIlLqQefd")


class WorkerFailed(Exception):
    """An isolated subprocess can't go on, or its file can't; the message is the cause."""


@dataclasses.dataclass(frozen=True)
class Allowance:
    """What an isolated subprocess may take.

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
    """An isolated subprocess, and the requests that it answers.

    Args:
        requests: Functions by name, importable ones. Each is called in the subprocess with a
            dict that lasts as long as it does, `allowance` in it, and the request's arguments;
            it returns an array of numbers, a record, or what JSON holds.
        passed_on: Exceptions that are raised here as they were there; all others become
            `WorkerFailed`.
    """

    def __init__(
        self,
        requests: Mapping[str, Callable[..., Any]],
        allowance: Allowance = DEFAULT,
        passed_on: tuple[type[Exception], ...] = (),
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._allowance, self._passed_on = allowance, passed_on
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(_POLL_SECONDS)
        self._opened = contextlib.ExitStack()
        folder = self._opened.enter_context(scratch.folder())
        self._log = self._opened.enter_context((folder / _LOG).open("w+b"))
        self._opened.enter_context(self._socket)
        parent = (os.getpid(), threading.current_thread() is threading.main_thread())
        given = (theirs, parent, folder, requests, allowance, passed_on)
        self._process = context.Process(target=_serve, args=given, daemon=True)
        self._process.start()
        theirs.close()

    def ask_for(self, kind: type[schema.Kind], request: str, *arguments: object) -> schema.Kind:
        """As `ask`, for an answer that must be a record; another answer is a `WorkerFailed`."""
        answer = self.ask(request, *arguments)
        try:
            return schema.decode(kind, answer)
        except schema.SchemaError as error:
            raise WorkerFailed(f"answered {request!r} wrongly: {error}") from error

    def ask(self, request: str, *arguments: object, most_bytes: int = _MOST_BYTES) -> Any:
        """Asks for something and waits for the answer.

        Args:
            request: Name of one of the requests.
            *arguments: Arrays of numbers, and what JSON holds.
            most_bytes: The longest answer that is taken.

        Returns:
            An array of numbers, or what JSON holds; its type and shape are the subprocess's
            word alone: to be checked.

        Raises:
            WorkerFailed: The request failed; or the subprocess ended, took too much or sent
                no message, and is ended now.
        """
        try:
            body = self._exchange(request, pack([request, *arguments]), most_bytes)
            outcome, answer = unpack(body)
        except (EOFError, ConnectionError):
            self._process.join(1)  # one that only closed its end may go on without end
            raise self._ending(request) from None
        except ValueError as error:
            self._end()
            raise WorkerFailed(f"answered {request!r} with no message: {error}") from error
        except WorkerFailed:
            self._end()  # now: what hangs or eats memory must not outlive its row
            raise
        if outcome is True:
            return answer
        kinds = (kind for kind in self._passed_on if kind.__name__ == outcome)
        raise next(kinds, WorkerFailed)(one_line(answer, _MOST_WORDS))

    def is_alive(self) -> bool:
        """Whether it can be asked again."""
        return self._process.is_alive()

    def close(self) -> None:
        """Ends the subprocess."""
        self._end()
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _end(self) -> None:
        self._process.kill()
        self._process.join()

    def _exchange(self, request: str, message: bytes, most_bytes: int) -> bytearray:
        """Sends a message and returns the body of the one that comes back."""
        deadline = time.monotonic() + self._allowance.timeout_seconds
        rest = memoryview(message)
        while rest:  # a subprocess that hangs does not read
            rest = rest[self._once_ready(self._socket.send, rest, request, deadline) :]
        length = int.from_bytes(self._receive(FRAME_BYTES, request, deadline))
        if length > most_bytes:
            raise WorkerFailed(
                f"answered {request!r} with {length:,} bytes, at most {most_bytes:,} allowed"
            )
        return self._receive(length, request, deadline)

    def _receive(self, count: int, request: str, deadline: float) -> bytearray:
        received = bytearray(count)
        rest = memoryview(received)
        while rest:
            came = self._once_ready(self._socket.recv_into, rest, request, deadline)
            if not came:
                raise EOFError
            rest = rest[came:]
        return received

    def _once_ready(
        self, act: Callable[[memoryview], int], part: memoryview, request: str, deadline: float
    ) -> int:
        """Acts on the socket when it is ready, as long as the subprocess keeps its limits."""
        while True:
            limit_mb = self._allowance.memory_limit_mb
            used_mb = (limits.peak_resident_bytes(self._process.pid or "") or 0) / 1e6
            if used_mb > limit_mb:
                raise WorkerFailed(
                    f"took {used_mb:.0f} MB of memory in {request!r}, at most {limit_mb:g} allowed"
                )
            if time.monotonic() > deadline:
                seconds = self._allowance.timeout_seconds
                raise WorkerFailed(f"no answer to {request!r} in {seconds:g} s")
            with contextlib.suppress(TimeoutError):
                return act(part)

    def _ending(self, request: str) -> WorkerFailed:
        """The error: how the process ended, and the last that it wrote to standard error."""
        exitcode = self._process.exitcode
        if exitcode is None:
            self._end()
            return WorkerFailed(f"process closed its connection in {request!r}")
        words = f"process ended with status {exitcode}"
        if exitcode < 0:
            words = f"runtime crashed by {limits.signal_name(-exitcode)}"
        self._log.seek(max(0, os.path.getsize(self._log.name) - _LOG_BYTES))
        log = self._log.read(_LOG_BYTES).decode(errors="replace").split("\n")
        said = [line for line in map(one_line, log) if line and not line.startswith("INFO")]
        last = f" ({said[-1][:200]})" if said else ""
        return WorkerFailed(f"{words} in {request!r}{last}")


def _serve(
    connection: socket.socket,
    parent: tuple[int, bool],
    folder: Path,
    requests: Mapping[str, Callable[..., Any]],
    allowance: Allowance,
    passed_on: tuple[type[Exception], ...],
) -> None:
    """The subprocess's loop: a request in, an answer or an exception's words out."""
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
    with connection.makefile("rb") as incoming:
        while frame := incoming.read(FRAME_BYTES):
            request, *arguments = unpack(incoming.read(int.from_bytes(frame)))
            try:
                answer = requests[request](state, *arguments)
                if dataclasses.is_dataclass(answer):
                    answer = schema.encode(answer)
                outcome = [True, answer]
            except passed_on as error:
                outcome = [type(error).__name__, str(error)]
            except Exception as error:  # whatever a runtime raises is the cause
                outcome = [False, in_words(error)]
            connection.sendall(pack(outcome))


def pack(items: Sequence[object]) -> bytes:
    """A message's bytes, its length before it; an item is an array, or what JSON holds."""
    arrays = [item for item in items if isinstance(item, np.ndarray)]
    heads = [
        {"dtype": item.dtype.str, "shape": item.shape}
        if isinstance(item, np.ndarray)
        else {"json": item}
        for item in items
    ]
    body = b"".join([json.dumps(heads).encode(), b"\n", *(array.tobytes() for array in arrays)])
    return len(body).to_bytes(FRAME_BYTES) + body


def unpack(body: bytes | bytearray) -> list[Any]:
    """The items of a message from anyone; arrays take no more memory than it.

    Raises:
        ValueError: It is no message.
    """
    try:
        start = body.index(b"\n") + 1
        items = []
        for head in json.loads(body[:start]):
            if "json" in head:
                items.append(head["json"])
                continue
            dtype, shape = head["dtype"], head["shape"]
            if dtype not in _DTYPES or not all(type(side) is int and side >= 0 for side in shape):
                raise ValueError("no array of numbers")
            array = np.frombuffer(body, dtype, math.prod(shape), start)  # no longer than `body`
            items.append(array.reshape(shape).copy())  # aligned, whatever the head's length
            start += array.nbytes
        if start != len(body):
            raise ValueError(f"{len(body)} bytes where its first line says {start}")
    except (KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(type(error).__name__) from error
    return items
