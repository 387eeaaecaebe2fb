"""Light: brighter, foggy, with inverted stripes."""

import numpy as np

from . import draws

_BRIGHTER = 127.5  # gray levels
_FOG, _ROUGHNESS = 3.0, 1.4**2  # how many times the image's white; by what finer detail is fainter
_FOG_SIZE = 256
_AT_ONCE = 5  # maps that fit into a core's cache: twice as fast


def brightness(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Makes all pixels brighter by half of the range."""
    return images + _BRIGHTER


def stripe(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Inverts the left and the right quarter."""
    width = images.shape[2]
    changed = images.copy()
    changed[:, :, : width // 4] = 255 - images[:, :, : width // 4]
    changed[:, :, width * 3 // 4 :] = 255 - images[:, :, width * 3 // 4 :]
    return changed


def fog(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Adds fractal clouds three times as white as the image, and dims the sum to its range."""
    height, width = images.shape[1:]
    size = max(_FOG_SIZE, 1 << (max(height, width) - 1).bit_length())
    fogs = np.concatenate(
        [
            clouds(rng, len(images[start : start + _AT_ONCE]), size)[:, :height, :width]
            for start in range(0, len(images), _AT_ONCE)
        ]
    )
    white = images.max((1, 2), keepdims=True)
    return (images + 255 * _FOG * fogs) * white / (white + 255 * _FOG)


def clouds(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
    """Makes fractal height maps by the diamond-square algorithm; opposite edges meet.

    Args:
        rng: Where the random heights come from.
        count: How many.
        size: Their side, a power of two.

    Returns:
        float32 `[count, size, size]`, each 0 to 1.
    """
    heights = np.zeros((count, size, size), np.float32)
    step, amplitude = size, np.float32(1)

    def middle(*neighbors: np.ndarray) -> np.ndarray:
        first, second, third, fourth = neighbors
        mean = (first + second + third + fourth) / np.float32(4)
        return mean + amplitude * draws.short_uniform(rng, *mean.shape)

    while step > 1:
        half = step // 2
        corners = heights[:, ::step, ::step]
        below, right = np.roll(corners, -1, 1), np.roll(corners, -1, 2)
        centers = middle(corners, below, right, np.roll(below, -1, 2))
        heights[:, half::step, half::step] = centers
        heights[:, ::step, half::step] = middle(corners, right, centers, np.roll(centers, 1, 1))
        heights[:, half::step, ::step] = middle(corners, below, centers, np.roll(centers, 1, 2))
        step, amplitude = half, amplitude / np.float32(_ROUGHNESS)
    heights -= heights.min((1, 2), keepdims=True)
    return heights / heights.max((1, 2), keepdims=True)
