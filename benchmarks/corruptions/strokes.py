"""Strokes across the image: a dotted line, a zigzag."""

import numpy as np

from . import draws

_DASH = 2  # pixels, as the gaps
_REACH = 2.3  # pixels from a line's middle that its fading is computed with
_MARGIN = 2  # columns left and right of a zigzag
_TOOTH = 2  # half a tooth's length, and its height
_DROP = 5  # rows that a zigzag falls or rises at most


def dotted_line(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws a straight line of 2-pixel dashes from the left edge to the right."""
    count, height, width = images.shape
    first, last = draws.integers(rng, 0, height - 2, 2, count).astype(float)
    left, right = np.zeros(count), np.full(count, width - 1.0)
    line = _line(images.shape, left, first, right, last)
    return images + line * (np.arange(width) // _DASH % 2)


def zigzag(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws a zigzag line of 2-pixel teeth from the left to the right."""
    count, height, width = images.shape
    start = draws.integers(rng, 0, height - 2, count)
    fall = draws.integers(rng, -_DROP, _DROP - 1, count)
    across = width - 1 - 2 * _MARGIN
    angle = np.arctan(fall / across)
    peaks = np.arange(_TOOTH, across, 2 * _TOOTH, dtype=float)
    along = np.stack([np.zeros(count), *(np.full(count, p) for p in peaks), across / np.cos(angle)])
    aside = np.zeros(along.shape)
    aside[1:-1:2], aside[2:-1:2] = _TOOTH, -_TOOTH
    columns = _MARGIN + along * np.cos(angle) - aside * np.sin(angle)
    rows = start + along * np.sin(angle) + aside * np.cos(angle)
    changed = images
    for i in range(1, len(columns)):
        line = _line(images.shape, columns[i - 1], rows[i - 1], columns[i], rows[i])
        changed = (changed + line).clip(0, 255)
    return changed


def _line(
    shape: tuple[int, ...],
    left: np.ndarray,
    first: np.ndarray,
    right: np.ndarray,
    last: np.ndarray,
) -> np.ndarray:
    """Draws straight lines that fade by their vertical distance, float64 of a shape, 0 to 255.

    Args:
        shape: `[n, height, width]`.
        left: Columns of their starts `[n]`.
        first: Rows of their starts.
        right: Columns of their ends, right of the starts.
        last: Rows of their ends.
    """
    left, first, right, last = (one[:, None, None] for one in (left, first, right, last))
    rows, columns = np.arange(shape[1])[:, None], np.arange(shape[2])
    middle = first + (last - first) / (right - left) * (columns - left)
    distance = np.minimum(np.abs(rows - middle), _REACH * (1 - 1e-9))  # the logarithm's domain
    inside = (columns >= np.floor(left)) & (columns < np.ceil(right))
    return 255 * inside * (1 + np.log1p(-distance / _REACH)).clip(0, 1)
