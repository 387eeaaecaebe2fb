"""The public Python API, as the package's docstring shows it."""

import dataclasses
import pydoc
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mnist_edge
from mnist_edge import data
from tests.images import drawn
from tests.test_predict import LIGHT

EXPORTED = ["tflite-float32", "tflite-int8", "onnx-float32"]


def test_every_public_name_is_there_and_in_the_help():
    shown = pydoc.plain(pydoc.render_doc(mnist_edge))
    for name in mnist_edge.__all__:
        assert callable(getattr(mnist_edge, name))
        assert name in shown
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = mnist_edge.nothing


def test_the_page_on_python_runs_from_top_to_bottom(small_data, tmp_path, monkeypatch, capsys):
    page = (Path(__file__).parent.parent / "docs/python.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 8
    monkeypatch.chdir(tmp_path)
    every = data.load(small_data)
    some = dataclasses.replace(every, x_train=every.x_train[:2400], y_train=every.y_train[:2400])
    monkeypatch.setitem(mnist_edge.__dict__, "load_dataset", lambda: some)
    names = {}
    exec("\n".join(blocks), names)
    assert names["answer"].digit == "1"
    assert [artifact.name for artifact in names["artifacts"]] == EXPORTED
    assert [row["variant"] for row in names["table"]] == ["keras", *EXPORTED]
    assert capsys.readouterr().out.count("passed") == 4
    assert names["report"].passed


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mnist_edge.build_model("clasic"), "Did you mean classic?"),
        (lambda: mnist_edge.load_model("egde"), "Did you mean edge?"),
        (lambda: mnist_edge.load_dataset("mnst"), "Did you mean mnist?"),
        (lambda: mnist_edge.load_dataset("keras:fashion-mnist"), "Did you mean keras:fashion_m"),
        (lambda: mnist_edge.open_artifact("no.tflite"), "Got: nothing of this name."),
        (lambda: mnist_edge.open_artifact(__file__), "must be a .keras, .tflite, .onnx or .c"),
        (lambda: mnist_edge.train_model("nano", [1]), "Got: list. Give Dataset("),
        (lambda: mnist_edge.export_model("a.keras", None, "new"), "keras.models.load_model(...)"),
    ],
)
def test_a_wrong_argument_is_one_line_that_says_what_was_meant(call, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(mnist_edge.InputError, match=re.escape(words)):
        call()
    assert not any(tmp_path.iterdir())


def test_keras_starts_without_a_word_from_its_backend():
    program = "import mnist_edge; mnist_edge.build_model('nano')"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_importing_the_package_imports_nothing_heavy():
    program = "import sys, mnist_edge; print([m for m in ('numpy', 'keras') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.stdout.strip() == "[]"


def test_a_model_of_the_zoo_is_built_and_takes_the_data():
    model = mnist_edge.build_model("edge")
    images = mnist_edge.load_dataset().x_test[:3, ..., None].astype(np.float32)
    assert model.predict_on_batch(images).shape == (3, 10)


def test_an_artifact_and_the_model_that_it_was_made_of_agree(small):
    images = data.load(small.data).x_test[:50, ..., None].astype(np.float32)
    expected = mnist_edge.load_model(small.folder).model.predict_on_batch(images)
    for name in ("tflite-float32.tflite", "onnx-float32.onnx"):
        answers = mnist_edge.open_artifact(small.folder / name).predict(images)
        np.testing.assert_allclose(answers, expected, atol=1e-4)


@pytest.mark.parametrize("file", ["model.keras", "tflite-int8.tflite", "onnx-float32.onnx", ""])
def test_a_digit_is_read_by_a_bundle_and_by_each_kind_of_file(small, tmp_path, file):
    picture = drawn.save(LIGHT, 7, tmp_path)
    (answer,) = mnist_edge.read_digits([picture], small.folder / file)
    assert answer.digit == "7"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("no.tflite", None, "must be a file and is not"),
        ("bad.tflite", b"x" * 100, "can't be run"),
        ("bad.onnx", b"x" * 100, "can't be run"),
    ],
)
def test_a_file_that_is_no_artifact_is_refused(tmp_path, name, content, words):
    picture = drawn.save(LIGHT, 7, tmp_path)
    if content:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(mnist_edge.InputError, match=words):
        mnist_edge.read_digits([picture], tmp_path / name)
