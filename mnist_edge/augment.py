"""Distort training images: one random affine map an image, in the graph, vectorised."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Affine:
    """The ranges that a random affine map is drawn from, each uniform about 0.

    Attributes:
        rotation: Degrees.
        shift: Pixels, in each direction.
        zoom: Fraction of the size, the same in both directions.
        shear: Degrees.
    """

    rotation: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0
    shear: float = 0.0


def random_affine(ranges, seed):
    """Makes a layer that distorts images while training and leaves them alone otherwise.

    The four maps are composed into one, so that an image is interpolated once and not
    four times, and all images of a batch go through one operation.

    Args:
        ranges: An `Affine`.
        seed: int; the same seed gives the same sequence of maps.

    Returns:
        A Keras layer, `[batch, height, width, channels]` to the same; pixels that come
        from outside the image are 0.
    """
    import keras
    from keras import ops

    class RandomAffine(keras.layers.Layer):
        def __init__(self):
            super().__init__(name="random_affine")
            self.seed_generator = keras.random.SeedGenerator(seed)

        def call(self, images, training=False):
            if not training:
                return images
            height, width = images.shape[1:3]
            maps = self._maps(ops.shape(images)[0], (width - 1) / 2, (height - 1) / 2)
            return ops.image.affine_transform(images, maps, interpolation="bilinear")

        def _maps(self, count, centre_x, centre_y):
            """`[count, 8]`: rows a0 a1 a2 b0 b1 b2 0 0, from output to input pixels."""

            def uniform(limit):
                return keras.random.uniform((count,), -limit, limit, seed=self.seed_generator)

            angle = uniform(math.radians(ranges.rotation))
            shear = uniform(math.radians(ranges.shear))
            scale = 1 + uniform(ranges.zoom)
            a0, a1 = ops.cos(angle) / scale, -ops.sin(angle + shear) / scale
            b0, b1 = ops.sin(angle) / scale, ops.cos(angle + shear) / scale
            a2 = centre_x - a0 * centre_x - a1 * centre_y + uniform(ranges.shift)
            b2 = centre_y - b0 * centre_x - b1 * centre_y + uniform(ranges.shift)
            zero = ops.zeros_like(a0)
            return ops.stack([a0, a1, a2, b0, b1, b2, zero, zero], axis=1)

    return RandomAffine()
