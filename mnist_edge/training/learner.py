"""A network as it is trained: distorted images, a teacher, an average of its weights.

What is saved is the network alone, which holds no layer of ours and no optimizer.
"""

import keras
import numpy as np
from keras import ops

from mnist_edge.training.distortion import Distortion
from mnist_edge.training.normalization import quickened

_SPARSE = "sparse_categorical_crossentropy"


class Learner(keras.Model):
    """Wraps a network while it is fitted; outside training it is the network.

    Attributes:
        network: A copy of the `keras.Model` given, the one that learns.
        distortion: The layer that distorts its images, or None.
    """

    def __init__(self, network, recipe, seed, teacher=None):
        """Wraps `network`.

        Args:
            network: A `keras.Model`, pixels in, probabilities out.
            recipe: A `models.Recipe`.
            seed: Of the distortion.
            teacher: A trained `keras.Model` as `network`, or None.
        """
        super().__init__(name=f"{network.name}_learner")
        self.network = quickened(network)
        self.distortion = Distortion(recipe.augment, seed) if recipe.augment else None
        self._recipe, self._teacher = recipe, teacher
        self._share = recipe.teacher_share if teacher else 0.0
        if teacher:
            teacher.trainable = False
        self._branches = None
        if recipe.branch_losses:
            averaging = self.network.layers[-2]  # what the softmax comes behind
            self._branches = keras.Model(self.network.input, averaging.input)
        if recipe.average:
            weights = np.concatenate([array.ravel() for array in network.get_weights()])
            self._average = self.add_weight(weights.shape, trainable=False, name="average")
            self._average.assign(weights)
            self._steps = self.add_weight((), "zeros", trainable=False, name="steps")

    def call(self, images, training=False):
        """Probabilities; in training, of distorted images, with the teacher's loss added.

        In training with a loss a branch they are each branch's, `[batch, branches, classes]`.
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
            probabilities = ops.softmax(ops.stack(logits, axis=1))
        else:
            probabilities = self.network(images, training=True)
        if self._teacher:
            taught = ops.stop_gradient(self._teacher(images, training=False))
            if self._branches:
                taught = _for_each_branch(taught, probabilities)
            loss = ops.mean(ops.categorical_crossentropy(taught, probabilities))
            self.add_loss(self._share * loss)
        return probabilities

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Cross-entropy; label smoothing and the teacher's part in training alone."""
        smoothing = self._recipe.label_smoothing
        if not training or not (smoothing or self._teacher or self._branches):
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        if self._recipe.loss == _SPARSE:
            y = ops.one_hot(ops.cast(y, "int32"), y_pred.shape[-1])
        if self._branches:
            y = _for_each_branch(y, y_pred)
        losses = keras.losses.categorical_crossentropy(y, y_pred, label_smoothing=smoothing)
        return (1 - self._share) * ops.mean(losses) + sum(self.losses)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Accuracy; of the branches' mean in training with a loss a branch."""
        if len(y_pred.shape) == 3:
            y_pred = ops.mean(y_pred, axis=1)
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def _follow(self):
        """Takes the weights that the step before left into the average, in the graph."""
        self._average.assign(self._averaged())
        self._steps.assign_add(1.0)

    def _averaged(self):
        """The average with today's weights taken in, one after the other in a vector.

        Moving statistics of batch normalization are averaged too: the last step's would not
        fit averaged weights. The momentum grows to the recipe's, so that the first weights
        are soon forgotten (as TensorFlow's `ExponentialMovingAverage` has it).
        """
        momentum = ops.minimum(self._recipe.average, (1 + self._steps) / (10 + self._steps))
        weights = ops.concatenate(
            [ops.reshape(ops.stop_gradient(weight), (-1,)) for weight in self.network.weights]
        )
        return weights + momentum * (self._average - weights)

    def good_weights(self):
        """The network's weights, averaged where the recipe says so, as `get_weights` has them."""
        if not self._recipe.average:
            return self.network.get_weights()
        shapes = [weight.shape for weight in self.network.weights]
        ends = np.cumsum([np.prod(shape, dtype=int) for shape in shapes])
        parts = np.split(ops.convert_to_numpy(self._averaged()), ends[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def state(self):
        """The variables that a resumed run needs, the optimizer's included, the teacher's not."""
        fixed = {id(variable) for variable in self._teacher.variables} if self._teacher else set()
        own = [variable for variable in self.variables if id(variable) not in fixed]
        return [*own, *self.optimizer.variables]


def _for_each_branch(targets, probabilities):
    """`targets`, `[batch, classes]`, as often as there are branches in `probabilities`."""
    return ops.repeat(targets[:, None], probabilities.shape[1], axis=1)


class GoodWeights(keras.callbacks.Callback):
    """Lends the network its averaged weights while it is validated."""

    def on_test_begin(self, logs=None):
        """Puts the averaged weights in."""
        self._raw = self.model.network.get_weights()
        self.model.network.set_weights(self.model.good_weights())

    def on_test_end(self, logs=None):
        """Puts the weights back that training goes on with."""
        self.model.network.set_weights(self._raw)
