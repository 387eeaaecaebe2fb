"""Trains the judge of `mnist_edge.images.split`: is a piece of ink one whole digit?

    python -m benchmarks.pictures.whole mnist_edge/images/whole.npz

Its examples are made of MNIST's training digits: whole ones, pairs that touch, and what a cut at a
wrong place leaves of them. Needs Keras; the judge itself runs on NumPy.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from mnist_edge import backend, data

from . import glyphs

_COUNT = 30_000  # pairs, each of which gives up to five examples; and as many of MNIST's digits
_EPOCHS, _BATCH, _RATE = 8, 256, 3e-3
_BOX, _FIELD = 20, 28
_INK = 100  # gray levels


def _cropped(pixels: np.ndarray) -> np.ndarray:
    rows, columns = (np.flatnonzero((pixels > _INK).any(axis)) for axis in (1, 0))
    if not len(rows):
        return pixels[:0]
    return pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _fitted(pixels: np.ndarray) -> np.ndarray | None:
    """Scales ink to 20 pixels and centers it by its mass, as MNIST's digits are."""
    pixels = _cropped(pixels)
    if not pixels.size or max(pixels.shape) < 4:
        return None
    factor = _BOX / max(pixels.shape)
    height, width = (max(1, round(side * factor)) for side in pixels.shape)
    small = np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR))
    mass = small / small.sum(dtype=float)
    center = np.array([mass.sum(1) @ np.arange(height), mass.sum(0) @ np.arange(width)])
    top, left = np.round(_FIELD / 2 - center).astype(int).clip(0, [_FIELD - height, _FIELD - width])
    field = np.zeros((_FIELD, _FIELD), np.uint8)
    field[top : top + height, left : left + width] = small
    return field


def _overlap(piece: np.ndarray, digit: np.ndarray) -> bool | None:
    """Whether a piece is a whole digit; None if it is neither that nor clearly something else."""
    one, other = piece > _INK, digit > _INK
    share = (one & other).sum() / max(1, (one | other).sum())
    return None if 0.7 < share < 0.85 else bool(share >= 0.85)


def _examples(images: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Returns `(pixels, whole)`: uint8 `[n, 28, 28]`, and whether each is one digit."""
    made: list[tuple[np.ndarray | None, bool | None]] = []
    for _ in range(_COUNT):
        one, other = (_cropped(images[i]) for i in rng.integers(0, len(images), 2))
        tops = rng.integers(0, 3, 2)
        tall = max(len(one) + tops[0], len(other) + tops[1])
        lower = int(tops[1] + len(other) // 2 - tops[0] - len(one) // 2)
        overlap = glyphs.room(one / 255, other / 255, lower) + int(rng.integers(-1, 4))
        start = max(0, one.shape[1] - overlap)
        width = max(one.shape[1], start + other.shape[1])
        pair = np.zeros((2, tall, width), np.uint8)
        for layer, digit, left in ((0, one, 0), (1, other, start)):
            pair[layer, tops[layer] : tops[layer] + len(digit), left : left + digit.shape[1]] = (
                digit
            )
        ink = pair.max(0)
        slope = rng.uniform(-0.4, 0.4)
        tilt = (slope * (np.arange(tall) - tall / 2))[:, None]
        middle = (start + one.shape[1]) / 2
        seam = middle + tilt
        off = (
            rng.choice([-1, 1]) * rng.uniform(0.2, 0.6) * one.shape[1 if rng.random() < 0.5 else 0]
        )
        columns = np.arange(width)
        wrong = columns < seam + off
        near = columns < seam + rng.uniform(-0.8, 0.8)
        layer = int(rng.integers(0, 2))
        # A whole digit, with what a cut leaves on it or takes from it.
        rest = ink * (near if layer == 0 else ~near)
        made += [
            (_fitted(ink), False),
            (_fitted(ink * wrong), _overlap(ink * wrong, pair[0])),
            (_fitted(ink * ~wrong), _overlap(ink * ~wrong, pair[1])),
            (_fitted(rest), _overlap(rest, pair[layer])),
            (_fitted(pair[layer]), True),
        ]
    kept = [(pixels, whole) for pixels, whole in made if pixels is not None and whole is not None]
    return np.stack([pixels for pixels, _ in kept]), np.array([whole for _, whole in kept])


def train(pixels: np.ndarray, whole: np.ndarray) -> list[np.ndarray]:
    """Trains the judge.

    Args:
        pixels: uint8 `[n, 28, 28]`.
        whole: Whether each is one digit, bool `[n]`.

    Returns:
        Weights and biases of two convolutions and two dense layers, in the order of Keras.
    """
    backend.start_keras()
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((_FIELD, _FIELD, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(12, 5, strides=2, activation="relu"),
            layers.Conv2D(24, 3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(32, activation="relu"),
            layers.Dense(1),
        ]
    )
    rate = keras.optimizers.schedules.CosineDecay(_RATE, _EPOCHS * (len(pixels) // _BATCH + 1))
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss)
    model.fit(pixels[..., None], whole.astype(np.float32), _BATCH, _EPOCHS, verbose=2)
    return model.get_weights()


def main(argv: list[str]) -> None:
    """Makes the examples, trains, and writes the weights."""
    dataset = data.load()
    chosen, _ = data.split_indices(len(dataset.y_train), seed=0)
    images = dataset.x_train[chosen]
    pixels, whole = _examples(images, np.random.default_rng(0))
    pixels = np.concatenate([pixels, images[:_COUNT]])
    whole = np.concatenate([whole, np.ones(_COUNT, bool)])
    weights = [values.astype(np.float16) for values in train(pixels, whole)]
    np.savez_compressed(Path(argv[0]), *weights)


if __name__ == "__main__":
    main(sys.argv[1:])
