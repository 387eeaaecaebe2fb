"""The benchmark of pictures: its rows, and what it reads beside the rendered pictures."""

import collections
import subprocess

import numpy as np
import pytest

from benchmarks.pictures import __main__ as command
from benchmarks.pictures import ocr, readers, scans
from benchmarks.pictures.render import Rendered
from mnist_edge import data
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


def test_a_strip_needs_the_fonts_and_says_which(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(readers.glyphs, "missing_fonts", lambda part: ["a.ttf"])
    assert readers.main(["--output", str(tmp_path)]) == 2
    assert "apt install fonts-" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
