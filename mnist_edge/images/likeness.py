"""How much a picture looks like a handwritten digit, whatever network reads it.

    python -m mnist_edge.images.likeness   # fits it again and writes likeness.npz

Each class has a Gaussian, by principal components, of MNIST's images reduced to 7 x 7 pixels. A
picture's distance is that from the nearest class. Background, polarity, contrast and place do not
matter. Needs only NumPy.
"""

import functools
import io
import sys
from pathlib import Path

import numpy as np

from mnist_edge import cli, data, staging
from mnist_edge.data import npz

FILE = Path(__file__).with_name("likeness.npz")
_SIDE, _BLOCK, _COMPONENTS = 28, 4, 12
# Energy of the reduced picture below which it counts as pale, in squares of white: blank paper's
# grain would look like strokes if it were scaled to full contrast.
_PALE = 0.5
# The likeness is 1/2 at the distance that this share of validation images stays below, and 98 % at
# the other: so nearly all digits keep their probability, and refusals are few.
_HALF, _NEAR, _STEEPNESS = 0.997, 0.9, 4.0


def likeness(images: np.ndarray) -> np.ndarray:
    """Returns how much each image looks like a digit: float64 `[n]`, 0 to 1.

    Args:
        images: Numbers `[n, 28, 28]` or `[n, 28, 28, 1]`, 0 to 255.
    """
    fitted = _fitted()
    middle, width = fitted["scale"]
    distance = _distances(_reduced(images), fitted).min(1)
    return 1 / (1 + np.exp(((distance - middle) / width).clip(-50, 50)))


def fit(images: np.ndarray, labels: np.ndarray, validation: np.ndarray) -> dict[str, np.ndarray]:
    """Fits the Gaussians on training images and the scale on validation images.

    Args:
        images: uint8 `[n, 28, 28]`.
        labels: Integers `[n]`, of ten classes.
        validation: uint8 `[m, 28, 28]`.

    Returns:
        Arrays, float32: `means` `[10, 49]`, `axes` `[10, 12, 49]`, `noise` `[10]`, `scale` `[2]`.
    """
    reduced = _reduced(images)
    found: dict[str, list[np.ndarray]] = {"means": [], "axes": [], "noise": []}
    for label in range(10):
        own = reduced[labels == label]
        variances, vectors = np.linalg.eigh(np.cov((own - own.mean(0)).T))
        noise = variances[:-_COMPONENTS].mean()
        # The squared distance is that of the residual's, less what the components explain.
        explained = np.sqrt(1 / noise - 1 / variances[-_COMPONENTS:])
        found["means"].append(own.mean(0))
        found["axes"].append(explained[:, None] * vectors[:, -_COMPONENTS:].T)
        found["noise"].append(noise)
    fitted = {name: np.asarray(values, np.float32) for name, values in found.items()}
    distances = _distances(_reduced(validation), fitted).min(1)
    near, half = np.quantile(distances, [_NEAR, _HALF])
    return fitted | {"scale": np.array([half, (half - near) / _STEEPNESS], np.float32)}


@functools.lru_cache(maxsize=1)
def _fitted() -> dict[str, np.ndarray]:
    return npz.read(FILE, ("means", "axes", "noise", "scale"), remedy="Reinstall mnist-edge.")


def _reduced(images: np.ndarray) -> np.ndarray:
    """Returns the images without background and centered, in 7 x 7 blocks; float32 `[n, 49]`."""
    pixels = images.reshape(-1, _SIDE, _SIDE).astype(np.float32) / 255
    ink = np.abs(pixels - np.median(pixels, (1, 2), keepdims=True))
    places = np.arange(_SIDE)
    mass = ink.sum((1, 2)) + 1e-6
    rows, columns = (
        (places - np.round((_SIDE - 1) / 2 - ink.sum(axis) @ places / mass)[:, None]) % _SIDE
        for axis in (2, 1)
    )
    which = np.arange(len(ink))[:, None, None]
    ink = ink[which, rows.astype(int)[:, :, None], columns.astype(int)[:, None, :]]
    count = _SIDE // _BLOCK
    blocks = ink.reshape(-1, count, _BLOCK, count, _BLOCK).mean((2, 4)).reshape(-1, count**2)
    return blocks / np.sqrt((blocks**2).sum(1, keepdims=True) + _PALE)


def _distances(reduced: np.ndarray, fitted: dict[str, np.ndarray]) -> np.ndarray:
    """Returns the squared Mahalanobis distance from each class, float32 `[n, 10]`."""
    found = []
    for mean, axes, noise in zip(fitted["means"], fitted["axes"], fitted["noise"], strict=True):
        off = reduced - mean
        found.append((off**2).sum(1) / noise - ((off @ axes.T) ** 2).sum(1))
    return np.stack(found, 1)


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
