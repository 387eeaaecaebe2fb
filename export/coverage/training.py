"""Train a model a little: a few epochs, then the last layer by least squares."""

from typing import TYPE_CHECKING

import numpy as np

from mnist_edge import data, metrics

if TYPE_CHECKING:
    import keras

_LEARNING_RATE, _BATCH_SIZE = 2e-3, 32
# Of batch normalization. Keras's 0.99, and 0.999 in some applications, take thousands of steps.
_MOMENTUM = 0.8
# Relative to features of deviation 1: keeps the weights small, as weight decay does.
_RIDGE = 0.1
# Least squares tell a class from others by 1 at most; a softmax is sure of itself from about 10.
_SHARPNESS = (10.0, 30.0)
# Log loss from which it is sure enough; more only enlarges the rounding errors of the features.
_SURE = 0.2


def train(model: "keras.Model", dataset: data.Dataset, epochs: int) -> None:
    """Trains a classifier so far that it is right on most examples.

    Args:
        model: A classifier with random weights that ends in softmax or logits.
        dataset: Its data.
        epochs: Number of epochs before the last layer is solved. 0 leaves all other weights
            random, which is enough where only the conversion matters, and takes a second.
    """
    import keras

    inputs = data.as_inputs(dataset.x_train, model.inputs[0].shape[1:])
    if epochs:
        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = _MOMENTUM
            if isinstance(layer, keras.layers.Dropout):  # EfficientNet skips whole blocks
                layer.rate = 0
        from_logits = getattr(model.layers[-1], "activation", None) is keras.activations.linear
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits)
        # Small steps last, or the moving averages of batch normalization lag behind the weights.
        steps = epochs * -(-len(inputs) // _BATCH_SIZE)
        rate = keras.optimizers.schedules.CosineDecay(_LEARNING_RATE, steps)
        model.compile(keras.optimizers.Adam(rate), loss)
        model.fit(inputs, dataset.y_train, _BATCH_SIZE, epochs, verbose=0)
    _solve_last_layer(model, inputs, np.eye(dataset.classes)[dataset.y_train])


def _solve_last_layer(model: "keras.Model", inputs: np.ndarray, targets: np.ndarray) -> None:
    """Sets a classifier's last layer to the least squares on the features that reach it."""
    import keras

    last = next(layer for layer in reversed(model.layers) if hasattr(layer, "kernel"))
    features = keras.Model(model.inputs, last.input).predict(inputs, _BATCH_SIZE, verbose=0)
    features = features.reshape(len(inputs), -1).astype(np.float64)
    mean, deviation = features.mean(0), features.std()
    x = (features - mean) / deviation
    # One row per example: a layer may have many times as many features.
    gram = x @ x.T / len(x) + _RIDGE * np.eye(len(x))
    solved = x.T @ np.linalg.solve(gram, targets - targets.mean(0)) / len(x)
    scores, bias = x @ solved + targets.mean(0), targets.mean(0) - mean @ solved / deviation
    best = next((by for by in _SHARPNESS if _loss(by * scores, targets) < _SURE), _SHARPNESS[-1])
    last.kernel.assign(best * (solved / deviation).reshape(last.kernel.shape))
    last.bias.assign(best * bias)


def _loss(logits: np.ndarray, targets: np.ndarray) -> float:
    return float(-np.log(metrics.softmax(logits)[targets > 0] + 1e-7).mean())


def accuracy(model: "keras.Model", dataset: data.Dataset) -> float:
    """Returns a classifier's accuracy on the test images."""
    inputs = data.as_inputs(dataset.x_test, model.inputs[0].shape[1:])
    choice = model.predict(inputs, _BATCH_SIZE, verbose=0).argmax(1)
    return float(np.mean(choice == dataset.y_test))
