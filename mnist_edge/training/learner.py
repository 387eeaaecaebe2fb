"""A network as it is trained: distorted images, a loss per branch, an average of its weights.

What is saved is the network alone, which holds no layer of ours and no optimizer.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from mnist_edge.models import Recipe
from mnist_edge.training.augment import Distortion
from mnist_edge.training.normalization import quickened

_SPARSE = "sparse_categorical_crossentropy"


class Learner(keras.Model):
    """Wraps a network while it is fitted; outside training it is the network.

    Attributes:
        network: A copy of the network given, the one that learns.
        distortion: The layer that distorts its images, or None.
    """

    def __init__(self, network: keras.Model, recipe: Recipe, seed: int) -> None:
        """Wraps a network, pixels in, probabilities out; `seed` is the distortion's."""
        super().__init__(name=f"{network.name}_learner")
        self.network = quickened(network)
        self.distortion = Distortion(recipe.augment, seed) if recipe.augment else None
        self._recipe = recipe
        self._branches = None
        if recipe.branch_losses:
            averaging = self.network.layers[-2]  # what the softmax comes behind
            self._branches = keras.Model(self.network.input, averaging.input)
        if recipe.average:
            weights = np.concatenate([array.ravel() for array in network.get_weights()])
            self._average = self.add_weight(weights.shape, trainable=False, name="average")
            self._average.assign(weights)
            self._steps = self.add_weight((), "zeros", trainable=False, name="steps")

    def call(self, images: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        """Probabilities `[batch, classes]`; in training, of distorted images.

        In training with a loss per branch they are each branch's, `[batch, branches, classes]`.
        """
        if not training:
            return self.network(images, training=False)
        images = ops.cast(images, self.compute_dtype)  # they come as bytes
        if self._recipe.average:
            self._follow()
        if self.distortion:
            images = self.distortion(images, training=True)
        if self._branches:
            logits = self._branches(images, training=True)
            return ops.softmax(ops.stack(logits, axis=1))
        return self.network(images, training=True)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> keras.KerasTensor:
        """Cross-entropy; with label smoothing and per branch in training alone."""
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
        """Accuracy; of the branches' mean in training with a loss per branch."""
        if len(y_pred.shape) == 3:
            y_pred = ops.mean(y_pred, axis=1)
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def _follow(self) -> None:
        """Updates the EMA with the weights that the step before left, in the graph."""
        self._average.assign(self._averaged())
        self._steps.assign_add(1.0)

    def _averaged(self) -> keras.KerasTensor:
        """The EMA updated with the current weights, all of them one after the other in a vector.

        Moving statistics of batch normalization are averaged too: the last step's would not
        fit averaged weights. The momentum grows to the recipe's, so that the first weights
        are soon forgotten (as TensorFlow's `ExponentialMovingAverage` has it).
        """
        momentum = ops.minimum(self._recipe.average, (1 + self._steps) / (10 + self._steps))
        weights = ops.concatenate(
            [ops.reshape(ops.stop_gradient(weight), (-1,)) for weight in self.network.weights]
        )
        return weights + momentum * (self._average - weights)

    def ema_weights(self) -> list[np.ndarray]:
        """As `network.get_weights()`, averaged where the recipe says so."""
        if not self._recipe.average:
            return self.network.get_weights()
        shapes = [weight.shape for weight in self.network.weights]
        ends = np.cumsum([np.prod(shape, dtype=int) for shape in shapes])
        parts = np.split(ops.convert_to_numpy(self._averaged()), ends[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def state(self) -> list[keras.Variable]:
        """The variables that a resumed run needs, the optimizer's included."""
        return [*self.variables, *self.optimizer.variables]


class ValidateEmaWeights(keras.callbacks.Callback):
    """Gives the network its EMA weights while it is validated."""

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        """Puts the EMA weights in."""
        self._raw = self.model.network.get_weights()
        self.model.network.set_weights(self.model.ema_weights())

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        """Puts the weights back that training goes on with."""
        self.model.network.set_weights(self._raw)
