"""Runs each artifact in a child process, so that a crash fails one row and not the run."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mnist_edge import data
from mnist_edge.safety.isolated import DEFAULT, Allowance, Process, WorkerFailed

from . import child

__all__ = ["Allowance", "Refused", "Worker", "WorkerFailed"]

# Images per request: at most so many; at most so many values, 34 MB in float32; and so few that
# a slow artifact takes no more than this share of the time limit.
_MOST_IMAGES, MOST_VALUES, _TIME_SHARE = 500, 2**23, 0.25
_MOST_KEPT = 1000
# Most bytes of an array answer that precede its elements.
_HEAD_BYTES = 1000
# Shortest plausible call; reports have a resolution of a thousandth of a microsecond.
_LEAST_US = 0.001


class Refused(WorkerFailed):
    """A runtime that could be imported did not open the artifact."""


class Worker(Process):
    """An artifact opened in its own process.

    Args:
        path: The artifact.
        threads: Number of threads that a call may use.
        allowance: Limits of the process.
        kernels: A kernel set, one of `runtimes.KERNELS`; "" for the runtime's own choice.

    Attributes:
        imported: Cost of importing the runtime.
        opened: The opened artifact's runtime, batch and load time.
        most_batch: Images per call that `time_calls` may be asked for: larger batches of large
            images would take memory that their artifact does not.

    Raises:
        WorkerFailed: The runtime can't be imported. Every request may raise it as well.
        Refused: The artifact can't be opened.
    """

    def __init__(
        self,
        path: Path | str,
        threads: int,
        allowance: Allowance = DEFAULT,
        kernels: str = "",
    ) -> None:
        super().__init__(child.REQUESTS, allowance, state=child.State)
        self._threads, self._kernels = threads, kernels
        self._image_seconds = 0.0  # as last timed
        self.most_batch = MOST_VALUES
        try:
            self.imported = self.ask_for(child.Imported, "import", str(path), threads, kernels)
            self.open(path)
        except BaseException:
            self.close()
            raise

    def open(self, path: Path | str) -> None:
        """Opens another artifact of the same runtime in place of the current one."""
        request = ("open", str(path), self._threads, self._kernels)
        try:
            self.opened = self.ask_for(child.Opened, *request)
        except WorkerFailed as error:
            raise Refused(str(error)) from error

    def first_call(self, images: np.ndarray) -> child.FirstCall:
        """Makes the first call, on numbers `[n, ...]`, one batch of images."""
        return self.ask_for(child.FirstCall, "first call", images.astype(np.float32, copy=False))

    def predict(
        self,
        images: np.ndarray,
        most_classes: int = data.MOST_CLASSES,
        done: Callable[[int], object] = lambda count: None,
    ) -> np.ndarray:
        """Returns the outputs for images, float32 `[n, classes]`.

        Args:
            images: Numbers `[n, ...]`, in the model's input shape; cast to float32 part by part.
            most_classes: An answer with more classes is refused before it is read.
            done: Called with the number of images of each part that is done.
        """
        outputs: list[np.ndarray] = []
        in_time = _TIME_SHARE * self._allowance.timeout_seconds / (self._image_seconds or 1e-9)
        step = max(1, int(min(_MOST_IMAGES, in_time, MOST_VALUES // math.prod(images.shape[1:]))))
        for start in range(0, len(images), step):
            chunk = images[start : start + step].astype(np.float32, copy=False)
            found = self._array("predict", np.float32, (len(chunk), most_classes), chunk)
            if outputs and found.shape[1] != outputs[0].shape[1]:
                raise WorkerFailed(
                    f"must return as many classes for all images. Got: {outputs[0].shape[1]}, then "
                    f"{found.shape[1]}"
                )
            outputs.append(found)
            done(len(chunk))
        return np.concatenate(outputs)

    def keep(self, images: np.ndarray) -> None:
        """Sends the images that `time_calls` uses: of `[n, ...]`, the first that are few enough."""
        self.most_batch = max(1, MOST_VALUES // math.prod(images.shape[1:]))
        kept = images[: min(_MOST_KEPT, self.most_batch)]
        self.ask("keep", kept.astype(np.float32, copy=False))

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
        self._image_seconds = float(np.median(times_us)) / batch / 1e6
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
