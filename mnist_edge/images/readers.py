"""Two small convolutional networks in NumPy that tell `split.py` how to part digits.

Their weights are made by `python -m benchmarks.pictures.readers`. Each was trained by what
`benchmarks/pictures/strips.py` draws.
"""

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mnist_edge.data import npz
from mnist_edge.images import cuts

_FOLDER = Path(__file__).parent
WHOLE, STRINGS = "whole.npz", "strings.npz"
HEIGHT, WIDTH = 24, 72  # pixels that the reader of strings sees
_BLANK = 0  # its class of no digit; a digit's class is one more


def whole(pixels: np.ndarray) -> np.ndarray:
    """Judges which digit each is, or none: a pair, or a part of one.

    Args:
        pixels: uint8 `[n, 28, 28]`, normalized as the classifier's.

    Returns:
        Logarithms of the probabilities of the ten digits and of none, `[n, 11]`.
    """
    convolutions, (third, last) = weights(WHOLE)[:2], weights(WHOLE)[2:]
    values = pixels[..., None].astype(np.float32) / 255
    for kernel, bias in convolutions:
        values = np.maximum(_convolved(values, kernel, 2) + bias, 0)
    hidden = np.maximum(values.reshape(len(values), -1) @ third[0] + third[1], 0)
    return _log_softmax(hidden @ last[0] + last[1])


def strings(inks: Sequence[np.ndarray]) -> np.ndarray:
    """Reads the string of digits in each ink, without cutting it.

    Args:
        inks: float32 `[height, width]`, 0 (paper) to 1 (ink).

    Returns:
        Logarithms of the probabilities of blank and of the ten digits in each place, `[n, 12, 11]`.
    """
    values = np.stack([fitted(ink) for ink in inks])[..., None].astype(np.float32) / 255
    *hidden, (last, last_bias) = weights(STRINGS)
    for (kernel, bias), step, border in zip(hidden, (2, 2, 1, 1), (0, 0, 1, 0), strict=True):
        values = np.pad(values, ((0, 0), (border, border), (border, border), (0, 0)))
        values = np.maximum(_convolved(values, kernel, step) + bias, 0)
    return _log_softmax((_convolved(values, last) + last_bias)[:, 0])


def fitted(ink: np.ndarray) -> np.ndarray:
    """Crops and scales ink as the reader of strings sees it, uint8 `[HEIGHT, WIDTH]`."""
    from PIL import Image

    left, top, right, bottom = cuts.box(ink)
    ink = ink[top:bottom, left:right].astype(np.float32)
    width = max(1, min(WIDTH, round(ink.shape[1] * HEIGHT / len(ink))))
    # Lanczos would ring where it enlarges.
    method = Image.Resampling.LANCZOS if len(ink) > HEIGHT else Image.Resampling.BICUBIC
    field = np.zeros((HEIGHT, WIDTH), np.float32)
    field[:, :width] = np.asarray(Image.fromarray(ink).resize((width, HEIGHT), method)).clip(0, 1)
    return np.round(field * 255).astype(np.uint8)


def likelihood(logs: np.ndarray, digits: Sequence[int] | np.ndarray) -> float:
    """Returns the logarithm of the probability of a string: the forward pass of CTC.

    Connectionist temporal classification: Graves et al., 2006.

    Args:
        logs: What `strings` returns for one ink, `[places, 11]`.
        digits: The string.
    """
    classes = np.full(2 * len(digits) + 1, _BLANK)
    classes[1::2] = np.asarray(digits) + 1
    may_skip = np.append([False, False], classes[2:] != classes[:-2])
    total = np.full(len(classes), -np.inf)
    total[:2] = logs[0, classes[:2]]
    for row in logs[1:]:
        one, two = (np.append([-np.inf] * step, total[:-step]) for step in (1, 2))
        two = np.where(may_skip, two, -np.inf)
        total = np.logaddexp(np.logaddexp(total, one), two) + row[classes]
    return float(np.logaddexp(total[-1], total[-2]))


@functools.cache
def weights(name: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns kernel and bias of each layer of a network."""
    arrays = npz.read(_FOLDER / name, remedy="Reinstall mnist-edge.")
    values = [one.astype(np.float32) for one in arrays.values()]
    return list(zip(values[::2], values[1::2], strict=True))


def _convolved(values: np.ndarray, kernel: np.ndarray, step: int = 1) -> np.ndarray:
    """Convolves `[n, height, width, channels]`, without padding."""
    windows = np.lib.stride_tricks.sliding_window_view(values, kernel.shape[:2], (1, 2))
    return np.einsum("nyxcij,ijco->nyxo", windows[:, ::step, ::step], kernel, optimize=True)


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
