"""Edges after Canny (1986): "A Computational Approach to Edge Detection"."""

import numpy as np

from .blur import gaussian

_SIGMA = 1.0
_LOW, _HIGH = 0.1 * 255, 0.2 * 255  # of the gradient, in gray levels
# The blurred image is rounded to this, so that its gradients are exact, equal ones included.
_STEP = 2.0**-16


def canny(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Keeps the outlines alone, in white, found by Canny's method with sigma 1."""
    from scipy import ndimage

    smooth = np.rint(gaussian(images, _SIGMA) / _STEP) * _STEP
    down, right = _slope(smooth, 1), _slope(smooth, 2)
    strength = np.sqrt(down**2 + right**2)
    ridge = _is_ridge(strength, down, right)
    weak, strong = ridge & (strength >= _LOW), ridge & (strength >= _HIGH)
    touching = np.zeros((3, 3, 3), bool)
    touching[1] = True  # neighbors in the same image
    groups, count = ndimage.label(weak, touching)
    kept = np.zeros(count + 1, bool)
    kept[groups[strong]] = True
    return 255.0 * kept[groups]


def _slope(smooth: np.ndarray, axis: int) -> np.ndarray:
    """Returns Sobel's gradient along an axis; the border continues outward."""
    from scipy import ndimage

    along = ndimage.correlate1d(smooth, [-1, 0, 1], axis, mode="nearest")
    return ndimage.correlate1d(along, [1, 2, 1], 3 - axis, mode="nearest")


def _is_ridge(strength: np.ndarray, down: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Whether a pixel's gradient is no weaker than on both sides, along its own direction.

    Strength between two neighbors is interpolated. The outermost pixels are no ridges.
    """
    padded = np.pad(strength, ((0, 0), (1, 1), (1, 1)))
    height, width = strength.shape[1:]

    def beside(row: int, column: int) -> np.ndarray:
        return padded[:, 1 + row : 1 + row + height, 1 + column : 1 + column + width]

    steep = np.abs(down) > np.abs(right)
    larger = np.maximum(np.abs(down), np.abs(right))
    lean = np.minimum(np.abs(down), np.abs(right)) / np.where(larger, larger, 1)
    same = down * right >= 0  # whether the gradient points down and right, or up and left
    ridge = strength > 0
    for side in (1, -1):
        straight = np.where(steep, beside(side, 0), beside(0, side))
        other = np.where(steep, beside(side, -side), beside(-side, side))
        diagonal = np.where(same, beside(side, side), other)
        ridge &= strength >= (1 - lean) * straight + lean * diagonal
    ridge[:, [0, -1], :] = ridge[:, :, [0, -1]] = False
    return ridge
