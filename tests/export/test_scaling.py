"""Inputs that one int8 scale can't hold: columns of different ranges, and words."""

import keras
import numpy as np
import pytest
from keras import layers

from export import audit, scaling
from export.onnx import convert as onnx_convert
from export.tflite import convert as tflite_convert
from export.variants import VARIANTS
from mnist_edge import cli, runtimes

RNG = np.random.default_rng(0)
RANGES = np.array([1000, 1, 0.01, 30], np.float32)
TABLE = (RNG.uniform(-1, 1, (200, 4)) * RANGES + [5000, 0, 0, 9]).astype(np.float32)


def answers(model, format, variant, folder, images):
    """What an artifact says of images, and its graph."""
    chosen = VARIANTS[f"{format}-{variant}"]
    made = {"tflite": tflite_convert, "onnx": onnx_convert}[format]
    with cli.native_logs_held():
        path = folder / chosen.file
        path.write_bytes(made.convert(made.prepare(model, 1, folder), chosen, images))
    return runtimes.open_artifact(path).predict(images), path


def table_model(*before):
    """A model whose classes depend on all columns alike."""
    keras.utils.set_random_seed(0)
    x = columns = keras.Input((4,))
    for layer in before:
        x = layer(x)
    dense = layers.Dense(8, activation="relu")
    model = keras.Model(columns, layers.Dense(3, activation="softmax")(dense(x)))
    if not before:
        kernel = dense.get_weights()[0] / RANGES[:, None]
        dense.set_weights([kernel, -TABLE.mean(0) @ kernel])
    return model


def normalized():
    layer = layers.Normalization()
    layer.adapt(TABLE)
    return table_model(layer)


@pytest.mark.parametrize(
    ("make", "format", "variant"),
    [
        (table_model, "tflite", "int8"),
        (normalized, "tflite", "int8"),
        (normalized, "tflite", "int16x8"),
        (table_model, "onnx", "int8"),
    ],
)
def test_columns_of_different_ranges_survive_quantization(make, format, variant, tmp_path):
    model = make()
    computed, path = answers(model, format, variant, tmp_path, TABLE)
    expected = model.predict(TABLE, verbose=0)
    assert np.abs(computed - expected).max() < 0.05
    graph = audit.read(path)
    assert graph.io == ("float32", "float32")
    assert audit.findings(graph, VARIANTS[f"{format}-{variant}"]) == []


def test_without_the_front_they_do_not(tmp_path, monkeypatch):
    monkeypatch.setattr(scaling, "loses_detail", lambda images: False)
    model = normalized()
    computed, _ = answers(model, "tflite", "int8", tmp_path, TABLE)
    assert np.abs(computed - model.predict(TABLE, verbose=0)).max() > 0.2


def test_float_operators_after_the_front_are_found(tmp_path):
    _, path = answers(table_model(), "tflite", "float32", tmp_path, TABLE)
    variant = VARIANTS["tflite-int8"]
    assert any("FULLY_CONNECTED" in line for line in audit.findings(audit.read(path), variant))


@pytest.mark.parametrize("variant", ["dynamic-int8", "int8", "int16x8"])
def test_words_keep_their_indices(variant, tmp_path):
    keras.utils.set_random_seed(0)
    words = keras.Input((5,))
    x = layers.GlobalAveragePooling1D()(layers.Embedding(1000, 4)(words))
    model = keras.Model(
        words, layers.Dense(3, activation="softmax", kernel_initializer="normal")(x)
    )
    images = RNG.integers(0, 1000, (50, 5)).astype(np.float32)
    computed, path = answers(model, "tflite", variant, tmp_path, images)
    assert np.abs(computed - model.predict(images, verbose=0)).max() < 0.02
    assert audit.findings(audit.read(path), VARIANTS[f"tflite-{variant}"]) == []


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (TABLE, True),
        (TABLE / RANGES, False),
        (RNG.uniform(-1, 1, (200, 4)), False),
        (RNG.integers(0, 256, (9, 28, 28, 3)), False),
        (RNG.integers(0, 256, (9, 784)) * (np.arange(784) < 10) / 255, False),
        (np.zeros((3, 4)), False),
    ],
)
def test_detail_is_lost_where_a_feature_spans_few_steps(images, expected):
    assert scaling.loses_detail(np.asarray(images, np.float32)) == expected


def test_a_dense_layer_computes_the_same_after_the_scaling_is_absorbed():
    kernel, bias = RNG.normal(size=(4, 3)), RNG.normal(size=3)
    given = scaling.identity(TABLE).then("sub", TABLE.mean(0)).then("div", RANGES)
    wanted = scaling.balanced(TABLE, given, kernel)
    offset, factor = wanted.offset_and_factor()
    new_kernel, new_bias = scaling.absorb(given, wanted, kernel, bias)
    before = (TABLE - TABLE.mean(0)) / RANGES @ kernel + bias
    np.testing.assert_allclose((TABLE - offset) * factor @ new_kernel + new_bias, before, atol=1e-2)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("max", np.ones(4)),
        ("mul", np.zeros(4)),
        ("add", np.ones(3)),
        ("add", np.ones((4, 1))),
        ("add", None),
    ],
)
def test_only_what_scales_feature_by_feature_is_taken_off(kind, value):
    assert scaling.identity(TABLE).then(kind, value) is None


def test_a_scaling_with_an_activation_is_not_taken_off(tmp_path, monkeypatch):
    monkeypatch.setattr(scaling, "loses_detail", lambda images: True)
    columns = keras.Input((4,))
    x = layers.ReLU()(layers.Rescaling(2.0, 1.0)(columns))
    model = keras.Model(columns, layers.Dense(3, activation="softmax")(x))
    computed, _ = answers(model, "tflite", "int16x8", tmp_path, TABLE / RANGES)
    expected = model.predict(TABLE / RANGES, verbose=0)
    assert np.abs(computed - expected).max() < 0.05
