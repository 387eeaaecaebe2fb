"""The benchmark of pictures: its rows, and what it reads beside the rendered pictures."""

import collections
import subprocess

import numpy as np
import pytest

from benchmarks.pictures import __main__ as command
from benchmarks.pictures import extra_digits, forms, glyphs, ocr, readers, scans
from benchmarks.pictures.render import Rendered
from mnist_edge import data
from mnist_edge.data import extra
from mnist_edge.images import readers as packaged


def test_every_scan_is_a_picture_and_the_four_styles_take_turns():
    found = list(scans.pictures())
    assert len(found) == 1797
    counts = collections.Counter(one.source for one in found)
    assert set(counts) == set(scans.STYLES)
    assert max(counts.values()) - min(counts.values()) <= 1
    assert {one.gray.dtype for one in found} == {np.dtype(np.uint8)}
    corners = {one.source: one.gray[0, 0] for one in found[:4]}
    assert corners["light on dark"] < 100 < corners["enlarged, on paper"] < corners["as it is"]


def test_a_row_is_the_share_of_all_and_of_each_source():
    gray = np.zeros((4, 4), np.uint8)
    given = [Rendered("plain", source, "12", gray) for source in ("MNIST", "MNIST", "fonts")]
    texts = iter(["12", "1", "12"])
    result, shown = command.row(given, lambda gray: next(texts))
    assert (result.right, result.count) == (2, 3)
    assert shown.split() == ["plain", "66.7%", "of", "3:", "MNIST", "50.0%,", "fonts", "100.0%"]


def test_without_the_programs_nothing_else_reads(monkeypatch):
    monkeypatch.setattr(ocr.shutil, "which", lambda name: None)
    monkeypatch.setattr(ocr.importlib.util, "find_spec", lambda name: None)
    assert ocr.readers() == {}


def test_only_the_digits_of_tesseracts_answer_count(monkeypatch):
    answer = subprocess.CompletedProcess([], 0, stdout=b"1 2\n\x0c")
    monkeypatch.setattr(ocr.shutil, "which", lambda name: name)
    monkeypatch.setattr(ocr.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(ocr.subprocess, "run", lambda *args, **options: answer)
    assert ocr.readers()["Tesseract"](np.zeros((9, 9), np.uint8)) == "12"


@pytest.mark.parametrize("name", [packaged.WHOLE, packaged.STRINGS])
def test_numpy_answers_as_the_trained_network_does(name):
    network = {packaged.WHOLE: readers.whole_network, packaged.STRINGS: readers.string_network}
    model = network[name]()
    model.set_weights([values for layer in packaged.weights(name) for values in layer])
    images = data.load().x_test[:8]
    if name == packaged.WHOLE:
        given, found = images, packaged.whole(images)
    else:
        inks = list(images / np.float32(255))
        given, found = np.stack([packaged.fitted(ink) for ink in inks]), packaged.strings(inks)
    logits = model.predict(given[..., None], verbose=0)
    expected = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-3)  # sums in another order


@pytest.mark.parametrize("command", [readers, extra_digits])
def test_training_needs_the_fonts_and_says_which(command, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(glyphs, "missing_fonts", lambda part: ["a.ttf"])
    assert command.main(["--output", str(tmp_path / "x")]) == 2
    assert "apt install fonts-" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("digit", forms.FORMS)
def test_a_form_is_as_tall_as_asked_and_its_stroke_as_wide(digit):
    rng = np.random.default_rng(0)
    fine, wide = (forms.draw(digit, 100, widen, rng) for widen in (-1, 1))
    for ink in (fine, wide):
        assert 85 <= len(ink) <= 130
        assert (ink.dtype, ink.min(), ink.max()) == (np.float32, 0, 1)
    assert fine.mean() < wide.mean()


def test_extra_digits_are_drawn_the_same_each_time(monkeypatch):
    monkeypatch.setitem(glyphs.FONTS, glyphs.TRAINING, ())
    pixels, labels = extra_digits.images(of_font=1, of_form=2)
    assert labels.tolist() == [1, 1, 1, 1, 4, 4, 7, 7, 9, 9]
    assert (pixels.dtype, pixels.shape) == (np.uint8, (10, 28, 28))
    assert len(np.unique(pixels)) <= 16
    assert np.array_equal(extra_digits.images(of_font=1, of_form=2)[0], pixels)
    assert not np.array_equal(extra_digits.images(of_font=1, of_form=3)[0][:10], pixels)


@pytest.mark.long
@pytest.mark.skipif(bool(glyphs.missing_fonts(glyphs.TRAINING)), reason="needs the fonts")
def test_the_packaged_extra_digits_are_what_the_command_draws(tmp_path):
    assert extra_digits.main(["--output", str(tmp_path / "x.npz")]) == 0
    with np.load(tmp_path / "x.npz") as drawn:
        assert all(map(np.array_equal, (drawn["x"], drawn["y"]), extra.load()))
