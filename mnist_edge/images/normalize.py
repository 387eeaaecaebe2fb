"""Normalize the digits in a picture to 28 x 28 pixels, following MNIST's procedure.

    (digit,) = images.prepare(pictures.open_picture("photo.jpg"))
    digit.pixels  # uint8 [28, 28], 0 (paper) to 255 (ink)

Needs NumPy; Pillow and SciPy are imported inside the functions that use them. Also runs on a
device without Keras.
"""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from mnist_edge import cli
from mnist_edge.data import csv_files
from mnist_edge.errors import InputError
from mnist_edge.images import cuts, lines, pictures, segment, split, threshold
from mnist_edge.images.segment import Stroke
from mnist_edge.images.split import Read

# As in MNIST (yann.lecun.com/exdb/mnist): the digit fills a box of 20 pixels in a field of 28, with
# its center of mass at the center of the field.
_FIELD, _BOX = 28, 20
# Range of stroke widths, in MNIST's pixels; 90 % of MNIST's digits are between 1.6 and 3.9, the
# median is 2.4. A fine pen's stroke in a large picture would be thinner than a pixel.
_THINNEST, _THICKEST = 1.7, 3.0
# The digit is drawn at _OUTLINE pixels before it is reduced to 20. The threshold and sharpness of
# its edge, the rounds of back-projection for small pictures (doubling them gains nothing) and
# _THICKEST were tuned on the first 900 images of scikit-learn's load_digits.
_OUTLINE, _EDGE, _SHARPNESS, _ROUNDS = 100, 0.45, 2.0, 20
_MOST_STROKES = 5_000  # takes two seconds, growing quadratically; a page has half as many
_FEW_STROKES = 200  # with more, one digit is expected unless several are asked for
# The center of a straight stroke may lie exactly between two pixels: it goes to the first of them,
# not where the last bit of a sum sends it. Sums differ by 1e-6 between machines.
_TIE = 1e-4
_SHOWN = 160  # longest side of `Digit.original`, pixels


@dataclasses.dataclass(frozen=True)
class Digit:
    """A normalized digit and its origin.

    Attributes:
        name: The file's path; for a CSV, with the row's number, counting images from 1.
        pixels: The model's input, uint8 `[28, 28]`, 0 (paper) to 255 (ink).
        original: uint8 `[height, width]`, luminance of the picture, or of the digit and its
            surroundings if there may be several; at most 160 pixels per side.
        line: Number of the text line that contains it, counting from the top from 1; None for
            a CSV.
        box: Its position in the file's picture: left, top, right, bottom, in pixels; None for
            a CSV.
    """

    name: str
    pixels: np.ndarray
    original: np.ndarray
    line: int | None = None
    box: tuple[int, int, int, int] | None = None


def load(
    sources: Iterable[Path | str | np.ndarray],
    many: bool | None = False,
    read: Read | None = None,
) -> list[Digit]:
    """Opens pictures and normalizes the digits in them.

    Args:
        sources: Picture files, folders of them, CSV files in the layout of Kaggle's test.csv,
            and arrays as for `pictures.from_array`.
        many: Whether to look for several digits in a picture, as in `prepare`.
        read: A model's answers, as in `prepare`.

    Raises:
        InputError: A file is missing or damaged, or shows no digit.
    """
    digits = []
    for source in sources:
        if isinstance(source, np.ndarray):
            digits += prepare(pictures.from_array(source), many, read)
        else:
            for path in pictures.listed(Path(source)):
                digits += _load_file(path, many, read)
    return digits


def _load_file(path: Path, many: bool | None, read: Read | None) -> list[Digit]:
    if path.suffix.lower() == ".csv":
        rows = csv_files.read_pixels(path, _FIELD**2).reshape(-1, _FIELD, _FIELD)
        return [Digit(f"{path}:{i}", row, row) for i, row in enumerate(rows, start=1)]
    return prepare(pictures.open_picture(path), many, read)


def prepare(
    picture: pictures.Picture, many: bool | None = False, read: Read | None = None
) -> list[Digit]:
    """Finds the digits in a picture and normalizes each as MNIST's digits were.

    Detects the polarity, removes uneven lighting, crops the ink, scales it to fit 20 x 20 pixels
    with its aspect ratio kept, and centers it by its center of mass in 28 x 28.

    Args:
        picture: The picture.
        many: Whether to look for several digits; otherwise all ink is one digit. None for what
            `read` finds more probable; without `read`, one.
        read: Maps pixels, uint8 `[n, 28, 28]`, to a model's probabilities of the ten digits. With
            it, printed lines are erased, and digits that touch are split.

    Returns:
        The digits in reading order.

    Raises:
        InputError: The picture is empty, or has too many strokes.
    """
    with cli.needing("images"):
        import scipy.ndimage  # noqa: F401 - the functions below need it
    contrast = threshold.contrast(picture.gray)
    if contrast is None:
        raise InputError(
            f"{picture.name} must show a digit and is empty: nothing contrasts with the paper. "
            "Give a picture with more contrast."
        )
    if read:  # without it, the pixels are those of export/web/pixels.js
        contrast = lines.erased(contrast)
    strokes, labels = segment.find(contrast)
    if many and len(strokes) > _MOST_STROKES:
        raise InputError(
            f"{picture.name} must show at most {_MOST_STROKES:,} strokes. Got: {len(strokes):,}. "
            "Crop it."
        )
    if many is None and (read is None or len(strokes) > _FEW_STROKES):
        many = False
    rows = [] if many is False else [row for row in segment.digits(strokes) if row]
    inks = [[_cut_out(contrast, labels, group) for group in row] for row in rows]
    found = _split(picture.name, inks, read) if inks else []
    if not many and sum(map(len, inks)) != 1:
        ((one,),) = _split(picture.name, [[_cut_out(contrast, labels, strokes)]], None)
        if not read or not found or _is_one(one, [one for row in found for one in row], read):
            found = [[one]]
    is_only = sum(map(len, found)) == 1 and not many
    return [
        Digit(
            name=picture.name,
            pixels=piece.pixels,
            original=_original(picture.gray, None if is_only else piece.box),
            line=number,
            box=picture.in_file(piece.box),
        )
        for number, row in enumerate(found, start=1)
        for piece in row
    ]


@dataclasses.dataclass(frozen=True)
class _Ink:
    """Ink cut out of a picture.

    Attributes:
        contrast: float32 `[height, width]`, with nothing else.
        left: Where it starts in the picture.
        top: The same.
    """

    contrast: np.ndarray
    left: int
    top: int

    def moved(self, box: segment.Box) -> segment.Box:
        """Converts a box in the ink to one in the picture."""
        left, top, right, bottom = box
        return left + self.left, top + self.top, right + self.left, bottom + self.top


@dataclasses.dataclass(frozen=True)
class _Piece:
    """What is one digit: its pixels, uint8 `[28, 28]`, and its box in the picture."""

    pixels: np.ndarray
    box: segment.Box


def _cut_out(contrast: np.ndarray, labels: np.ndarray, group: list[Stroke]) -> _Ink:
    """Crops the picture to a group of strokes and erases all other strokes."""
    left, top, right, bottom = segment.box(group)
    # One more pixel on each side, as the edge of the ink lies between ink and paper.
    left, top = max(0, left - 1), max(0, top - 1)
    inside = slice(top, bottom + 1), slice(left, right + 1)
    is_other = ~np.isin(labels[inside], [0, *(stroke.label for stroke in group)])
    return _Ink(np.where(is_other, 0, contrast[inside]), left, top)


def _joined(one: _Ink, other: _Ink) -> _Ink:
    """Returns the ink of both."""
    left, top = min(one.left, other.left), min(one.top, other.top)
    pads = [((ink.top - top, 0), (ink.left - left, 0)) for ink in (one, other)]
    padded = [np.pad(ink.contrast, pad) for ink, pad in zip((one, other), pads, strict=True)]
    both = np.zeros(np.max([values.shape for values in padded], axis=0), np.float32)
    for values in padded:
        inside = both[: values.shape[0], : values.shape[1]]
        np.maximum(inside, values, out=inside)
    return _Ink(both, left, top)


def _split(name: str, rows: Sequence[Sequence[_Ink]], read: Read | None) -> list[list[_Piece]]:
    """Splits and joins what is not surely one digit, if a model reads the parts, in one batch.

    Returns:
        The digits of each row.
    """
    wholes = [
        [_Piece(as_mnist(name, ink.contrast), ink.moved(cuts.box(ink.contrast))) for ink in row]
        for row in rows
    ]
    if not read:
        return wholes
    known = split.scores(np.stack([one.pixels for row in wholes for one in row]), read)
    sure = iter(split.sure([ink.contrast for row in rows for ink in row], *known))
    parts: list[list[cuts.Part]] = []
    pieces: list[list[_Piece]] = []
    for row in rows:
        parts.append([])
        pieces.append([])
        for ink, one in _candidates(row, [next(sure) for _ in row]):
            with contextlib.suppress(InputError):  # ink that vanishes is no digit
                pieces[-1].append(_Piece(as_mnist(name, one.ink), ink.moved(one.box)))
                parts[-1].append(one)
    read_as = split.scores(np.stack([piece.pixels for row in pieces for piece in row]), read)
    ends = np.cumsum([len(row) for row in pieces])[:-1]
    by_row = (np.split(values, ends) for values in read_as)
    return [
        [row[i] for i in split.best(own, scores, digits)]
        for row, own, scores, digits in zip(pieces, parts, *by_row, strict=True)
    ]


def _candidates(row: Sequence[_Ink], sure: Sequence[bool]) -> Iterator[tuple[_Ink, cuts.Part]]:
    """Yields what may be a digit in a row, and the ink that it is a part of."""
    for number, ink in enumerate(row):
        yield from ((ink, one) for one in cuts.parts(ink.contrast, number, not sure[number]))
        if not all(sure[number : number + 2]) and number + 1 < len(row):
            both = _joined(ink, row[number + 1])
            if cuts.may_be_one(both.contrast):
                yield both, cuts.Part(number, number + 2, both.contrast)


def _is_one(one: _Piece, several: Sequence[_Piece], read: Read) -> bool:
    """Whether all ink is more probably one digit than several."""
    if len(several) == 1:
        return True
    (first, *others), _ = split.scores(np.stack([piece.pixels for piece in (one, *several)]), read)
    return bool(first >= np.mean(others))


def _original(gray: np.ndarray, box: tuple[int, int, int, int] | None) -> np.ndarray:
    """Returns `Digit.original`: the surroundings of `box`, or the whole picture if it is None."""
    if box:
        left, top, right, bottom = box
        margin = max(right - left, bottom - top) // 3
        gray = gray[max(0, top - margin) : bottom + margin, max(0, left - margin) : right + margin]
    small = _resized(gray, min(_SHOWN, max(gray.shape)))
    return np.round(small.clip(0, 1) * 255).astype(np.uint8)


def as_mnist(name: str, patch: np.ndarray) -> np.ndarray:
    """Normalizes float32 `[height, width]`, 0 (paper) to 1 (ink), to uint8 `[28, 28]`."""
    from scipy import ndimage

    outline = _resized(np.pad(patch, 2), _OUTLINE)
    inked = outline[outline > outline.max() / 2]  # empty if a pattern of dots was reduced
    # Normalize the contrast again, as a thin stroke fades when it is reduced.
    outline = outline / (np.median(inked) if inked.size else 1)
    outline = np.clip((outline - _EDGE) * _SHARPNESS + 0.5, 0, 1)
    if outline.max() < 0.5:
        raise InputError(
            f"{name} must show a digit. Got: ink that vanishes when it is reduced. Give a "
            "picture of only a digit."
        )
    outline = _cropped(outline)
    small = _resized(_cropped(_even_stroke(outline)), _BOX).clip(0, 1)
    starts = np.round(_FIELD / 2 - np.array(ndimage.center_of_mass(small)) - _TIE).astype(int)
    top, left = starts.clip(0, _FIELD - np.array(small.shape))
    field = np.zeros((_FIELD, _FIELD), np.float32)
    field[top : top + small.shape[0], left : left + small.shape[1]] = small
    return np.round(field * 255).astype(np.uint8)


def _resized(values: np.ndarray, longest: int) -> np.ndarray:
    """Scales the longer side to `longest`, keeping the aspect ratio, with anti-aliasing."""
    size = [max(1, round(side * longest / max(values.shape))) for side in reversed(values.shape)]
    scaled = _scaled(values, size)
    if longest <= max(values.shape):
        return scaled
    # When enlarging, refine the result until reducing it again gives the original: iterative
    # back-projection (Irani and Peleg, 1991), clipped to 0 (paper) and 1 (ink).
    for _ in range(_ROUNDS):
        error = values - _scaled(scaled.clip(0, 1), values.shape[::-1], "BOX")
        scaled = scaled.clip(0, 1) + _scaled(error, size)
    return scaled.clip(0, 1)


def _scaled(values: np.ndarray, size: Sequence[int], method: str = "LANCZOS") -> np.ndarray:
    """Scales to `(width, height)` with one of Pillow's resampling methods."""
    from PIL import Image

    image = Image.fromarray(values.astype(np.float32))
    return np.asarray(image.resize((size[0], size[1]), Image.Resampling[method]))


def _cropped(values: np.ndarray) -> np.ndarray:
    """Crops rows and columns without ink at the edges."""
    from scipy import ndimage

    return values[ndimage.find_objects((values >= 0.5).astype(np.int32))[0]]


def _even_stroke(outline: np.ndarray) -> np.ndarray:
    """Makes strokes thicker or thinner if their width is outside MNIST's range."""
    from scipy import ndimage

    unit = max(outline.shape) / _BOX
    padded = np.pad(outline, 1)
    edges = np.hypot(np.diff(padded, axis=0)[:, 1:], np.diff(padded, axis=1)[1:]).sum()
    width = 2 * outline.sum() / edges  # a stroke has two edges
    missing = np.clip(width, _THINNEST * unit, _THICKEST * unit) - width
    reach = round(abs(missing) / 2)
    change = ndimage.maximum_filter if missing > 0 else ndimage.minimum_filter
    evened = change(np.pad(outline, reach), 2 * reach + 1, mode="constant")
    return evened if evened.max() >= 0.5 else outline  # thin strokes would vanish
