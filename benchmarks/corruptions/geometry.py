"""Geometry: the digit sheared, scaled, rotated and moved."""

import numpy as np

from . import draws

_SHEAR, _ROTATION = 0.4, 0.4  # radians
_SCALE = 0.7
_PIXELS = 3


def shear(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Slants by 0.4 radians to a random side."""
    angles = _SHEAR * draws.signs(rng, len(images))
    one, zero = np.ones(len(images)), np.zeros(len(images))
    return _warp(images, [[one, -np.sin(angles)], [zero, np.cos(angles)]])


def scale(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shrinks to 0.7 of the size."""
    full, zero = np.full(len(images), 1 / _SCALE), np.zeros(len(images))
    return _warp(images, [[full, zero], [zero, full]])


def rotate(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rotates by 0.4 radians (23°) in a random direction."""
    angles = _ROTATION * draws.signs(rng, len(images))
    cosine, sine = np.cos(angles), np.sin(angles)
    return _warp(images, [[cosine, -sine], [sine, cosine]])


def translate(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Moves by 3 pixels in both directions."""
    one, zero = np.ones(len(images)), np.zeros(len(images))
    return _warp(images, [[one, zero], [zero, one]], _PIXELS * draws.signs(rng, 2, len(images)))


def _warp(
    images: np.ndarray, matrix: list[list[np.ndarray]], move: np.ndarray | None = None
) -> np.ndarray:
    """Maps images linearly about their centers, interpolates bilinearly; outside they are black.

    Args:
        images: float64 `[n, height, width]`.
        matrix: 2 by 2 arrays `[n]`: from x and y in the result to x and y in the source, both
            relative to the center.
        move: `[2, n]`, added to x and y in the source; None for no move.
    """
    from scipy import ndimage

    center = (np.array(images.shape[1:]) - 1) / 2
    moves = np.zeros((2, len(images))) if move is None else move
    warped = np.empty(images.shape)
    for i, image in enumerate(images):
        rows = np.array([[entry[i] for entry in row] for row in matrix])[::-1, ::-1]  # y, then x
        offset = center - rows @ center + moves[::-1, i]
        ndimage.affine_transform(
            image, rows, offset, output=warped[i], order=1, mode="grid-constant"
        )
    return warped
