"""Keras classifiers that this project did not train go through export and benchmark."""

import json
import os

import keras
import numpy as np
import pytest

from benchmarks.run import benchmark
from export import __main__ as command
from export.variants import VARIANTS
from mnist_edge import bundle, data
from tests.conftest import QUICK
from tests.safety import culprits

layers = keras.layers


@pytest.fixture(autouse=True)
def without_child(monkeypatch):
    """What the child does is done here: tests/safety/test_sandbox.py starts it, in seconds."""
    culprits.tried_here(monkeypatch)


def documented_convnet():
    """Keras's documented MNIST convnet: scaling outside, inputs in [0, 1]; Sequential."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )


def inverted_residuals():
    """A small network in MobileNetV2's style: three channels, scaling inside, additions."""
    image = keras.Input((28, 28, 3), name="photo")
    x = layers.Rescaling(1 / 127.5, offset=-1)(image)
    x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.ReLU(6)(layers.BatchNormalization(momentum=0.9)(x))
    for filters, strides in ((16, 1), (24, 2)):
        shortcut = x
        x = layers.Conv2D(48, 1, use_bias=False)(x)
        x = layers.ReLU(6)(layers.BatchNormalization(momentum=0.9)(x))
        x = layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False)(x)
        x = layers.ReLU(6)(layers.BatchNormalization(momentum=0.9)(x))
        x = layers.Conv2D(filters, 1, use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        if strides == 1:
            x = layers.Add()([shortcut, x])
    x = layers.SeparableConv2D(32, 3, activation="relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(10, activation="softmax")(x))


def plain_dense():
    """A dense network on flat pixels that gives logits."""
    return keras.Sequential(
        [keras.Input((784,)), layers.Dense(64, activation="relu"), layers.Dense(10)]
    )


def scaled(images):
    return (images / 255).astype(np.float32)[..., None]


def colored(images):
    tint = np.random.default_rng(0).uniform(0.5, 1, (len(images), 1, 1, 3))
    return (images[..., None] * tint).astype(np.uint8)


# name: (network, its data, their range, epochs that make it sure of itself)
FOREIGN = {
    "convnet": (documented_convnet, scaled, [0.0, 1.0], 2),
    "residuals": (inverted_residuals, colored, [0.0, 254.0], 5),
    "dense": (plain_dense, scaled, [0.0, 1.0], 5),
}


def save_data(path, dataset, prepare):
    np.savez(
        path,
        x_train=prepare(dataset.x_train),
        y_train=dataset.y_train,
        x_test=prepare(dataset.x_test),
        y_test=dataset.y_test,
    )
    return str(path)


@pytest.fixture(scope="module")
def trained(small_data, tmp_path_factory):
    """Trains a foreign model and saves it with its data; returns both paths."""

    def make(name):
        network, prepare, _, epochs = FOREIGN[name]
        folder = tmp_path_factory.mktemp(name)
        source = save_data(folder / "data.npz", data.load(small_data), prepare)
        dataset = data.load(source)
        keras.utils.set_random_seed(0)
        model = network()
        logits = "softmax" not in str(model.layers[-1].get_config()["activation"])
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=logits))
        model.optimizer.learning_rate = 2e-3
        x = data.as_inputs(dataset.x_train, model.inputs[0].shape[1:])
        model.fit(x, dataset.y_train, batch_size=32, epochs=epochs, verbose=0)
        model.save(folder / "model.keras")
        return folder / "model.keras", source

    return make


@pytest.mark.long
@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_model_passes_the_gate_in_every_variant(trained, tmp_path, name):
    model, source = trained(name)
    argv = [str(model), "--data", source, "--output", str(tmp_path / "bundle")]
    assert command.main([*argv, "--fallback"]) == 0
    manifest = json.loads((tmp_path / "bundle" / bundle.MANIFEST).read_text())
    assert len(manifest["artifacts"]) == len(VARIANTS) or manifest["fallbacks"]
    assert manifest["model"]["input_range"] == FOREIGN[name][2]
    assert manifest["model"]["softmax_added"] == (name == "dense")
    assert benchmark(tmp_path / "bundle", **QUICK).breaches == ()


# What can't be exported is refused, in one line that says what it is.


@pytest.fixture(scope="module")
def convnet_data(small_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("convnet")
    return save_data(folder / "data.npz", data.load(small_data), scaled)


def refusal(model, source, tmp_path, capsys, *flags, status=2):
    path = model
    if isinstance(model, keras.Model):
        path = tmp_path / "foreign.keras"
        model.save(path)
    argv = [str(path), "--data", source, "--output", str(tmp_path / "bundle"), *flags]
    assert command.main(argv) == status
    error = capsys.readouterr().err
    lines = [line for line in error.splitlines() if line.startswith("error: ")]
    assert len(lines) == status % 2 + 1  # status 1: what failed, and that nothing was written
    assert "Traceback" not in error
    assert not (tmp_path / "bundle").exists()
    return lines[0]


def image_model(*hidden, classes=10):
    image = keras.Input((28, 28, 1))
    x = image
    for layer in hidden:
        x = layer(x)
    x = layers.Dense(classes, activation="softmax")(layers.Flatten()(x))
    return keras.Model(image, x)


def test_a_layer_outside_tflites_builtins_is_named(convnet_data, tmp_path, capsys):
    model = image_model(layers.Resizing(14, 14, interpolation="bicubic", name="shrink"))
    known = data.load(convnet_data)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(known.x_train, known.y_train, verbose=0)  # chance is refused
    flags = ("--variants", "tflite-float32")
    line = refusal(model, convnet_data, tmp_path, capsys, *flags, status=1)
    assert "layer 'shrink' (Resizing) can't be exported to tflite" in line


def test_a_lambda_layer_is_refused_and_never_runs(convnet_data, tmp_path, capsys):
    marker = str(tmp_path / "marker")
    model = image_model(layers.Lambda(lambda x: (open(marker, "w").close(), x)[1]))
    os.remove(marker)
    line = refusal(model, convnet_data, tmp_path, capsys)
    assert "can't be loaded" in line
    assert "Lambda" in line
    assert not os.path.exists(marker)


def test_a_model_of_two_inputs_is_refused_data_of_one(convnet_data, tmp_path, capsys):
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    model = keras.Model([left, right], layers.Dense(2)(layers.Add()([left, right])))
    line = refusal(model, convnet_data, tmp_path, capsys)
    assert "takes left [4], right [4]. Got: one array, [28, 28, 1] per example" in line
    assert "with x_train_left, x_train_right" in line


def test_one_answer_per_pixel_is_refused_with_the_layers_name(convnet_data, tmp_path, capsys):
    image = keras.Input((28, 28, 1))
    model = keras.Model(image, layers.Conv2D(3, 1, name="mask")(image))
    line = refusal(model, convnet_data, tmp_path, capsys)
    assert "must give [batch, n], floating point" in line
    assert "from layer 'mask'. Wrap it: end the model with keras.layers.Flatten()" in line


def test_weights_that_are_not_finite_are_refused(convnet_data, tmp_path, capsys):
    model = image_model()
    model.layers[-1].bias.assign(np.full(10, np.nan))
    line = refusal(model, convnet_data, tmp_path, capsys)
    assert "must hold finite weights. Got: NaN or infinity in dense" in line


def test_another_data_set_is_refused(convnet_data, tmp_path, capsys):
    line = refusal(image_model(classes=5), convnet_data, tmp_path, capsys)
    assert "knows 5 classes. Got: labels up to 9" in line
    flat = keras.Sequential([keras.Input((10,)), layers.Dense(10, activation="softmax")])
    line = refusal(flat, convnet_data, tmp_path, capsys)
    assert "takes examples of shape [10]. Got: [28, 28, 1]" in line


def test_a_free_image_size_that_the_data_do_not_fix_is_refused(convnet_data, tmp_path, capsys):
    image = keras.Input((None, None, 3), name="any_size")
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3)(image))
    model = keras.Model(image, layers.Dense(10, activation="softmax")(pooled))
    line = refusal(model, convnet_data, tmp_path, capsys)
    assert "must take examples of a fixed shape. Got: [None, None, None, 3]" in line
    assert "'any_size', and data of [28, 28, 1]. Fix it with --input-shape" in line


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 and no more"])
def test_a_file_that_is_no_model_is_refused(convnet_data, tmp_path, capsys, content):
    path = tmp_path / "broken.keras"
    path.write_bytes(content)
    assert "can't be loaded" in refusal(path, convnet_data, tmp_path, capsys)


def test_a_foreign_model_needs_data_and_output(tmp_path, capsys):
    image_model().save(tmp_path / "x.keras")
    assert command.main([str(tmp_path / "x.keras")]) == 2
    assert "needs --data" in capsys.readouterr().err
