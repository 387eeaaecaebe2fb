"""Cut ink into what may be digits, along paths through little ink."""

import dataclasses
import itertools

import numpy as np

from mnist_edge.images import segment

_INK = 0.4  # as in segment.py
# What follows was chosen on `benchmarks.pictures`, rendered from validation digits.
_NARROW = 0.5  # minimum ratio of width to height of ink that may be several digits
_PAIR = 1.7  # ratio below which it is at most two
_WIDEST = 1.25  # maximum ratio of a digit beside another
_APART = 0.02  # of the ink: minimum difference of two cuts
_DEEPEST = 9.0  # stroke widths of ink that a cut may go through
_MOST = 24  # cuts
# Cost of a step to the side, in pixels of ink: cuts that go around strokes, and straight ones.
_TURNS = (0.05, 1.0)
_LEAST = 0.06  # of the ink: minimum share on each side of a cut
_BITS = 0.1  # components below this share of a part's largest belong to its neighbor


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of some ink between two cuts.

    Attributes:
        first: Where it starts in a row of ink: the number of the ink, and behind the point that of
            a cut in it.
        last: Where it ends.
        ink: float32 `[height, width]`, all the ink, with only this part left.
    """

    first: float
    last: float
    ink: np.ndarray

    @property
    def box(self) -> segment.Box:
        """Its bounding box in the ink."""
        return box(self.ink)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of its bounding box."""
        left, top, right, bottom = self.box
        return bottom - top, right - left


def box(ink: np.ndarray) -> segment.Box:
    """Returns the bounding box of ink, float32 `[height, width]`."""
    rows, columns = (np.flatnonzero((ink >= _INK).any(axis)) for axis in (1, 0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def may_be_one(ink: np.ndarray) -> bool:
    """Whether ink, float32 `[height, width]`, is narrow enough for a digit beside another."""
    return ink.shape[1] <= _WIDEST * ink.shape[0]


def parts(ink: np.ndarray, number: int, is_cut: bool) -> list[Part]:
    """Returns what may be a digit in ink that hangs together; the first is all of it.

    Args:
        ink: Contrast, float32 `[height, width]`, cropped.
        number: Its place in the row, from 0.
        is_cut: Whether to cut it.
    """
    height, width = ink.shape
    seams = _cuts(ink) if is_cut and width >= _NARROW * height else []
    ends = [np.zeros(height), *seams, np.full(height, width)]
    count = len(ends) - 1
    found = [Part(number, number + 1, ink)]
    columns = np.arange(width)
    for first, last in itertools.combinations(range(count + 1), 2):
        is_middle = first > 0 and last < count
        if last - first == count or (is_middle and width < _PAIR * height):
            continue
        inside = (columns >= ends[first][:, None]) & (columns < ends[last][:, None])
        part = _without_bits(np.where(inside, ink, 0).astype(np.float32))
        one = Part(number + first / count, number + last / count, part)
        if (one.ink >= _INK).any() and one.shape[1] <= _WIDEST * height:
            found.append(one)
    return found


def _cuts(ink: np.ndarray) -> list[np.ndarray]:
    """Finds paths from top to bottom that go through little ink.

    Returns:
        The column of each in each row, `[height]`; from left to right.
    """
    from scipy import ndimage

    is_ink = ink >= _INK
    # The mean distance to the paper is a quarter of a stroke's width.
    stroke = max(1.0, 4 * float(ndimage.distance_transform_edt(is_ink)[is_ink].mean()))
    cost = np.where(ink > 0.15, ink.clip(0, 1), 0)  # paper's noise costs nothing
    middle = len(ink) // 2
    tried = []
    for turn in _TURNS:
        down, from_top = _paths(cost[: middle + 1], turn)
        up, from_bottom = _paths(cost[middle:][::-1], turn)
        through = down + up - cost[middle]
        columns = np.flatnonzero(through <= _DEEPEST * stroke).tolist()
        tried += [(float(through[i]), i, from_top, from_bottom) for i in columns]
    kept: list[tuple[float, np.ndarray, np.ndarray]] = []
    for _, column, from_top, from_bottom in sorted(tried, key=lambda one: one[0]):
        seam = np.array([*_trace(from_top, column), *_trace(from_bottom, column)[-2::-1]])
        left = is_ink & (np.arange(ink.shape[1]) < seam[:, None])
        share = float(left.sum() / is_ink.sum())
        is_new = all((left ^ other).sum() >= _APART * is_ink.sum() for _, other, _ in kept)
        if is_new and _LEAST <= share <= 1 - _LEAST:
            kept.append((share, left, seam))
        if len(kept) == _MOST:
            break
    return [seam for _, _, seam in sorted(kept, key=lambda one: one[0])]


def _paths(cost: np.ndarray, turn: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns the cost of the cheapest path from the first row to each column of the last.

    Returns:
        `(costs, steps)`: `steps`, int8 in the shape of `cost`, leads from each pixel to the column
        of the row before, -1 to 1.
    """
    total, steps = cost[0].copy(), np.zeros(cost.shape, np.int8)
    for row in range(1, len(cost)):
        left, right = np.append(np.inf, total[:-1]), np.append(total[1:], np.inf)
        around = np.stack([left + turn, total, right + turn])
        choice = around.argmin(0)
        steps[row] = choice - 1
        total = around[choice, np.arange(len(total))] + cost[row]
    return total, steps


def _trace(steps: np.ndarray, column: int) -> list[int]:
    """Returns the columns of a path, from the first row to its end."""
    path = [column]
    for row in range(len(steps) - 1, 0, -1):
        path.append(path[-1] + int(steps[row, path[-1]]))
    return path[::-1]


def _without_bits(part: np.ndarray) -> np.ndarray:
    """Erases the bits of a neighbor that a cut left."""
    from scipy import ndimage

    labels, count = ndimage.label(part >= _INK, np.ones((3, 3)))
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    small = areas < _BITS * areas[1:].max(initial=0)
    small[0] = False
    return np.where(small[labels], 0, part)
