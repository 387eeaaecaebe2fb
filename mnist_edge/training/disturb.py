"""What pictures of digits suffer in the real world, as training sees it: one function per kind.

Each takes the random numbers of a `Distortion` and float images `[n, height, width, 1]`, 0 to
255, and returns images of that shape, which may exceed that range. All are vectorized Keras
operations, so that they run in the graph on any backend.
"""

import math
from collections.abc import Callable

import keras
from keras import ops

Kind = Callable[["Draws", keras.KerasTensor], keras.KerasTensor]


class Draws:
    """Random numbers from one seed generator."""

    def __init__(self, seed_generator: keras.random.SeedGenerator) -> None:
        """Keeps the generator."""
        self._seed_generator = seed_generator

    def each(
        self, images: keras.KerasTensor, *ranges: tuple[float, float]
    ) -> list[keras.KerasTensor]:
        """Draws numbers `[n, 1, 1, 1]` per image, uniformly from each range."""
        shape = (ops.shape(images)[0], 1, 1, len(ranges))
        drawn = self.uniform(shape)
        return [low + (high - low) * drawn[..., i : i + 1] for i, (low, high) in enumerate(ranges)]

    def uniform(self, shape: tuple) -> keras.KerasTensor:
        """Draws numbers of a shape, 0 to 1."""
        return keras.random.uniform(shape, seed=self._seed_generator)

    def normal(self, shape: tuple) -> keras.KerasTensor:
        """Draws numbers of a shape from the standard normal distribution."""
        return keras.random.normal(shape, seed=self._seed_generator)


def grain(draws: Draws, images: keras.KerasTensor) -> keras.KerasTensor:
    """Gaussian noise, photon noise and stray pixels: each in half of the images."""
    noise, photons, stray = draws.each(images, (-80, 80), (-140, 140), (-0.25, 0.25))
    deviation = ops.relu(noise) + ops.relu(photons) * ops.sqrt(ops.relu(images) / 255)
    images = images + deviation * draws.normal(ops.shape(images))
    drawn = draws.uniform(ops.shape(images))
    half = ops.relu(stray) / 2
    images = ops.where(drawn < half, 0.0, images)
    return ops.where(drawn > 1 - half, 255.0, images)


def blur(draws: Draws, images: keras.KerasTensor) -> keras.KerasTensor:
    """The mean of copies moved at random: mostly along one direction, or to all sides."""
    copies = 8  # more cost more and look the same
    count = ops.shape(images)[0]
    height, width = images.shape[1:3]
    angle, length, spread = (
        drawn[:, :, 0, 0] for drawn in draws.each(images, (0, 2 * math.pi), (-9, 9), (0, 1.2))
    )
    along = ops.relu(length) * ops.square(draws.uniform((count, copies)))
    right = along * ops.cos(angle) + spread * draws.normal((count, copies))
    down = along * ops.sin(angle) + spread * draws.normal((count, copies))
    zero, one = ops.zeros_like(right), ops.ones_like(right)
    maps = ops.stack([one, zero, right, zero, one, down, zero, zero], axis=2)
    repeated = ops.repeat(images, copies, axis=0)
    moved = ops.image.affine_transform(
        repeated, ops.reshape(maps, (-1, 8)), interpolation="bilinear"
    )
    return ops.mean(ops.reshape(moved, (-1, copies, height, width, 1)), axis=1)


def light(draws: Draws, images: keras.KerasTensor) -> keras.KerasTensor:
    """Another contrast and brightness."""
    contrast, brightness = draws.each(images, (0.25, 1.25), (-30, 160))
    return contrast * images + brightness


def invert(draws: Draws, images: keras.KerasTensor) -> keras.KerasTensor:
    """Dark ink on light paper, in the whole picture or on one side of one or two lines."""
    along, _ = _turned(draws, images)
    width, middle = draws.each(images, (4, 18), (-6, 6))
    inside = ops.abs(along - middle) < width
    (outward,) = draws.each(images, (0, 1))
    return ops.where(ops.equal(inside, outward < 0.5), 255 - images, images)


def clouds(draws: Draws, images: keras.KerasTensor) -> keras.KerasTensor:
    """A smooth uneven background up to four times as bright as the ink, dimmed to the range."""
    strength, level = draws.each(images, (0, 4), (0, 1))
    cloud = ops.clip(level + 0.2 * _field(draws, images, (2, 3, 5, 9, 17)), 0, 1)
    return (images + 255 * strength * cloud) / (1 + strength)


def lines(draws: Draws, images: keras.KerasTensor) -> keras.KerasTensor:
    """A thin line in any direction: straight or zigzag, whole or dashed."""
    along, aside = _turned(draws, images)
    place, swing, period, phase, width, dash, gap, ink = draws.each(
        images, (-11, 11), (-4, 4), (4, 16), (0, 1), (0.8, 1.5), (3, 10), (-0.6, 3), (120, 255)
    )
    swing = ops.relu(swing)
    wave = 4 * ops.abs(ops.mod(along / period + phase, 1.0) - 0.5) - 1  # -1 to 1, a triangle
    slope = 4 * swing / period
    distance = ops.abs(aside - place - swing * wave) / ops.sqrt(1 + ops.square(slope))
    is_drawn = ops.sin((along / dash + phase) * 2 * math.pi) + gap > 0
    return images + ops.where(is_drawn, ink * ops.clip(width - 0.65 * distance, 0, 1), 0.0)


def spots(draws: Draws, images: keras.KerasTensor) -> keras.KerasTensor:
    """Gray blots that cover what is below them."""
    level, gray = draws.each(images, (0.3, 1.5), (0, 160))
    cover = ops.clip(3 * (_field(draws, images, (14, 7)) - level), 0, 1)
    return images + cover * (gray - images)


def outlines(draws: Draws, images: keras.KerasTensor) -> keras.KerasTensor:
    """The outlines of the strokes alone."""
    level, ink = draws.each(images, (0.15, 0.5), (150, 255))
    smooth = ops.average_pool(images, 3, 1, "same") / 255
    shape = ops.clip(8 * (smooth - level), 0, 1)
    wider = ops.maximum(
        ops.max_pool(shape, (3, 1), 1, "same"), ops.max_pool(shape, (1, 3), 1, "same")
    )
    return ink * (wider - shape)


def strokes(draws: Draws, images: keras.KerasTensor) -> keras.KerasTensor:
    """Thicker or thinner strokes."""
    (more,) = draws.each(images, (-1, 1))
    thicker = ops.max_pool(images, 2, 1, "same")
    thinner = -ops.max_pool(-images, 2, 1, "same")
    return images + ops.abs(more) * (ops.where(more > 0, thicker, thinner) - images)


def _turned(draws: Draws, images: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Returns the pixels' coordinates `[n, height, width, 1]` along and across a random direction.

    They are in pixels from the middle.
    """
    height, width = images.shape[1:3]
    down = ops.reshape(ops.arange(height, dtype="float32") - (height - 1) / 2, (1, -1, 1, 1))
    right = ops.reshape(ops.arange(width, dtype="float32") - (width - 1) / 2, (1, 1, -1, 1))
    (angle,) = draws.each(images, (0, 2 * math.pi))
    sine, cosine = ops.sin(angle), ops.cos(angle)
    return cosine * right + sine * down, cosine * down - sine * right


def _field(draws: Draws, images: keras.KerasTensor, sizes: tuple[int, ...]) -> keras.KerasTensor:
    """Returns smooth random heights: of each grid size, half as high as of the one before."""
    count = ops.shape(images)[0]
    height, width = images.shape[1:3]
    field = ops.zeros_like(images)
    for i, size in enumerate(sizes):
        grid = draws.normal((count, size, size, 1))
        field = field + 0.5**i * ops.image.resize(grid, (height, width), interpolation="bilinear")
    return field


KINDS: tuple[Kind, ...] = (
    grain,
    blur,
    light,
    invert,
    clouds,
    lines,
    spots,
    outlines,
    strokes,
)
