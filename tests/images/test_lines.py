"""Printed lines are erased, and strokes that cross them stay."""

import numpy as np
import pytest

from mnist_edge.images import lines
from tests.images import drawn


@pytest.fixture
def ink():
    """A 3 in the middle of a sheet, 0 to 1."""
    return drawn.placed(drawn.written(3, 120), 200, 200, 40, 40)


@pytest.fixture
def squared():
    """Squared paper without ink, 0 to 1."""
    paper = np.zeros((200, 200), np.float32)
    for place in range(15, 200, 40):
        paper[place : place + 3] = paper[:, place : place + 3] = 0.5
    return paper


def framed(ink):
    with_lines = ink.copy()
    for place in (20, 180):
        with_lines[place : place + 3, 20:183] = 0.8
        with_lines[20:183, place : place + 3] = 0.8
    return with_lines


def test_a_frame_goes_and_the_digit_in_it_stays(ink):
    found = lines.erased(framed(ink))
    assert np.mean(np.abs(found - ink) > 0.3) < 0.001


def test_squared_paper_goes_and_the_strokes_that_cross_it_stay(ink, squared):
    found = lines.erased(np.maximum(squared, ink))
    assert np.mean(np.abs(found - ink) > 0.3) < 0.001


def test_a_stroke_over_the_crossing_of_two_lines_has_no_hole(squared):
    ink = np.zeros_like(squared)
    for row in range(40, 160):
        ink[row, row - 6 : row + 10] = 1  # over the crossings at 55, 95 and 135
    found = lines.erased(np.maximum(squared, ink))
    assert np.array_equal(found > 0.5, ink > 0.5)


def test_a_1_along_a_lighter_line_stays_and_the_line_goes(squared):
    ink = np.zeros_like(squared)
    ink[60:130, 94:100] = 1
    found = lines.erased(np.maximum(squared, ink))
    assert np.array_equal(found > 0.5, ink > 0.5)


@pytest.mark.parametrize("darkness", [0.6, 1.0])
def test_strokes_no_darker_than_the_lines_stay_where_ink_adjoins(squared, darkness):
    ink = drawn.placed(drawn.written(3, 120), 200, 200, 40, 40) * darkness
    found = lines.erased(np.maximum(2 * squared, ink))
    assert np.mean(np.abs(found - ink) > 0.3) < 0.01
    assert np.mean(found[(squared > 0) & (ink > 0.3)] > 0.3) > 0.85


def test_thick_walls_of_boxes_side_by_side_go_and_a_1_between_lines_stays():
    paper = np.zeros((120, 400), np.float32)
    for left in (20, 140, 260):
        for place in (left, left + 112):  # 8 pixels of paper between two boxes' walls
            paper[10:110, place : place + 6] = 0.8
        for place in (10, 104):
            paper[place : place + 6, left : left + 118] = 0.8
    digits = np.zeros_like(paper)
    for left in (74, 194, 314):
        digits[22:98, left : left + 8] = 1  # upright, as a wall is, but in the paper
    found = lines.erased(np.maximum(paper, digits))
    assert np.mean(np.abs(found - digits) > 0.3) < 0.002


@pytest.mark.parametrize("gap", [2, 3, 4])  # pixels of paper between two thin walls
def test_thin_walls_side_by_side_go_both(gap):
    paper = np.zeros((120, 260), np.float32)
    for left in (20, 130 + gap + 1):
        for place in (left, left + 109):
            rows = np.arange(10, 110)
            paper[rows, place + rows // 40] = 0.8  # leaning
        paper[10, left : left + 110] = paper[109, left + 2 : left + 112] = 0.8
    digits = drawn.placed(drawn.written(3, 70), 120, 260, 25, 40)
    found = lines.erased(np.maximum(paper, digits))
    assert np.mean(np.abs(found - digits) > 0.3) < 0.002


def test_a_thick_stroke_along_most_of_a_line_stays():
    paper = np.zeros((100, 120), np.float32)
    for place in (10, 35, 60, 85, 110):
        paper[:, place : place + 2] = 0.4
    for place in (10, 50, 90):
        paper[place : place + 2] = 0.4
    stroke = np.zeros_like(paper)
    stroke[20:80, 32:42] = 1
    found = lines.erased(np.maximum(paper, stroke))
    assert np.mean(np.abs(found - stroke) > 0.3) < 0.01


def test_a_1_between_two_lines_of_squared_paper_stays_and_two_walls_go():
    paper = np.zeros((100, 120), np.float32)
    for place in (10, 60, 110):
        paper[:, place : place + 2] = 0.8
    for place in (20, 80):
        paper[place : place + 2] = 0.8
    one, two, digit = (np.zeros_like(paper) for _ in range(3))
    one[20:82, 35:37] = two[20:82, 35:37] = two[20:82, 85:87] = 0.8
    digit[40:60, 46:49] = 1
    for walls, expected in ((one, one + digit), (two, digit)):
        found = lines.erased(np.max([paper, walls, digit], axis=0))
        assert np.mean(np.abs(found - expected) > 0.3) < 0.002


def test_boxes_of_two_widths_in_a_row_go_however_they_lean():
    paper = np.zeros((120, 440), np.float32)
    rows = np.arange(10, 111)
    off = (rows - 10) * 14 // 100
    for left, right in ((20, 120), (150, 400)):
        for wall in (left, right):
            for x in (wall, wall + 1):
                paper[rows, x + off] = 0.8
        for row, lean in ((10, 0), (109, 14)):
            paper[row : row + 2, left + lean : right + lean + 2] = 0.8
    digits = drawn.placed(drawn.written(3, 70), 120, 440, 25, 50)
    found = lines.erased(np.maximum(paper, digits))
    assert np.mean(np.abs(found - digits) > 0.3) < 0.002


@pytest.mark.parametrize("side", [64, 120, 140])  # the bar of a 4 was a line at 64 and 120
@pytest.mark.parametrize("digit", range(10))
def test_no_stroke_of_a_digit_is_a_line(digit, side):
    ink = drawn.written(digit, side)
    cut = side // 7
    for part in (ink, ink[cut:-cut, cut:-cut]):  # cropped to the ink: strokes may meet the border
        assert lines.erased(part) is part


def test_a_line_alone_is_ink():
    bar = np.zeros((100, 100), np.float32)
    bar[:, 48:52] = 1
    assert lines.erased(bar).max() == 1
