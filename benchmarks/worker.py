"""Runs each artifact in a child process, so that a crash fails one row and not the run."""

import math
from pathlib import Path

import numpy as np

from mnist_edge import data
from mnist_edge.safety.isolated import DEFAULT, Allowance, Process, WorkerFailed

from . import child

__all__ = ["Allowance", "Worker", "WorkerFailed"]

# Images per request, so that slow devices answer within the time limit too.
_CHUNK = 500
# Most bytes of an array answer that precede its elements.
_HEAD_BYTES = 1000
# Shortest plausible call; reports have a resolution of a thousandth of a microsecond.
_LEAST_US = 0.001


class Worker(Process):
    """An artifact opened in its own process.

    Args:
        path: The artifact.
        threads: Number of threads that a call may use.
        allowance: Limits of the process.

    Attributes:
        imported: Cost of importing the runtime.
        opened: The opened artifact's runtime, batch and load time.

    Raises:
        WorkerFailed: The runtime can't be imported or the artifact can't be opened. Every
            request may raise it as well.
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
        """Opens another artifact of the same runtime in place of the current one."""
        self.opened = self.ask_for(child.Opened, "open", str(path), self._threads)

    def first_call(self, images: np.ndarray) -> child.FirstCall:
        """Makes the first call, on float32 `[n, ...]`, one batch of images."""
        return self.ask_for(child.FirstCall, "first call", images)

    def predict(self, images: np.ndarray, most_classes: int = data.MOST_CLASSES) -> np.ndarray:
        """Returns the outputs for images, float32 `[n, classes]`.

        Args:
            images: float32 `[n, ...]`, in the model's input shape.
            most_classes: An answer with more classes is refused before it is read.
        """
        outputs: list[np.ndarray] = []
        for start in range(0, len(images), _CHUNK):
            chunk = images[start : start + _CHUNK]
            found = self._array("predict", np.float32, (len(chunk), most_classes), chunk)
            if outputs and found.shape[1] != outputs[0].shape[1]:
                raise WorkerFailed(
                    f"must return as many classes for all images. Got: {outputs[0].shape[1]}, then "
                    f"{found.shape[1]}"
                )
            outputs.append(found)
        return np.concatenate(outputs)

    def keep(self, images: np.ndarray) -> None:
        """Sends the images that `time_calls` uses, float32 `[n, ...]`."""
        self.ask("keep", images)

    def time_calls(self, count: int, batch: int = 1) -> np.ndarray:
        """Times calls, cycling through the images sent by `keep`.

        Args:
            count: Number of calls.
            batch: Images per call; ignored if the artifact has a fixed batch.

        Returns:
            float64 `[count]`, microseconds per call.
        """
        batch = self.opened.batch or batch
        times_us = self._array("time calls", np.float64, (count,), count, batch)
        most_us = 1e6 * self._allowance.timeout_seconds
        is_valid = _LEAST_US <= np.median(times_us) <= times_us.max() <= most_us  # False for NaN
        if len(times_us) < count or not is_valid:
            raise WorkerFailed("answered 'time calls' with invalid times")
        return times_us

    def _array(
        self, request: str, dtype: type[np.floating], most: tuple[int, ...], *arguments: object
    ) -> np.ndarray:
        """Requests an array of this type and shape; only its last side may be shorter."""
        most_bytes = math.prod(most) * np.dtype(dtype).itemsize + _HEAD_BYTES
        found = self.ask(request, *arguments, most_bytes=most_bytes)
        shape = getattr(found, "shape", None)
        if shape is None or found.dtype != dtype or len(shape) != len(most):
            raise WorkerFailed(f"did not answer {request!r} with a {np.dtype(dtype)} array")
        if shape[:-1] != most[:-1] or shape[-1] > most[-1] or not shape[-1]:
            raise WorkerFailed(f"returned {list(shape)}, at most {list(most)} allowed")
        return found
