import csv
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from export.exporter import export
from export.settings import ExportSettings
from mnist_edge import bundle, data, models
from mnist_edge.augment import Affine
from mnist_edge.cli import InputError
from mnist_edge.train import TrainSettings, _fit, main, train

SHAPE = (28, 28, 1)


def test_a_run_writes_model_record_and_history(small):
    assert {bundle.MODEL, bundle.TRAIN, bundle.HISTORY} <= {p.name for p in small.folder.iterdir()}
    with open(small.folder / bundle.HISTORY) as file:
        (row,) = csv.DictReader(file)
    assert set(row) == {"epoch", "accuracy", "loss", "val_accuracy", "val_loss"}
    assert float(row["val_accuracy"]) == small.trained["metrics"]["validation_accuracy"]


def test_the_record_tells_what_was_trained_on_what(small):
    record = json.loads((small.folder / bundle.TRAIN).read_text())
    assert record == small.trained
    assert record["model_sha256"] == bundle.sha256_file(small.folder / bundle.MODEL)
    assert record["data"]["train_count"] == 5000
    assert record["data"]["validation_count"] == 1000
    assert record["data"]["sha256"] == data.load(small.data).sha256()
    assert record["recipe"]["epochs"] == 1
    assert record["recipe"]["batch_size"] == 32


def test_the_recorded_accuracy_is_the_saved_models(small):
    dataset = data.load(small.data)
    model = keras.saving.load_model(small.folder / bundle.MODEL)
    choice = model.predict(data.as_inputs(dataset.x_test, SHAPE), verbose=0).argmax(1)
    recorded = small.trained["metrics"]["test_accuracy"]
    assert np.mean(choice == dataset.y_test) == pytest.approx(recorded, abs=1e-6)
    assert recorded > 0.8


def test_the_saved_model_holds_keras_layers_alone(small):
    model = keras.saving.load_model(small.folder / bundle.MODEL, safe_mode=True)
    assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"keras"}


def test_best_keeps_the_weights_that_validation_prefers(small_data):
    dataset = data.load(small_data)
    x, y = data.as_inputs(dataset.x_train[:512], SHAPE), dataset.y_train[:512]
    held_out = data.as_inputs(dataset.x_train[512:1024], SHAPE), dataset.y_train[512:1024]
    # A learning rate that ruins the model, in most epochs, after one that did not.
    recipe = models.Recipe(epochs=4, batch_size=64, learning_rate=0.01, keep="best")
    keras.utils.set_random_seed(0)
    model = models.build("classic")
    _, history = _fit(model, recipe, 0, x, y, held_out)
    kept = np.mean(model.predict(held_out[0], verbose=0).argmax(1) == held_out[1])
    assert kept == pytest.approx(max(history["val_accuracy"]), abs=1e-6)


def test_the_same_seed_gives_the_same_weights(small, tmp_path):
    settings = TrainSettings(data=small.data, output=tmp_path / "again", epochs=1, batch_size=32)
    train(settings)
    first, again = (
        keras.saving.load_model(folder / bundle.MODEL).get_weights()
        for folder in (small.folder, settings.folder)
    )
    assert all(map(np.array_equal, first, again))


def test_a_failed_run_leaves_the_last_good_bundle(small, tmp_path, monkeypatch):
    folder = small.copy(tmp_path / "bundle")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mnist_edge.train._write_history", fail)
    assert main(["--data", small.data, "--output", str(folder), "--epochs", "1"]) == 2
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--epochs", "0"], "error: --epochs must be 1 or more. Got: 0."),
        (["--seed", "-1"], "error: --seed must be 0 to 4294967295. Got: -1."),
        (["--data", "no.npz"], "error: no.npz must be a file and is not."),
    ],
)
def test_bad_usage_is_one_line_and_status_2(capsys, tmp_path, argv, line):
    assert main([*argv, "--output", str(tmp_path / "new")]) == 2
    assert capsys.readouterr().err.startswith(line)
    assert not (tmp_path / "new").exists()


def test_images_that_are_not_grey_bytes_are_refused(tmp_path, capsys):
    path = str(tmp_path / "floats.npz")
    x, y = np.zeros((12, 28, 28), np.float32), np.zeros(12, int)
    np.savez(path, x_train=x, y_train=y, x_test=x, y_test=y)
    assert main(["--data", path, "--output", str(tmp_path / "new")]) == 2
    assert "x_train must be uint8 [n, height, width], 0 to 255" in capsys.readouterr().err


def test_command_line_overrides_the_recipe():
    recipe = TrainSettings(model="classic", epochs=3).recipe
    assert (recipe.epochs, recipe.batch_size) == (3, 64)
    assert TrainSettings().recipe == models.ZOO["edge"].recipe
    with pytest.raises(InputError):
        TrainSettings(batch_size=0)


def test_a_model_trained_on_jax_is_exported_under_tensorflow_with_the_same_accuracy(
    small_data, tmp_path
):
    folder = tmp_path / "jax"
    argv = ["--data", small_data, "--output", str(folder), "--epochs", "1", "--model", "edge"]
    subprocess.run(
        [sys.executable, "-m", "mnist_edge.train", *argv],
        check=True,
        env=os.environ | {"KERAS_BACKEND": "jax"},
        capture_output=True,
    )
    trained = json.loads((folder / bundle.TRAIN).read_text())
    assert trained["versions"]["backend"] == "jax"
    export(ExportSettings(source=folder, calibration_count=50), report=lambda _: None)
    with np.load(folder / bundle.REFERENCE) as reference:
        choice = reference["probabilities"].argmax(1)
    accuracy = np.mean(choice == data.load(small_data).y_test)
    assert accuracy == pytest.approx(trained["metrics"]["test_accuracy"], abs=1e-6)


def test_augmentation_reaches_training(small_data, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "mnist_edge.train.random_affine",
        lambda *given: seen.append(given) or keras.layers.Identity(),
    )
    dataset = data.load(small_data)
    x, y = data.as_inputs(dataset.x_train[:64], SHAPE), dataset.y_train[:64]
    recipe = models.Recipe(epochs=1, batch_size=32, augment=Affine(rotation=10))
    _fit(models.build("edge"), recipe, 7, x, y, (x, y))
    assert seen == [(Affine(rotation=10), 7)]
