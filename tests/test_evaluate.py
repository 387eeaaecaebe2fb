import csv
import gzip
import importlib.util
import json

import numpy as np
import pytest

from benchmarks.__main__ import main as benchmark
from export.pipeline import export
from export.settings import ExportSettings
from mnist_edge import bundle, data, drawing, manifest, metrics, schema
from mnist_edge.errors import InputError
from mnist_edge.evaluate import EvaluateSettings, evaluate, main
from mnist_edge.train import train
from mnist_edge.training.settings import TrainSettings

PICTURES = {"confusion.png", "mistakes.png", "predictions.png", "reliability.png"}


@pytest.fixture(scope="module")
def found(small, tmp_path_factory):
    """`(folder, Evaluation)` of the small bundle."""
    folder = tmp_path_factory.mktemp("evaluation")
    return folder, evaluate(EvaluateSettings(bundle=small.folder, output=folder))


def test_accuracy_and_loss_are_those_that_training_recorded(small, found):
    record = found[1].record
    metrics = small.trained["metrics"]
    assert record.accuracy == pytest.approx(metrics["test_accuracy"], abs=1e-6)
    assert record.loss == pytest.approx(metrics["test_loss"], abs=1e-5)
    assert record.model_sha256 == small.trained["model_sha256"]


def test_all_files_are_written(found):
    folder, evaluation = found
    assert {path.name for path in folder.iterdir()} == {"evaluate.json", "confusion.csv", "plots"}
    assert {path.name for path in (folder / bundle.PLOTS).iterdir()} == PICTURES
    document = json.loads((folder / bundle.EVALUATION).read_text())
    assert document == json.loads(json.dumps(schema.encode(evaluation.record)))
    assert document["schema"] == schema.VERSION


def test_the_confusion_matrix_counts_every_image_once(found):
    folder, evaluation = found
    with open(folder / bundle.CONFUSION) as file:
        header, *rows = csv.reader(file)
    assert header == ["true \\ predicted", *map(str, range(10))]
    assert [row[0] for row in rows] == header[1:]
    matrix = np.array([row[1:] for row in rows], int)
    assert matrix.sum() == 500
    assert np.trace(matrix) / 500 == pytest.approx(evaluation.record.accuracy)
    worst = evaluation.record.most_confused[0]
    assert matrix[int(worst.true), int(worst.predicted)] == worst.count


def test_the_report_has_one_line_per_class(small, found):
    record = found[1].record
    sevens = int(np.sum(data.load(small.data).y_test == 7))
    assert record.classification_report["7"]["support"] == sevens
    assert record.classification_report["accuracy"] == pytest.approx(record.accuracy)
    assert "precision" in found[1].report


def test_the_surest_mistakes_come_first_with_both_labels(small, found):
    mistakes = found[1].record.most_confident_mistakes
    y = data.load(small.data).y_test
    assert [str(y[m.index]) for m in mistakes] == [m.true for m in mistakes]
    assert all(m.true != m.predicted for m in mistakes)
    confidences = [m.confidence for m in mistakes]
    assert confidences == sorted(confidences, reverse=True)


def test_any_data_source_and_names_of_ones_own_and_a_split_off_test_set_is_told(
    small, tmp_path, capsys
):
    dataset = data.load(small.data)
    rows = np.column_stack([dataset.y_test, dataset.x_test.reshape(500, -1)])
    np.savetxt(tmp_path / "train.csv", rows, fmt="%d", delimiter=",")
    names = "nil,one,two,three,four,five,six,seven,eight,nine"
    output = tmp_path / "out"
    argv = [str(small.folder), "--data", str(tmp_path), "--output", str(output), "--labels", names]
    assert main(argv) == 0
    shown = capsys.readouterr().out
    assert "seven" in shown
    assert f"on {tmp_path}: accuracy" in shown
    assert "train.csv has no test set: 71 of the 500 examples" in shown
    record = json.loads((output / bundle.EVALUATION).read_text())
    assert record["data"]["test_count"] == 71
    assert record["data"]["labels"] == names.split(",")
    assert (output / bundle.CONFUSION).read_text().startswith("true \\ predicted,nil,one")


@pytest.mark.long  # quick: tests/data/test_idx.py, tests/test_many_classes.py
def test_the_whole_path_on_a_folder_of_emnist_letters(tmp_path, without_keras):
    """Nineteen classes, every second one without an image; transposed; counted from 1."""
    mnist = data.load()
    folder = tmp_path / "emnist"
    folder.mkdir()
    for split, count in (("train", 1200), ("test", 200)):
        x, y = getattr(mnist, f"x_{split}")[:count], getattr(mnist, f"y_{split}")[:count]
        for what, rank, array in (
            ("images", 3, x.transpose(0, 2, 1)),
            ("labels", 1, y * np.uint8(2) + np.uint8(1)),
        ):
            header = bytes((0, 0, 8, rank)) + np.array(array.shape, ">u4").tobytes()
            name = f"emnist-letters-{split}-{what}-idx{rank}-ubyte.gz"
            (folder / name).write_bytes(gzip.compress(header + array.tobytes(), 1))
    output = tmp_path / "bundle"
    train(
        TrainSettings(
            data=str(folder), output=output, model="classic", epochs=1, batch_size=16, quiet=True
        )
    )
    settings = ExportSettings(source=output, variants=("tflite-float32",), calibration_count=20)
    export(settings, report=lambda _: None)
    labels = tuple("ABCDEFGHIJKLMNOPQRS")
    assert manifest.read(output, "").data.labels == labels
    quick = ["--rounds", "1", "--calls", "2", "--warmup", "1"]
    assert benchmark([str(output), *quick]) == 0
    record = evaluate(EvaluateSettings(bundle=output)).record
    assert record.data.labels == labels
    assert record.accuracy > 0.5


def test_names_in_the_record_reach_the_manifest_and_the_report(small, tmp_path, converted_once):
    folder = small.copy(tmp_path / "bundle")
    record = json.loads((folder / bundle.TRAIN).read_text())
    names = [f"digit {i}" for i in range(10)]
    record["data"]["labels"] = names
    bundle.write_json(folder / bundle.TRAIN, record)
    export(ExportSettings(source=folder, variants=("onnx-float32",)), report=lambda _: None)
    assert manifest.read(folder, "").data.labels == tuple(names)
    assert evaluate(EvaluateSettings(bundle=folder)).record.data.labels == tuple(names)


def test_a_model_that_the_record_does_not_describe_is_refused(small, tmp_path):
    folder = small.copy(tmp_path / "bundle")
    with open(folder / bundle.MODEL, "ab") as file:
        file.write(b"\0")
    with pytest.raises(InputError, match=r"model.keras is not the model that train.json describes"):
        evaluate(EvaluateSettings(bundle=folder))


def test_a_damaged_model_with_the_right_hash_is_refused_in_one_line(small, tmp_path, capsys):
    folder = small.copy(tmp_path / "bundle")
    (folder / bundle.MODEL).write_bytes(b"PK no model")
    record = json.loads((folder / bundle.TRAIN).read_text())
    record["model_sha256"] = bundle.sha256_file(folder / bundle.MODEL)
    bundle.write_json(folder / bundle.TRAIN, record)
    assert main([str(folder)]) == 2
    error = capsys.readouterr().err
    assert "model.keras can't be loaded" in error
    assert error.count("\n") == 1


def test_a_model_that_gives_nan_is_refused(small, tmp_path):
    import keras

    folder = small.copy(tmp_path / "bundle")
    model = keras.saving.load_model(folder / bundle.MODEL)
    # Finite, as weights that are not are refused before; the sums of their products are not.
    *body, kernel, bias = model.get_weights()
    model.set_weights([*body, np.full_like(kernel, 3e38), bias])
    model.save(folder / bundle.MODEL)
    record = json.loads((folder / bundle.TRAIN).read_text())
    record["model_sha256"] = bundle.sha256_file(folder / bundle.MODEL)
    bundle.write_json(folder / bundle.TRAIN, record)
    with pytest.raises(InputError, match=r"must give finite numbers. Got: NaN"):
        evaluate(EvaluateSettings(bundle=folder))


@pytest.mark.parametrize(
    ("lost", "message"),
    [(bundle.TRAIN, "train.json is required"), (bundle.MODEL, "model.keras is required")],
)
def test_an_incomplete_bundle_is_refused(small, tmp_path, lost, message):
    folder = small.copy(tmp_path / "bundle")
    (folder / bundle.MANIFEST).unlink()
    (folder / lost).unlink()
    with pytest.raises(InputError, match=message):
        evaluate(EvaluateSettings(bundle=folder))


def test_data_with_more_classes_than_the_model_are_refused(small, tmp_path):
    x, y = np.zeros((12, 28, 28), np.uint8), np.arange(12)
    np.savez(tmp_path / "twelve.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    settings = EvaluateSettings(bundle=small.folder, data=str(tmp_path / "twelve.npz"))
    with pytest.raises(InputError, match=r"has 10 classes. Got: labels up to 11"):
        evaluate(settings)


def test_fewer_names_than_classes_are_refused(small, tmp_path):
    with pytest.raises(InputError, match="--labels must name 10 classes"):
        evaluate(EvaluateSettings(bundle=small.folder, labels="a,b", output=tmp_path))


def test_a_failed_run_leaves_the_last_good_files(small, tmp_path, monkeypatch):
    folder = small.copy(tmp_path / "bundle")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(drawing, "save", fail)
    assert main([str(folder)]) == 2
    assert {p.name for p in folder.iterdir()} == {p.name for p in small.folder.iterdir()}


@pytest.mark.parametrize(
    ("package", "name"), [("matplotlib", "matplotlib"), ("sklearn", "scikit-learn")]
)
def test_a_missing_package_is_one_line_that_names_the_extra(
    small, tmp_path, monkeypatch, package, name
):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda asked: None if asked == package else real(asked)
    )
    with pytest.raises(InputError, match=rf"{name} is required .*'mnist-edge\[plots\]'"):
        evaluate(EvaluateSettings(bundle=small.folder, output=tmp_path))


def certain(y, classes=3):
    return np.eye(classes)[y]


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    y = np.array([0, 1, 0, 1])
    sure = np.tile([0.8, 0.2], (4, 1))  # says 0 with 80 %, is right in half
    error = metrics.expected_calibration_error(metrics.reliability_bins(sure, y))
    assert error == pytest.approx(0.3)
    mixed = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    y = np.array([0, 0, 0, 1])  # 90 % sure and always right; 60 % sure and half right
    rows = metrics.reliability_bins(mixed, y)
    assert metrics.expected_calibration_error(rows) == pytest.approx(0.5 * 0.1 + 0.5 * 0.1)
    assert [row.count for row in rows if row.count] == [2, 2]


def test_a_model_that_is_certain_and_right_has_no_calibration_error():
    y = np.array([0, 1, 2])
    rows = metrics.reliability_bins(certain(y), y)
    assert metrics.expected_calibration_error(rows) == 0
    assert len(rows) == 15
    assert rows[-1].count == 3


def test_a_confidence_on_an_edge_is_counted_once_in_the_lower_bin():
    rows = metrics.reliability_bins(np.array([[0.5, 0.5]]), np.array([0]), bins=2)
    assert [row.count for row in rows] == [1, 0]


def test_without_mistakes_there_are_none_to_show():
    y = np.array([0, 1, 2])
    assert len(metrics.most_confident_mistakes(certain(y), y, 5)) == 0
    assert metrics.most_confused(np.diag([3, 4]), 5) == []


def test_the_commonest_confusions_come_first():
    matrix = np.array([[9, 2, 0], [5, 9, 0], [0, 1, 9]])
    assert metrics.most_confused(matrix, 2) == [(1, 0, 5), (0, 1, 2)]
