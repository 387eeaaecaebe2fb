"""Split digits that touch, by recognition: of all cuts, those whose parts read best.

Each candidate part is read twice: by the classifier, and by a small network that also knows what
is none, a pair or a part of a digit (`whole.npz`, made by `benchmarks/pictures/whole.py`).
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mnist_edge.data import npz
from mnist_edge.images import segment

# Maps uint8 `[n, 28, 28]` to probabilities `[n, classes]`.
Read = Callable[[np.ndarray], np.ndarray]

_WHOLE = Path(__file__).with_name("whole.npz")
_INK = 0.4  # as in segment.py
# What follows was chosen on `benchmarks.pictures`, rendered from validation digits.
_NARROW = 0.5  # minimum ratio of width to height of ink that may be several digits
_PAIR = 1.7  # ratio below which it is at most two
_WIDEST = 1.25  # maximum ratio of a digit beside another
_APART = 0.04  # of the height: minimum distance of two cuts
_DEEPEST = 9.0  # stroke widths of ink that a cut may go through
_MOST = 24  # cuts
_TURN = 0.05  # cost of a step to the side, in pixels of ink
_LEAST = 0.06  # of the ink: minimum share on each side of a cut
_BITS = 0.1  # components below this share of a part's largest belong to its neighbor
_FLOOR = 1 / 256  # probabilities below count as this, the least that an int8 artifact gives
_OWN, _NONE = 0.5, 0.3  # weights of what the small network reads, and of that it is not none
SURE = 0.5  # score above which ink is one digit, and no cut is tried
_CUT, _JOIN = 1.0, 1.0  # what it costs to cut, and to take two inks as one digit
_TALL, _LOW = 0.7, 5.0  # of the height: lower parts cost so much per missing height


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


def scores(pixels: np.ndarray, read: Read) -> np.ndarray:
    """Returns how surely each is one whole digit that is read right, `[n]`; sums of logarithms.

    Args:
        pixels: Each candidate as the model sees it, uint8 `[n, 28, 28]`.
        read: The classifier.
    """
    known = judged(pixels)
    digits = np.log(np.maximum(read(pixels), _FLOOR)) + _OWN * known[:, :-1]
    return digits.max(1) - _NONE * known[:, -1]


def best(candidates: Sequence[Part], scored: np.ndarray) -> list[int]:
    """Returns the sequence of parts that is read best, from left to right, by their numbers.

    Args:
        candidates: Of one row.
        scored: Their scores, `[n]`.
    """
    missing = [max(0.0, _TALL - one.shape[0] / len(one.ink)) for one in candidates]
    costs = [_CUT * (one.first % 1 > 0) + _JOIN * (one.last - one.first > 1) for one in candidates]
    totals = scored - _LOW * np.array(missing) - np.array(costs)
    chosen: dict[float, tuple[float, list[int]]] = {0: (0.0, [])}
    for i in sorted(range(len(candidates)), key=lambda i: candidates[i].last):
        before, numbers = chosen.get(candidates[i].first, (-np.inf, []))
        total, last = before + float(totals[i]), candidates[i].last
        if total > chosen.get(last, (-np.inf, []))[0]:
            chosen[last] = total, [*numbers, i]
    return chosen[max(chosen)][1]


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
    (down, from_top), (up, from_bottom) = _paths(cost[: middle + 1]), _paths(cost[middle:][::-1])
    through = down + up - cost[middle]
    found: dict[int, np.ndarray] = {}
    for column in np.argsort(through, kind="stable").tolist():
        if through[column] > _DEEPEST * stroke or len(found) == _MOST:
            break
        if any(abs(column - other) < _APART * len(ink) for other in found):
            continue
        seam = np.array([*_trace(from_top, column), *_trace(from_bottom, column)[-2::-1]])
        left = is_ink[np.arange(ink.shape[1]) < seam[:, None]].sum() / is_ink.sum()
        if _LEAST <= left <= 1 - _LEAST:
            found[column] = seam
    return [found[column] for column in sorted(found)]


def _paths(cost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the cost of the cheapest path from the first row to each column of the last.

    Returns:
        `(costs, steps)`: `steps`, int8 in the shape of `cost`, leads from each pixel to the column
        of the row before, -1 to 1.
    """
    total, steps = cost[0].copy(), np.zeros(cost.shape, np.int8)
    for row in range(1, len(cost)):
        left, right = np.append(np.inf, total[:-1]), np.append(total[1:], np.inf)
        around = np.stack([left + _TURN, total, right + _TURN])
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


@functools.cache
def _weights() -> list[np.ndarray]:
    arrays = npz.read(_WHOLE, remedy="Reinstall mnist-edge.")
    return [one.astype(np.float32) for one in arrays.values()]


def judged(pixels: np.ndarray) -> np.ndarray:
    """Returns the logarithms of the probabilities of each digit, and of none, `[n, 11]`."""
    first, first_bias, second, second_bias, third, third_bias, last, last_bias = _weights()
    values = pixels[..., None].astype(np.float32) / 255
    for kernel, bias in ((first, first_bias), (second, second_bias)):
        values = np.maximum(_convolved(values, kernel) + bias, 0)
    hidden = np.maximum(values.reshape(len(values), -1) @ third + third_bias, 0)
    logits = hidden @ last + last_bias
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)


def _convolved(values: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolves `[n, height, width, channels]`, without padding, in steps of two pixels."""
    size = kernel.shape[:2]
    windows = np.lib.stride_tricks.sliding_window_view(values, size, (1, 2))[:, ::2, ::2]
    return np.einsum("nyxcij,ijco->nyxo", windows, kernel, optimize=True)
