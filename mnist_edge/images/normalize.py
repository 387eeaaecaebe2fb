"""A picture of any kind becomes 28 x 28 pixels, as MNIST's makers made them.

    (digit,) = images.prepare(pictures.open_picture("photo.jpg"))
    digit.pixels  # uint8 [28, 28], 0 (paper) to 255 (ink)

NumPy, and Pillow and SciPy inside the functions that need them: a device without Keras uses
this too.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from mnist_edge import cli
from mnist_edge.data import csv_files
from mnist_edge.errors import InputError
from mnist_edge.images import pictures, segment, threshold

# Of MNIST (yann.lecun.com/exdb/mnist): the digit fills a box of 20 pixels within a field of 28,
# its center of mass at the field's center.
_FIELD, _BOX = 28, 20
# In MNIST's pixels, where 90 % of its digits lie between 1.6 and 3.9, with a median of 2.4.
# A fine pen's stroke in a large picture would be thinner than a pixel.
_THINNEST, _THICKEST = 1.7, 3.0
# The digit's outline is drawn at this many pixels before it is reduced to 20. Where its edge
# lies, how sharp it is, and how often it is compared with a picture that is smaller (twice as
# often gains nothing) was chosen, as was the thickest stroke, on the first 900 pictures of
# scikit-learn's load_digits.
_OUTLINE, _EDGE, _SHARPNESS, _ROUNDS = 100, 0.45, 2.0, 20
_MOST_STROKES = 5_000  # two seconds' work, which grows with the square; a page has half as many
_SHOWN = 160  # longest side of what is shown of the original, pixels


@dataclasses.dataclass(frozen=True)
class Digit:
    """What a model is to see, and where it is from.

    Attributes:
        name: Of its file; of a CSV with the row's number, 1 being the first image.
        pixels: uint8 `[28, 28]`, 0 (paper) to 255 (ink).
        original: uint8 `[height, width]`, luminance of the picture, or of the digit and what
            is around it where a picture holds several; at most 160 pixels a side.
        line: Number of the line that it stands in, 1 being the topmost; None in a CSV.
        box: Where in the file's picture it is: left, top, right, bottom, in pixels; None in
            a CSV, whose pixels are what the model sees.
    """

    name: str
    pixels: np.ndarray
    original: np.ndarray
    line: int | None = None
    box: tuple[int, int, int, int] | None = None


def load(sources: Iterable[Path | str | np.ndarray], many: bool = False) -> list[Digit]:
    """Opens and prepares pictures.

    Args:
        sources: Pictures' files, folders of them, CSV files in the layout of Kaggle's test.csv,
            and pictures in memory, as `pictures.from_array` takes them.
        many: Whether to look for several digits in a picture.

    Raises:
        InputError: A file is missing, damaged or shows no digit.
    """
    digits = []
    for source in sources:
        if isinstance(source, np.ndarray):
            digits += prepare(pictures.from_array(source), many)
        else:
            for path in pictures.listed(Path(source)):
                digits += _load_file(path, many)
    return digits


def _load_file(path: Path, many: bool) -> list[Digit]:
    if path.suffix.lower() == ".csv":
        rows = csv_files.read_pixels(path, _FIELD**2).reshape(-1, _FIELD, _FIELD)
        return [Digit(f"{path}:{i}", row, row) for i, row in enumerate(rows, start=1)]
    return prepare(pictures.open_picture(path), many)


def prepare(picture: pictures.Picture, many: bool = False) -> list[Digit]:
    """Makes of a picture what MNIST's makers would have made of it; in reading order.

    The polarity is found, uneven paper evened, the ink cropped, scaled into 20 by 20
    pixels with its shape kept, and centered by its center of mass in 28 by 28.

    Args:
        picture: The picture.
        many: Whether to look for several digits; else all ink is one digit.

    Raises:
        InputError: The picture is empty, or full of dots.
    """
    with cli.needing("images"):
        import scipy.ndimage  # noqa: F401 - the functions below need it
    contrast = threshold.contrast(picture.gray)
    if contrast is None:
        raise InputError(
            f"{picture.name} must show a digit and is empty: no ink stands out of the paper. "
            "Give a picture with more contrast."
        )
    strokes, labels = segment.find(contrast)
    if many and len(strokes) > _MOST_STROKES:
        raise InputError(
            f"{picture.name} must show at most {_MOST_STROKES:,} strokes. Got: {len(strokes):,}. "
            "Give a part of it."
        )
    lines = segment.digits(strokes) if many else [[strokes]]
    return [
        Digit(
            name=picture.name,
            pixels=_as_mnist(picture.name, _patch(contrast, labels, group)),
            original=_original(picture.gray, segment.box(group) if many else None),
            line=number,
            box=picture.in_file(segment.box(group)),
        )
        for number, line in enumerate(lines, start=1)
        for group in line
    ]


def _patch(contrast: np.ndarray, labels: np.ndarray, group: list[segment.Stroke]) -> np.ndarray:
    """The part of the picture that holds a group of strokes, without all others."""
    left, top, right, bottom = segment.box(group)
    # A pixel more on each side: the outline's edge lies between ink and paper.
    inside = slice(max(0, top - 1), bottom + 1), slice(max(0, left - 1), right + 1)
    is_other = ~np.isin(labels[inside], [0, *(stroke.label for stroke in group)])
    return np.where(is_other, 0, contrast[inside])


def _original(gray: np.ndarray, box: tuple[int, int, int, int] | None) -> np.ndarray:
    """What is shown beside the pixels; around `box`, or all where it is None."""
    if box:
        left, top, right, bottom = box
        margin = max(right - left, bottom - top) // 3
        gray = gray[max(0, top - margin) : bottom + margin, max(0, left - margin) : right + margin]
    small = _resized(gray, min(_SHOWN, max(gray.shape)))
    return np.round(small.clip(0, 1) * 255).astype(np.uint8)


def _as_mnist(name: str, patch: np.ndarray) -> np.ndarray:
    """uint8 `[28, 28]` from float32 `[height, width]`, 0 (paper) to 1 (ink)."""
    from scipy import ndimage

    outline = _resized(np.pad(patch, 2), _OUTLINE)
    inked = outline[outline > outline.max() / 2]  # of none where a pattern of dots is reduced
    # Anew, for a thin stroke fades when it is reduced.
    outline = outline / (np.median(inked) if inked.size else 1)
    outline = np.clip((outline - _EDGE) * _SHARPNESS + 0.5, 0, 1)
    if outline.max() < 0.5:
        raise InputError(
            f"{name} must show a digit. Got: ink that vanishes when it is reduced. Give a "
            "picture of a digit alone."
        )
    outline = _cropped(outline)
    small = _resized(_cropped(_even_stroke(outline)), _BOX).clip(0, 1)
    starts = np.round(_FIELD / 2 - np.array(ndimage.center_of_mass(small))).astype(int)
    top, left = starts.clip(0, _FIELD - np.array(small.shape))
    field = np.zeros((_FIELD, _FIELD), np.float32)
    field[top : top + small.shape[0], left : left + small.shape[1]] = small
    return np.round(field * 255).astype(np.uint8)


def _resized(values: np.ndarray, longest: int) -> np.ndarray:
    """Scales so that the longer side is `longest`, the shape kept, with anti-aliasing."""
    size = [max(1, round(side * longest / max(values.shape))) for side in reversed(values.shape)]
    scaled = _scaled(values, size)
    if longest <= max(values.shape):
        return scaled
    # Enlarged, a picture should still be what it was when it is reduced again: iterative
    # back-projection (Irani and Peleg, 1991), between no ink and full ink.
    for _ in range(_ROUNDS):
        error = values - _scaled(scaled.clip(0, 1), values.shape[::-1], "BOX")
        scaled = scaled.clip(0, 1) + _scaled(error, size)
    return scaled.clip(0, 1)


def _scaled(values: np.ndarray, size: Sequence[int], method: str = "LANCZOS") -> np.ndarray:
    """Scales to `(width, height)` by one of Pillow's methods."""
    from PIL import Image

    image = Image.fromarray(values.astype(np.float32))
    return np.asarray(image.resize((size[0], size[1]), Image.Resampling[method]))


def _cropped(values: np.ndarray) -> np.ndarray:
    """Without the rows and columns at the edges that hold no ink."""
    from scipy import ndimage

    return values[ndimage.find_objects((values >= 0.5).astype(np.int32))[0]]


def _even_stroke(outline: np.ndarray) -> np.ndarray:
    """Makes strokes thicker or thinner where MNIST has none like them."""
    from scipy import ndimage

    unit = max(outline.shape) / _BOX
    padded = np.pad(outline, 1)
    edges = np.hypot(np.diff(padded, axis=0)[:, 1:], np.diff(padded, axis=1)[1:]).sum()
    width = 2 * outline.sum() / edges  # a stroke has two edges
    missing = np.clip(width, _THINNEST * unit, _THICKEST * unit) - width
    reach = round(abs(missing) / 2)
    change = ndimage.maximum_filter if missing > 0 else ndimage.minimum_filter
    evened = change(np.pad(outline, reach), 2 * reach + 1, mode="constant")
    return evened if evened.max() >= 0.5 else outline  # what is only thin bridges would vanish
