import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import mnist_edge
from benchmarks import predict as benchmarks_predict
from mnist_edge import bundle, data, predict, runtimes
from mnist_edge.errors import InputError
from tests.images import drawn

ROOT = Path(__file__).parent.parent
LIGHT, DARK = "64 pixels, light on dark", "300 pixels, dark on light"


@pytest.fixture
def picture(tmp_path):
    """Path of a picture of a 4."""
    return str(drawn.save(DARK, 4, tmp_path))


@pytest.fixture
def page(tmp_path):
    """Path of a picture that reads 271 and, below, 58."""
    path = tmp_path / "page.png"
    drawn.gray(1 - drawn.line_of_digits("271\n58", 3)).save(path)
    return str(path)


@pytest.fixture
def pretrained(tmp_path):
    """A copy of the packaged bundle that a test may damage."""
    return Path(shutil.copytree(predict.PRETRAINED, tmp_path / "bundle"))


def test_the_table_has_digit_probability_and_runner_up(picture, capsys):
    assert predict.main([picture]) == 0
    heading, row = capsys.readouterr().out.splitlines()
    columns = "picture digit probability runner-up its probability confidence"
    assert heading.split() == columns.split()
    digit, probability, runner_up, its_probability, confidence = row.removeprefix(picture).split()
    assert digit == "4"
    assert runner_up != "4"
    assert 90 < float(probability[:-1]) <= 100
    assert 0 <= float(its_probability[:-1]) < 10
    assert 80 < float(confidence[:-1]) <= float(probability[:-1])


def test_a_checkerboard_is_no_digit_unless_the_least_confidence_is_0(tmp_path, capsys):
    rows, columns = np.mgrid[:28, :28] // 7
    board = 255 * ((rows + columns) % 2).ravel()
    table = tmp_path / "test.csv"
    header = ",".join(f"pixel{i}" for i in range(784))
    table.write_text(header + "\n" + ",".join(map(str, board)) + "\n")
    assert predict.main([str(table), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["digit"] == "no digit"
    assert row["confidence"] < 0.1
    assert predict.main([str(table), "--json", "--min-confidence", "0"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["digit"] in "0123456789"


def test_an_artifact_of_digits_has_the_rule_in_its_bundle_or_when_asked(picture, tmp_path):
    model = mnist_edge.load_model("edge").model
    assert mnist_edge.read_digits(picture, model)[0].confidence is None
    (answer,) = mnist_edge.read_digits(picture, model, min_confidence=1)
    assert (answer.digit, answer.label) == ("no digit", "4")
    assert mnist_edge.read_digits(picture)[0].is_digit


@pytest.mark.parametrize(("least", "got"), [("1.5", "1.5"), ("-1", "-1"), ("nan", "nan")])
def test_a_least_confidence_that_is_no_share_is_refused(picture, capsys, least, got):
    assert predict.main([picture, "--min-confidence", least]) == 2
    assert f"must be 0 to 1, for a model that reads digits. Got: {got}" in capsys.readouterr().err


@pytest.mark.parametrize("channels", [None, 3, 4])
def test_an_array_is_a_picture(picture, channels):
    with Image.open(picture) as opened:
        pixels = np.asarray(opened.convert({None: "L", 3: "RGB", 4: "RGBA"}[channels]))
    (answer,) = mnist_edge.read_digits(pixels)
    (expected,) = mnist_edge.read_digits(picture)
    assert answer.picture == "picture in memory"
    assert np.array_equal(answer.image.pixels, expected.image.pixels)
    assert np.array_equal(answer.probabilities, expected.probabilities)
    assert answer.digit == expected.digit == "4"


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((9, 9)), np.zeros((9, 9, 2), "u1"), np.zeros(9, "u1"), np.zeros((0, 9), "u1")],
)
def test_an_array_that_is_no_picture_is_refused(pixels):
    with pytest.raises(InputError, match=r"must be uint8 \[height, width\]"):
        mnist_edge.read_digits(pixels)


def test_models_in_memory_answer_as_their_files_do(small, picture):
    trained = mnist_edge.load_model(small.folder)
    artifact = mnist_edge.open_artifact(small.folder / "onnx-float32.onnx")
    (expected,) = mnist_edge.read_digits(picture, small.folder)
    for model in (trained, trained.model, artifact):
        (answer,) = mnist_edge.read_digits(picture, model)
        assert answer.digit == expected.digit
        np.testing.assert_allclose(answer.probabilities, expected.probabilities, atol=1e-4)


def test_a_model_in_memory_that_takes_other_images_is_refused(picture):
    inputs = keras.Input((8, 8, 1))
    outputs = keras.layers.Dense(10, activation="softmax")(keras.layers.Flatten()(inputs))
    with pytest.raises(
        InputError, match=r"the model must take images \[28, 28, 1\] to read digits. Got: \[8, 8"
    ):
        mnist_edge.read_digits(picture, keras.Model(inputs, outputs))


def test_several_digits_are_found_without_being_asked_for(page, picture, capsys):
    assert predict.main([page, picture]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1] == f"{page} reads 271 / 58"
    assert sum(line.startswith(picture) for line in printed) == 1


def test_a_page_ends_with_what_it_reads(page, capsys):
    assert predict.main([page, "--many"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{page} reads 271 / 58"


def test_json_and_csv_say_the_same(page, capsys):
    assert predict.main([page, "--many", "--json"]) == 0
    as_json = json.loads(capsys.readouterr().out)
    assert predict.main([page, "--many", "--csv"]) == 0
    as_csv = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["digit"] for row in as_json] == list("27158")
    assert [row["line"] for row in as_json] == [1, 1, 1, 2, 2]
    for one, other in zip(as_json, as_csv, strict=True):
        assert other == {
            name: " ".join(map(str, value)) if name == "box" else str(value)
            for name, value in one.items()
        }


def test_a_folder_is_read_whole(tmp_path, capsys):
    for digit in (2, 7):
        drawn.save(LIGHT, digit, tmp_path)
    assert predict.main([str(tmp_path), "--json"]) == 0
    assert [row["digit"] for row in json.loads(capsys.readouterr().out)] == ["2", "7"]


def test_a_submission_has_kaggles_form_and_the_right_labels(tmp_path, capsys):
    mnist = data.load()
    rows = mnist.x_test[:200].reshape(200, 784)
    header = ",".join(f"pixel{i}" for i in range(784))
    np.savetxt(tmp_path / "test.csv", rows, "%d", ",", header=header, comments="")
    path = tmp_path / "new" / "submission.csv"
    assert predict.main([str(tmp_path / "test.csv"), "--submission", str(path)]) == 0
    assert capsys.readouterr().out == f"written: {path}, 200 images\n"
    first, *lines = path.read_text().splitlines()
    assert first == "ImageId,Label"
    ids, labels = zip(*(map(int, line.split(",")) for line in lines), strict=True)
    assert ids == tuple(range(1, 201))
    assert np.mean(np.array(labels) == mnist.y_test[:200]) > 0.98


def test_a_failed_submission_leaves_the_last_one(tmp_path, picture, monkeypatch):
    path = tmp_path / "submission.csv"
    path.write_text("the last one")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle.os, "fsync", full)
    assert predict.main([picture, "--submission", str(path)]) == 2
    assert path.read_text() == "the last one"


def test_show_draws_original_and_pixels(tmp_path, page, capsys):
    path = tmp_path / "seen.png"
    assert predict.main([page, "--many", "--show", str(path)]) == 0
    assert f"written: {path}" in capsys.readouterr().err
    with Image.open(path) as sheet:
        colors = np.asarray(sheet.convert("RGB"))
    with Image.open(page) as original:
        height = original.height
    drawn_on = colors[:height] == (213, 94, 0)
    assert drawn_on.all(2).sum() > 1000  # five boxes and their answers, on the page itself
    shown = colors[height + 24 :].mean(2)
    assert shown.shape[1] > 1000  # three pairs in a row
    assert (shown < 40).mean() > 0.2  # the field around the ink that the model saw
    assert (shown > 215).mean() > 0.2


def test_names_of_classes_are_the_bundles(pretrained, picture, capsys):
    record = json.loads((pretrained / bundle.TRAIN).read_text())
    record["data"]["labels"] = [f"the {digit}" for digit in range(10)]
    bundle.write_json(pretrained / bundle.TRAIN, record)
    assert predict.main([picture, "--model", str(pretrained), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["digit"] == "the 4"


def test_a_model_that_its_record_does_not_describe_is_not_loaded(pretrained, picture, capsys):
    with open(pretrained / bundle.MODEL, "ab") as file:
        file.write(b"!")
    assert predict.main([picture, "--model", str(pretrained)]) == 2
    assert "is not the model that train.json describes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--json", "--csv"], "only one output format can be given. Got: --json and --csv"),
        (["--many", "--submission", "a.csv"], "--submission takes one digit per image"),
        (["--show", "seen.jpg"], "--show must end in .png. Got: seen.jpg"),
        (["--model", "nowhere"], "nowhere must be a bundle's folder and is not. Train one: "),
    ],
)
def test_bad_usage_is_one_line_and_status_2(picture, capsys, argv, message):
    assert predict.main([picture, *argv]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert message in said


def test_help_shows_how_to_begin(capsys):
    with pytest.raises(SystemExit) as ended:
        predict.main(["--help"])
    assert ended.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "python -m mnist_edge.predict photo.jpg" in shown
    assert "(default: the packaged `robust`)" in shown


def blocks(printed):
    """The rows below each picture's name: artifact, digit, probability, microseconds."""
    return [
        [line.split() for line in block.splitlines()[2:]]
        for block in printed.split("\n\n")
        if block.splitlines()[1:]
    ]


def test_every_artifact_is_asked_about_the_same_pictures(bundle_of_three, page, picture, capsys):
    assert benchmarks_predict.main([picture, page, "--many", str(bundle_of_three)]) == 0
    printed = capsys.readouterr().out
    variants = ["keras", "tflite-float32", "tflite-int8", "onnx-float32"]
    found = blocks(printed)
    assert len(found) == 6
    for rows in found:
        assert [row[0] for row in rows] == variants
        assert all(float(row[3]) > 0 for row in rows)
    assert f"all {len(variants)} artifacts agree on" in printed


def test_artifacts_are_asked_without_keras(bundle_of_three, picture):
    program = (
        "import sys\n"
        "for name in ('keras', 'tensorflow', 'onnx', 'export', 'h5py', 'tqdm'):\n"
        "    sys.modules[name] = None\n"
        "from benchmarks import predict\n"
        "sys.exit(predict.main(sys.argv[1:]))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, picture, bundle_of_three],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stderr.startswith("keras skipped: keras with a backend is not installed")
    (rows,) = blocks(ran.stdout)
    assert [row[0] for row in rows] == ["tflite-float32", "tflite-int8", "onnx-float32"]


def test_a_replaced_artifact_fails_and_the_others_answer(
    bundle_of_three, picture, without_keras, capsys
):
    replaced, other = (bundle_of_three / f"tflite-{name}.tflite" for name in ("int8", "float32"))
    replaced.write_bytes(other.read_bytes())
    assert benchmarks_predict.main([picture, str(bundle_of_three)]) == 1
    said = capsys.readouterr()
    assert "tflite-int8 FAILED: replaced or damaged" in said.err
    assert "tflite-int8" not in said.out


def test_with_no_runtime_nothing_is_answered(small, picture, monkeypatch, capsys):
    monkeypatch.setattr(runtimes, "is_installed", lambda path, *_: False)
    assert benchmarks_predict.main([picture, str(small.folder)]) == 2
    assert "Install ai-edge-litert or onnxruntime" in capsys.readouterr().err


def test_the_bundle_comes_last(picture, capsys):
    assert benchmarks_predict.main([picture, picture]) == 2
    assert "Give the bundle last" in capsys.readouterr().err
