"""Trains the two small networks of `mnist_edge.images.readers`, from nothing but digits.

    python -m benchmarks.pictures.readers
    python -m benchmarks.pictures.readers --only strings.npz --output /tmp

Needs Keras and the fonts for training; the networks themselves run on NumPy. Takes most of an hour
on one core.
"""

import contextlib
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnist_edge import backend, cli
from mnist_edge.cli import setting
from mnist_edge.errors import InputError
from mnist_edge.images import cuts, normalize
from mnist_edge.images import readers as packaged

from . import glyphs, strips
from .glyphs import Source

if TYPE_CHECKING:
    import keras

_STRIPS = {packaged.WHOLE: 20_000, packaged.STRINGS: 160_000}
_EPOCHS = {packaged.WHOLE: 8, packaged.STRINGS: 12}
_INK = 0.4  # as in `cuts`
_RIGHT, _WRONG = 0.82, 0.68  # overlap with a digit above which a piece is it, below which none is
_MOST = 4  # pieces of a strip that are digits, and that are none
_NONE = 10
_BATCH, _RATE, _DECAY = 128, 3e-3, 1e-3
_FIELD = 28
_LONGEST = 3  # digits of a strip


@dataclasses.dataclass(frozen=True)
class ReadersSettings:
    """Settings of `benchmarks.pictures.readers`."""

    output: Path = setting(Path("mnist_edge/images"), "folder that the weights are written to")
    only: str | None = setting(None, "train one of the two", choices=tuple(_STRIPS))


# Pixels, uint8 `[n, height, width]`, and what they are, integers `[n]` or `[n, 3]`.
Examples = tuple[np.ndarray, np.ndarray]


def _pieces(
    digits: list[int], layers: np.ndarray, rng: np.random.Generator
) -> list[tuple[np.ndarray, int]]:
    """Returns some of what may be cut from a strip, and the digit that each is, or `_NONE`."""
    ink = strips.ink(layers, rng)
    left, top, right, bottom = cuts.box(ink)
    inside = slice(max(0, top - 1), bottom + 1), slice(max(0, left - 1), right + 1)
    drawn = layers[:, *inside] > 0.5
    right_ones, wrong_ones, weights = [], [], []
    for number, part in enumerate(cuts.parts(ink[inside], 0, True)):
        mask = part.ink >= _INK
        shares = (mask & drawn).sum((1, 2)) / (mask | drawn).sum((1, 2))
        if shares.max() >= _RIGHT:
            right_ones.append((part.ink, digits[shares.argmax()]))
        elif shares.max() < _WRONG:
            wrong_ones.append((part.ink, _NONE))
            # The whole, and what nearly is a digit, more often than others.
            weights.append((0.3 if number else 1) + shares.max())
    chosen = rng.permutation(len(right_ones))[:_MOST]
    found = [right_ones[i] for i in chosen]
    if wrong_ones:
        odds = np.array(weights) / sum(weights)
        count = min(len(odds), _MOST)
        found += [wrong_ones[i] for i in rng.choice(len(odds), count, replace=False, p=odds)]
    return found


def whole_examples(count: int, sources: list[list[Source]], rng: np.random.Generator) -> Examples:
    """Makes examples of `count` strips: pieces, and the digit that each is, or 10."""
    made = []
    for _ in range(count):
        for piece, label in _pieces(*strips.strip(sources, rng), rng):
            with contextlib.suppress(InputError):  # ink that vanishes is no digit
                made.append((normalize.as_mnist("a strip", piece), label))
    return np.stack([pixels for pixels, _ in made]), np.array([one for _, one in made], np.uint8)


def string_examples(count: int, sources: list[list[Source]], rng: np.random.Generator) -> Examples:
    """Makes examples of `count` strips: all their ink, and their digits plus one, then zeros."""
    pixels = np.empty((count, packaged.HEIGHT, packaged.WIDTH), np.uint8)
    labels = np.zeros((count, _LONGEST), np.uint8)
    for i in range(count):
        digits, layers = strips.strip(sources, rng)
        pixels[i] = packaged.fitted(strips.ink(layers, rng))
        labels[i, : len(digits)] = np.array(digits) + 1
    return pixels, labels


_EXAMPLES = {packaged.WHOLE: whole_examples, packaged.STRINGS: string_examples}


def whole_network() -> "keras.Model":
    """Returns the network that tells digits from what is none, untrained."""
    import keras
    from keras import layers

    return keras.Sequential(
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


def string_network() -> "keras.Model":
    """Returns the network that reads strings, untrained."""
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((packaged.HEIGHT, packaged.WIDTH, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(16, 5, strides=2, activation="relu"),
            layers.Conv2D(32, 3, strides=2, activation="relu"),
            layers.Conv2D(48, 3, padding="same", activation="relu"),
            layers.Conv2D(64, (4, 3), activation="relu"),
            layers.Dropout(0.2),
            layers.Conv2D(_NONE + 1, (1, 3)),
            layers.Reshape((-1, _NONE + 1)),
        ]
    )


def train(name: str, pixels: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    """Trains a network; returns its kernels and biases, in the order of Keras.

    Args:
        name: `mnist_edge.images.readers.WHOLE` or `STRINGS`.
        pixels: From `whole_examples` or `string_examples`.
        labels: The same.
    """
    backend.start_keras()
    import keras

    keras.utils.set_random_seed(0)
    is_whole = name == packaged.WHOLE
    model = whole_network() if is_whole else string_network()
    losses = keras.losses
    loss = losses.SparseCategoricalCrossentropy(from_logits=True) if is_whole else losses.CTC()
    steps = _EPOCHS[name] * (len(pixels) // _BATCH + 1)
    rate = keras.optimizers.schedules.CosineDecay(_RATE, steps)
    model.compile(keras.optimizers.AdamW(rate, weight_decay=_DECAY), loss)
    model.fit(pixels[..., None], labels, _BATCH, _EPOCHS[name], verbose=2)
    return model.get_weights()


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Makes the examples, trains, and writes the weights; returns the exit status."""
    settings = cli.parse_settings(ReadersSettings, __doc__, argv)
    glyphs.require_training_fonts()
    sources = strips.sources()
    for name in (settings.only,) if settings.only else _EXAMPLES:
        weights = train(name, *_EXAMPLES[name](_STRIPS[name], sources, np.random.default_rng(0)))
        file = settings.output / name
        np.savez_compressed(file, *[values.astype(np.float16) for values in weights])
        print(f"written: {cli.printable(file)}")
    return cli.OK


if __name__ == "__main__":
    sys.exit(main())
