"""Layers without an operator in TFLite are written in others that give the same."""

import keras
import numpy as np
import pytest
from keras import layers

from export import keras_export


@pytest.mark.parametrize("shape", [(4, 8, 8, 3), (5, 7, 6, 2)])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (kind, {"pool_size": size, "strides": strides})
        for kind in (layers.MaxPooling3D, layers.AveragePooling3D)
        for size, strides in [((2, 3, 2), None), ((1, 2, 2), None), ((3, 2, 3), (1, 2, 1))]
    ]
    + [
        (layers.Conv3D, {"filters": 4, "bias_initializer": "normal", **options})
        for options in (
            {"kernel_size": 3, "activation": "relu"},
            {"kernel_size": (3, 2, 2), "strides": (2, 1, 2), "use_bias": False},
            {"kernel_size": (2, 3, 1), "dilation_rate": (2, 1, 1)},
        )
    ],
)
def test_three_dimensions_are_computed_plane_by_plane(kind, options, padding, shape):
    keras.utils.set_random_seed(0)
    layer = kind(padding=padding, **options)
    model = keras.Sequential([keras.Input(shape), layer])
    images = np.random.default_rng(0).normal(size=(3, *shape)).astype(np.float32)
    expected = np.asarray(model(images))
    keras_export._rewrite(model, "onnx")
    assert "call" not in vars(layer)  # ONNX has the operators
    keras_export._rewrite(model, "tf_saved_model")
    found = np.asarray(layer.call(keras.ops.convert_to_tensor(images)))
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 2e-6  # another order of sums


def test_selu_is_written_without_a_condition():
    layer = layers.Activation("selu")
    model = keras.Sequential([keras.Input((1,)), layer])
    values = np.linspace(-5, 5, 101, dtype=np.float32)[:, None]
    expected = np.asarray(model(values))
    keras_export._rewrite(model, "tf_saved_model")
    assert layer.activation is not keras.activations.selu
    found = np.asarray(layer.call(keras.ops.convert_to_tensor(values)))
    assert np.abs(found - expected).max() < 1e-6  # another order of sums
