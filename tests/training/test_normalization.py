import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from mnist_edge import models
from mnist_edge.training.normalization import QuickBatchNormalization, with_quick_normalization


@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False, "momentum": 0.9}])
def test_quick_normalization_computes_what_keras_computes(options):
    generator = np.random.default_rng(0)
    batches = generator.normal(2, 3, (3, 32, 14, 14, 10)).astype(np.float32)
    layers = keras.layers.BatchNormalization(**options), QuickBatchNormalization(**options)
    for layer in layers:
        layer.build((None, 14, 14, 10))
    for variable, other in zip(*(layer.trainable_variables for layer in layers), strict=True):
        variable.assign(generator.normal(size=10))
        other.assign(variable)
    for batch in batches:
        outputs = [layer(batch, training=True) for layer in layers]
        assert np.allclose(*outputs, atol=1e-4)
    for weight, other in zip(*(layer.get_weights() for layer in layers), strict=True):
        assert np.allclose(weight, other, rtol=1e-4)
    assert np.allclose(*(layer(batches[0], training=False) for layer in layers), atol=1e-4)


def gradients(kind, dtype):
    """Gradients of three layers in a row, `[...]` flat, with respect to their parameters."""
    generator = np.random.default_rng(1)
    layers = [kind(dtype=dtype) for _ in range(3)]
    x = generator.normal(0.5, 1, (64, 14, 14, 12)).astype(dtype)
    towards = generator.normal(size=x.shape).astype(dtype)
    with tf.GradientTape() as tape:
        for layer in layers:
            x = ops.relu(layer(x, training=True))
        loss = tf.reduce_sum(x * towards)
    variables = [variable for layer in layers for variable in layer.trainable_variables]
    return np.concatenate([np.ravel(g) for g in tape.gradient(loss, variables)])


def test_quick_normalization_learns_as_keras_does_in_double_precision():
    exact = gradients(keras.layers.BatchNormalization, "float64")
    quick = gradients(QuickBatchNormalization, "float32")
    assert np.linalg.norm(quick - exact) < 1e-4 * np.linalg.norm(exact)


def test_a_quickened_network_is_a_copy():
    model = models.build("edge")
    copy = with_quick_normalization(model)
    kinds = [[type(layer).__name__ for layer in one.layers] for one in (model, copy)]
    assert "BatchNormalization" in kinds[0]
    assert kinds[1] == [kind.replace("Batch", "QuickBatch") for kind in kinds[0]]
    before = model.get_weights()
    copy.set_weights([ops.zeros_like(weight) for weight in before])
    assert all(map(np.array_equal, before, model.get_weights()))
