"""What both sides of the comparison return: the value of every intermediate tensor."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Activation:
    """A tensor that depends on the input, for a batch of images.

    Attributes:
        name: The Keras layer's path, or the tensor's name in the artifact; may be "".
        kind: The layer's class or the operator's type.
        values: float32 `[n, ...]`, one row per image; dequantized.
        ends: Smallest and largest value that the tensor's integers represent; None for floats.
        step: Difference between neighboring integers; 0 for floats.
    """

    name: str
    kind: str
    values: np.ndarray
    ends: tuple[float, float] | None = None
    step: float = 0.0


@dataclasses.dataclass(frozen=True)
class Traced:
    """An opened artifact of which every intermediate tensor can be read.

    Attributes:
        run: Takes one batch of encoded inputs; returns the tensors in order of execution, the
            same ones for every batch.
        time: Takes one batch of encoded inputs; returns, for each of these tensors, the
            microseconds per call from the tensor before to this one; None if that takes too long.
            None if the runtime can't tell.
    """

    run: Callable[[np.ndarray], list[Activation]]
    time: Callable[[np.ndarray], Sequence[float] | None] | None = None


def per_image(values: np.ndarray, batch: int) -> np.ndarray | None:
    """Returns a tensor as float32 `[batch, ...]`; None if it does not hold a row per image.

    Converters merge the batch with the axis that follows it, and split it again.
    """
    if values.ndim == 0 or values.size == 0 or len(values) % batch:
        return None
    if len(values) != batch:
        values = values.reshape(batch, -1, *values.shape[1:])
    return values.astype(np.float32, copy=False)
