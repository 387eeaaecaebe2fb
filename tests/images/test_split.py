"""Digits that touch are cut in different ways, read, and split where that reads best."""

import itertools

import numpy as np
import pytest
from scipy import ndimage

from mnist_edge import data, images, metrics
from mnist_edge.images import cuts, pictures, readers
from tests.images import drawn


@pytest.fixture(scope="module")
def digits():
    """The first 600 test images and their labels."""
    dataset = data.load()
    return dataset.x_test[:600], dataset.y_test[:600]


def touching():
    """A 3 and a 5 that touch, float32 `[160, 280]`, 0 to 1."""
    one, other = drawn.written(3, 120), drawn.written(5, 120)
    for start in range(120, 20, -2):  # nearer until they touch
        page = drawn.placed(one, 160, 280, 20, 20)
        page = np.maximum(page, drawn.placed(other, 160, 280, 20, start))
        if ndimage.label(page > 0.4, np.ones((3, 3)))[1] == 1:
            break
    return page


def test_without_a_model_touching_digits_are_one_and_with_it_two():
    picture = pictures.Picture("pair", 1 - touching())
    assert len(images.prepare(picture, many=True)) == 1
    found = images.prepare(picture, True, lambda pixels: np.full((len(pixels), 10), 0.9))
    assert len(found) == 2
    assert found[0].box[0] < found[1].box[0]


def test_the_judge_knows_whole_digits_from_pairs(digits):
    digits, _ = digits
    pairs = np.maximum(np.roll(digits[:300], -5, 2), np.roll(digits[300:], 5, 2))
    whole, pair = (1 - np.exp(readers.whole(some)[:, 10]) for some in (digits, pairs))
    assert metrics.roc_area(whole, pair) > 0.99
    assert np.mean(pair < 0.5) > 0.95


def test_the_two_strokes_of_an_open_4_are_one_digit():
    page = drawn.placed(drawn.written(8, 120), 160, 320, 20, 170)
    page[30:90, 60:66] = page[84:90, 60:105] = 1  # the left stroke ends before the right one
    page[30:140, 112:118] = 1
    picture = pictures.Picture("open 4", 1 - page)
    assert len(images.prepare(picture, True)) == 3
    four = np.eye(10)[4]
    assert len(images.prepare(picture, True, lambda pixels: np.tile(four, (len(pixels), 1)))) == 2


def test_no_two_cuts_leave_the_same_ink():
    page = touching()
    left, top, right, bottom = cuts.box(page)
    ink = page[top:bottom, left:right]
    found = cuts.parts(ink, 0, True)
    assert found[0].ink is ink
    firsts = [one.ink > 0.4 for one in found if one.first == 0 and one.last < 1]
    assert len(firsts) >= 4
    assert all((one != other).any() for one, other in itertools.combinations(firsts, 2))


def test_a_pair_is_read_without_a_cut(digits):
    pixels, labels = digits
    pairs = np.zeros((100, 28, 56), np.float32)
    pairs[:, :, :28], pairs[:, :, 24:52] = pixels[:100] / 255, 0
    pairs[:, :, 20:48] = np.maximum(pairs[:, :, 20:48], pixels[100:200] / 255)
    strings = [(a, b) for a in range(10) for b in range(10)]
    right = [
        strings[np.argmax([readers.likelihood(logs, one) for one in strings])] == (a, b)
        for logs, a, b in zip(readers.strings(pairs), labels[:100], labels[100:200], strict=True)
    ]
    assert np.mean(right) >= 0.85


def test_the_likelihoods_of_all_strings_add_up_to_1():
    logs = readers.strings([drawn.written(3, 40)])[0, :3]
    strings = [one for count in range(4) for one in itertools.product(range(10), repeat=count)]
    with np.errstate(divide="ignore"):
        total = np.logaddexp.reduce([readers.likelihood(logs, one) for one in strings])
    assert total == pytest.approx(0, abs=1e-4)  # float32
