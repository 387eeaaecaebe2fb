"""What images are judged under: the fifteen corruptions of MNIST-C, and the project's own.

MNIST-C (Mu and Gilmer 2019, arXiv:1906.02337) is a set of files. These functions remake it from
its published descriptions, at the published strengths, so that it can be made of any images.
Nothing here is used in training: `SAME_KIND` says which of training's distortions come close.
"""

import functools
from collections.abc import Callable

import numpy as np

from . import blur, edges, geometry, light, noise, own, strokes

# Maps float32 images `[n, height, width, channels]`, 0 to 255, to images of the same shape.
Distortion = Callable[[np.ndarray, np.random.Generator], np.ndarray]

PLAIN = "plain"
_SEED = 0
_CHUNK = 250  # images; clouds take 0.8 MB each


def _by_channel(
    corruption: Callable[[np.ndarray, np.random.Generator], np.ndarray],
) -> Distortion:
    """Applies a corruption of float64 images `[n, height, width]` to each channel alike.

    Results are rounded to whole gray levels, halves up, whatever the last bits of the arithmetic.
    """

    @functools.wraps(corruption)
    def distort(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        changed = np.empty(images.shape, np.float32)
        for channel in range(images.shape[3]):
            again = np.random.default_rng(_SEED)
            for start in range(0, len(images), _CHUNK):
                part = images[start : start + _CHUNK, :, :, channel].astype(np.float64)
                found = corruption(part, again).clip(0, 255)
                changed[start : start + _CHUNK, :, :, channel] = np.floor(found + 0.5 + 1e-6)
        return changed

    return distort


MNIST_C: dict[str, Distortion] = {
    "shot noise": _by_channel(noise.shot),
    "impulse noise": _by_channel(noise.impulse),
    "glass blur": _by_channel(blur.glass),
    "motion blur": _by_channel(blur.motion),
    "shear": _by_channel(geometry.shear),
    "scale": _by_channel(geometry.scale),
    "rotate": _by_channel(geometry.rotate),
    "brightness": _by_channel(light.brightness),
    "translate": _by_channel(geometry.translate),
    "stripe": _by_channel(light.stripe),
    "fog": _by_channel(light.fog),
    "spatter": _by_channel(noise.spatter),
    "dotted line": _by_channel(strokes.dotted_line),
    "zigzag": _by_channel(strokes.zigzag),
    "canny edges": _by_channel(edges.canny),
}
OWN: dict[str, Distortion] = {
    **{f"shift {pixels} px": own.shift(pixels) for pixels in (1, 2, 3, 4)},
    "shift 2 px diagonally": own.shift(2, own.CORNERS),
    **{f"rotate {degrees}°": own.rotate(degrees) for degrees in (10, 20, 30)},
    "noise": own.add_noise,
    "blur": own.blur,
    "thinner": own.thin,
    "thicker": own.thicken,
    "inverted": own.invert,
}
DISTORTIONS: dict[str, Distortion] = {PLAIN: lambda images, rng: images, **MNIST_C, **OWN}

# Each range of `mnist_edge.models.recipe.Affine`, and each of `mnist_edge.training.disturb.KINDS`,
# with what is judged that is of the same kind.
SAME_KIND: dict[str, tuple[str, ...]] = {
    "rotation": ("rotate", "rotate 10°", "rotate 20°", "rotate 30°"),
    "shift": ("translate", *(name for name in OWN if name.startswith("shift"))),
    "zoom": ("scale",),
    "shear": ("shear",),
    "noise": ("noise", "shot noise", "impulse noise"),
    "disturbed: moved by wider ranges": ("rotate", "translate", "scale", "shear"),
    "disturbed: grain": ("noise", "shot noise", "impulse noise"),
    "disturbed: blur": ("blur", "glass blur", "motion blur"),
    "disturbed: light": ("brightness",),
    "disturbed: invert": ("inverted", "stripe"),
    "disturbed: clouds": ("fog",),
    "disturbed: lines": ("dotted line", "zigzag"),
    "disturbed: spots": ("spatter",),
    "disturbed: outlines": ("canny edges",),
    "disturbed: strokes": ("thinner", "thicker"),
}


def distort(images: np.ndarray, name: str) -> np.ndarray:
    """Distorts images, the same each time.

    Args:
        images: float32 `[n, height, width, channels]`, 0 to 255.
        name: A name of `DISTORTIONS`.

    Returns:
        float32 of the same shape, 0 to 255.
    """
    return DISTORTIONS[name](images, np.random.default_rng(_SEED)).astype(np.float32)
