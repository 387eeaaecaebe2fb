"""Take ink apart into pieces that hang together, and put those into digits. NumPy only."""

import dataclasses

import numpy as np

_LEVEL = 0.4  # contrast from which on a pixel is ink, as a share of the darkest ink's
_SPECK = 0.03  # share of the largest piece's area below which a piece is a speck
# Of several digits, as shares of the tallest one's height, and of the shorter of two lengths.
_TALL = 0.5  # a digit; what is lower is part of one, or a speck
_LOW = 0.3
_OVERLAP = 0.5


@dataclasses.dataclass(frozen=True)
class Piece:
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


def find(contrast):
    """Finds the ink that hangs together, without specks.

    Args:
        contrast: float32 `[height, width]`, from `ink.contrast`.

    Returns:
        `(pieces, labels)`: `Piece`s, and int32 `[height, width]` with each one's label, 0
        where there is no ink.
    """
    found, labels = connected(contrast >= _LEVEL)
    least = _SPECK * max((piece.area for piece in found), default=0)
    return [piece for piece in found if piece.area >= least], labels


def connected(mask):
    """Finds what hangs together in a mask, by edges or corners.

    Args:
        mask: bool `[height, width]`.

    Returns:
        `(pieces, labels)`, as `find` does, specks included.
    """
    edges = np.diff(np.pad(mask, [(0, 0), (1, 1)]).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    _, stops = np.nonzero(edges == -1)
    parents = list(range(len(rows)))

    def root(run):
        while parents[run] != run:
            parents[run] = run = parents[parents[run]]
        return run

    firsts = np.searchsorted(rows, np.arange(len(mask) + 1))
    for above, here, end in zip(firsts, firsts[1:], firsts[2:], strict=False):
        one, two = int(above), int(here)
        while one < here and two < end:
            if starts[one] <= stops[two] and starts[two] <= stops[one]:
                parents[root(one)] = root(two)
            if stops[one] < stops[two]:
                one += 1
            else:
                two += 1
    roots = np.array([root(run) for run in range(len(rows))], np.int64)
    _, owners = np.unique(roots, return_inverse=True)
    labels = np.zeros(mask.shape, np.int32)
    labels[mask] = np.repeat(owners + 1, stops - starts)
    return _measured(owners, rows, starts, stops), labels


def _measured(owners, rows, starts, stops):
    """`Piece`s from the runs of pixels that each owns."""
    count = owners.max(initial=-1) + 1
    lowest, highest = np.full((2, count), np.iinfo(np.int64).max), np.zeros((2, count), np.int64)
    for axis, (first, after) in enumerate([(rows, rows + 1), (starts, stops)]):
        np.minimum.at(lowest[axis], owners, first)
        np.maximum.at(highest[axis], owners, after)
    areas = np.bincount(owners, stops - starts, minlength=count)
    return [
        Piece(
            rows=(int(lowest[0, i]), int(highest[0, i])),
            columns=(int(lowest[1, i]), int(highest[1, i])),
            area=int(areas[i]),
            label=i + 1,
        )
        for i in range(count)
    ]


def box(group):
    """Left, top, right and bottom of a group of pieces."""
    return (
        min(piece.columns[0] for piece in group),
        min(piece.rows[0] for piece in group),
        max(piece.columns[1] for piece in group),
        max(piece.rows[1] for piece in group),
    )


def digits(found):
    """Groups pieces into lines of digits, from the top down and from left to right.

    Strokes that stand above one another, or nearly touch as a 5 and its bar do, are one
    digit. Digits that touch are one piece and can't be told apart.

    Args:
        found: `Piece`s.

    Returns:
        A list of lines, which are lists of digits, which are lists of `Piece`.
    """
    height = max(_length(piece.rows) for piece in found)
    grouped = []
    for line in _lines(found, height):
        groups = []
        for piece in sorted(line, key=lambda piece: piece.columns):
            if groups and _same_digit(groups[-1], piece, height):
                groups[-1].append(piece)
            else:
                groups.append([piece])
        # What is left alone and low is a dash or a full stop.
        grouped.append([group for group in groups if _height(group) >= _LOW * height])
    return grouped


def _height(group):
    _, top, _, bottom = box(group)
    return bottom - top


def _lines(found, height):
    """Pieces of each line of writing, from the top one down."""
    tall = [piece for piece in found if _length(piece.rows) >= _TALL * height]
    lines = []
    for piece in sorted(tall, key=lambda piece: piece.columns):
        # The nearest digit to the left tells the line, for lines of writing climb and fall.
        shares = [_overlap(line[-1].rows, piece.rows) for line in lines]
        if shares and max(shares) >= _OVERLAP:
            lines[shares.index(max(shares))].append(piece)
        else:
            lines.append([piece])
    whole = [list(line) for line in lines]
    for piece in found:
        if piece not in tall:
            gaps = [min(_gap(piece, other) for other in line) for line in lines]
            whole[gaps.index(min(gaps))].append(piece)
    return sorted(whole, key=lambda line: np.mean([piece.rows for piece in line]))


def _same_digit(group, piece, height):
    left, top, right, bottom = box(group)
    if _overlap((left, right), piece.columns) < _OVERLAP:
        return False
    is_small = min(bottom - top, _length(piece.rows)) < _TALL * height
    return is_small or _overlap((top, bottom), piece.rows) < _OVERLAP


def _length(interval):
    return interval[1] - interval[0]


def _overlap(one, other):
    """How much two intervals have in common, as a share of the shorter; negative for a gap."""
    common = min(one[1], other[1]) - max(one[0], other[0])
    return common / min(_length(one), _length(other))


def _gap(one, other):
    """Pixels between two pieces, sideways and upwards added."""
    pairs = ((one.rows, other.rows), (one.columns, other.columns))
    return sum(max(0, max(a[0], b[0]) - min(a[1], b[1])) for a, b in pairs)
