"""What was trained in mixed precision computes in float32 when it is loaded."""

import keras
import numpy as np
import pytest

from mnist_edge.models import precision
from mnist_edge.safety import keras_file


@pytest.fixture
def policy():
    """Sets the dtype policy of new layers, for one test."""
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy("float32")


def network():
    inner = keras.Sequential([keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization()])
    image = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(inner(image))
    return keras.Model(image, keras.layers.Dense(3, activation="softmax")(x))


@pytest.mark.parametrize("name", ["mixed_float16", "mixed_bfloat16", "float16", "float64"])
def test_a_loaded_model_computes_in_float32(policy, name, tmp_path):
    policy(name)
    keras.utils.set_random_seed(0)
    model = network()
    policy("float32")
    model.save(tmp_path / "model.keras")
    loaded = keras_file.load(tmp_path / "model.keras")
    layers = loaded._flatten_layers(include_self=False)
    assert {layer.compute_dtype for layer in layers} == {"float32"}
    assert {weight.dtype for weight in loaded.weights} == {"float32"}
    images = np.random.default_rng(0).random((5, 8, 8, 1), np.float32)
    expected = model.predict(images, verbose=0).astype(np.float32)
    found = loaded.predict(images, verbose=0)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=0.02)  # bfloat16 has 8 significant bits


def test_a_model_in_memory_is_left_as_it_is(policy):
    policy("mixed_float16")
    model = network()
    assert precision.in_float32(model) is not model
    assert model.layers[-1].compute_dtype == "float16"


def test_a_model_in_float32_is_returned_itself():
    model = network()
    assert precision.in_float32(model) is model


def test_other_answers_in_float32_are_refused(policy):
    policy("mixed_float16")
    model = network()
    dense = model.layers[-1]
    kernel = np.zeros(dense.kernel.shape)
    kernel[:, 0] = 1e5  # infinity in float16
    dense.set_weights([kernel, np.ones(3)])
    with pytest.raises(ValueError, match="differs by nan in float32"):
        precision.in_float32(model)


def test_what_keras_has_quantized_is_refused_with_the_layer():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="last")])
    model.quantize("int8")
    with pytest.raises(ValueError, match="layer 'last' was quantized to int8"):
        precision.in_float32(model)
