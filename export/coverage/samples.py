"""Small data sets for the kinds of models: parts of MNIST, and made by a seed."""

import functools
from collections.abc import Callable

import numpy as np

from mnist_edge import data

# A sixth of the training examples checks every artifact, and says whether Keras is right.
_TRAIN, _TEST = 1200, 200
_COUNT = _TRAIN + _TEST


def _split(x: np.ndarray, y: np.ndarray) -> data.Dataset:
    return data.Dataset(x[:_TRAIN], y[:_TRAIN], x[_TRAIN:], y[_TRAIN:])


def _mnist(change: Callable[[np.ndarray], np.ndarray], classes: int = 10) -> data.Dataset:
    """Returns changed digits, each moved half the way to the average of its class.

    So even a network with random weights and a trained last layer is sure of most of them, and
    what quantization changes is not lost among answers that were a toss-up.
    """
    mnist = data.load()
    chosen = np.flatnonzero(mnist.y_train < classes)[:_COUNT]
    x, y = mnist.x_train[chosen].astype(np.float32), mnist.y_train[chosen]
    average = np.stack([x[y == digit].mean(0) for digit in range(classes)])
    return _split(change(((x + average[y]) / 2).astype(np.uint8)), y)


def _halved(images: np.ndarray) -> np.ndarray:
    """Averages each two by two pixels."""
    count, height, width = images.shape
    blocks = images.reshape(count, height // 2, 2, width // 2, 2)
    return blocks.mean((2, 4)).round().astype(np.uint8)


def _colored(images: np.ndarray) -> np.ndarray:
    tint = np.random.default_rng(0).uniform(0.5, 1, (len(images), 1, 1, 3))
    return (images[..., None] * tint).astype(np.uint8)


def _padded(images: np.ndarray) -> np.ndarray:
    return np.pad(images, ((0, 0), (2, 2), (2, 2)))


@functools.cache
def gray() -> data.Dataset:
    """Digits, uint8 `[n, 14, 14]`, 0 to 255."""
    return _mnist(_halved)


@functools.cache
def gray32() -> data.Dataset:
    """Digits, uint8 `[n, 32, 32]`, 0 to 255."""
    return _mnist(_padded)


@functools.cache
def color() -> data.Dataset:
    """Tinted digits, uint8 `[n, 14, 14, 3]`, 0 to 255."""
    return _mnist(lambda images: _colored(_halved(images)))


@functools.cache
def photos(side: int, pixels: bool) -> data.Dataset:
    """Tinted digits amid black, `[n, side, side, 3]`: uint8, or float32 from -1 to 1."""

    def change(images: np.ndarray) -> np.ndarray:
        large = np.kron(images, np.ones((1, side // 28, side // 28), np.uint8))
        before = (side - large.shape[1]) // 2
        around = (before, side - large.shape[1] - before)
        colored = _colored(np.pad(large, ((0, 0), around, around)))
        return colored if pixels else (colored / 127.5 - 1).astype(np.float32)

    return _mnist(change)


@functools.cache
def rows() -> data.Dataset:
    """Digits 0 to 3, one row per time step, float32 `[n, 10, 14]`, 0 to 1."""
    return _mnist(lambda images: (_halved(images)[:, 2:12] / 255).astype(np.float32), classes=4)


@functools.cache
def frames() -> data.Dataset:
    """Digits that move one pixel per frame, float32 `[n, 4, 14, 14, 1]`, 0 to 1."""

    def move(images: np.ndarray) -> np.ndarray:
        still = (_halved(images) / 255).astype(np.float32)
        return np.stack([np.roll(still, step, 2) for step in range(4)], 1)[..., None]

    return _mnist(move)


@functools.cache
def tokens() -> data.Dataset:
    """Texts of 20 of 100 words, integers `[n, 20]`, of four topics; 0 pads them."""
    rng = np.random.default_rng(0)
    topics = rng.dirichlet(np.full(99, 0.1), 4)
    y = np.arange(_COUNT) % 4
    x = np.stack([rng.choice(99, 20, p=topics[topic]) + 1 for topic in y])
    x[np.arange(20) >= rng.integers(10, 21, (_COUNT, 1))] = 0
    return _split(x.astype(np.int32), y)


@functools.cache
def table() -> data.Dataset:
    """Measurements in units from thousandths to thousands, float32 `[n, 8]`; three classes."""
    rng = np.random.default_rng(0)
    y = np.arange(_COUNT) % 3
    x = rng.normal(size=(3, 8))[y] * 2 + rng.normal(size=(_COUNT, 8))
    return _split(((x + rng.normal(size=8) * 3) * 10.0 ** np.arange(-3, 5)).astype(np.float32), y)


@functools.cache
def thousand() -> data.Dataset:
    """Noisy patterns of 1,000 classes, uint8 `[n, 8, 8]`, 0 to 255."""
    rng = np.random.default_rng(0)
    y = np.arange(5 * 1000) % 1000
    patterns = rng.integers(0, 256, (1000, 8, 8))
    x = np.clip(patterns[y] + rng.normal(scale=10, size=(len(y), 8, 8)), 0, 255).astype(np.uint8)
    return data.Dataset(x[:4000], y[:4000], x[4000:], y[4000:])
