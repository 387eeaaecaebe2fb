"""A bundle of a model that this project did not train goes through every command."""

import contextlib
import csv
import dataclasses
import io
import json
import shutil

import keras
import numpy as np
import pytest
from PIL import Image

import mnist_edge
from benchmarks import __main__ as benchmarks
from benchmarks import bundles as benchmark_bundles
from benchmarks import card, compare, measurement, plots, report, selftest
from benchmarks import predict as benchmarks_predict
from benchmarks.measurement import Disagreements
from export import __main__ as export
from mnist_edge import (
    bundle,
    drawing,
    evaluate,
    evaluation_plots,
    examples,
    manifest,
    predict,
    schema,
)
from mnist_edge.errors import InputError
from mnist_edge.evaluate import EvaluateSettings
from mnist_edge.models import opened
from tests import tiny
from tests.conftest import remove_keras
from tests.test_plots import crowded

LONG = "a perfectly round zero"
NAMES = (LONG, "one", "three", "two, or a swan")
FLOWERS = ("setosa", "versicolor", "virginica")


@pytest.fixture
def pictures(foreign, tmp_path):
    return shutil.copytree(foreign, tmp_path / "pictures")


@pytest.fixture
def rows(foreign_rows, tmp_path):
    return shutil.copytree(foreign_rows, tmp_path / "rows")


@pytest.fixture
def zero(foreign, tmp_path):
    """Path of a large picture of a zero."""
    with np.load(f"{foreign}.npz") as held:
        pixels = held["x_test"][list(held["y_test"]).index(LONG)]
    Image.fromarray(pixels).resize((240, 200), Image.Resampling.NEAREST).save(tmp_path / "zero.png")
    return str(tmp_path / "zero.png")


def said(command, argv, capsys, status=0):
    """Standard output and error of a command that ends with a status, the latter in one line."""
    assert command.main(list(map(str, argv))) == status
    printed = capsys.readouterr()
    if status == 2:
        assert printed.err.count("\n") == 1
    assert "mnist_edge.train" not in printed.out + printed.err
    return printed.out + printed.err


@pytest.fixture(scope="module")
def benchmarked(foreign, tmp_path_factory):
    """A copy of the bundle of pictures with the report of a benchmark, made once."""
    folder = shutil.copytree(foreign, tmp_path_factory.mktemp("benchmarked") / "pictures")
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        remove_keras(patch)
        assert benchmarks.main([str(folder), *tiny.QUICK]) == 0
    return folder


@pytest.fixture
def measured(benchmarked, tmp_path):
    """A copy of it that a test may change."""
    return shutil.copytree(benchmarked, tmp_path / "measured")


def report_of(folder):
    return schema.read(measurement.Report, folder / report.BENCHMARK_JSON, "")


# Evaluate.


def test_pictures_are_evaluated_with_their_class_names(pictures, capsys):
    printed = said(evaluate, [pictures], capsys)
    assert all(name in printed for name in NAMES)
    record = json.loads((pictures / bundle.EVALUATION).read_text())
    assert record["model"] == "swans"
    assert record["accuracy"] > 0.9
    assert record["data"]["labels"] == list(NAMES)
    header, *lines = csv.reader(io.StringIO((pictures / bundle.CONFUSION).read_text()))
    assert header[1:] == [line[0] for line in lines] == list(NAMES)
    drawn = {path.name for path in (pictures / bundle.PLOTS).iterdir()}
    assert drawn == {"confusion.png", "mistakes.png", "predictions.png", "reliability.png"}


def test_probabilities_are_those_that_export_stored(foreign):
    """The model gives logits; export added the softmax."""
    with np.load(f"{foreign}.npz") as held, np.load(foreign / bundle.REFERENCE) as stored:
        found = opened.open_bundle(foreign).predict(held["x_test"].astype(np.float32))
        np.testing.assert_allclose(found, stored["probabilities"], atol=1e-6)


def test_rows_are_evaluated_without_pictures_of_them(rows, capsys):
    printed = said(evaluate, [rows], capsys)
    assert "no plots of examples: [4] is not the shape of a picture\n" in printed
    assert all(name in printed for name in FLOWERS)
    drawn = {path.name for path in (rows / bundle.PLOTS).iterdir()}
    assert drawn == {"confusion.png", "reliability.png"}


def test_data_with_some_of_the_classes_are_matched_by_name(foreign, tmp_path):
    """In sorted order, "one" is 0 there and 1 in the model."""
    with np.load(f"{foreign}.npz") as held:
        part = {f"{p}_{s}": held[f"{p}_{s}"] for s in ("train", "test") for p in "xy"}
    for split in ("train", "test"):
        chosen = np.isin(part[f"y_{split}"], ["one", "three"])
        for what in "xy":
            part[f"{what}_{split}"] = part[f"{what}_{split}"][chosen]
    np.savez(tmp_path / "part.npz", **part)
    settings = EvaluateSettings(foreign, data=str(tmp_path / "part.npz"), output=tmp_path / "out")
    record = evaluate.evaluate(settings).record
    assert record.accuracy > 0.9
    assert record.data.labels == NAMES


def test_data_in_another_scale_are_refused(foreign, tmp_path, capsys):
    with np.load(f"{foreign}.npz") as held:
        arrays = {name: held[name] for name in held}
    for split in ("train", "test"):
        arrays[f"x_{split}"] = (arrays[f"x_{split}"] / 255).astype(np.float32)
    np.savez(tmp_path / "scaled.npz", **arrays)
    argv = [foreign, "--data", tmp_path / "scaled.npz", "--output", tmp_path / "out"]
    printed = said(evaluate, argv, capsys, status=2)
    assert "x_test must be scaled as the model's training data, 0 to 254. Got: 0 to 0.99" in printed


# Pictures and names in figures.


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((28, 28), True),
        ((64, 48, 1), True),
        ((224, 224, 3), True),
        ((4,), False),
        ((64, 1), False),
        ((128, 9), False),
        ((49, 40, 6), False),
    ],
)
def test_what_is_drawn_as_a_picture(shape, expected):
    assert drawing.is_picture(shape) == expected


def test_pictures_are_drawn_as_they_are_and_ink_dark():
    gray = np.array([[[0.0, 1.0]]])
    assert drawing.as_pictures(gray, (0, 1)).tolist() == [[[[0] * 3, [255] * 3]]]
    assert drawing.as_pictures(gray, (0, 1), is_ink=True).tolist() == [[[[255] * 3, [0] * 3]]]
    assert drawing.as_pictures(np.full((1, 1, 1, 3), 7), (0, 255)).tolist() == [[[[7] * 3]]]


def test_names_that_the_font_lacks_become_numbers():
    assert drawing.names(["cat", "猫", "naïve"]) == ["cat", "1", "naïve"]


def test_long_names_do_not_touch():
    names = [f"{letter * 20} {letter} of many words" for letter in "MWAQ"]
    figure = evaluation_plots.confusion(np.eye(4, dtype=int), names)
    assert crowded(figure) == []


# Predict.


@pytest.mark.parametrize(
    "source", ["", "model.keras", "tflite-float32.tflite", "onnx-float32.onnx"]
)
def test_a_picture_is_resized_and_its_class_named(foreign, zero, source, capsys):
    printed = said(predict, [zero, "--model", foreign / source, "--json"], capsys)
    (answer,) = json.loads(printed)
    assert answer["label"] == LONG
    assert answer["input"] == zero
    assert answer["probability"] > 0.5


@pytest.mark.parametrize("file", ["tflite-float32.tflite", "onnx-float32.onnx"])
def test_an_artifact_alone_knows_its_classes(foreign, tmp_path, zero, file, capsys):
    shutil.copy(foreign / file, tmp_path)
    assert LONG in said(predict, [zero, "--model", tmp_path / file], capsys)


def test_a_keras_file_alone_does_not_say_its_range(foreign, tmp_path, zero, capsys):
    shutil.copy(foreign / bundle.MODEL, tmp_path / "alone.keras")
    printed = said(predict, [zero, "--model", tmp_path / "alone.keras"], capsys, status=2)
    assert "can't be scaled as the training data" in printed
    assert "Give the bundle's folder" in printed


def test_show_draws_color(foreign, tmp_path, zero, capsys):
    said(predict, [zero, "--model", foreign, "--show", tmp_path / "seen.png"], capsys)
    with Image.open(tmp_path / "seen.png") as sheet:
        red, _, blue = np.moveaxis(np.asarray(sheet.convert("RGB")).astype(int), 2, 0)
    assert (red != blue).any()


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv", "-labeled.csv"])
def test_rows_are_read_from_arrays_and_tables(foreign_rows, tmp_path, suffix, capsys):
    with np.load(f"{foreign_rows}.npz") as held:
        x, y = held["x_test"][:5], held["y_test"][:5]
    path = tmp_path / f"new{suffix}"
    if suffix == ".npy":
        np.save(path, x)
    elif suffix == ".npz":
        np.savez(path, x_test=x, y_test=np.arange(5))
    else:
        named = "labeled" in suffix
        lines = [",".join(["a,b,c,d"] + ["species"] * named)]
        lines += [
            ",".join([*map(str, row)] + [name] * named) for row, name in zip(x, y, strict=True)
        ]
        path.write_text("\n".join(lines))
    answers = json.loads(said(predict, [path, "--model", foreign_rows, "--json"], capsys))
    assert [answer["label"] for answer in answers] == list(y)
    assert [answer["input"] for answer in answers] == [f"{path}:{i}" for i in range(1, 6)]


def test_the_api_takes_arrays_and_pictures(foreign, foreign_rows, zero):
    assert mnist_edge.classify(zero, foreign)[0].label == LONG
    with np.load(f"{foreign_rows}.npz") as held:
        model = mnist_edge.load_model(foreign_rows)
        (answer,) = mnist_edge.classify(held["x_test"][0], model)
        assert answer.label == held["y_test"][0]
    assert (model.labels, model.shape, model.record) == (FLOWERS, (4,), None)
    with pytest.raises(InputError, match=r"must take images \[28, 28, 1\] to read digits"):
        mnist_edge.read_digits(zero, foreign)


def test_what_a_model_does_not_take_is_one_line(foreign, foreign_rows, tmp_path, zero, capsys):
    np.save(tmp_path / "five.npy", np.zeros((2, 5)))
    np.save(tmp_path / "large.npy", np.full((2, 4), 1000.0))
    np.save(tmp_path / "objects.npy", np.array([None]))
    (tmp_path / "three.csv").write_text("1,2,3\n")
    (tmp_path / "words.csv").write_text("1,2,3,4\n1,2,3,four\n")
    for given, model, line in (
        (zero, foreign_rows, "can't be resized to [4]"),
        ("five.npy", foreign_rows, "five.npy must be numbers, [n, 4]"),
        ("large.npy", foreign_rows, "large.npy must be scaled as the model's training data"),
        ("objects.npy", foreign_rows, "objects.npy must be an .npy array. Got: "),
        ("three.csv", foreign_rows, "three.csv must have 4 columns of numbers. Got: 3"),
        ("words.csv", foreign_rows, "words.csv must hold numbers. Got: "),
    ):
        assert line in said(predict, [tmp_path / given, "--model", model], capsys, status=2)
    argv = [zero, "--model", foreign, "--many"]
    assert "--many looks for digits" in said(predict, argv, capsys, status=2)
    np.save(tmp_path / "rows.npy", np.ones((2, 4)))
    argv = [tmp_path / "rows.npy", "--model", foreign_rows, "--show", tmp_path / "x.png"]
    assert "--show draws pictures. Got: numbers" in said(predict, argv, capsys, status=2)


@pytest.mark.parametrize(
    ("shape", "labels", "is_trained_here", "expected"),
    [
        ((28, 28, 1), "0123456789", False, True),
        ((784,), "ABC", False, True),
        ((28, 28, 1), ("zero", "one"), True, True),
        ((28, 28, 1), ("T-shirt", "Coat"), False, False),
        ((32, 32, 1), "0123456789", False, False),
        ((28, 28, 3), "0123456789", True, False),
    ],
)
def test_digits_are_looked_for_only_where_a_model_reads_them(
    shape, labels, is_trained_here, expected
):
    assert examples.finds_digits(shape, labels, is_trained_here) == expected


@pytest.mark.parametrize(
    ("trained", "expected"),
    [
        ((0, 254), (0, 255)),
        ((0, 1), (0, 1)),
        ((-1, 0.99), (-1, 1)),
        ((-2.1, 2.6), None),
        ((0, 65535), None),
    ],
)
def test_the_range_of_pixels_is_that_of_training(trained, expected):
    assert examples.pixel_range(trained) == expected


# The benchmarks.


def test_the_benchmark_names_classes_and_the_card_quotes_it(measured, capsys):
    found = report_of(measured)
    assert found.bundles[0].labels == NAMES
    lines = (measured / report.BENCHMARK_MARKDOWN).read_text().splitlines()
    (heading,) = [line for line in lines if LONG in line]
    assert [cell.strip() for cell in heading.strip("|").split("|")] == ["artifact", *NAMES]
    text = made_card(measured, capsys)
    assert "A classifier of 4 classes: a perfectly round zero, one, three, two, or a swan." in text
    assert "that mnist-edge did not train" in text
    assert "It returns logits, to which the artifacts add a softmax." in text
    assert f"python -m export model.keras --data {found_source(measured)}" in text
    for row in found.measurements[1:]:
        line = next(line for line in text.splitlines() if line.startswith(f"| {row.variant} "))
        assert f" {row.parity.accuracy:.2%} " in line
        assert f" {row.latency[0].p50_us:.1f} " in line


def found_source(folder):
    return manifest.read(folder, "").data.source


def made_card(folder, capsys):
    said(card, [folder], capsys)
    text = (folder / card.CARD).read_text()
    assert "mnist_edge.train" not in text
    assert "MNIST's digits" not in text
    assert "All seeds" not in text
    return text


def test_a_card_without_a_benchmark_says_how_to_make_one_and_what_failed(rows, capsys):
    loaded = manifest.read(rows, "")
    failed = manifest.Failure("tflite-int8", "gate", ("agrees with the reference on 57 %",))
    schema.write(rows / bundle.MANIFEST, dataclasses.replace(loaded, failures=(failed,)))
    text = made_card(rows, capsys)
    assert f"Not benchmarked as they are: `python -m benchmarks {rows}`" in text
    assert "- `tflite-int8`: failed the gate: agrees with the reference on 57 %" in text
    assert "setosa, versicolor, virginica" in text


def test_a_card_quotes_no_figures_of_other_artifacts(measured, capsys):
    tiny.add(measured, "tflite-int8", (measured / "tflite-float32.tflite").read_bytes() + b" ")
    text = made_card(measured, capsys)
    (line,) = [line for line in text.splitlines() if line.startswith("| tflite-int8 ")]
    assert line.count(" – ") == 4


def test_the_picture_of_disagreements_names_classes(benchmarked):
    found, loaded = report_of(benchmarked), benchmark_bundles.load_all([benchmarked])
    others = Disagreements((3, 5), (0, 1), (0, 1), (3, 0))
    rows = [
        dataclasses.replace(
            r, parity=r.parity and dataclasses.replace(r.parity, disagreements=others)
        )
        for r in found.measurements
    ]
    tiles, count = plots._tiles(dataclasses.replace(found, measurements=tuple(rows)), loaded)
    assert count == 2
    picture, title = tiles[1]
    assert picture.shape == (24, 24, 3)
    assert "tflite-float32: a perfe…d zero" in title.splitlines()


def test_robustness_is_measured_of_pictures_only(foreign_rows, without_keras, capsys):
    printed = said(benchmarks, [foreign_rows, *tiny.QUICK, "--robustness"], capsys, status=2)
    assert "robustness needs images" in printed
    assert "Leave out --robustness" in printed


def test_selftest_and_compare_work(measured, without_keras, capsys):
    assert "2 of 2 artifacts compute" in said(selftest, [measured], capsys)
    path = measured / report.BENCHMARK_JSON
    printed = said(compare, [path, path], capsys)
    assert "no regressions" in printed


def test_every_artifact_is_asked_about_a_picture_and_about_rows(
    foreign, foreign_rows, zero, tmp_path, without_keras, capsys
):
    printed = said(benchmarks_predict, [zero, foreign], capsys)
    assert printed.count(LONG) == 2
    assert "all 2 artifacts agree on 1 of 1" in printed
    np.save(tmp_path / "new.npy", np.float32([[5.0, 3.4, 1.5, 0.2]]))
    assert "setosa" in said(benchmarks_predict, [tmp_path / "new.npy", foreign_rows], capsys)
    assert "[n, 4]" in said(benchmarks_predict, [zero, foreign_rows], capsys, status=2)


# What is wrong with a bundle.


def test_a_foreign_bundle_is_exported_again(pictures, capsys):
    (pictures / "onnx-float32.onnx").unlink()
    printed = said(export, [pictures, "--variants", "onnx-float32"], capsys)
    assert "swans" in printed
    loaded = manifest.read(pictures, "")
    assert loaded.data.labels == NAMES
    assert [entry.variant for entry in loaded.artifacts] == ["tflite-float32", "onnx-float32"]


@pytest.mark.parametrize(
    ("command", "before"),
    [(evaluate, []), (predict, [__file__, "--model"]), (card, []), (export, [])],
)
def test_a_damaged_model_is_one_line_that_does_not_say_train(pictures, command, before, capsys):
    with open(pictures / bundle.MODEL, "ab") as file:
        file.write(b"x")
    printed = said(command, [*before, pictures], capsys, status=2)
    assert "its SHA-256 differs from the manifest" in printed or "replaced or damaged" in printed
    assert "python -m export MODEL.keras" in printed


def test_a_damaged_model_that_was_trained_here_is_to_be_repeated_elsewhere(small, tmp_path, capsys):
    folder = small.copy(tmp_path / "bundle")
    (folder / bundle.MODEL).write_bytes(b"")
    assert evaluate.main([str(folder)]) == 2
    error = capsys.readouterr().err
    assert f"--from {folder / bundle.TRAIN} --output ANOTHER_FOLDER" in error
    assert f"--output {folder}" not in error


def test_a_model_of_another_kind_is_one_line(tmp_path, capsys, rows):
    """A regression takes the classifier's place."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.save(rows / bundle.MODEL)
    tiny.vouch(rows, "model")
    assert "must be a classifier" in said(evaluate, [rows], capsys, status=2)
