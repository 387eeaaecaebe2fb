"""Blur: out of focus behind rippled glass, and by motion."""

import numpy as np

from . import draws

_GLASS_SIGMA, _GLASS_PASSES = 0.7, 2
_MOTION_SIGMA, _MOTION_PIXELS = 3.0, 20  # of the streak, which fades on one side
_MOTION_DEGREES = 45  # from horizontal, at most
_TRUNCATE = 4  # sigmas at which a Gaussian ends
# Weights are multiples of this, so that sums of gray levels are exact in float64, and the same in
# whatever order a library adds them.
_STEP = 2.0**-16


def gaussian(images: np.ndarray, sigma: float) -> np.ndarray:
    """Blurs float64 images `[n, height, width]`; the border continues outward."""
    from scipy import ndimage

    reach = int(_TRUNCATE * sigma + 0.5)
    weights = _exact(np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2)))
    for axis in (1, 2):
        images = ndimage.correlate1d(images, weights, axis, mode="nearest")
    return images


def _exact(weights: np.ndarray) -> np.ndarray:
    """Returns weights that sum to 1 up to rounding, in multiples of `_STEP`."""
    return np.rint(weights / weights.sum() / _STEP) * _STEP


def glass(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blurs (sigma 0.7), swaps pixels with neighbors at random, twice, and blurs again."""
    changed = np.floor(gaussian(images, _GLASS_SIGMA))
    count, height, width = images.shape
    for _ in range(_GLASS_PASSES):
        # Half of the pixels are swapped, each with itself or a neighbor above or to the left.
        swaps, up, left = draws.integers(rng, 0, 1, 3, height, width, count)
        for row in range(height - 1, 1, -1):
            for column in range(width - 1, 1, -1):
                which = np.flatnonzero(swaps[row, column])
                here = which, row, column
                there = which, row - up[row, column, which], column - left[row, column, which]
                changed[here], changed[there] = changed[there], changed[here]
    return gaussian(changed, _GLASS_SIGMA)


def motion(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Smears to one side (sigma 3 pixels) in a random direction, at most 45° from horizontal."""
    count, height, width = images.shape
    angles = np.radians(_MOTION_DEGREES * (2 * draws.uniform(rng, count, 1, 1) - 1))
    steps = np.arange(_MOTION_PIXELS + 1)
    weights = _exact(np.exp(-(steps**2) / (2 * _MOTION_SIGMA**2)))
    rows, columns = np.arange(height)[None, :, None], np.arange(width)[None, None, :]
    which = np.arange(count)[:, None, None]
    smeared = np.zeros(images.shape)
    for step, weight in zip(steps, weights, strict=True):
        down = np.rint(step * np.sin(angles)).astype(int)
        right = np.rint(step * np.cos(angles)).astype(int)
        smeared += (
            weight
            * images[which, (rows + down).clip(0, height - 1), (columns + right).clip(0, width - 1)]
        )
    return smeared
