"""Measures accuracy on distorted test images."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mnist_edge import drawing, examples
from mnist_edge.errors import InputError

from .worker import Worker, WorkerFailed

# Maps float32 images `[n, height, width, channels]`, 0 to 255, to images of the same shape.
Distortion = Callable[[np.ndarray, np.random.Generator], np.ndarray]

PLAIN = "plain"
_SEED = 0
NOISE = 40  # standard deviation, in gray levels of 255; clearly visible, digits stay legible
_SIDES = ((0, 1), (1, 0), (0, -1), (-1, 0))
_CORNERS = ((1, 1), (1, -1), (-1, 1), (-1, -1))


def _shift(pixels: int, directions: tuple[tuple[int, int], ...] = _SIDES) -> Distortion:
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


def _rotate(degrees: int) -> Distortion:
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


def _add_noise(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (images + rng.normal(0, NOISE, images.shape)).clip(0, 255)


def _blur(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    from scipy import ndimage

    return ndimage.gaussian_filter(images, (0, 1, 1, 0))


def _thin(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    from scipy import ndimage

    return ndimage.grey_erosion(images, (1, 2, 2, 1))


def _thicken(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    from scipy import ndimage

    return ndimage.grey_dilation(images, (1, 2, 2, 1))


DISTORTIONS: dict[str, Distortion] = {
    PLAIN: lambda images, rng: images,
    **{f"shift {pixels} px": _shift(pixels) for pixels in (1, 2, 3, 4)},
    "shift 2 px diagonally": _shift(2, _CORNERS),
    **{f"rotate {degrees}°": _rotate(degrees) for degrees in (10, 20, 30)},
    "noise": _add_noise,
    "blur": _blur,
    "thinner": _thin,
    "thicker": _thicken,
    "inverted": lambda images, rng: 255 - images,
}


def check(shape: tuple[int, ...], input_range: tuple[float, float], where: Path | str) -> None:
    """Raises `InputError` if SciPy is missing or the examples are not images.

    Args:
        shape: Shape of one example.
        input_range: Smallest and largest value of the training examples.
        where: Name of the model or its bundle, for the message.
    """
    try:
        import scipy  # noqa: F401, checked before a long run starts
    except ImportError as error:
        raise InputError(
            f"robustness needs SciPy. Got: {error}. Install 'mnist-edge[benchmarks]'."
        ) from error
    if not drawing.is_picture(shape) or examples.pixel_range(input_range) is None:
        low, high = input_range
        raise InputError(
            "robustness needs images [height, width] or [height, width, channels] of pixels. "
            f"Got: {list(shape)}, {low:g} to {high:g}, in {where}. Leave out --robustness."
        )


def distort(
    images: np.ndarray, distortion: str, input_range: tuple[float, float] = (0.0, 255.0)
) -> np.ndarray:
    """Distorts images, deterministically.

    Args:
        images: Numbers `[n, height, width]` or `[n, height, width, channels]`.
        distortion: A name of `DISTORTIONS`.
        input_range: Smallest and largest value of the training examples.

    Returns:
        float32, in the shape and scale of `images`.
    """
    low, high = examples.pixel_range(input_range) or (0.0, 255.0)
    unit = (high - low) / 255
    stacked = (images.reshape(*images.shape[:3], -1).astype(np.float32) - low) / unit
    distorted = DISTORTIONS[distortion](stacked, np.random.default_rng(_SEED))
    return (distorted * unit + low).reshape(images.shape).astype(np.float32)


def accuracy(worker: Worker, distorted: np.ndarray, labels: np.ndarray, distortion: str) -> float:
    """Measures an artifact's accuracy on distorted test images.

    Args:
        worker: The artifact.
        distorted: float32 images `[n, ...]`.
        labels: Integers `[n]`.
        distortion: The distortion's name, for the error message.

    Raises:
        WorkerFailed: The artifact fails, or returns NaN or infinity.
    """
    outputs = worker.predict(distorted)
    if not np.isfinite(outputs).all():
        raise WorkerFailed(f"returned NaN or infinity for test images, {distortion}")
    return float(np.mean(outputs.argmax(1) == labels))
