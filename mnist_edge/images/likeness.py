"""How much a picture looks like a handwritten digit, whatever network reads it.

    python -m mnist_edge.images.likeness   # fits it again and writes likeness.npz

An image's ink is centered, reduced to 7 x 7 blocks and scaled. Its distance is what the 13 main
axes of MNIST's images leave of it, and how far it is along them from the nearest class. Background,
polarity, contrast and place do not matter. All is done in whole numbers: `export/c/likeness.c`, of
C files and of the page, gives the same. Needs only NumPy.
"""

import functools
import io
import sys
from pathlib import Path

import numpy as np

from mnist_edge import cli, data, staging
from mnist_edge.data import npz

FILE = Path(__file__).with_name("likeness.npz")
# Answers of a lower confidence are "no digit": it refuses at most 0.4 % of the validation digits of
# each network (docs/robustness.md). The confidence is the likeness times the probability.
MIN_CONFIDENCE = 0.4
# A likeness is a whole number of parts.
PARTS = 256
_SIDE, _BLOCK, _COUNT, _AXES = 28, 4, 7, 13
# The axes span the inner 5 x 5 blocks. Ink outside them counts twice: digits have little there.
_IS_INNER = np.pad(np.ones((_COUNT - 2, _COUNT - 2), bool), 1).reshape(-1)
_OUTER_SHARE = 2
# Squares of the blocks' sums: below the first there is no ink but the paper's grain; the second is
# added, lest a pale picture's grain look like strokes once it is scaled.
_NO_INK, _PALE = 1 << 20, 1 << 23
# Bits after the point of a scaled block, an axis, a class's mean and a weight.
_VALUE_BITS, _AXIS_BITS, _MEAN_BITS, _WEIGHT_BITS = 10, 6, 6, 8
# The likeness is 1/2 at the distance that this share of validation images stays below, and falls
# with its eighth power.
_HALF = 0.997
# What the same in another language must know.
CONSTANTS = {
    "COUNT": _AXES,
    "OUTER_SHARE": _OUTER_SHARE,
    "NO_INK": _NO_INK,
    "PALE": _PALE,
    "VALUE_BITS": _VALUE_BITS,
    "AXIS_BITS": _AXIS_BITS,
    "MEAN_UNIT": 1 << (_VALUE_BITS - _MEAN_BITS),
    "WEIGHT_BITS": _WEIGHT_BITS,
    "PARTS": PARTS,
}
_ARRAYS = ("axes", "means", "weights", "step")
_PART_COUNT = 5000  # images at a time, for memory's sake


def likeness(images: np.ndarray) -> np.ndarray:
    """Returns how much each image looks like a digit: float64 `[n]`, 0 to 1, in steps of 1/256.

    Args:
        images: Numbers `[n, 28, 28]` or `[n, 28, 28, 1]`, 0 to 255, which are rounded.
    """
    fitted = arrays()
    share = np.minimum(_distances(_blocks(images), fitted) // fitted["step"], 2 * PARTS)
    for _ in range(3):
        share = share * share // PARTS
    return PARTS**2 // (PARTS + share) / PARTS


@functools.lru_cache(maxsize=1)
def arrays() -> dict[str, np.ndarray]:
    """Returns what `fit` found for MNIST, as int64."""
    stored = npz.read(FILE, _ARRAYS, remedy="Reinstall mnist-edge.")
    return {name: array.astype(np.int64) for name, array in stored.items()}


def fit(images: np.ndarray, labels: np.ndarray, validation: np.ndarray) -> dict[str, np.ndarray]:
    """Fits the axes and classes on training images and the scale on validation images.

    Args:
        images: uint8 `[n, 28, 28]`.
        labels: Integers `[n]`, of ten classes.
        validation: uint8 `[m, 28, 28]`.

    Returns:
        Arrays: int8 `axes` `[25, 13]` and `means` `[10, 13]`; uint8 `weights` `[13]`; int32 `step`
        `[1]`, the distance of 1/256 of the scale.
    """
    blocks = _blocks(images)
    inner = (blocks / np.sqrt((blocks**2).sum(1, keepdims=True) + _PALE))[:, _IS_INNER]
    vectors = np.linalg.eigh(inner.T @ inner)[1][:, : -_AXES - 1 : -1]
    axes = _fixed(vectors, _AXIS_BITS)
    rest, places = _along(blocks, axes)
    noise = rest.mean() / (_COUNT**2 - _AXES)
    classes = [places[labels == label] for label in range(10)]
    variance = np.mean([one.var(0) for one in classes], 0)
    means = np.array([one.mean(0) for one in classes]) / (1 << _VALUE_BITS)
    fitted = {
        "axes": axes,
        "means": _fixed(means, _MEAN_BITS),
        "weights": _fixed(noise / variance, _WEIGHT_BITS).clip(0, 255),
    }
    half = np.quantile(_distances(_blocks(validation), fitted), _HALF)
    fitted["step"] = np.array([half // PARTS], np.int64)
    kinds = (np.int8, np.int8, np.uint8, np.int32)
    return {name: fitted[name].astype(kind) for name, kind in zip(_ARRAYS, kinds, strict=True)}


def _fixed(values: np.ndarray, bits: int) -> np.ndarray:
    """Returns numbers with so many bits after the point, int64."""
    return np.round(values * (1 << bits)).astype(np.int64)


def _blocks(images: np.ndarray) -> np.ndarray:
    """Returns the ink of each block of 4 x 4 pixels, centered; int64 `[n, 49]`, 0 to 4,080."""
    starts = range(0, len(images), _PART_COUNT)
    return np.concatenate([_blocks_of(images[i : i + _PART_COUNT]) for i in starts])


def _blocks_of(images: np.ndarray) -> np.ndarray:
    pixels = np.rint(images).clip(0, 255).astype(np.int64).reshape(-1, _SIDE**2)
    middle = pixels.shape[1] // 2 - 1  # the lower of the two in the middle
    background = np.partition(pixels, middle, 1)[:, middle, None]
    ink = np.abs(pixels - background).reshape(-1, _SIDE, _SIDE)
    places = np.arange(_SIDE)
    mass = ink.sum((1, 2)) + 1
    rows, columns = (
        (places + (-(-ink.sum(axis) @ places // mass) - _SIDE // 2)[:, None]) % _SIDE
        for axis in (2, 1)
    )
    which = np.arange(len(ink))[:, None, None]
    ink = ink[which, rows[:, :, None], columns[:, None, :]]
    return ink.reshape(-1, _COUNT, _BLOCK, _COUNT, _BLOCK).sum((2, 4)).reshape(-1, _COUNT**2)


def _along(blocks: np.ndarray, axes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns what axes leave of images, int64 `[n]`, and their places along them, `[n, 13]`."""
    root = np.sqrt((blocks**2).sum(1, keepdims=True) + _PALE).astype(np.int64)
    values = (blocks << _VALUE_BITS) // root
    places = values[:, _IS_INNER] @ axes >> _AXIS_BITS
    squares = values**2 @ np.where(_IS_INNER, 1, _OUTER_SHARE)
    return squares - (places**2).sum(1), places


def _distances(blocks: np.ndarray, fitted: dict[str, np.ndarray]) -> np.ndarray:
    """Returns the distance from the nearest class, int64 `[n]`; huge for an image without ink."""
    rest, places = _along(blocks, fitted["axes"])
    off = places[:, None] - (fitted["means"] << (_VALUE_BITS - _MEAN_BITS))
    apart = (off**2 * fitted["weights"] >> _WEIGHT_BITS).sum(2)
    found = np.maximum(rest + apart.min(1), 0)
    return np.where((blocks**2).sum(1) < _NO_INK, np.iinfo(np.int32).max, found)


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Fits on MNIST and writes the file; returns the exit status."""
    cli.parser(__doc__).parse_args(argv)
    mnist = data.load()
    train, validation = data.split_indices(len(mnist.x_train), seed=0)
    fitted = fit(mnist.x_train[train], mnist.y_train[train], mnist.x_train[validation])
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **fitted)
    staging.write_file(FILE, content.getvalue())
    print(f"written: {FILE.name}, {sum(array.size for array in fitted.values()):,} numbers")
    return cli.OK


if __name__ == "__main__":
    sys.exit(main())
