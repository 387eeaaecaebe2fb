"""A model that loads and then misbehaves is one line of each command that runs it."""

import json
import os
import subprocess
import sys
import types

import numpy as np
import pytest
from PIL import Image

from benchmarks import card
from export import __main__ as export
from mnist_edge import backend, bundle, evaluate, models, predict
from mnist_edge import train as training
from mnist_edge.errors import InputError
from mnist_edge.models import trained
from mnist_edge.training import loop
from mnist_edge.training.checkpoint import Run
from tests.safety import culprits, misbehaving

FAILS = {
    "embedding": "must run on the given examples. Got: indices[",
    "division": "must run on the given examples. Got: Integer division by zero",
    "counts": "must give [20, 10]. Got: [512, 10]",
    "squares": "must give finite numbers. Got: NaN or infinity for 20 of 20",
    "named": "must give probabilities. Got: -",
    "picture": "must give [batch, n], floating point, at each output",
    "boolean": "at each output. Got: [None, 10], bool, from layer '",
    "integer": "at each output. Got: [None, 10], int32, from layer '",
}


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    backend.start_keras()
    return misbehaving.few(tmp_path_factory.mktemp("few") / "few.npz")


@pytest.fixture
def bundle_of(few, tmp_path, monkeypatch):
    """Makes a bundle of a model; the files that are looked into in a child are so here."""
    culprits.tried_here(monkeypatch)
    return lambda model: misbehaving.bundle_of(tmp_path / "bundle", model, few)


def refusal(main, arguments, capsys):
    """The one line of a command that must refuse."""
    assert main([str(argument) for argument in arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return line


@pytest.mark.parametrize("name", FAILS)
def test_a_model_that_misbehaves_is_one_line_of_evaluate(bundle_of, tmp_path, capsys, name):
    arguments = [bundle_of(misbehaving.make(name)), "--output", tmp_path / "output"]
    assert FAILS[name] in refusal(evaluate.main, arguments, capsys)
    assert not (tmp_path / "output").exists()


def test_a_model_that_misbehaves_is_one_line_of_every_other_command(
    few, bundle_of, tmp_path, capsys
):
    folder = bundle_of(misbehaving.make("embedding"))
    picture = tmp_path / "one.png"
    Image.fromarray(np.pad(np.zeros((40, 5), np.uint8), 20, constant_values=255)).save(picture)
    output, file = ["--output", tmp_path / "output"], folder / bundle.MODEL
    commands = (
        (export.main, [folder, *output]),
        (export.main, [file, "--data", few, *output]),
        (predict.main, [picture, "--model", folder]),
        (card.main, [folder]),
    )
    for main, arguments in commands:
        assert "Got: indices[" in refusal(main, arguments, capsys)
    assert not (tmp_path / "output").exists()


def test_of_an_error_in_tensorflows_graph_the_cause_is_told(monkeypatch):
    def predict(*_, **__):
        raise ArithmeticError("page\n\nmore\n\t[[{{node x}}]]")

    model = misbehaving.sequential()
    monkeypatch.setattr(model, "predict", predict)
    line = r"^it must run on the given examples\. Got: more\. Give"
    with pytest.raises(InputError, match=line):
        trained.predict(model, np.zeros((2, 28, 28, 1), np.float32), "it")


def test_a_sequential_model_is_evaluated(few, bundle_of, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "_draw_scores", lambda *_: None)
    monkeypatch.setattr(evaluate, "_draw_examples", lambda *_: None)
    folder = bundle_of(misbehaving.sequential())
    assert evaluate.main([str(folder), "--output", str(tmp_path / "output")]) == 0


def test_logits_of_a_layer_called_probabilities_are_exported_under_that_name(
    few, bundle_of, tmp_path
):
    folder = bundle_of(misbehaving.make("named"))
    few_images = ["--variants", "onnx-float32", "--calibration-count", "10"]
    assert export.main([str(folder), *few_images]) == 0
    manifest = json.loads((folder / bundle.MANIFEST).read_text())
    assert manifest["model"]["softmax_added"]
    assert manifest["artifacts"][0]["outputs"][0]["name"] == "probabilities"


def test_a_model_without_inputs_is_no_classifier():
    import keras

    for model in (keras.Sequential([keras.layers.Dense(10)]), keras.Model()):
        with pytest.raises(
            InputError, match="must be a functional or Sequential model that was built"
        ):
            trained.check_classifier("x.keras", model)


# Data that a model can't be made for.


def test_images_too_small_for_a_network_are_one_line_that_says_which_are_not(tmp_path, capsys):
    images, labels = np.zeros((12, 8, 8), np.uint8), np.arange(12) % 10
    arrays = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    np.savez(tmp_path / "small.npz", **arrays)
    arguments = ["--data", tmp_path / "small.npz", "--output", tmp_path / "output"]
    line = refusal(training.main, arguments, capsys)
    assert "edge must be given images of 19 x 19 pixels or more. Got: 8 x 8. Enlarge" in line
    for name, least, shape in (("swift", 23, (12, 28)), ("conv-pool-thrice", 8, (100, 7))):
        with pytest.raises(InputError, match=rf"{name} .* {least} x {least} pixels or more"):
            models.build(name, shape)
    assert models.build("edge", (19, 19))


@pytest.mark.parametrize("count", [1, 5])
def test_so_few_examples_that_none_is_left_for_validation_are_one_line(
    few, tmp_path, monkeypatch, capsys, count
):
    culprits.tried_here(monkeypatch)
    source = misbehaving.few(tmp_path / "fewer.npz", count)
    folder = misbehaving.bundle_of(tmp_path / "bundle", misbehaving.sequential(), source)
    wanted = f"hold 6 examples or more, one of which is for validation. Got: {count}."
    for main, arguments in (
        (training.main, ["--data", source, "--output", tmp_path / "output"]),
        (training.main, ["--data", source, "--output", tmp_path / "output", "--all-images"]),
        (export.main, [folder]),
    ):
        assert wanted in refusal(main, arguments, capsys)


def test_labels_of_one_class_are_one_line(tmp_path, capsys):
    images, labels = np.zeros((12, 28, 28), np.uint8), np.zeros(12, int)
    arrays = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    np.savez(tmp_path / "one.npz", **arrays)
    arguments = ["--data", tmp_path / "one.npz", "--output", tmp_path / "output"]
    assert "must have labels of 2 classes or more" in refusal(training.main, arguments, capsys)


def test_training_that_ends_in_nan_writes_nothing(few, tmp_path, monkeypatch, capsys):
    def fit(model, *_, **__):
        model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
        learner = types.SimpleNamespace(evaluate=lambda *_, **__: {"accuracy": 0.1, "loss": 2.3})
        return learner, Run({"loss": [2.3], "val_loss": [2.3], "val_accuracy": [0.1]})

    monkeypatch.setattr(loop, "fit", fit)
    arguments = ["--model", "classic", "--data", few, "--output", tmp_path / "output"]
    assert "must have finite weights" in refusal(training.main, arguments, capsys)
    assert not (tmp_path / "output").exists()


# Keras's own settings.


def test_channels_first_in_keras_json_does_not_hold_here():
    import keras

    keras.config.set_image_data_format("channels_first")
    keras.config.set_floatx("float16")
    assert backend.start_keras().config.image_data_format() == "channels_last"
    assert keras.config.floatx() == "float32"


def test_a_backend_that_keras_does_not_know_is_one_line():
    ran = subprocess.run(
        [sys.executable, "-m", "mnist_edge.train", "--list"],
        env=os.environ | {"KERAS_BACKEND": "foo"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 2
    (line,) = ran.stderr.splitlines()
    assert line.startswith("error: Keras must start. Got: ValueError: Unable to import backend")
    assert "Check KERAS_BACKEND, one of tensorflow, jax, " in line


def test_a_backend_that_cannot_do_it_is_one_line():
    with pytest.raises(InputError, match=r"x needs Keras on jax. Got: tensorflow. Set KERAS_BACK"):
        backend.require(("jax",), "x")
