import keras
import numpy as np
import pytest

from mnist_edge import models
from mnist_edge.errors import InputError
from mnist_edge.models import folding


def trained_like(*hidden):
    """A chain with normalizations whose statistics are not those of a new one."""
    random = np.random.default_rng(0)
    model = keras.Sequential([keras.Input((8, 8, 1), name="image"), *hidden])
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 2, w.shape) for w in layer.get_weights()])
    return keras.Model(model.inputs, model.outputs)


IMAGES = np.random.default_rng(1).uniform(0, 255, (5, 8, 8, 1)).astype("float32")


@pytest.mark.parametrize(
    "convolution",
    [
        keras.layers.Conv2D(3, 3, use_bias=False),
        keras.layers.Conv2D(3, 3, bias_initializer="ones"),
        keras.layers.SeparableConv2D(3, 3, use_bias=False),
        keras.layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False),
    ],
    ids=["conv", "conv with bias", "separable", "depthwise"],
)
@pytest.mark.parametrize("scale", [True, False], ids=["scaled", "unscaled"])
def test_a_folded_model_answers_the_same(convolution, scale):
    convolution = type(convolution).from_config(convolution.get_config())
    model = trained_like(convolution, keras.layers.BatchNormalization(scale=scale))
    folded = folding.fold(model)
    assert not any(isinstance(x, keras.layers.BatchNormalization) for x in folded.layers)
    expected, seen = (m.predict(IMAGES, verbose=0) for m in (model, folded))
    np.testing.assert_allclose(seen, expected, rtol=1e-4, atol=1e-3)


def test_a_layer_that_is_called_twice_keeps_one_kernel_when_its_network_is_folded():
    spatial = keras.layers.DepthwiseConv2D(3, use_bias=False)
    pointwise = [keras.layers.Conv2D(3, 1, use_bias=False) for _ in range(2)]
    first, second = (keras.layers.BatchNormalization() for _ in range(2))
    x = image = keras.Input((8, 8, 3), name="image")
    for layer in (spatial, pointwise[0], first, spatial, pointwise[1], second):
        x = layer(x)
    model = keras.Model(image, x)
    random = np.random.default_rng(0)
    for layer in (first, second):
        layer.set_weights([random.uniform(0.5, 2, w.shape) for w in layer.get_weights()])
    folded = folding.fold(model)
    assert folded.count_params() == 3 * 9 + 2 * (3 * 3 + 3)
    images = random.uniform(0, 1, (5, 8, 8, 3)).astype("float32")
    expected, seen = (m.predict(images, verbose=0) for m in (model, folded))
    np.testing.assert_allclose(seen, expected, rtol=1e-4, atol=1e-4)


def test_a_convolution_that_is_normalized_after_one_of_its_two_calls_is_refused():
    convolution = keras.layers.Conv2D(3, 1, use_bias=False)
    x = image = keras.Input((8, 8, 3), name="image")
    for layer in (convolution, keras.layers.BatchNormalization(), convolution):
        x = layer(x)
    with pytest.raises(InputError, match=r"Got: batch_.* after conv2d.*, which is called 2 times"):
        folding.fold(keras.Model(image, x))


def test_folding_the_wrong_statistics_would_be_seen():
    model = trained_like(
        keras.layers.Conv2D(3, 3, use_bias=False), keras.layers.BatchNormalization()
    )
    folded = folding.fold(model)
    kernel, bias = folded.layers[1].get_weights()
    folded.layers[1].set_weights([kernel * 1.01, bias])
    expected, seen = (m.predict(IMAGES, verbose=0) for m in (model, folded))
    assert not np.allclose(seen, expected, rtol=1e-4, atol=1e-3)


def test_a_normalization_after_something_else_is_refused():
    model = trained_like(keras.layers.MaxPooling2D(), keras.layers.BatchNormalization())
    with pytest.raises(InputError, match=r"Got: .* after max_pooling2d.*a MaxPooling2D"):
        folding.fold(model)


def test_an_activation_between_the_two_is_refused():
    model = trained_like(
        keras.layers.Conv2D(3, 3, activation="relu"), keras.layers.BatchNormalization()
    )
    with pytest.raises(InputError, match="without activation"):
        folding.fold(model)


def test_nano_is_saved_folded_with_at_most_700_parameters():
    assert models.ZOO["nano"].folded
    assert folding.fold(models.build("nano")).count_params() <= 700
