"""Batch normalization that trains faster on a CPU, with the same result as Keras's.

Keras's batch normalization took half of the training step of the small networks: on a CPU,
TensorFlow is slow at sums over all but the last axis, and at products along a last axis of a
dozen channels. Written as matrix products with ones, on rows of a whole image each, the same
computation takes half the time.
"""

import keras
from keras import ops


class QuickBatchNormalization(keras.layers.BatchNormalization):
    """A faster `keras.layers.BatchNormalization` for `[batch, height, width, channels]`."""

    def call(
        self,
        inputs: keras.KerasTensor,
        training: bool | None = None,
        mask: keras.KerasTensor | None = None,
    ) -> keras.KerasTensor:
        """Normalizes `inputs`; in training by batch statistics, which update the moving ones."""
        if not training:
            return super().call(inputs, training=False, mask=mask)
        _, height, width, channels = inputs.shape
        pixels = height * width
        rows = ops.reshape(inputs, (-1, pixels * channels))
        ones = ops.ones((1, ops.shape(rows)[0]), rows.dtype)
        count = ops.cast(ops.shape(rows)[0] * pixels, rows.dtype)

        def average(values: keras.KerasTensor) -> keras.KerasTensor:
            return ops.sum(ops.reshape(ones @ values, (pixels, channels)), axis=0) / count

        mean = average(rows)
        variance = ops.maximum(average(rows * rows) - mean * mean, 0)
        factor = ops.rsqrt(variance + self.epsilon)
        if self.scale:
            factor = factor * self.gamma
        offset = -mean * factor
        if self.center:
            offset = offset + self.beta
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + value * (1 - self.momentum))
        rows = rows * ops.tile(factor, (pixels,)) + ops.tile(offset, (pixels,))
        return ops.reshape(rows, ops.shape(inputs))


def with_quick_normalization(network: keras.Model) -> keras.Model:
    """Returns a copy of a network with `QuickBatchNormalization`; same order of the weights."""

    def copied(layer: keras.layers.Layer) -> keras.layers.Layer:
        kind = type(layer)
        if kind is keras.layers.BatchNormalization:
            kind = QuickBatchNormalization
        return kind.from_config(layer.get_config())

    copy = keras.models.clone_model(network, clone_function=copied)
    copy.set_weights(network.get_weights())
    return copy
