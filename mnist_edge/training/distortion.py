"""The layer that distorts training images: in the graph, vectorised, on any Keras backend.

One random affine map an image, bent by a smooth random field where a recipe asks for it,
then noise and a square left out.
"""

import math

import keras
import numpy as np
from keras import ops

_GRID = 5  # random displacements in each direction, between which the field is smooth
_CUBIC = -0.75  # of the cubic convolution kernel, as PyTorch's and OpenCV's bicubic has it


class Distortion(keras.layers.Layer):
    """Distorts images while training and leaves them alone otherwise.

    Takes float `[batch, height, width, 1]`, 0 to 255, and gives the same. The maps are
    composed into one, so that an image is interpolated once and not five times, and all
    images of a batch go through one operation. Pixels from outside the image are 0.

    Attributes:
        ranges: An `augment.Affine`.
        strength: A variable, 1 at first, that multiplies every range.
    """

    def __init__(self, ranges, seed):
        """Makes the layer.

        Args:
            ranges: An `augment.Affine`.
            seed: int; the same seed gives the same sequence of maps.
        """
        super().__init__(name="distortion")
        self.ranges = ranges
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.strength = self.add_weight(initializer="ones", trainable=False, name="strength")
        self.built = True

    def call(self, images, training=False):
        """The images, distorted where `training`."""
        if not training:
            return images
        maps = self._maps(images)
        if self.ranges.elastic:
            images = bilinear(images, *self._bent(maps, images))
        else:  # quicker, by an operation of the backend's own
            zero = ops.zeros_like(maps[0])
            rows = ops.stack([*maps, zero, zero], axis=1)
            images = ops.image.affine_transform(images, rows, interpolation="bilinear")
        if self.ranges.noise:
            images = self._noisy(images)
        return self._erased(images) if self.ranges.erase else images

    def _uniform(self, shape, low, high):
        return keras.random.uniform(shape, low, high, seed=self.seed_generator)

    def _normal(self, shape):
        return keras.random.normal(shape, seed=self.seed_generator)

    def _maps(self, images):
        """Six `[count]`: x, y comes from a0 x + a1 y + a2, b0 x + b1 y + b2 of the input."""
        height, width = images.shape[1:3]
        centre_x, centre_y = (width - 1) / 2, (height - 1) / 2

        def uniform(limit):
            return self.strength * self._uniform((ops.shape(images)[0],), -limit, limit)

        angle = uniform(math.radians(self.ranges.rotation))
        shear = uniform(math.radians(self.ranges.shear))
        scale = 1 + uniform(self.ranges.zoom)
        a0, a1 = ops.cos(angle) / scale, -ops.sin(angle + shear) / scale
        b0, b1 = ops.sin(angle) / scale, ops.cos(angle + shear) / scale
        a2 = centre_x - a0 * centre_x - a1 * centre_y + uniform(self.ranges.shift)
        b2 = centre_y - b0 * centre_x - b1 * centre_y + uniform(self.ranges.shift)
        return a0, a1, a2, b0, b1, b2

    def _bent(self, maps, images):
        """Where each output pixel comes from: x and y `[count, height, width]`."""
        height, width = images.shape[1:3]
        y, x = np.mgrid[:height, :width].astype(np.float32)
        a0, a1, a2, b0, b1, b2 = (m[:, None, None] for m in maps)
        knots = self._normal((ops.shape(images)[0], 2, _GRID, _GRID))
        field = ops.matmul(ops.matmul(_smooth(height), knots), _smooth(width).T)
        field = field * (self.strength * self.ranges.elastic)
        return a0 * x + a1 * y + a2 + field[:, 0], b0 * x + b1 * y + b2 + field[:, 1]

    def _noisy(self, images):
        limit = self.strength * self.ranges.noise
        deviation = limit * self._uniform((ops.shape(images)[0], 1, 1, 1), 0.0, 1.0)
        return ops.clip(images + deviation * self._normal(ops.shape(images)), 0, 255)

    def _erased(self, images):
        side = ops.round(self.strength * self.ranges.erase)

        def outside(size):
            """`[count, size]`: 1 where the square is not."""
            place = self._uniform((ops.shape(images)[0], 1), 0.0, 1.0)
            first = ops.floor(place * (size + 1 - side))
            pixels = np.arange(size, dtype=np.float32)
            return ops.cast((pixels < first) | (pixels >= first + side), images.dtype)

        height, width = images.shape[1:3]
        return images * ops.maximum(
            outside(height)[:, :, None, None], outside(width)[:, None, :, None]
        )


def bilinear(images, x, y):
    """Samples images between their pixels.

    Args:
        images: Float `[n, height, width, 1]`.
        x: Float `[n, height, width]`, columns; 0 is the middle of the first.
        y: As `x`, rows.

    Returns:
        As `images`; what lies outside is 0.
    """
    height, width = images.shape[1:3]
    # A border of 0, which takes all that lies outside; and each pixel together with its
    # three neighbors, so that one look-up finds all four.
    padded = ops.pad(images[..., 0], [(0, 0), (1, 2), (1, 2)])
    corners = ops.stack(
        [padded[:, i : i + height + 2, j : j + width + 2] for i in (0, 1) for j in (0, 1)], axis=-1
    )
    x, y = ops.clip(x, -1, width) + 1, ops.clip(y, -1, height) + 1
    left, top = ops.floor(x), ops.floor(y)
    cells = (height + 2) * (width + 2)
    index = ops.cast(top * (width + 2) + left, "int32")
    index = index + ops.arange(ops.shape(images)[0], dtype="int32")[:, None, None] * cells
    found = ops.take(ops.reshape(corners, (-1, 4)), index, axis=0)
    right, low = x - left, y - top
    weights = [(1 - low) * (1 - right), (1 - low) * right, low * (1 - right), low * right]
    return ops.sum(found * ops.stack(weights, axis=-1), axis=-1, keepdims=True)


def _smooth(size):
    """Bicubic interpolation of `_GRID` values, first and last on the edges: `[size, _GRID]`."""
    places = np.linspace(0, _GRID - 1, size)
    first = np.minimum(places.astype(int), _GRID - 2)
    matrix = np.zeros((size, _GRID), np.float32)
    for offset in range(-1, 3):
        away = np.abs(places - first - offset)
        near = (_CUBIC + 2) * away**3 - (_CUBIC + 3) * away**2 + 1
        far = _CUBIC * (away**3 - 5 * away**2 + 8 * away - 4)
        knot = np.clip(first + offset, 0, _GRID - 1)
        np.add.at(matrix, (np.arange(size), knot), np.where(away <= 1, near, far))
    return matrix
