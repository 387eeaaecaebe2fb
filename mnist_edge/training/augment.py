"""The layer that distorts training images: in the graph, vectorized, on any Keras backend."""

import math

import keras
from keras import ops

from mnist_edge.models.recipe import Affine


class Distortion(keras.layers.Layer):
    """Distorts images while training and leaves them alone otherwise.

    Takes and returns float `[batch, height, width, 1]`, 0 to 255. Each image's rotation,
    shift, zoom and shear are composed into one random affine map, so that it is interpolated
    once, and all images of a batch go through one operation. Pixels from outside the image
    are 0. Noise comes after that.
    """

    def __init__(self, ranges: Affine, seed: int) -> None:
        """Makes the layer; the same seed gives the same sequence of maps."""
        super().__init__(name="distortion")
        self.ranges = ranges
        self.seed_generator = keras.random.SeedGenerator(seed)
        # Without it TensorFlow adds up the constants of several draws before it adds the draws:
        # the last bit would differ, and with it every run on record.
        self._one = self.add_weight(initializer="ones", trainable=False, name="one")
        self.built = True

    def call(self, images: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        """The images, distorted where `training`."""
        if not training:
            return images
        images = ops.image.affine_transform(images, self._maps(images), interpolation="bilinear")
        return self._noisy(images) if self.ranges.noise else images

    def _uniform(self, shape: tuple, low: float, high: float) -> keras.KerasTensor:
        return keras.random.uniform(shape, low, high, seed=self.seed_generator)

    def _maps(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """`[count, 8]`: x, y comes from a0 x + a1 y + a2, b0 x + b1 y + b2 of the input."""
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

    def _noisy(self, images: keras.KerasTensor) -> keras.KerasTensor:
        deviation = self.ranges.noise * self._uniform((ops.shape(images)[0], 1, 1, 1), 0.0, 1.0)
        noise = keras.random.normal(ops.shape(images), seed=self.seed_generator)
        return ops.clip(images + deviation * noise, 0, 255)
