import contextlib
import csv
import dataclasses
import io
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from export.pipeline import export
from export.settings import ExportSettings
from mnist_edge import bundle, data, evaluate, models
from mnist_edge.data import extra
from mnist_edge.errors import InputError
from mnist_edge.models.opened import open_named
from mnist_edge.train import main, train_model
from mnist_edge.training import loop
from mnist_edge.training.settings import TrainSettings

SHAPE = (28, 28, 1)


def test_a_run_writes_model_record_and_history(small):
    assert {bundle.MODEL, bundle.TRAIN, bundle.HISTORY} <= {p.name for p in small.folder.iterdir()}
    with open(small.folder / bundle.HISTORY) as file:
        *_, row = csv.DictReader(file)
    assert set(row) == {"epoch", "accuracy", "loss", "val_accuracy", "val_loss"}
    assert float(row["val_accuracy"]) == small.trained["metrics"]["validation_accuracy"]


def test_the_record_tells_what_was_trained_on_what(small):
    record = json.loads((small.folder / bundle.TRAIN).read_text())
    assert record["model_sha256"] == bundle.sha256_file(small.folder / bundle.MODEL)
    assert record["data"]["train_count"] == 5000
    assert record["data"]["validation_count"] == 1000
    assert record["data"]["sha256"] == data.load(small.data).sha256()
    assert record["recipe"]["epochs"] == 2
    assert record["recipe"]["batch_size"] == 32


def test_the_recorded_accuracy_is_the_saved_models(small):
    dataset = data.load(small.data)
    model = keras.saving.load_model(small.folder / bundle.MODEL)
    choice = model.predict(data.as_inputs(dataset.x_test, SHAPE), verbose=0).argmax(1)
    recorded = small.trained["metrics"]["test_accuracy"]
    assert np.mean(choice == dataset.y_test) == pytest.approx(recorded, abs=1e-6)
    assert recorded > 0.9


def test_the_saved_model_holds_keras_layers_alone(small):
    model = keras.saving.load_model(small.folder / bundle.MODEL, safe_mode=True)
    assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"keras"}


def test_resume_goes_on_by_the_command_line(few_data, tmp_path, monkeypatch, capsys):
    argv = ["--data", few_data, "--output", str(tmp_path / "b"), "--epochs", "2"]
    argv += ["--model", "classic", "--no-plots"]
    fit_epoch = loop.fit_epoch

    def interrupted(*given):
        if given[5].epochs == 1:
            raise KeyboardInterrupt
        fit_epoch(*given)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "fit_epoch", interrupted)
        assert main(argv) == 130
    assert "--resume" in capsys.readouterr().out
    assert not (tmp_path / "b" / bundle.TRAIN).exists()

    fitted = []
    monkeypatch.setattr(
        loop, "fit_epoch", lambda *given: (fitted.append(given[5].epochs), fit_epoch(*given))
    )
    assert main([*argv, "--resume", "--seed", "1"]) == 2
    assert "is the checkpoint of another run: seed was 0, now it is 1" in capsys.readouterr().err
    assert main([*argv, "--resume"]) == 0
    assert fitted == [1]
    assert not (tmp_path / "b" / bundle.CHECKPOINT).exists()


def test_a_failed_run_leaves_the_last_good_bundle(small, few_data, tmp_path, monkeypatch):
    folder = small.copy(tmp_path / "bundle")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mnist_edge.bundle.write_json", fail)
    assert (
        main(["--data", few_data, "--output", str(folder), "--epochs", "1", "--model", "classic"])
        == 2
    )
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--epochs", "0"], "error: --epochs must be 1 to 100,000. Got: 0."),
        (
            ["--batch-size", str(2**70)],
            "error: --batch-size must be 1 to 1,048,576. Got: 1180",
        ),
        (["--seed", "-1"], "error: --seed must be 0 to 4294967295. Got: -1."),
        (["--data", "no.npz"], "error: no.npz must be a file and is not."),
    ],
)
def test_bad_usage_is_one_line_and_status_2(capsys, tmp_path, argv, line):
    assert main([*argv, "--output", str(tmp_path / "new")]) == 2
    assert capsys.readouterr().err.startswith(line)
    assert not (tmp_path / "new").exists()


def test_images_that_are_not_gray_bytes_are_refused(tmp_path, capsys):
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


@pytest.mark.long
def test_a_model_trained_on_jax_is_exported_under_tensorflow_with_the_same_accuracy(
    small_data, tmp_path
):
    folder = tmp_path / "jax"
    argv = ["--data", small_data, "--output", str(folder), "--epochs", "2", "--batch-size", "32"]
    subprocess.run(
        [sys.executable, "-m", "mnist_edge.train", *argv],
        check=True,
        env=os.environ | {"KERAS_BACKEND": "jax"},
        capture_output=True,
    )
    trained = json.loads((folder / bundle.TRAIN).read_text())
    assert trained["versions"]["backend"] == "jax"
    export(ExportSettings(source=folder, variants=("tflite-float32", "onnx-float32")))
    with np.load(folder / bundle.REFERENCE) as reference:
        choice = reference["probabilities"].argmax(1)
    accuracy = np.mean(choice == data.load(small_data).y_test)
    assert accuracy == pytest.approx(trained["metrics"]["test_accuracy"], abs=1e-6)


def test_augmentation_is_switched_on_and_off():
    assert TrainSettings(model="classic").recipe.augment is None
    assert TrainSettings(model="classic", augment=True).recipe.augment == models.GENTLE
    assert TrainSettings(model="edge", augment=False).recipe.augment is None


# From Python.


@pytest.fixture
def arrays(small):
    dataset = data.load(small.data)
    train, test = slice(0, 240), slice(0, 60)
    return data.Dataset(
        dataset.x_train[train], dataset.y_train[train], dataset.x_test[test], dataset.y_test[test]
    )


def test_a_network_is_trained_on_arrays_in_memory_and_saved(arrays, tmp_path):
    trained = train_model("classic", arrays, epochs=1, seed=3)
    assert trained.record.seed == 3
    assert trained.record.recipe == dataclasses.replace(models.ZOO["classic"].recipe, epochs=1)
    assert trained.record.data.train_count == 200
    assert list(trained.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    trained.save(tmp_path / "b")
    opened = open_named(tmp_path / "b")
    assert opened.record == trained.record
    inputs = data.as_inputs(arrays.x_test, opened.shape)
    answers = [one.model.predict(inputs, verbose=0) for one in (trained, opened)]
    assert np.array_equal(*answers)
    trained.model.set_weights([2 * weight for weight in trained.model.get_weights()])
    with pytest.raises(InputError, match=r"Got: a model that was changed since"):
        trained.save(tmp_path / "b")
    assert open_named(tmp_path / "b").record == trained.record


@pytest.mark.parametrize("is_mnist", [True, False])
def test_extra_digits_join_mnists_training_images_alone(arrays, monkeypatch, is_mnist):
    given = []

    def fit(model, recipe, seed, train, *options, **more):
        given.append(train)
        return whole_fit(model, recipe, seed, train, *options, **more)

    whole_fit = loop.fit
    monkeypatch.setattr(loop, "fit", fit)
    monkeypatch.setattr(extra, "load", lambda: (arrays.x_test[:7] // 2, arrays.y_test[:7]))
    recipe = models.Recipe(1, 32, extra_digits=True)
    monkeypatch.setattr(data.Dataset, "is_mnist", is_mnist)
    trained = train_model("classic", arrays, recipe)
    assert trained.record.recipe.extra_digits == is_mnist
    assert trained.record.data.train_count == 200
    ((x, y),) = given
    assert (len(x), len(y)) == (200 + 7 * is_mnist,) * 2
    if is_mnist:
        assert np.array_equal(x[200:, ..., 0], arrays.x_test[:7] // 2)
        assert np.array_equal(y[200:], arrays.y_test[:7])


def test_mnist_is_known_by_its_images_wherever_they_come_from(arrays):
    mnist = data.load()
    copy = data.Dataset(mnist.x_train, mnist.y_train, mnist.x_test, mnist.y_test)
    assert copy.source != data.MNIST
    assert copy.is_mnist
    assert not dataclasses.replace(arrays, source=data.MNIST).is_mnist


def test_extra_digits_are_read_as_mnist_is():
    x, y = extra.load()
    assert (x.dtype, x.shape[1:], y.dtype, y.shape) == (np.uint8, (28, 28), np.uint8, x.shape[:1])
    assert set(y.tolist()) == set(range(10))
    assert models.ZOO["robust"].recipe.extra_digits


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"model": "swft"}, "model must be one of conv-conv, "),
        ({"epochs": 0}, "recipe.epochs must be an integer of 1 or more"),
        ({"seed": -1}, "seed must be an integer of 0 or more"),
        ({"recipe": models.Recipe(1, 8, branch_losses=True)}, "edge, which averages no branches"),
    ],
)
def test_what_cannot_be_trained_is_said_at_once(arrays, given, line):
    with pytest.raises(InputError, match=line):
        train_model(**({"model": "edge", "dataset": arrays} | given))


# What else a run writes and prints.


def quick(few_data, folder, *flags):
    argv = ["--data", few_data, "--output", str(folder), "--epochs", "1", "--model", "classic"]
    return main([*argv, *flags])


NAMES = [f"digit {n}" for n in range(10)]


@pytest.fixture(scope="module")
def quiet(few_data, tmp_path_factory):
    """`(folder, logs, lines)` of a quiet run that writes all that it is asked to."""
    folder, logs = (tmp_path_factory.mktemp("quiet") / name for name in ("b", "logs"))
    flags = ["--quiet", "--save-h5", "--save-weights", "--labels", ",".join(NAMES)]
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        assert quick(few_data, folder, *flags, "--tensorboard", str(logs)) == 0
    return folder, logs, shown.getvalue().splitlines()


def test_quiet_prints_one_json_line(quiet):
    (line,) = quiet[2]
    results = json.loads(line)
    assert results["model"] == "classic"
    assert 0 < results["test_accuracy"] <= 1


def test_a_run_draws_what_it_has_to_show(quiet):
    drawn = {path.name for path in (quiet[0] / bundle.PLOTS).iterdir()}
    assert drawn == {"samples.png", "curves.png", "predictions.png"}


def test_class_names_go_with_the_model(quiet):
    record = json.loads((quiet[0] / bundle.TRAIN).read_text())
    assert record["data"]["labels"] == NAMES


def test_old_formats_hold_the_same_model(quiet):
    kept = keras.saving.load_model(quiet[0] / bundle.MODEL)
    old = keras.saving.load_model(quiet[0] / bundle.MODEL_H5, compile=False)
    assert all(map(np.array_equal, kept.get_weights(), old.get_weights()))
    fresh = models.build("classic")
    fresh.load_weights(quiet[0] / bundle.WEIGHTS)
    assert all(map(np.array_equal, kept.get_weights(), fresh.get_weights()))


def test_tensorboard_logs_each_epoch(quiet):
    assert list((quiet[1] / "validation").glob("events.out.tfevents.*"))


def test_the_log_ends_in_the_same_json_line_and_nothing_is_drawn_without_matplotlib(
    few_data, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("mnist_edge.drawing.available", lambda: False)
    assert quick(few_data, tmp_path / "b") == 0
    *log, line = capsys.readouterr().out.splitlines()
    assert json.loads(line)["bundle"] == str(tmp_path / "b")
    assert any("val_accuracy" in row for row in log)
    assert not (tmp_path / "b" / bundle.PLOTS).exists()


def test_tensorboard_that_is_not_installed_is_named(few_data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert quick(few_data, tmp_path / "b", "--tensorboard", str(tmp_path / "logs")) == 2
    assert "needs tensorflow and tensorboard. Install" in capsys.readouterr().err


# Recipes that need more than the training images.


def test_all_images_are_trained_on_and_nothing_is_validated(few_data, tmp_path, capsys):
    folder = tmp_path / "b"
    argv = ["--data", few_data, "--output", str(folder), "--epochs", "1"]
    assert main([*argv, "--model", "conv-pool-conv-pool", "--all-images"]) == 0  # it keeps the best
    shown = capsys.readouterr().out
    assert "no validation, test accuracy" in shown
    assert json.loads(shown.splitlines()[-1])["validation_accuracy"] is None
    record = json.loads((folder / bundle.TRAIN).read_text())
    assert record["metrics"]["validation_loss"] is None
    assert (record["data"]["train_count"], record["data"]["validation_count"]) == (600, 0)
    assert record["recipe"]["keep"] == "last"
    assert record["kept_epoch"] == 1
    assert (folder / bundle.HISTORY).read_text().startswith("epoch,accuracy,loss\n")
    assert (folder / bundle.PLOTS / "curves.png").exists()
    evaluate.evaluate(evaluate.EvaluateSettings(bundle=folder, data=few_data))


def test_patience_without_validation_is_refused(tmp_path, capsys):
    argv = ["--all-images", "--patience", "2", "--output", str(tmp_path / "new")]
    assert main(argv) == 2
    assert "Add --no-all-images, or leave out --patience." in capsys.readouterr().err


def test_list_shows_the_zoo(capsys):
    assert main(["--list"]) == 0
    shown = capsys.readouterr().out
    for name, network in models.ZOO.items():
        (line,) = [line for line in shown.splitlines() if line.startswith(name + " ")]
        assert network.recipe.describe() in line


def test_the_packaged_model_has_the_accuracy_that_its_record_claims():
    folder = models.PRETRAINED / models.DEFAULT
    record = json.loads((folder / bundle.TRAIN).read_text())
    assert bundle.sha256_file(folder / bundle.MODEL) == record["model_sha256"]
    assert (folder / bundle.MODEL).stat().st_size < 200_000
    mnist = data.load()
    model = keras.saving.load_model(folder / bundle.MODEL)
    choice = model.predict(data.as_inputs(mnist.x_test, SHAPE), batch_size=500, verbose=0).argmax(1)
    accuracy = np.mean(choice == mnist.y_test)
    assert accuracy == pytest.approx(record["metrics"]["test_accuracy"], abs=2e-4)
    assert accuracy >= 0.993
