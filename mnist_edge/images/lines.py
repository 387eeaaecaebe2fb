"""Erase printed lines: ruled and squared paper, frames, boxes of forms.

A line is a long, thin, straight run of ink whose ends both meet the picture's border or another
line; the strokes of a digit end in the paper. Thick walls of boxes count too, if they have a twin
beside them and end inside lines. Strokes on a line stay: they are darker than it, or ink adjoins.
"""

import dataclasses
import itertools

import numpy as np

_LEVEL = 0.3  # minimum contrast of a line; fainter ones vanish with the paper
_INK = 0.4  # as in segment.py: what adjoins a line and is darker crosses it
_STEEPEST = 0.15  # of a line against the picture's sides, as a slope
_THICKEST, _SHARE = 12, 0.02  # a line's thickness: pixels, or share of the longer side if larger
_SLIM = 14  # minimum ratio of length to thickness; a drawn 4 has bars of 10 to 12
_STOUT = 5  # the same for a wall that has a twin
_LONG = 0.4  # minimum length, as a share of the ink that hangs together with it
_GAP = 0.03  # of the length: the longest gap in a line
_CLOSE = 1.5  # the same while it is looked for, so that two lines side by side are not taken as one
_OFF = 2.5  # pixels from a straight line; blur and rounding move a center by one
_REACH, _NEAR = 3.0, 1.5  # thicknesses between a line's end, or a wall's, and what it meets
_SKIRT = 0.15  # contrast at which the blurred edge of a line ends
_DARKER = 0.15  # what has so much more contrast than the line is a stroke on it
_FAINTER = 0.4  # a line with so much less contrast than the strokes hides none of them
_BARE = 0.33  # minimum share of a line's columns that no stroke runs along
_REMAINS = 0.5  # minimum share of its pixels on lines for ink to be what remains of one
_REMAINS_THICK = 3.0  # thicknesses of a line: what remains is at most so thick
_SHORT = 0.7  # of the longest parallel line: shorter ones without a twin are strokes, such as a 1
_MOST = 200  # lines per direction


@dataclasses.dataclass(frozen=True)
class _Line:
    """A nearly horizontal line; those of the transposed picture are nearly vertical.

    Attributes:
        curve: Coefficients of its rows as a polynomial of the columns.
        start: First column.
        stop: Last column.
        thickness: In pixels.
    """

    curve: np.ndarray
    start: int
    stop: int
    thickness: float

    @property
    def is_slim(self) -> bool:
        return self.stop - self.start >= _SLIM * self.thickness

    @property
    def reach(self) -> float:
        """Distance in pixels at which its end meets something."""
        return max(4.0, (_REACH if self.is_slim else _NEAR) * self.thickness)

    def rows(self, columns: np.ndarray | float) -> np.ndarray:
        return np.polyval(self.curve, columns)

    def is_twin(self, other: "_Line") -> bool:
        """Whether another line starts and stops where this one does."""
        off = max(abs(self.start - other.start), abs(self.stop - other.stop))
        return other is not self and off <= max(4.0, _REACH * self.thickness)


def erased(contrast: np.ndarray) -> np.ndarray:
    """Returns the picture without printed lines.

    Args:
        contrast: float32 `[height, width]`, from `threshold.contrast`.

    Returns:
        The array itself if there is no line, or nothing else.
    """
    across, down = _find(contrast), _find(contrast.T)
    across, down = _joined(across, down, contrast.shape)
    if not across and not down:
        return contrast
    clean = _without(contrast, across, down)
    return clean if clean.max() >= _INK else contrast


def _without(contrast: np.ndarray, across: list[_Line], down: list[_Line]) -> np.ndarray:
    """Returns the picture without these lines, but for the strokes that cross them."""
    rows, columns = _bands(contrast, across), _bands(contrast.T, down)
    level = np.zeros_like(contrast)  # of the line at each pixel
    for view, bands in ((level, rows), (level.T, columns)):
        for band, darkness in bands:
            np.maximum(view, darkness, out=view, where=band)
    is_line = level > 0
    paper = np.where(is_line, 0, contrast)
    strokes = paper[paper >= _INK]
    is_faint = level + _FAINTER < (np.median(strokes) if strokes.size else 1)
    crossed = np.zeros_like(is_line)
    for view, image, bands in ((crossed, paper, rows), (crossed.T, paper.T, columns)):
        for band, _ in bands:
            view |= _crossed(image, band)
    stays = ~is_line | (contrast > level + _DARKER) | (crossed & ~is_faint)
    clean = np.where(stays, contrast, 0)
    thickness = [line.thickness for line in (*across, *down)]
    border = np.ones(contrast.shape, bool)
    inside = max(4, round(_REACH * min(thickness)))
    border[inside:-inside, inside:-inside] = False  # a wall may lie half outside
    clean[_remains(clean, border | is_line, max(thickness))] = 0
    return clean


def _remains(clean: np.ndarray, bands: np.ndarray, thickness: float) -> np.ndarray:
    """Returns the connected ink that lies mostly where lines were, and is as thin as they."""
    from scipy import ndimage

    labels, count = ndimage.label(clean >= _LEVEL, np.ones((3, 3)))
    shares = ndimage.mean(bands, labels, np.arange(count + 1))
    sides = [min(part.stop - part.start for part in box) for box in ndimage.find_objects(labels)]
    thin = np.array([0, *sides]) <= max(_REMAINS_THICK * thickness, 8)
    return ((shares > _REMAINS) & thin)[labels] & (labels > 0)


def _find(contrast: np.ndarray) -> list[_Line]:
    """Finds nearly horizontal straight runs of ink, each of one connected component."""
    from scipy import ndimage

    mask = contrast >= _LEVEL
    labels, _ = ndimage.label(ndimage.binary_dilation(mask, np.ones((3, 3))), np.ones((3, 3)))
    thickest = max(_THICKEST, _SHARE * max(mask.shape))
    columns, centers, lengths = _runs(mask)
    thin = lengths <= thickest
    columns, centers, lengths = columns[thin], centers[thin], lengths[thin]
    owners = labels[centers.astype(int), columns]
    lines = []
    for label, (_, where) in enumerate(ndimage.find_objects(labels), start=1):
        least = max(_LONG * (where.stop - where.start), 2 * thickest)
        own = owners == label
        if own.sum() >= 0.5 * least:
            lines += _straight(mask, columns[own], centers[own], lengths[own], least)
    return lines


def _runs(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the vertical runs of ink: columns, centers and lengths."""
    steps = np.diff(np.pad(mask.T.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    columns, starts = np.nonzero(steps == 1)
    _, stops = np.nonzero(steps == -1)
    return columns, (starts + stops - 1) / 2, stops - starts


def _straight(
    mask: np.ndarray, x: np.ndarray, y: np.ndarray, lengths: np.ndarray, least: float
) -> list[_Line]:
    """Finds lines through the centers of runs, the longest first (Hough)."""
    width = int(x.max() - x.min()) + 1
    slopes = np.linspace(-_STEEPEST, _STEEPEST, 2 * int(_STEEPEST * width / 2) + 1)
    origin = x.min()
    lines = []
    for _ in range(_MOST):
        if len(x) < 0.5 * least:
            break
        heights = np.round(y - slopes[:, None] * (x - origin)).astype(int)
        low = heights.min()
        bins = heights.max() - low + 1
        flat = (heights - low + bins * np.arange(len(slopes))[:, None]).ravel()
        votes = np.bincount(flat, minlength=bins * len(slopes)).reshape(-1, bins).astype(float)
        votes[:, 1:-1] = votes[:, 1:-1] + votes[:, :-2] + votes[:, 2:]
        best, height = np.unravel_index(votes.argmax(), votes.shape)
        if votes[best, height] < 0.5 * least:
            break
        curve = np.array([slopes[best], height + low - slopes[best] * origin])
        for off in (_CLOSE, _CLOSE, _OFF):
            near = _nearest(x, y, curve, off)
            curve = np.polyfit(x[near], y[near], 1)
        near = _nearest(x, y, curve, _OFF)
        thickness = float(np.median(lengths[near]))
        lines += [
            _Line(curve, start, stop, thickness)
            for start, stop in _extents(mask, curve, x[near])
            if stop - start >= max(least, _STOUT * thickness)
        ]
        x, y, lengths = x[~near], y[~near], lengths[~near]
    return lines


def _nearest(x: np.ndarray, y: np.ndarray, curve: np.ndarray, most: float) -> np.ndarray:
    """Returns which run of each column is a line's, if it is near: another may be its twin's."""
    off = np.abs(y - np.polyval(curve, x))
    order = np.lexsort((off, x))
    near = np.zeros(len(x), bool)
    near[order[np.diff(x[order], prepend=-1) > 0]] = True
    return near & (off <= most)


def _extents(mask: np.ndarray, curve: np.ndarray, x: np.ndarray) -> list[tuple[int, int]]:
    """Returns the parts of a line that have ink, but for small gaps: first and last columns."""
    columns = np.arange(x.min(), x.max() + 1)
    rows = np.polyval(curve, columns).round().astype(int)
    has_ink = np.zeros(len(columns), bool)
    for off in (-1, 0, 1):
        has_ink |= mask[(rows + off).clip(0, len(mask) - 1), columns]
    inked = columns[has_ink]
    longest_gap = max(3, _GAP * len(columns))
    parts = np.split(inked, np.flatnonzero(np.diff(inked) > longest_gap) + 1)
    return [(int(part[0]), int(part[-1])) for part in parts if len(part)]


def _joined(
    across: list[_Line], down: list[_Line], shape: tuple[int, ...]
) -> tuple[list[_Line], list[_Line]]:
    """Keeps the lines whose ends both meet the border or another line that is kept."""
    while True:
        kept = (
            [line for line in across if _is_joined(line, across, down, shape)],
            [line for line in down if _is_joined(line, down, across, shape[::-1])],
        )
        if list(map(len, kept)) == [len(across), len(down)]:
            return kept
        across, down = kept


def _is_joined(
    line: _Line, parallel: list[_Line], others: list[_Line], shape: tuple[int, ...]
) -> bool:
    if not line.is_slim and not any(map(line.is_twin, parallel)):
        return False
    if _is_short(line, parallel):
        return False
    reach = line.reach
    for column, inward in ((line.start, 1), (line.stop, -1)):
        row = float(line.rows(column))
        inside = min(column, row, shape[1] - 1 - column, shape[0] - 1 - row)
        meets = any(
            -reach <= inward * (column - float(other.rows(row))) <= _slack(line, other)
            and other.start - reach <= row <= other.stop + reach
            for other in others
        )
        if not meets and (inside > reach or not line.is_slim):
            return False
    return True


def _is_short(line: _Line, parallel: list[_Line]) -> bool:
    """Whether a line is shorter than others, and neither has a twin nor is a part of a line."""
    middle = (line.start + line.stop) / 2
    longest = max(other.stop - other.start for other in parallel)
    return line.stop - line.start < _SHORT * longest and not any(
        line.is_twin(other) or abs(other.rows(middle) - line.rows(middle)) <= line.reach
        for other in parallel
        if other is not line
    )


def _slack(line: _Line, other: _Line) -> float:
    """Returns how far before another line's center a line may end."""
    return line.reach if line.is_slim else max(0.5 * line.thickness, 0.5 * other.thickness + 1.5)


def _bands(contrast: np.ndarray, lines: list[_Line]) -> list[tuple[np.ndarray, float]]:
    """Returns the pixels of each line, as a mask, and its contrast; of two walls, all between."""
    bands = [_band(contrast, line) for line in lines]
    for (one, (band, dark)), (other, (beside, as_dark)) in itertools.combinations(
        zip(lines, bands, strict=True), 2
    ):
        middle = (one.start + one.stop) / 2
        if one.is_twin(other) and abs(one.rows(middle) - other.rows(middle)) <= one.reach:
            both = band | beside
            below, above = (np.logical_or.accumulate(both[::way])[::way] for way in (1, -1))
            bands.append((below & above, max(dark, as_dark)))
    return bands


def _band(contrast: np.ndarray, line: _Line) -> tuple[np.ndarray, float]:
    columns = np.arange(max(0, line.start - 2), min(contrast.shape[1], line.stop + 3))
    middle = line.rows(columns).round().astype(int)
    most = int(2 * line.thickness) + 3
    height = len(contrast)
    # A line is as dark all along, so its lighter columns show where it ends, even if a stroke runs
    # along the rest.
    profile = {
        off: float(np.quantile(contrast[(middle + off).clip(0, height - 1), columns], _BARE))
        for off in range(-most, most + 1)
    }
    band = np.zeros(contrast.shape, bool)
    for direction in (-1, 1):
        for off in range(most + 1):
            rows = middle + direction * off
            valid = (rows >= 0) & (rows < height)
            band[rows[valid], columns[valid]] = True
            if off and profile[direction * off] < _SKIRT:
                break
    return band, max(_LEVEL, *profile.values())


def _crossed(paper: np.ndarray, band: np.ndarray) -> np.ndarray:
    """Returns the pixels of a line's band in columns where ink adjoins it above or below."""
    ink = paper >= _INK
    height = len(band)
    top = band.argmax(0)
    bottom = height - 1 - band[::-1].argmax(0)
    columns = np.flatnonzero(band.any(0))
    adjoins = np.zeros(band.shape[1], bool)
    for away in (1, 2):
        above, below = top[columns] - away, bottom[columns] + away
        adjoins[columns] |= (above >= 0) & ink[above.clip(0), columns]
        adjoins[columns] |= (below < height) & ink[below.clip(max=height - 1), columns]
    return band & adjoins
