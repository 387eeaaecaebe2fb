"""One child process an artifact: a file that crashes its runtime costs a row, not the run."""

from collections.abc import Callable

import numpy as np

from mnist_edge import data, expect
from mnist_edge.expect import COUNT, NOT_NEGATIVE, TEXT
from mnist_edge.safety.isolated import DEFAULT, Allowance, Process, WorkerFailed

from . import child

__all__ = ["Allowance", "Worker", "WorkerFailed", "chunks"]

# Images a request: an answer comes within the time limit on a slow device too.
_CHUNK = 500
# Of an answer that is an array, what stands before its elements.
_HEAD_BYTES = 1000
# No call takes less; reports give a thousandth of a microsecond.
_LEAST_US = 0.001
# What the answers must be: they come from a process that a file may have taken over.
_IMPORTED = {"import_ms": NOT_NEGATIVE, "memory_idle_bytes": expect.or_null(COUNT)}
OPENED = {
    "runtime": TEXT,
    # More images a call than this no report shows; a bomb's batch may be 2**31.
    "batch": expect.or_null(expect.count(2**16, least=1)),
    "load_ms": NOT_NEGATIVE,
}
_FIRST_CALL = {"first_call_us": NOT_NEGATIVE, "memory_peak_bytes": expect.or_null(COUNT)}


class Worker(Process):
    """An artifact opened in a process of its own, and the requests that it answers.

    Args:
        path: The artifact.
        threads: How many threads a call may use.
        allowance: An `Allowance`.

    Attributes:
        opened: dict: `runtime`, `batch` (None where it is free), `import_ms`, `load_ms`
            and `memory_idle_bytes`, what the process held before the runtime came.

    Raises:
        WorkerFailed: The runtime can't be imported, or the artifact can't be opened. Every
            request may raise it, too.
    """

    def __init__(self, path, threads, allowance=DEFAULT):
        super().__init__(child.REQUESTS, allowance)
        self._threads = threads
        try:
            self.opened = self.ask("import", str(path), threads, wanted=_IMPORTED)
            self.open(path)
        except BaseException:
            self.close()
            raise

    def open(self, path):
        """Opens another artifact of the same runtime in place of this one.

        Args:
            path: The artifact.
        """
        self.opened |= self.ask("open", str(path), self._threads, wanted=OPENED)

    def first_call(self, images):
        """Makes the first call.

        Args:
            images: float32 `[n, ...]`, as many as the artifact's batch takes.

        Returns:
            dict: `first_call_us`, and `memory_peak_bytes` of the process until then.
        """
        return self.ask("first call", images, wanted=_FIRST_CALL)

    def predict(
        self,
        images: np.ndarray,
        chunk_done: Callable[[], None] = lambda: None,
        most_classes: int = data.MOST_CLASSES,
    ) -> np.ndarray:
        """Probabilities of images.

        Args:
            images: float32 `[n, ...]` as the model takes them.
            chunk_done: Called as each of `chunks(len(images))` is done.
            most_classes: An answer of more is refused before it is read.

        Returns:
            float32 `[n, classes]`.
        """
        outputs = []
        for start in range(0, len(images), _CHUNK):
            given = images[start : start + _CHUNK]
            found = self._array("predict", np.float32, (len(given), most_classes), given)
            if outputs and found.shape[1] != outputs[0].shape[1]:
                raise WorkerFailed(f"gives {outputs[0].shape[1]} classes, then {found.shape[1]}")
            outputs.append(found)
            chunk_done()
        return np.concatenate(outputs)

    def keep(self, images):
        """Hands over the images that `time_calls` runs on, float32 `[n, ...]`."""
        self.ask("keep", images)

    def time_calls(self, count, batch=1):
        """Times calls, on the images of `keep` in turn.

        Args:
            count: How many calls.
            batch: Images a call; a fixed batch of the artifact goes before it.

        Returns:
            float64 `[count]`, microseconds a call.
        """
        batch = self.opened["batch"] or batch
        taken_us = self._array("time calls", np.float64, (count,), count, batch)
        most_us = 1e6 * self._allowance.timeout_seconds
        in_order = _LEAST_US <= np.median(taken_us) <= taken_us.max() <= most_us  # NaN is not
        if len(taken_us) < count or not in_order:
            raise WorkerFailed("answered 'time calls' with what are no times")
        return taken_us

    def _array(self, request, dtype, most, *arguments):
        """Asks for an array, and takes no other type or shape; the last side may be shorter."""
        most_bytes = int(np.prod(most)) * np.dtype(dtype).itemsize + _HEAD_BYTES
        found = self.ask(request, *arguments, most_bytes=most_bytes)
        shape = getattr(found, "shape", None)
        if shape is None or found.dtype != dtype or len(shape) != len(most):
            raise WorkerFailed(f"answered {request!r} with no array of {np.dtype(dtype)}")
        if shape[:-1] != most[:-1] or shape[-1] > most[-1] or not shape[-1]:
            raise WorkerFailed(f"gives {list(shape)}, {list(most)} is the most")
        return found


def chunks(count):
    """How many requests `predict` makes for so many images."""
    return -(-count // _CHUNK)
