"""Data augmentation as a Keras layer: vectorized, in the graph, on any backend."""

import math

import keras
from keras import ops

from mnist_edge.models.recipe import Affine


class Distortion(keras.layers.Layer):
    """Distorts images in training; returns them unchanged otherwise.

    Takes and returns float `[batch, height, width, 1]`, 0 to 255. Rotation, shift, zoom and
    shear are combined into one random affine map per image, so that each image is interpolated
    once and a batch takes one operation. Pixels outside the image are 0. Noise is added last.
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
        return self._add_noise(images) if self.ranges.noise else images

    def _uniform(self, shape: tuple, low: float, high: float) -> keras.KerasTensor:
        return keras.random.uniform(shape, low, high, seed=self.seed_generator)

    def _maps(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Returns affine maps `[n, 8]`: a0, a1, a2, b0, b1, b2, 0, 0.

        Output (x, y) is taken from input (a0 x + a1 y + a2, b0 x + b1 y + b2).
        """
        height, width = images.shape[1:3]
        center_x, center_y = (width - 1) / 2, (height - 1) / 2

        def uniform(limit: float) -> keras.KerasTensor:
            return self._one * self._uniform((ops.shape(images)[0],), -limit, limit)

        angle = uniform(math.radians(self.ranges.rotation))
        shear = uniform(math.radians(self.ranges.shear))
        scale = 1 + uniform(self.ranges.zoom)
        a0, a1 = ops.cos(angle) / scale, -ops.sin(angle + shear) / scale
        b0, b1 = ops.sin(angle) / scale, ops.cos(angle + shear) / scale
        a2 = center_x - a0 * center_x - a1 * center_y + uniform(self.ranges.shift)
        b2 = center_y - b0 * center_x - b1 * center_y + uniform(self.ranges.shift)
        zero = ops.zeros_like(a0)
        return ops.stack([a0, a1, a2, b0, b1, b2, zero, zero], axis=1)

    def _add_noise(self, images: keras.KerasTensor) -> keras.KerasTensor:
        deviation = self.ranges.noise * self._uniform((ops.shape(images)[0], 1, 1, 1), 0.0, 1.0)
        noise = keras.random.normal(ops.shape(images), seed=self.seed_generator)
        return ops.clip(images + deviation * noise, 0, 255)
