"""An isolated subprocess that opens untrusted files, so that a crash or hang ends only it.

Its time, memory and the length of its answers are limited, and answers are parsed as data only,
so that malicious code in the subprocess can't take over the parent this way. A message is its
length, one line of JSON, and the bytes of the numeric arrays that the line describes; never a
pickle.
"""

import contextlib
import dataclasses
import json
import math
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from mnist_edge import backend, schema
from mnist_edge.cli import in_words, one_line
from mnist_edge.safety import limits, scratch

# How often the subprocess's memory is checked during a request.
_POLL_SECONDS = 0.05
# Default limit of an answer: a few lines of JSON.
_MOST_BYTES = 2**20
# Longest error message.
_MOST_CHARACTERS = 600
# File with the subprocess's output, and how much of its end is read.
_LOG, _LOG_BYTES = "log", 4096
# Every message starts with the length of the rest, in this many bytes.
FRAME_BYTES = 8
# Accepted `dtype.str`: booleans, integers and floats.
_DTYPES = frozenset(np.dtype(code).str for code in "?bBhHiIlLqQefd")


class WorkerFailed(Exception):
    """A request failed, or its subprocess was ended; the message is the cause."""


class OutOfMemory(WorkerFailed):
    """The subprocess was ended because it took more memory than allowed."""


@dataclasses.dataclass(frozen=True)
class Allowance:
    """Limits of an isolated subprocess.

    Attributes:
        timeout_seconds: Maximum time per request. Keras with TensorFlow starts in about 5 s
            on two idle cores.
        memory_limit_mb: Maximum peak resident memory in units of 1e6 bytes, checked by the
            parent if the system has /proc. After `limits.limit_memory` it also limits the
            additional address space.
        cores: Cores to run on; None for any.
    """

    timeout_seconds: float = 120
    memory_limit_mb: float = 4000
    cores: tuple[int, ...] | None = None


DEFAULT = Allowance()


@dataclasses.dataclass
class State:
    """What a subprocess keeps between requests; those that keep more extend it."""

    allowance: Allowance


class Process:
    """An isolated subprocess that answers requests.

    Args:
        requests: Importable functions, by name. Each is called in the subprocess with its state
            and the request's arguments. It returns a numeric array, a record or a JSON value.
        allowance: Limits of the subprocess.
        passed_on: Exception types to raise again in the parent; all others become
            `WorkerFailed`.
        state: Makes the state of the allowance when the subprocess starts.
    """

    def __init__(
        self,
        requests: Mapping[str, Callable[..., Any]],
        allowance: Allowance = DEFAULT,
        passed_on: tuple[type[Exception], ...] = (),
        state: type[State] = State,
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._allowance, self._passed_on = allowance, passed_on
        self._socket, child_socket = socket.socketpair()
        self._socket.settimeout(_POLL_SECONDS)
        self._opened = contextlib.ExitStack()
        folder = self._opened.enter_context(scratch.folder())
        self._log = self._opened.enter_context((folder / _LOG).open("w+b"))
        self._opened.enter_context(self._socket)
        parent = (os.getpid(), threading.current_thread() is threading.main_thread())
        arguments = (child_socket, parent, folder, requests, state(allowance), passed_on)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._seconds = allowance.timeout_seconds
        with _without_main_module():
            self._process.start()
        child_socket.close()

    def ask_for(
        self,
        kind: type[schema.Kind],
        request: str,
        *arguments: object,
        seconds: float | None = None,
    ) -> schema.Kind:
        """Like `ask`, for a record; raises `WorkerFailed` if the answer is not one."""
        answer = self.ask(request, *arguments, seconds=seconds)
        try:
            return schema.decode(kind, answer)
        except schema.SchemaError as error:
            raise WorkerFailed(f"sent an invalid answer to {request!r}: {error}") from error

    def ask(
        self,
        request: str,
        *arguments: object,
        most_bytes: int = _MOST_BYTES,
        seconds: float | None = None,
    ) -> Any:
        """Sends a request and waits for the answer.

        Args:
            request: Name of one of the requests.
            *arguments: Numeric arrays and JSON values.
            most_bytes: The longest accepted answer.
            seconds: Maximum time, if not the allowance's.

        Returns:
            A numeric array or a JSON value; the caller must check its type and shape.

        Raises:
            WorkerFailed: The request failed; or the subprocess ended, exceeded a limit or sent
                an invalid message, and was killed.
        """
        self._seconds = self._allowance.timeout_seconds if seconds is None else seconds
        try:
            body = self._exchange(request, pack([request, *arguments]), most_bytes)
            outcome, answer = unpack(body)
        except (EOFError, ConnectionError):
            self._process.join(1)  # it may have closed only its socket and go on running
            raise self._ending(request) from None
        except ValueError as error:
            self._end()
            raise WorkerFailed(f"sent an invalid message for {request!r}: {error}") from error
        except WorkerFailed:
            self._end()  # at once: it may hang or take more memory
            raise
        if outcome is True:
            return answer
        kinds = (kind for kind in self._passed_on if kind.__name__ == outcome)
        raise next(kinds, WorkerFailed)(one_line(answer, _MOST_CHARACTERS))

    def is_alive(self) -> bool:
        """Returns whether the subprocess is running."""
        return self._process.is_alive()

    def close(self) -> None:
        """Kills the subprocess and removes its temporary files."""
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
        """Sends a message and returns the body of the answer."""
        deadline = time.monotonic() + self._seconds
        rest = memoryview(message)
        while rest:  # sending blocks if the subprocess hangs
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
            count = self._once_ready(self._socket.recv_into, rest, request, deadline)
            if not count:
                raise EOFError
            rest = rest[count:]
        return received

    def _once_ready(
        self, act: Callable[[memoryview], int], part: memoryview, request: str, deadline: float
    ) -> int:
        """Calls a socket's method when it is ready; raises if the subprocess exceeds its limits."""
        while True:
            limit_mb = self._allowance.memory_limit_mb
            used_mb = (limits.peak_resident_bytes(self._process.pid or "") or 0) / 1e6
            if used_mb > limit_mb:
                raise OutOfMemory(
                    f"took {used_mb:.0f} MB of memory in {request!r}, at most {limit_mb:g} allowed"
                )
            if time.monotonic() > deadline:
                raise WorkerFailed(f"no answer to {request!r} in {round(self._seconds, 2):g} s")
            with contextlib.suppress(TimeoutError):
                return act(part)

    def _ending(self, request: str) -> WorkerFailed:
        """Returns an error with the exit status and the last line that the process printed."""
        exitcode = self._process.exitcode
        if exitcode is None:
            self._end()
            return WorkerFailed(f"process closed its connection in {request!r}")
        description = f"process ended with status {exitcode}"
        if exitcode < 0:
            description = f"runtime crashed by {limits.signal_name(-exitcode)}"
        self._log.seek(max(0, os.path.getsize(self._log.name) - _LOG_BYTES))
        log = self._log.read(_LOG_BYTES).decode(errors="replace").split("\n")
        lines = [line for line in map(one_line, log) if line and not line.startswith("INFO")]
        last = f" ({lines[-1][:200]})" if lines else ""
        return WorkerFailed(f"{description} in {request!r}{last}")


@contextlib.contextmanager
def _without_main_module() -> Iterator[None]:
    """Keeps a process that is started in the block from running the user's script again."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _serve(
    connection: socket.socket,
    parent: tuple[int, bool],
    folder: Path,
    requests: Mapping[str, Callable[..., Any]],
    state: State,
    passed_on: tuple[type[Exception], ...],
) -> None:
    """Runs in the subprocess: answers each request with a result or an error message."""
    limits.die_with_parent(*parent)
    backend.start_lean()
    for name in ("SIGINT", "SIGHUP"):  # sent to the whole process group; the parent handles them
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    # Temporary files go to the parent's folder, which removes them: this process gets killed.
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    log = os.open(folder / _LOG, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):  # runtimes print at start, whatever their log level
        os.dup2(log, stream)
    limits.lower("RLIMIT_CORE", 0)
    limits.lower("RLIMIT_FSIZE", int(state.allowance.memory_limit_mb * 1e6))
    if state.allowance.cores:  # before any import that starts threads
        os.sched_setaffinity(0, state.allowance.cores)
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
            except Exception as error:  # a runtime may raise anything
                outcome = [False, in_words(error)]
            connection.sendall(pack(outcome))


def pack(items: Sequence[object]) -> bytes:
    """Encodes arrays and JSON values as a message, which starts with its length."""
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
    """Decodes an untrusted message; its arrays take no more memory than the message.

    Raises:
        ValueError: It is not a valid message.
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
                raise ValueError("not an array of numbers")
            array = np.frombuffer(body, dtype, math.prod(shape), start)  # raises if too short
            items.append(array.reshape(shape).copy())  # a copy is aligned
            start += array.nbytes
        if start != len(body):
            raise ValueError(f"{len(body)} bytes, but its first line describes {start}")
    except (KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(type(error).__name__) from error
    return items
