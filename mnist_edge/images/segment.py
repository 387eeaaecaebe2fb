"""Segment ink into connected components (strokes), and group those into digits."""

import dataclasses

import numpy as np

# Left, top, right, bottom.
Box = tuple[int, int, int, int]

_LEVEL = 0.4  # minimum contrast of an ink pixel, as a share of the darkest ink's
_SPECK = 0.03  # strokes below this share of the largest stroke's area are specks
# For several digits. The first two are shares of the tallest stroke's height.
_TALL = 0.5  # minimum height of a digit; lower strokes are parts of digits, or noise
_LOW = 0.3  # minimum height of a group of strokes; lower ones are dropped
_OVERLAP = 0.5  # minimum overlap of two intervals, as a share of the shorter


@dataclasses.dataclass(frozen=True)
class Stroke:
    """A connected component of ink.

    Attributes:
        rows: First row, and last row + 1.
        columns: First column, and last column + 1.
        area: Number of pixels.
        label: Its value in the array of labels.
    """

    rows: tuple[int, int]
    columns: tuple[int, int]
    area: int
    label: int


def find(contrast: np.ndarray) -> tuple[list[Stroke], np.ndarray]:
    """Finds the connected components of ink (8-connectivity), without specks.

    Args:
        contrast: float32 `[height, width]`, from `threshold.contrast`.

    Returns:
        `(strokes, labels)`: `labels`, int32 `[height, width]`, is the label of each pixel's
        stroke, 0 where there is no ink.
    """
    from scipy import ndimage

    labels, _ = ndimage.label(contrast >= _LEVEL, np.ones((3, 3)))
    areas = np.bincount(labels.ravel())
    least = _SPECK * areas[1:].max(initial=0)
    strokes = [
        Stroke((rows.start, rows.stop), (columns.start, columns.stop), int(areas[label]), label)
        for label, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1)
        if areas[label] >= least
    ]
    return strokes, labels


def box(group: list[Stroke]) -> Box:
    """Returns the bounding box of a group of strokes: left, top, right, bottom."""
    return (
        min(stroke.columns[0] for stroke in group),
        min(stroke.rows[0] for stroke in group),
        max(stroke.columns[1] for stroke in group),
        max(stroke.rows[1] for stroke in group),
    )


def digits(strokes: list[Stroke]) -> list[list[list[Stroke]]]:
    """Groups strokes into lines of digits, from top to bottom and left to right.

    Strokes above one another, or almost touching like a 5 and its bar, are one digit. Digits
    that touch are one stroke and can't be separated.

    Returns:
        A list of lines; a line is a list of digits, a digit a list of strokes.
    """
    height = max(_length(stroke.rows) for stroke in strokes)
    grouped = []
    for line in _lines(strokes, height):
        groups: list[list[Stroke]] = []
        for stroke in sorted(line, key=lambda stroke: stroke.columns):
            if groups and _same_digit(groups[-1], stroke, height):
                groups[-1].append(stroke)
            else:
                groups.append([stroke])
        # Remaining low groups are dashes or periods.
        grouped.append([group for group in groups if _height(group) >= _LOW * height])
    return grouped


def _height(group: list[Stroke]) -> int:
    _, top, _, bottom = box(group)
    return bottom - top


def _lines(strokes: list[Stroke], height: int) -> list[list[Stroke]]:
    """Groups strokes into text lines, from top to bottom."""
    tall = [stroke for stroke in strokes if _length(stroke.rows) >= _TALL * height]
    lines: list[list[Stroke]] = []
    for stroke in sorted(tall, key=lambda stroke: stroke.columns):
        # Compare with the nearest digit to the left, as handwritten lines are not straight.
        shares = [_overlap(line[-1].rows, stroke.rows) for line in lines]
        if shares and max(shares) >= _OVERLAP:
            lines[shares.index(max(shares))].append(stroke)
        else:
            lines.append([stroke])
    whole = [list(line) for line in lines]
    for stroke in strokes:
        if stroke not in tall:
            gaps = [min(_gap(stroke, other) for other in line) for line in lines]
            whole[gaps.index(min(gaps))].append(stroke)
    return sorted(whole, key=lambda line: np.mean([stroke.rows for stroke in line]))


def _same_digit(group: list[Stroke], stroke: Stroke, height: int) -> bool:
    left, top, right, bottom = box(group)
    if _overlap((left, right), stroke.columns) < _OVERLAP:
        return False
    is_small = min(bottom - top, _length(stroke.rows)) < _TALL * height
    return is_small or _overlap((top, bottom), stroke.rows) < _OVERLAP


def _length(interval: tuple[int, int]) -> int:
    return interval[1] - interval[0]


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> float:
    """Returns the overlap of two intervals as a share of the shorter; negative for a gap."""
    common = min(one[1], other[1]) - max(one[0], other[0])
    return common / min(_length(one), _length(other))


def _gap(one: Stroke, other: Stroke) -> int:
    """Returns the horizontal plus the vertical gap between two strokes, in pixels."""
    pairs = ((one.rows, other.rows), (one.columns, other.columns))
    return sum(max(0, max(a[0], b[0]) - min(a[1], b[1])) for a, b in pairs)
