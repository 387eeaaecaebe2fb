"""One child process an artefact: a file that crashes its runtime costs a row, not the run."""

import contextlib
import dataclasses
import multiprocessing
import signal
import tempfile
import threading
import time

import numpy as np

from benchmarks import child, machine
from benchmarks.child import WorkerFailed

# Images a request: an answer comes within the time limit on a slow device too.
_CHUNK = 500
# How often a child's memory is looked at while an answer is awaited.
_POLL_SECONDS = 0.05


@dataclasses.dataclass(frozen=True)
class Allowance:
    """What a child may take.

    Attributes:
        timeout_seconds: How long an answer may take. Keras with TensorFlow starts in
            about 5 s on two idle cores.
        memory_limit_mb: Peak resident memory in 1e6 bytes, watched from outside where
            the system has /proc. The system's own limit, RLIMIT_AS, counts addresses, of
            which TensorFlow reserves many times what it uses.
        cores: The cores to stay on; None for any.
    """

    timeout_seconds: float = 120
    memory_limit_mb: float = 4000
    cores: tuple[int, ...] | None = None


class Worker:
    """An artefact opened in a process of its own, and the requests that it answers.

    Args:
        path: The artefact.
        threads: How many threads a call may use.
        allowance: An `Allowance`.

    Attributes:
        opened: dict: `runtime`, `batch` (None where it is free), `import_ms`, `load_ms`
            and `memory_idle_bytes`, what the process held before the runtime came.

    Raises:
        RuntimeMissing: The runtime is not installed.
        WorkerFailed: The artefact can't be opened. Every request may raise it, too.
    """

    def __init__(self, path, threads, allowance=Allowance()):
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._allowance = allowance
        self._log = tempfile.NamedTemporaryFile(prefix="benchmark-")  # noqa: SIM115, close() ends it
        self._process = context.Process(
            target=child.serve, args=(theirs, self._log.name, allowance.cores), daemon=True
        )
        self._process.start()
        theirs.close()
        try:
            self.opened = self._ask("open", str(path), threads)
        except BaseException:
            self.close()
            raise

    def first_call(self, images):
        """Makes the first call.

        Args:
            images: float32 `[n, ...]`, as many as the artefact's batch takes.

        Returns:
            dict: `first_call_us`, and `memory_peak_bytes` of the process until then.
        """
        return self._ask("first call", images)

    def predict(self, images, chunk_done=lambda: None):
        """Probabilities of images.

        Args:
            images: float32 `[n, ...]` as the model takes them.
            chunk_done: Called as each of `chunks(len(images))` is done.

        Returns:
            float32 `[n, classes]`.
        """
        outputs = []
        for start in range(0, len(images), _CHUNK):
            outputs.append(self._ask("predict", images[start : start + _CHUNK]))
            chunk_done()
        return np.concatenate(outputs)

    def keep(self, images):
        """Hands over the images that `time_calls` runs on, float32 `[n, ...]`."""
        self._ask("keep", images)

    def time_calls(self, count, batch=1):
        """Times calls, on the images of `keep` in turn.

        Args:
            count: How many calls.
            batch: Images a call; a fixed batch of the artefact goes before it.

        Returns:
            float64 `[count]`, microseconds a call.
        """
        return self._ask("time calls", count, self.opened["batch"] or batch)

    def close(self):
        """Ends the process."""
        self._process.kill()
        self._process.join()
        self._connection.close()
        self._log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _ask(self, request, *arguments):
        # From a thread: a child that hangs does not read, and a long request would wait
        # for it here without end.
        threading.Thread(target=self._send, args=(request, arguments), daemon=True).start()
        try:
            self._wait(request)
            answer = self._connection.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            raise WorkerFailed(self._ending(request)) from None
        except WorkerFailed:
            self._process.kill()  # now: what hangs or eats memory must not outlive its row
            raise
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _send(self, request, arguments):
        with contextlib.suppress(OSError):  # a child that has ended is seen by `_ask`
            self._connection.send((request, arguments))

    def _wait(self, request):
        """Returns as soon as an answer is there; raises where the child takes too much."""
        deadline = time.monotonic() + self._allowance.timeout_seconds
        limit_mb = self._allowance.memory_limit_mb
        while not self._connection.poll(_POLL_SECONDS):
            self._check_memory(request, limit_mb)
            if time.monotonic() > deadline:
                raise WorkerFailed(
                    f"no answer to {request!r} in {self._allowance.timeout_seconds:g} s"
                )
        self._check_memory(request, limit_mb)

    def _check_memory(self, request, limit_mb):
        used_mb = (machine.peak_resident_bytes(self._process.pid) or 0) / 1e6
        if used_mb > limit_mb:
            raise WorkerFailed(
                f"took {used_mb:.0f} MB of memory in {request!r}, at most {limit_mb:g} allowed"
            )

    def _ending(self, request):
        """How the process ended, and the last that it wrote to standard error."""
        exitcode = self._process.exitcode
        how = f"process ended with status {exitcode}"
        if exitcode < 0:
            how = f"runtime crashed by {signal.Signals(-exitcode).name}"
        log = self._log.read().decode(errors="replace").split("\n")
        words = [line.strip() for line in log if line.strip() and not line.startswith("INFO")]
        return " ".join([f"{how} in {request!r}", *(f"({last[:200]})" for last in words[-1:])])


def chunks(count):
    """How many requests `predict` makes for so many images."""
    return -(-count // _CHUNK)
