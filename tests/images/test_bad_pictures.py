"""What `mnist_edge.predict` can't read is one line and status 2; what is merely odd is read."""

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from mnist_edge import images, predict
from mnist_edge.errors import InputError
from mnist_edge.images import normalize
from tests.images import drawn
from tests.images.test_normalize import picture, write_csv


def write_png_header(path, width, height):
    """The beginning of a PNG: all that is needed to see its size."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body + struct.pack(">I", 0) + b"IDAT")


def write_truncated(path, share):
    drawn.gray(np.random.default_rng(0).random((300, 300))).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])


def write_dots(path):
    dots = np.full((400, 400), 255, np.uint8)
    dots[1::4, 1::4] = 0
    Image.fromarray(dots).save(path)


def write_blank(path, light):
    sheet = np.zeros((200, 200), np.float32)
    drawn.photograph(sheet, light(sheet), 0).save(path)


BAD = {
    "missing.png": (lambda path: None, "must exist and does not"),
    "text.png": (lambda path: path.write_text("no picture"), "must be a complete picture"),
    "zero.png": (lambda path: path.write_bytes(b""), "must be a complete picture"),
    "half.png": (lambda path: write_truncated(path, 0.5), "must be a complete picture"),
    "half.jpg": (lambda path: write_truncated(path, 0.5), "must be a complete picture"),
    "start.jpg": (lambda path: write_truncated(path, 0.01), "must be a complete picture"),
    "400 million.png": (
        lambda path: write_png_header(path, 20_000, 20_000),
        "at most 89 million pixels",
    ),
    "100 million.png": (
        lambda path: write_png_header(path, 10_000, 10_000),
        "at most 89 million pixels",
    ),
    "tall.png": (lambda path: write_png_header(path, 1, 80_000_000), "at most 65,535 pixels per"),
    "none.png": (lambda path: write_png_header(path, 0, 0), "must be a complete picture"),
    "header.png": (lambda path: write_png_header(path, 9, 9), "must be a complete picture"),
    "half.gif": (lambda path: write_truncated(path, 0.5), "must be a complete picture"),
    "half.tiff": (lambda path: write_truncated(path, 0.5), "must be a complete picture"),
    "half.webp": (lambda path: write_truncated(path, 0.5), "must be a complete picture"),
    "none.pgm": (lambda path: path.write_bytes(b"P5 0 0 255\n"), "must be a complete picture"),
    "lie.pgm": (lambda path: path.write_bytes(b"P5 9000 9000 255\nab"), "must be a complete p"),
    "web.jpg": (lambda path: path.write_bytes(b"<!DOCTYPE html>"), "Got: a web page, not data"),
    "pipe.png": (lambda path: os.mkfifo(path), "must be a file and is not. Got: a pipe or dev"),
    "pipe.csv": (lambda path: os.mkfifo(path), "must be a file and is not. Got: a pipe or dev"),
    "nan.tiff": (lambda path: Image.fromarray(np.full((9, 9), np.nan)).save(path), "is empty"),
    "dots.png": (lambda path: write_dots(path), "ink that vanishes when it is reduced"),
    "folder": (lambda path: path.mkdir(), "must contain pictures"),
    "white.png": (lambda path: Image.new("L", (50, 50), 255).save(path), "is empty"),
    "dot.png": (lambda path: Image.new("L", (1, 1), 255).save(path), "is empty"),
    "clear.png": (lambda path: Image.new("RGBA", (50, 50)).save(path), "is empty"),
    "blank.jpg": (lambda path: write_blank(path, drawn.evenly), "is empty"),
    "lamp.jpg": (lambda path: write_blank(path, drawn.lamp), "is empty"),
    "vignette.png": (lambda path: write_blank(path, drawn.vignette), "is empty"),
    "labeled.csv": (lambda path: write_csv(path, 785, [[0] * 785]), "785 (with labels?"),
    "narrow.csv": (
        lambda path: write_csv(path, 3, [[0] * 3]),
        "must have 784 columns, separated by commas. Got: 3",
    ),
    "loud.csv": (
        lambda path: write_csv(path, 784, [[256] * 784]),
        "line 2 must hold whole numbers from 0",
    ),
    "words.csv": (
        lambda path: write_csv(path, 784, [["x"] * 784]),
        "line 2 must hold whole numbers from 0",
    ),
    "rowless.csv": (lambda path: write_csv(path, 784, []), "must have one row per image"),
    "unit.csv": (
        lambda path: write_csv(path, 784, [[0.5] * 784]),
        "Multiply values between 0 and 1",
    ),
    "empty.csv": (lambda path: path.touch(), "Got: an empty file"),
    "line.csv": (lambda path: path.write_text("0," * 2**20), "at most 1,048,576 characters"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_one_line_and_status_2(tmp_path, capsys, name):
    make, message = BAD[name]
    make(tmp_path / name)
    assert predict.main([str(tmp_path / name)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert message in said.err
    assert name in said.err


def test_one_bad_picture_among_good_ones_is_named_and_no_answer_is_given(tmp_path, capsys):
    for digit in (2, 7):
        drawn.save("28 pixels", digit, tmp_path)
    write_truncated(tmp_path / "bad.png", 0.5)
    assert predict.main([str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"error: {tmp_path / 'bad.png'} must be a complete picture" in said.err


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "F"])
def test_a_picture_of_any_mode_is_read_and_of_an_animated_one_the_first(tmp_path, mode):
    first = Image.new("L", (60, 60), 255)
    first.paste(0, (25, 10, 35, 50))
    first.convert("RGB" if mode == "YCbCr" else "L").convert(mode).save(tmp_path / "a.tiff")
    first.save(tmp_path / "b.gif", save_all=True, append_images=[Image.new("L", (60, 60))])
    for digit in images.load([tmp_path]):
        assert digit.box == (25, 10, 35, 50)


def test_floats_of_any_size_are_a_picture(tmp_path):
    values = np.full((60, 60), 3e38, np.float32)
    values[10:50, 25:35] = -np.inf
    Image.fromarray(values).save(tmp_path / "a.tiff")
    (digit,) = images.load([tmp_path / "a.tiff"])
    assert digit.box == (25, 10, 35, 50)


def test_more_strokes_than_a_page_has_are_refused(monkeypatch):
    gray = np.ones((100, 100), np.float32)
    for i in range(10, 90, 20):
        gray[10:90, i : i + 6] = 0
    assert len(images.prepare(picture(gray), many=True)) == 4
    monkeypatch.setattr(normalize, "_MOST_STROKES", 3)
    with pytest.raises(InputError, match=r"must show at most 3 strokes. Got: 4"):
        images.prepare(picture(gray), many=True)
