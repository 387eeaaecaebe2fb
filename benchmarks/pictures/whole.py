"""Trains the judge of `mnist_edge.images.split`: which digit a piece of ink is, or none.

    python -m benchmarks.pictures.whole mnist_edge/images/whole.npz

Its examples are what `split.parts` cuts from one to three of MNIST's training digits, most of them
touching. Needs Keras; the judge itself runs on NumPy. Cutting takes half an hour on one core.
"""

import contextlib
import sys
from pathlib import Path

import numpy as np

from mnist_edge import backend
from mnist_edge.errors import InputError
from mnist_edge.images import normalize, split

from . import glyphs

_STRIPS = 18_500
_COUNTS = (0.2, 0.65, 0.15)  # how often a strip has one, two and three digits
_HEIGHTS = (44, 84)  # of a digit, pixels; what follows are shares of it
_LIFT, _DEEPEST, _WIDEST_GAP = 0.06, 0.1, 0.12
_TOUCH = 0.85  # how often two digits touch
_INK = 0.4  # as in `split`
_RIGHT, _WRONG = 0.82, 0.68  # overlap with a digit above which a piece is it, below which none is
_MOST = 4  # pieces of a strip that are digits, and that are none
_NONE = 10
_EPOCHS, _BATCH, _RATE, _DECAY = 8, 256, 3e-3, 1e-3
_FIELD = 28


def _strip(glyph: glyphs.Source, rng: np.random.Generator) -> tuple[list[int], np.ndarray]:
    """Draws digits side by side.

    Returns:
        `(digits, layers)`: the ink of each alone, float32 `[digits, height, width]`.
    """
    count = int(rng.choice([1, 2, 3], p=_COUNTS))
    height, widen = rng.uniform(*_HEIGHTS), rng.uniform(-1, 1)
    digits = rng.integers(0, 10, count).tolist()
    inks = [glyph(digit, height, widen, rng) for digit in digits]
    lifts = rng.uniform(-_LIFT, _LIFT, count) * height
    starts = [0]
    for number in range(1, count):
        one, other = inks[number - 1 : number + 1]
        end = starts[-1] + one.shape[1]
        reach = glyphs.room(one, other, round(lifts[number - 1] - lifts[number]))
        is_apart = rng.random() >= _TOUCH
        gap = rng.uniform(0, _WIDEST_GAP) if is_apart else -rng.uniform(0, _DEEPEST)
        starts.append(max(0, end - reach + round(gap * height)))
    tall = max(map(len, inks)) + round(2 * _LIFT * height) + 4
    wide = max(start + ink.shape[1] for start, ink in zip(starts, inks, strict=True)) + 4
    layers = np.zeros((count, tall, wide), np.float32)
    for layer, ink, start, lift in zip(layers, inks, starts, lifts, strict=True):
        top = int(np.clip(round((tall - len(ink)) / 2 - lift), 0, tall - len(ink)))
        layer[top : top + len(ink), start + 2 : start + 2 + ink.shape[1]] = ink
    return digits, layers


def _pieces(
    digits: list[int], layers: np.ndarray, rng: np.random.Generator
) -> list[tuple[split.Part, int]]:
    """Returns some of what may be cut from a strip, and the digit that each is, or `_NONE`."""
    from scipy import ndimage

    ink = ndimage.gaussian_filter(layers.max(0), rng.uniform(0, 0.8))
    ink /= ink.max()
    left, top, right, bottom = split.box(ink)
    inside = slice(max(0, top - 1), bottom + 1), slice(max(0, left - 1), right + 1)
    drawn = layers[:, *inside] > 0.5
    right_ones, wrong_ones, weights = [], [], []
    for number, part in enumerate(split.parts(ink[inside], 0, True)):
        mask = part.ink >= _INK
        shares = (mask & drawn).sum((1, 2)) / (mask | drawn).sum((1, 2))
        if shares.max() >= _RIGHT:
            right_ones.append((part, digits[shares.argmax()]))
        elif shares.max() < _WRONG:
            wrong_ones.append((part, _NONE))
            # The whole, and what nearly is a digit, more often than others.
            weights.append((0.3 if number else 1) + shares.max())
    chosen = rng.permutation(len(right_ones))[:_MOST]
    found = [right_ones[i] for i in chosen]
    if wrong_ones:
        odds = np.array(weights) / sum(weights)
        count = min(len(odds), _MOST)
        found += [wrong_ones[i] for i in rng.choice(len(odds), count, replace=False, p=odds)]
    return found


def examples(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Makes examples of `count` strips.

    Returns:
        `(pixels, labels)`: uint8 `[n, 28, 28]`; the digit that each is, or 10, uint8 `[n]`.
    """
    glyph = glyphs.mnist(glyphs.TRAINING)
    made = []
    for _ in range(count):
        for part, label in _pieces(*_strip(glyph, rng), rng):
            with contextlib.suppress(InputError):  # ink that vanishes is no digit
                made.append((normalize.as_mnist("a strip", part.ink), label))
    return np.stack([pixels for pixels, _ in made]), np.array([one for _, one in made], np.uint8)


def train(pixels: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    """Trains the judge.

    Args:
        pixels: uint8 `[n, 28, 28]`.
        labels: Which digit each is, or 10, `[n]`.

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
            layers.Conv2D(16, 5, strides=2, activation="relu"),
            layers.Conv2D(32, 3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(48, activation="relu"),
            layers.Dense(_NONE + 1),
        ]
    )
    rate = keras.optimizers.schedules.CosineDecay(_RATE, _EPOCHS * (len(pixels) // _BATCH + 1))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(rate, weight_decay=_DECAY), loss)
    model.fit(pixels[..., None], labels, _BATCH, _EPOCHS, verbose=2)
    return model.get_weights()


def main(argv: list[str]) -> None:
    """Makes the examples, trains, and writes the weights."""
    weights = train(*examples(_STRIPS, np.random.default_rng(0)))
    np.savez_compressed(Path(argv[0]), *[values.astype(np.float16) for values in weights])


if __name__ == "__main__":
    main(sys.argv[1:])
