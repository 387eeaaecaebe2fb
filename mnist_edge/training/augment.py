"""Data augmentation as a Keras layer: vectorized, in the graph, on any backend."""

import math

import keras
from keras import ops

from mnist_edge.models.recipe import Affine
from mnist_edge.training import disturb

# Ranges of disturbed images that are only moved.
_WIDE = Affine(rotation=25, shift=3.2, zoom=0.32, shear=24)


class Distortion(keras.layers.Layer):
    """Distorts images in training; returns them unchanged otherwise.

    Takes and returns float `[batch, height, width, 1]`, 0 to 255. Rotation, shift, zoom and
    shear are combined into one random affine map per image, so that each image is interpolated
    once and a batch takes one operation. Pixels outside the image are 0. Noise is added after it;
    then the batch's last images are disturbed, in equal parts: moved by wider ranges, or by one of
    `disturb.KINDS`. Batches are in random order, so that any image may be.
    """

    def __init__(self, ranges: Affine, seed: int) -> None:
        """Creates the layer; the same seed gives the same sequence of distortions."""
        super().__init__(name="distortion")
        self.ranges = ranges
        self.seed_generator = keras.random.SeedGenerator(seed)
        # A constant 1 that TensorFlow can't fold: without it the constants of several draws are
        # summed first, which changes the last bit, and so every recorded run.
        self._one = self.add_weight(initializer="ones", trainable=False, name="one")
        self.built = True

    def call(self, images: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        """Returns the images, distorted if `training`."""
        if not training:
            return images
        images = ops.image.affine_transform(images, self._maps(images), interpolation="bilinear")
        if self.ranges.noise:
            images = self._add_noise(images)
        return self._disturb(images) if self.ranges.disturbed else images

    def _uniform(self, shape: tuple, low: float, high: float) -> keras.KerasTensor:
        return keras.random.uniform(shape, low, high, seed=self.seed_generator)

    def _maps(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Returns affine maps `[n, 8]`: a0, a1, a2, b0, b1, b2, 0, 0.

        Output (x, y) is taken from input (a0 x + a1 y + a2, b0 x + b1 y + b2).
        """
        height, width = images.shape[1:3]
        center_x, center_y = (width - 1) / 2, (height - 1) / 2

        count = ops.shape(images)[0]
        wide = self._one_part(count)

        def uniform(limit: float, wider: float) -> keras.KerasTensor:
            if not self.ranges.disturbed:
                return self._one * self._uniform((count,), -limit, limit)
            limits = ops.where(ops.arange(count) < count - wide, limit, wider)
            return limits * self._uniform((count,), -1.0, 1.0)

        angle = uniform(math.radians(self.ranges.rotation), math.radians(_WIDE.rotation))
        shear = uniform(math.radians(self.ranges.shear), math.radians(_WIDE.shear))
        scale = 1 + uniform(self.ranges.zoom, _WIDE.zoom)
        a0, a1 = ops.cos(angle) / scale, -ops.sin(angle + shear) / scale
        b0, b1 = ops.sin(angle) / scale, ops.cos(angle + shear) / scale
        a2 = center_x - a0 * center_x - a1 * center_y + uniform(self.ranges.shift, _WIDE.shift)
        b2 = center_y - b0 * center_x - b1 * center_y + uniform(self.ranges.shift, _WIDE.shift)
        zero = ops.zeros_like(a0)
        return ops.stack([a0, a1, a2, b0, b1, b2, zero, zero], axis=1)

    def _add_noise(self, images: keras.KerasTensor) -> keras.KerasTensor:
        deviation = self.ranges.noise * self._uniform((ops.shape(images)[0], 1, 1, 1), 0.0, 1.0)
        noise = keras.random.normal(ops.shape(images), seed=self.seed_generator)
        return ops.clip(images + deviation * noise, 0, 255)

    def _one_part(self, count: int) -> int:
        """Returns how many images of a batch are disturbed in each of the ways."""
        return count * round(1000 * self.ranges.disturbed) // (1000 * (len(disturb.KINDS) + 1))

    def _disturb(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Disturbs the images before the last part, which is moved by wider ranges."""
        count, kinds = ops.shape(images)[0], disturb.KINDS
        part = self._one_part(count)
        first = count - (len(kinds) + 1) * part
        draws = disturb.Draws(self.seed_generator)
        parts = [
            kind(draws, images[first + i * part : first + (i + 1) * part])
            for i, kind in enumerate(kinds)
        ]
        whole = [images[:first], *parts, images[count - part :]]
        return ops.clip(ops.concatenate(whole), 0, 255)
