import keras
import numpy as np
import pytest

from mnist_edge import models


def layer_shapes(model):
    kinds = (keras.layers.Conv2D, keras.layers.MaxPooling2D, keras.layers.Flatten)
    return [
        (type(layer).__name__, layer.output.shape[1:])
        for layer in model.layers
        if isinstance(layer, (*kinds, keras.layers.Dense))
    ]


def test_classic_is_the_reference_network_to_the_layer():
    model = models.build("classic")
    assert layer_shapes(model) == [
        ("Conv2D", (26, 26, 32)),
        ("MaxPooling2D", (13, 13, 32)),
        ("Conv2D", (11, 11, 64)),
        ("MaxPooling2D", (5, 5, 64)),
        ("Flatten", (1600,)),
        ("Dense", (64,)),
        ("Dense", (10,)),
    ]
    assert model.count_params() == 320 + 18_496 + 102_464 + 650 == 121_930


def test_edge_keeps_its_budget():
    model = models.build("edge")
    assert model.count_params() == 11_764
    assert model.count_params() <= 20_000
    assert models.multiply_accumulates(model) <= 800_000


def test_multiply_accumulates_of_a_convolution_and_a_dense_layer():
    model = models.build("classic")
    by_hand = 26 * 26 * 9 * 32 + 11 * 11 * 9 * 32 * 64 + 1600 * 64 + 64 * 10
    assert models.multiply_accumulates(model) == by_hand


@pytest.mark.parametrize("name", models.ZOO)
def test_every_model_takes_raw_pixels_and_gives_probabilities(name):
    model = models.build(name, classes=7)
    assert model.input.name == "image"
    assert model.input.shape == (None, 28, 28, 1)
    noise = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 1)).astype(np.float32)
    probabilities = model.predict(noise, verbose=0)
    assert probabilities.shape == (4, 7)
    assert np.allclose(probabilities.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("name", models.ZOO)
def test_the_first_thing_a_model_does_is_scale_its_pixels_to_one(name):
    model = models.build(name)
    scaled = keras.Model(model.input, model.layers[1].output)
    assert scaled.predict(np.full((1, 28, 28, 1), 255.0), verbose=0).max() == pytest.approx(1)
