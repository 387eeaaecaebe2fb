"""Take ink apart into strokes that hang together, and group those into digits."""

import dataclasses

import numpy as np

_LEVEL = 0.4  # contrast from which on a pixel is ink, as a share of the darkest ink's
_SPECK = 0.03  # share of the largest stroke's area below which a stroke is a speck
# Of several digits, as shares of the tallest one's height, and of the shorter of two lengths.
_TALL = 0.5  # a digit; what is lower is part of one, or a speck
_LOW = 0.3
_OVERLAP = 0.5


@dataclasses.dataclass(frozen=True)
class Stroke:
    """Ink that hangs together.

    Attributes:
        rows: First row, and the row after the last.
        columns: First column, and the column after the last.
        area: In pixels.
        label: The number that marks it in the array of labels.
    """

    rows: tuple[int, int]
    columns: tuple[int, int]
    area: int
    label: int


def find(contrast: np.ndarray) -> tuple[list[Stroke], np.ndarray]:
    """Finds the ink that hangs together, by edges or corners, without specks.

    Args:
        contrast: float32 `[height, width]`, from `threshold.contrast`.

    Returns:
        `(strokes, labels)`: `labels`, int32 `[height, width]`, has each one's label, 0 where
        there is no ink.
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


def box(group: list[Stroke]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a group of strokes."""
    return (
        min(stroke.columns[0] for stroke in group),
        min(stroke.rows[0] for stroke in group),
        max(stroke.columns[1] for stroke in group),
        max(stroke.rows[1] for stroke in group),
    )


def digits(strokes: list[Stroke]) -> list[list[list[Stroke]]]:
    """Groups strokes into lines of digits, from the top down and from left to right.

    Strokes that stand above one another, or nearly touch as a 5 and its bar do, are one
    digit. Digits that touch are one stroke and can't be told apart.

    Returns:
        Lines, which are lists of digits, which are lists of strokes.
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
        # What is left alone and low is a dash or a full stop.
        grouped.append([group for group in groups if _height(group) >= _LOW * height])
    return grouped


def _height(group: list[Stroke]) -> int:
    _, top, _, bottom = box(group)
    return bottom - top


def _lines(strokes: list[Stroke], height: int) -> list[list[Stroke]]:
    """Strokes of each line of writing, from the top one down."""
    tall = [stroke for stroke in strokes if _length(stroke.rows) >= _TALL * height]
    lines: list[list[Stroke]] = []
    for stroke in sorted(tall, key=lambda stroke: stroke.columns):
        # The nearest digit to the left tells the line, for lines of writing climb and fall.
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
    """How much two intervals have in common, as a share of the shorter; negative for a gap."""
    common = min(one[1], other[1]) - max(one[0], other[0])
    return common / min(_length(one), _length(other))


def _gap(one: Stroke, other: Stroke) -> int:
    """Pixels between two strokes, sideways and upwards added."""
    pairs = ((one.rows, other.rows), (one.columns, other.columns))
    return sum(max(0, max(a[0], b[0]) - min(a[1], b[1])) for a, b in pairs)
