"""One child process per artifact: a file that crashes its runtime costs a row, not the run."""

import math
from pathlib import Path

import numpy as np

from mnist_edge import data
from mnist_edge.safety.isolated import DEFAULT, Allowance, Process, WorkerFailed

from . import child

__all__ = ["Allowance", "Worker", "WorkerFailed"]

# Images per request: an answer comes within the time limit on a slow device too.
_CHUNK = 500
# Of an answer that is an array, what stands before its elements.
_HEAD_BYTES = 1000
# No call takes less; reports give a thousandth of a microsecond.
_LEAST_US = 0.001


class Worker(Process):
    """An artifact opened in a process of its own, and the requests that it answers.

    Args:
        path: The artifact.
        threads: How many threads a call may use.
        allowance: What it may take.

    Attributes:
        imported: What importing the runtime took.
        opened: What was opened.

    Raises:
        WorkerFailed: The runtime can't be imported, or the artifact can't be opened. Every
            request may raise it, too.
    """

    def __init__(self, path: Path | str, threads: int, allowance: Allowance = DEFAULT) -> None:
        super().__init__(child.REQUESTS, allowance)
        self._threads = threads
        try:
            self.imported = self.ask_for(child.Imported, "import", str(path), threads)
            self.open(path)
        except BaseException:
            self.close()
            raise

    def open(self, path: Path | str) -> None:
        """Opens another artifact of the same runtime in place of this one."""
        self.opened = self.ask_for(child.Opened, "open", str(path), self._threads)

    def first_call(self, images: np.ndarray) -> child.FirstCall:
        """Makes the first call, on float32 `[n, ...]`, as many as the artifact's batch takes."""
        return self.ask_for(child.FirstCall, "first call", images)

    def predict(self, images: np.ndarray, most_classes: int = data.MOST_CLASSES) -> np.ndarray:
        """Probabilities of images, float32 `[n, classes]`.

        Args:
            images: float32 `[n, ...]` as the model takes them.
            most_classes: An answer of more is refused before it is read.
        """
        outputs: list[np.ndarray] = []
        for start in range(0, len(images), _CHUNK):
            chunk = images[start : start + _CHUNK]
            found = self._array("predict", np.float32, (len(chunk), most_classes), chunk)
            if outputs and found.shape[1] != outputs[0].shape[1]:
                raise WorkerFailed(f"gives {outputs[0].shape[1]} classes, then {found.shape[1]}")
            outputs.append(found)
        return np.concatenate(outputs)

    def keep(self, images: np.ndarray) -> None:
        """Hands over the images that `time_calls` runs on, float32 `[n, ...]`."""
        self.ask("keep", images)

    def time_calls(self, count: int, batch: int = 1) -> np.ndarray:
        """Times calls, on the images of `keep` in turn.

        Args:
            count: How many calls.
            batch: Images per call; a fixed batch of the artifact goes before it.

        Returns:
            float64 `[count]`, microseconds per call.
        """
        batch = self.opened.batch or batch
        times_us = self._array("time calls", np.float64, (count,), count, batch)
        most_us = 1e6 * self._allowance.timeout_seconds
        in_order = _LEAST_US <= np.median(times_us) <= times_us.max() <= most_us  # NaN is not
        if len(times_us) < count or not in_order:
            raise WorkerFailed("answered 'time calls' with what are no times")
        return times_us

    def _array(
        self, request: str, dtype: type[np.floating], most: tuple[int, ...], *arguments: object
    ) -> np.ndarray:
        """Asks for an array, and takes no other type or shape; the last side may be shorter."""
        most_bytes = math.prod(most) * np.dtype(dtype).itemsize + _HEAD_BYTES
        found = self.ask(request, *arguments, most_bytes=most_bytes)
        shape = getattr(found, "shape", None)
        if shape is None or found.dtype != dtype or len(shape) != len(most):
            raise WorkerFailed(f"answered {request!r} with no array of {np.dtype(dtype)}")
        if shape[:-1] != most[:-1] or shape[-1] > most[-1] or not shape[-1]:
            raise WorkerFailed(f"gives {list(shape)}, {list(most)} is the most")
        return found
