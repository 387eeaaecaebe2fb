"""Accuracy on distorted test images: where does a model break before its users see it?"""

from pathlib import Path

import numpy as np

from mnist_edge.errors import InputError

from . import progress
from .worker import WorkerFailed

PLAIN = "plain"
_SEED = 0
NOISE = 40  # standard deviation in gray levels of 255: plainly seen, and still legible


_SIDES = ((0, 1), (1, 0), (0, -1), (-1, 0))
_CORNERS = ((1, 1), (1, -1), (-1, 1), (-1, -1))


def _shift(pixels, directions=_SIDES):
    def distort(images, rng):
        from scipy import ndimage

        moves = pixels * np.array(directions)[rng.integers(0, 4, len(images))]
        return np.stack(
            [
                ndimage.shift(image, (*move, 0), order=0, mode="nearest")
                for image, move in zip(images, moves, strict=True)
            ]
        )

    return distort


def _rotate(degrees):
    def distort(images, rng):
        from scipy import ndimage

        angles = degrees * rng.choice([-1, 1], len(images))
        return np.stack(
            [
                ndimage.rotate(image, angle, reshape=False, order=1, mode="nearest")
                for image, angle in zip(images, angles, strict=True)
            ]
        )

    return distort


def _add_noise(images, rng):
    return (images + rng.normal(0, NOISE, images.shape)).clip(0, 255)


def _blur(images, rng):
    from scipy import ndimage

    return ndimage.gaussian_filter(images, (0, 1, 1, 0))


def _thin(images, rng):
    from scipy import ndimage

    return ndimage.grey_erosion(images, (1, 2, 2, 1))


def _thicken(images, rng):
    from scipy import ndimage

    return ndimage.grey_dilation(images, (1, 2, 2, 1))


# Each takes float32 `[n, height, width, channels]`, 0 to 255, and a generator.
DISTORTIONS = {
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


def check(shape: tuple[int, ...], where: Path | str) -> None:
    """Raises `InputError` where SciPy is missing or a model's examples are no images.

    Args:
        shape: Of an example.
        where: Whose it is.
    """
    try:
        import scipy  # noqa: F401, asked for here so that a long run does not end without it
    except ImportError as error:
        raise InputError(
            f"robustness needs SciPy. Got: {error}. Install 'mnist-edge[benchmarks]'."
        ) from error
    if len(shape) not in (2, 3):
        raise InputError(
            "robustness needs images [height, width] or [height, width, channels]. "
            f"Got: {list(shape)} in {where}."
        )


def distort(images, distortion):
    """Distorts images; the same call gives the same images.

    Args:
        images: float32 `[n, height, width]` or `[n, height, width, channels]`, 0 to 255.
        distortion: A name of `DISTORTIONS`.

    Returns:
        float32, shaped as `images`.
    """
    stacked = images.reshape(*images.shape[:3], -1)
    distorted = DISTORTIONS[distortion](stacked, np.random.default_rng(_SEED))
    return distorted.reshape(images.shape).astype(np.float32)


def measure(settings, contenders, workers):
    """Measures each row's accuracy on the distorted images.

    Args:
        settings: Has `robustness_count` and `progress`.
        contenders: The run's `judge.Contender`s.
        workers: `Worker` by a contender's key.

    Returns:
        dict: `noise_grey_levels`, and `rows`, each with `bundle`, `variant`,
        `image_count` and `accuracy` by distortion.
    """
    present = [contender for contender in contenders if contender.key in workers]
    distorted, rows = {}, []
    steps = len(present) * len(DISTORTIONS)
    with progress.bar(steps, "distorted images", settings.progress) as done:
        for contender in present:
            given = contender.bundle
            chosen = spaced(len(given.images), settings.robustness_count)
            accuracy = {}
            try:
                for name in DISTORTIONS:
                    if (given.label, name) not in distorted:
                        distorted[given.label, name] = distort(given.images[chosen], name)
                    answers = workers[contender.key].predict(distorted[given.label, name])
                    if not np.isfinite(answers).all():
                        raise WorkerFailed(f"gives NaN or infinity for test images, {name}")
                    right = answers.argmax(1) == given.labels[chosen]
                    accuracy[name] = float(np.mean(right))
                    done()
            except WorkerFailed as error:
                contender.fail(error)
                continue
            bundle, variant = contender.key
            rows.append(
                {
                    "bundle": bundle,
                    "variant": variant,
                    "image_count": len(chosen),
                    "accuracy": accuracy,
                }
            )
    return {"noise_grey_levels": NOISE, "rows": rows}


def spaced(count, wanted):
    """Indices of `wanted` of `count` images, evenly spaced; all where there are fewer."""
    return np.linspace(0, count - 1, min(count, wanted)).round().astype(int)
