"""The project's own distortions: a digit off its place, noise, other strokes, inverted colors."""

from collections.abc import Callable

import numpy as np

NOISE = 40  # standard deviation, in gray levels of 255; clearly visible, digits stay legible
SIDES = ((0, 1), (1, 0), (0, -1), (-1, 0))
CORNERS = ((1, 1), (1, -1), (-1, 1), (-1, -1))


def shift(
    pixels: int, directions: tuple[tuple[int, int], ...] = SIDES
) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    """Returns a distortion that moves by so many pixels in a random one of four directions."""

    def distort(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        from scipy import ndimage

        moves = pixels * np.array(directions)[rng.integers(0, 4, len(images))]
        return np.stack(
            [
                ndimage.shift(image, (*move, 0), order=0, mode="nearest")
                for image, move in zip(images, moves, strict=True)
            ]
        )

    return distort


def rotate(degrees: int) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    """Returns a distortion that rotates by so many degrees, left or right."""

    def distort(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        from scipy import ndimage

        angles = degrees * rng.choice([-1, 1], len(images))
        return np.stack(
            [
                ndimage.rotate(image, angle, reshape=False, order=1, mode="nearest")
                for image, angle in zip(images, angles, strict=True)
            ]
        )

    return distort


def add_noise(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Adds Gaussian noise."""
    return (images + rng.normal(0, NOISE, images.shape)).clip(0, 255)


def blur(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blurs with a sigma of 1 pixel."""
    from scipy import ndimage

    return ndimage.gaussian_filter(images, (0, 1, 1, 0))


def thin(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Makes strokes 1 pixel thinner."""
    from scipy import ndimage

    return ndimage.grey_erosion(images, (1, 2, 2, 1))


def thicken(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Makes strokes 1 pixel thicker."""
    from scipy import ndimage

    return ndimage.grey_dilation(images, (1, 2, 2, 1))


def invert(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Makes ink dark and paper light."""
    return 255 - images
