"""Measures artifacts on distorted test images, ours or MNIST-C's, and on pictures of no digit."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mnist_edge import cli, data, drawing, examples, metrics
from mnist_edge.errors import InputError
from mnist_edge.images.likeness import MIN_CONFIDENCE, likeness

from . import bundles, corruptions
from .bundles import Artifact, Bundle
from .corruptions import files, negatives
from .corruptions.negatives import NEGATIVES
from .measurement import Robustness
from .worker import Worker, WorkerFailed

# Test images and labels, as `Worker` takes them.
Pair = tuple[np.ndarray, np.ndarray]


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
        distortion: A name of `corruptions.DISTORTIONS`.
        input_range: Smallest and largest value of the training examples.

    Returns:
        float32, in the shape and scale of `images`.
    """
    low, unit = _scale(input_range)
    stacked = (images.reshape(*images.shape[:3], -1).astype(np.float32) - low) / unit
    distorted = corruptions.distort(stacked, distortion)
    return (distorted * unit + low).reshape(images.shape).astype(np.float32)


def _scale(input_range: tuple[float, float]) -> tuple[float, float]:
    """Returns the values of black and of one gray level in a model's input."""
    low, high = examples.pixel_range(input_range) or (0.0, 255.0)
    return low, (high - low) / 255


def names(source: str | None, no_digit: Sequence[str] = ()) -> tuple[str, ...]:
    """Returns what is measured: names of `corruptions.DISTORTIONS`, of `NEGATIVES`, `no_digit`.

    Args:
        source: `mnist-c:FOLDER` for the files of MNIST-C; None for our own images.
        no_digit: Data sets, as for `data.load`, whose test images show no digit.
    """
    return (*(files.NAMES if source else corruptions.DISTORTIONS), *NEGATIVES, *no_digit)


def distorted(
    one: Bundle, name: str, count: int, source: str | None, no_digit: Sequence[str] = ()
) -> Pair:
    """Returns distorted test images for a bundle's artifacts, and their labels, if they have any.

    Args:
        one: The bundle.
        name: One of `names(source)`.
        count: How many images, evenly spaced.
        source: As for `names`.
        no_digit: As for `names`.

    Raises:
        InputError: Files are missing or damaged, or the bundle's model takes other images or has
            other classes.
    """
    input_range = one.manifest.model.input_range
    low, unit = _scale(input_range)
    if name in NEGATIVES:
        made = negatives.make(name, count, one.images.shape[1:])
        return made * np.float32(unit) + np.float32(low), np.empty(0, int)
    if name in no_digit:
        others = data.load(name).x_test
        chosen = others[bundles.spaced(len(others), count)]
        shaped = data.in_shape(chosen, one.images.shape[1:])
        return shaped * np.float32(unit) + np.float32(low), np.empty(0, int)
    if not source:
        chosen = bundles.spaced(len(one.images), count)
        return distort(one.images[chosen], name, input_range), one.labels[chosen]
    images, labels = files.read(files.folder(source), name)
    chosen, classes = bundles.spaced(len(images), count), one.reference.shape[1]
    if classes != files.CLASSES:
        raise InputError(f"MNIST-C needs a model of ten digits. Got: {classes} in {one.folder}.")
    shaped = data.in_shape(images[chosen], one.images.shape[1:])
    return shaped * np.float32(unit) + np.float32(low), labels[chosen]


def outputs(worker: Worker, file: Artifact, images: np.ndarray, what: str) -> np.ndarray:
    """Returns an artifact's probabilities, float32 `[n, classes]`.

    Args:
        worker: The artifact's process.
        file: The artifact.
        images: float32 `[n, ...]`.
        what: What the images are, for the error message.

    Raises:
        WorkerFailed: The artifact fails, or returns NaN or infinity.
    """
    found = file.finish(worker.predict(images))
    if not np.isfinite(found).all():
        raise WorkerFailed(f"returned NaN or infinity for test images, {what}")
    return found


def likenesses(one: Bundle, images: np.ndarray) -> np.ndarray | None:
    """Returns how much images look like digits `[n]`; None for models that don't read MNIST's."""
    if one.manifest.data.source != data.MNIST:
        return None
    low, unit = _scale(one.manifest.model.input_range)
    return likeness((images - low) / unit)


def record(
    found: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    source: str | None,
    alike: Mapping[str, np.ndarray] | None = None,
) -> Robustness:
    """Returns what is recorded of an artifact.

    Args:
        found: Its probabilities `[n, classes]` by name.
        labels: The true classes `[n]` by name; none for pictures of no digit.
        source: As for `names`.
        alike: The `likenesses` `[n]` by name; empty if there are none.
    """
    judged = {name: p for name, p in found.items() if len(labels[name])}
    others = [name for name in found if name not in judged]
    likely = {name: p.max(1) for name, p in found.items()}
    digits = likely[corruptions.PLAIN]
    confidence = {name: likely[name] * one for name, one in (alike or {}).items()}
    return Robustness(
        image_count=len(digits),
        noise_gray_levels=corruptions.own.NOISE,
        accuracy={name: float(np.mean(p.argmax(1) == labels[name])) for name, p in judged.items()},
        calibration_error={
            name: metrics.expected_calibration_error(metrics.reliability_bins(p, labels[name]))
            for name, p in judged.items()
        },
        roc_area={Path(name).name: metrics.roc_area(digits, likely[name]) for name in others},
        confidence_roc_area={
            Path(name).name: metrics.roc_area(confidence[corruptions.PLAIN], confidence[name])
            for name in others
            if confidence
        },
        refused={
            Path(name).name: float(np.mean(one < MIN_CONFIDENCE))
            for name, one in confidence.items()
        },
        source=cli.printable(f"{files.PREFIX}{files.folder(source).name}") if source else "",
    )
