"""Pictures in many styles are read rightly, and what can't be read is said in one line."""

import functools
import sys

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from mnist_edge import backend, data, images, predict
from mnist_edge.errors import InputError
from mnist_edge.images import pictures, segment, threshold
from mnist_edge.models.opened import open_bundle
from tests.images import drawn

REQUIRED = 0.99  # measured: all of 390
# Measured: 98.9 % of all 1,797. The preparation was chosen on the first half, the forms of the
# extra digits after a look at both.
REQUIRED_OF_ALL, REQUIRED_OF_EVERY_SIXTH = 0.98, 0.965


@functools.cache
def model():
    backend.start_keras()
    return open_bundle(predict.PRETRAINED).model


def read(digits):
    """What the packaged model reads in `images.Digit`s."""
    pixels = np.stack([digit.pixels for digit in digits])[..., None].astype(np.float32)
    return model().predict(pixels, batch_size=500, verbose=0).argmax(1)


def picture(gray):
    return pictures.Picture("drawn.png", np.asarray(gray, np.float32))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("drawn")


def drawn_digits(folder, digits):
    """Digits in every style, saved and opened, by style and digit."""
    return {
        (style, digit): pictures.open_picture(drawn.save(style, digit, folder))
        for style in drawn.STYLES
        for digit in digits
    }


@pytest.fixture(scope="module")
def opened(folder):
    """Three digits in every style."""
    return drawn_digits(folder, (0, 3, 6))


def share_read(opened):
    """Share of the pictures that are read rightly, and the styles of those that are not."""
    found = read([images.prepare(picture)[0] for picture in opened.values()])
    wrong = [key for key, choice in zip(opened, found, strict=True) if choice != key[1]]
    return 1 - len(wrong) / len(opened), wrong


def test_pictures_in_every_style_are_read(opened):
    assert len(opened) >= 40
    share, wrong = share_read(opened)
    assert share >= REQUIRED, wrong


@pytest.mark.long
def test_every_digit_in_every_style_is_read(folder):
    share, wrong = share_read(drawn_digits(folder, range(10)))
    assert share >= REQUIRED, wrong


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("is_light_on_dark", lambda gray: False),
        ("_paper", lambda gray: np.full_like(gray, gray.max())),
    ],
    ids=["without polarity", "without evening the paper"],
)
def test_a_broken_preparation_would_miss_what_is_required(opened, monkeypatch, name, instead):
    monkeypatch.setattr(threshold, name, instead)
    assert share_read(opened)[0] < REQUIRED


@pytest.mark.parametrize(
    ("one_in", "required"),
    [(6, REQUIRED_OF_EVERY_SIXTH), pytest.param(1, REQUIRED_OF_ALL, marks=pytest.mark.long)],
)
def test_load_digits_written_out_as_pictures_is_read(tmp_path, one_in, required):
    scans = load_digits()
    for i, scan in enumerate(scans.images[::one_in]):
        Image.fromarray(np.round(255 - scan * 255 / 16).astype(np.uint8)).save(
            tmp_path / f"{i}.png"
        )
    right = read(images.load([tmp_path])) == scans.target[::one_in]
    assert len(right) == -(-1797 // one_in)
    assert right.mean() >= required


def test_mnists_own_digits_stay_what_they_are():
    mnist = data.load()
    prepared = [images.prepare(picture(x / 255))[0] for x in mnist.x_test[:500]]
    assert np.mean(read(prepared) == mnist.y_test[:500]) >= 0.99
    difference = [
        np.abs(d.pixels.astype(int) - x).mean()
        for d, x in zip(prepared, mnist.x_test[:500], strict=True)
    ]
    assert np.median(difference) < 10


@pytest.mark.parametrize(("height", "width"), [(60, 30), (30, 90), (400, 400), (17, 24)])
def test_the_box_is_20_pixels_keeps_its_shape_and_is_centered_by_mass(height, width):
    gray = np.ones((600, 500), np.float32)
    pen = max(height, width) // 5
    gray[100 : 100 + height, 40 : 40 + pen] = 0  # an L, whose mass is not in the middle
    gray[100 + height - pen : 100 + height, 40 : 40 + width] = 0
    (digit,) = images.prepare(picture(gray))
    assert digit.box == (40, 100, 40 + width, 100 + height)
    rows, columns = (np.flatnonzero((digit.pixels > 127).any(axis)) for axis in (1, 0))
    expected = np.array([height, width]) * 20 / max(height, width)
    assert np.abs([len(rows), len(columns)] - expected).max() <= 1
    mass = digit.pixels / digit.pixels.sum()
    center = [mass.sum(1) @ np.arange(28), mass.sum(0) @ np.arange(28)]
    assert np.abs(np.array(center) - 14).max() <= 0.51


def test_paper_is_0_and_ink_is_255(opened):
    (digit,) = images.prepare(opened["300 pixels, dark on light", 0])
    assert digit.pixels.dtype == np.uint8
    assert digit.pixels.shape == (28, 28)
    assert digit.pixels[:3].max() == 0
    assert digit.pixels.max() == 255


@pytest.mark.parametrize(
    ("text", "light"),
    [
        ("0123456789", drawn.evenly),
        ("31415\n92653\n58979", drawn.evenly),
        ("1604\n2737", drawn.shadow),
        ("8472615", drawn.lamp),
    ],
)
def test_several_digits_are_found_and_read_line_by_line(text, light):
    page = drawn.line_of_digits(text, seed=len(text))
    found = images.prepare(picture(np.asarray(drawn.photograph(page, light(page), 1)) / 255), True)
    lines = {}
    for digit, choice in zip(found, read(found), strict=True):
        lines[digit.line] = lines.get(digit.line, "") + str(choice)
    assert list(lines.values()) == text.split("\n")


def test_a_climbing_line_of_digits_is_one_line():
    page = drawn.gray(1 - drawn.line_of_digits("84726", 5)).rotate(8, expand=True, fillcolor=255)
    found = images.prepare(picture(np.asarray(page) / 255), True)
    assert read(found).tolist() == [8, 4, 7, 2, 6]
    assert {digit.line for digit in found} == {1}


def test_a_loose_stroke_above_is_part_of_its_digit_and_a_dot_is_none():
    gray = np.ones((200, 300), np.float32)
    gray[60:160, 40:80] = 0
    gray[40:52, 45:90] = 0  # a bar, 8 pixels above
    gray[60:160, 200:230] = 0
    gray[150:160, 140:150] = 0  # a full stop
    boxes = [digit.box for digit in images.prepare(picture(gray), many=True)]
    assert boxes == [(40, 40, 90, 160), (200, 60, 230, 160)]


def test_boxes_are_in_the_files_own_pixels(tmp_path):
    image = Image.new("L", (4000, 2000), 255)
    image.paste(0, (1000, 500, 1200, 1500))
    image.save(tmp_path / "large.png")
    (digit,) = images.load([tmp_path / "large.png"])
    assert np.abs(np.array(digit.box) - (1000, 500, 1200, 1500)).max() <= 3


def test_strokes_hang_together_by_corners_and_are_measured(monkeypatch):
    monkeypatch.setattr(segment, "_SPECK", 0)
    mask = np.array(
        [
            [1, 0, 0, 0, 1, 1],
            [0, 1, 0, 0, 0, 1],
            [1, 0, 0, 1, 0, 0],
            [0, 0, 0, 1, 0, 1],
        ],
        bool,
    )
    found, labels = segment.find(mask.astype(np.float32))
    assert sorted((p.rows, p.columns, p.area) for p in found) == [
        ((0, 2), (4, 6), 3),
        ((0, 3), (0, 2), 3),
        ((2, 4), (3, 4), 2),
        ((3, 4), (5, 6), 1),
    ]
    assert all((labels == p.label).sum() == p.area for p in found)
    assert (labels > 0).tolist() == mask.tolist()


def write_csv(path, columns, rows):
    header = [f"pixel{i}" for i in range(columns)]
    path.write_text("\n".join(",".join(map(str, line)) for line in [header, *rows]) + "\n")


@pytest.mark.parametrize("package", ["PIL", "scipy"])
def test_a_missing_package_is_a_line_that_says_what_to_install(tmp_path, monkeypatch, package):
    path = drawn.save("28 pixels", 3, tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=r"is not installed. Install 'mnist-edge\[images\]'"):
        images.load([path])


def test_a_folder_is_read_in_human_order(tmp_path):
    for name in ("10.png", "9.png", "a1.PNG", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in pictures.listed(tmp_path)] == ["9.png", "10.png", "a1.PNG"]


@pytest.mark.parametrize("header", [True, False])
def test_kaggles_test_csv_is_taken_as_it_is(tmp_path, header):
    rows = data.load().x_test[:3]
    path = tmp_path / "test.csv"
    write_csv(path, 784, rows.reshape(3, 784))
    if not header:
        path.write_text(path.read_text().split("\n", 1)[1])
    digits = images.load([path])
    assert np.array_equal([digit.pixels for digit in digits], rows)
    assert [digit.name for digit in digits] == [f"{path}:{i}" for i in (1, 2, 3)]
