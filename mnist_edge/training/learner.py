"""The model that is fitted: a network with augmentation, branch losses and EMA weights.

Only the network itself is saved, which has no custom layer and no optimizer.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from mnist_edge.models import Recipe
from mnist_edge.training.augment import Distortion
from mnist_edge.training.normalization import with_quick_normalization

_SPARSE = "sparse_categorical_crossentropy"


class Learner(keras.Model):
    """Wraps a network for training; at inference it computes what the network does.

    Attributes:
        network: The copy of the given network that is trained.
        distortion: The augmentation layer, or None.
    """

    def __init__(self, network: keras.Model, recipe: Recipe, seed: int) -> None:
        """Wraps a network that maps pixels to probabilities; `seed` is for the distortion."""
        super().__init__(name=f"{network.name}_learner")
        self.network = with_quick_normalization(network)
        self.distortion = Distortion(recipe.augment, seed) if recipe.augment else None
        self._distorts = recipe.augment is not None
        self._recipe = recipe
        self._branches = None
        if recipe.branch_losses:
            averaging = self.network.layers[-2]  # the layer before the softmax
            self._branches = keras.Model(self.network.input, averaging.input)
        if recipe.average:
            weights = np.concatenate([array.ravel() for array in network.get_weights()])
            self._average = self.add_weight(weights.shape, trainable=False, name="average")
            self._average.assign(weights)
            self._steps = self.add_weight((), "zeros", trainable=False, name="steps")

    def call(self, images: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        """Returns probabilities `[batch, classes]`; in training, of distorted images.

        In training with a loss per branch: `[batch, branches, classes]`.
        """
        if not training:
            return self.network(images, training=False)
        images = ops.cast(images, self.compute_dtype)  # from uint8
        if self._recipe.average:
            self._update_average()
        if self.distortion and self._distorts:
            images = self.distortion(images, training=True)
        if self._branches:
            logits = self._branches(images, training=True)
            return ops.softmax(ops.stack(logits, axis=1))
        return self.network(images, training=True)

    def stop_distorting(self) -> None:
        """Trains on the images as they are from now on."""
        if self._distorts:
            self._distorts = False
            self.make_train_function(force=True)  # the step's graph distorts

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> keras.KerasTensor:
        """Returns the cross-entropy; label smoothing and branch losses apply only in training."""
        smoothing = self._recipe.label_smoothing
        if not training or not (smoothing or self._branches):
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        if self._recipe.loss == _SPARSE:
            y = ops.one_hot(ops.cast(y, "int32"), y_pred.shape[-1])
        if self._branches:
            y = ops.repeat(y[:, None], y_pred.shape[1], axis=1)
        losses = keras.losses.categorical_crossentropy(y, y_pred, label_smoothing=smoothing)
        return ops.mean(losses) + sum(self.losses)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict:
        """Returns the accuracy; for branch losses, that of the branches' mean."""
        if len(y_pred.shape) == 3:
            y_pred = ops.mean(y_pred, axis=1)
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def _update_average(self) -> None:
        """Updates the EMA, in the graph, with the weights after the previous step."""
        self._average.assign(self._next_average())
        self._steps.assign_add(1.0)

    def _next_average(self) -> keras.KerasTensor:
        """Returns the EMA updated with the current weights, all concatenated in one vector.

        The moving statistics of batch normalization are averaged too: those of the last step
        would not fit averaged weights. The momentum grows to the recipe's, as in TensorFlow's
        `ExponentialMovingAverage`, so that the initial weights are soon forgotten.
        """
        momentum = ops.minimum(self._recipe.average, (1 + self._steps) / (10 + self._steps))
        weights = ops.concatenate(
            [ops.reshape(ops.stop_gradient(weight), (-1,)) for weight in self.network.weights]
        )
        return weights + momentum * (self._average - weights)

    def ema_weights(self) -> list[np.ndarray]:
        """Returns the weights as `network.get_weights()` does; their EMA if the recipe has one."""
        if not self._recipe.average:
            return self.network.get_weights()
        shapes = [weight.shape for weight in self.network.weights]
        ends = np.cumsum([np.prod(shape, dtype=int) for shape in shapes])
        parts = np.split(ops.convert_to_numpy(self._next_average()), ends[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def state(self) -> list[keras.Variable]:
        """Returns all variables that a checkpoint needs, the optimizer's included."""
        return [*self.variables, *self.optimizer.variables]


class ValidateEmaWeights(keras.callbacks.Callback):
    """Swaps in the network's EMA weights during validation."""

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        """Sets the EMA weights."""
        self._raw = self.model.network.get_weights()
        self.model.network.set_weights(self.model.ema_weights())

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        """Restores the weights for training."""
        self.model.network.set_weights(self._raw)
