"""A picture of any kind becomes 28 x 28 pixels, as MNIST's makers made them.

    (digit,) = images.prepare(pictures.open_picture("photo.jpg"))
    digit.pixels  # uint8 [28, 28], 0 (paper) to 255 (ink)

NumPy, and Pillow inside the functions that need it: a device without Keras uses this too.
"""

import dataclasses

import numpy as np

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
_MOST_PIECES = 5_000  # two seconds' work, which grows with the square; a page has half as many
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


def load(paths, many=False):
    """Opens and prepares whatever the command line names.

    Args:
        paths: Of pictures, folders of pictures, and CSV files in the layout of Kaggle's.
        many: Whether to look for several digits in a picture.

    Returns:
        A list of `Digit`, in the order of the paths.

    Raises:
        InputError: A file is missing, damaged or shows no digit.
    """
    digits = []
    for path in pictures.listed(paths):
        if path.suffix.lower() == ".csv":
            rows = pictures.read_csv(path)
            digits += [Digit(f"{path}:{i}", row, row) for i, row in enumerate(rows, start=1)]
        else:
            digits += prepare(pictures.open_picture(path), many)
    return digits


def prepare(picture, many=False):
    """Makes of a picture what MNIST's makers would have made of it.

    The polarity is found, uneven paper evened, the ink cropped, scaled into 20 by 20
    pixels with its shape kept, and centered by its center of mass in 28 by 28.

    Args:
        picture: A `Picture`.
        many: Whether to look for several digits; else all ink is one digit.

    Returns:
        A list of `Digit`, in reading order.

    Raises:
        InputError: The picture is empty, or full of dots.
    """
    contrast = threshold.contrast(picture.gray)
    found, labels = ([], None) if contrast is None else segment.find(contrast)
    if not found:
        raise InputError(
            f"{picture.name} must show a digit and is empty: no ink stands out of the paper. "
            "Give a picture with more contrast."
        )
    if many and len(found) > _MOST_PIECES:
        raise InputError(
            f"{picture.name} must show at most {_MOST_PIECES:,} strokes. Got: {len(found):,}. "
            "Give a part of it."
        )
    lines = segment.digits(found) if many else [[found]]
    return [
        Digit(
            name=picture.name,
            pixels=_as_mnist(picture.name, _patch(contrast, labels, group)),
            original=_original(picture.gray, segment.box(group) if many else None),
            line=number,
            box=tuple(round(edge * picture.scale) for edge in segment.box(group)),
        )
        for number, line in enumerate(lines, start=1)
        for group in line
    ]


def _patch(contrast, labels, group):
    """The part of the picture that holds a group of pieces, without all others."""
    left, top, right, bottom = segment.box(group)
    # A pixel more on each side: the outline's edge lies between ink and paper.
    inside = slice(max(0, top - 1), bottom + 1), slice(max(0, left - 1), right + 1)
    is_other = ~np.isin(labels[inside], [0, *(piece.label for piece in group)])
    return np.where(is_other, 0, contrast[inside])


def _original(gray, box):
    """What is shown beside the pixels; around `box`, or all where it is None."""
    if box:
        left, top, right, bottom = box
        margin = max(right - left, bottom - top) // 3
        gray = gray[max(0, top - margin) : bottom + margin, max(0, left - margin) : right + margin]
    small = _resized(gray, min(_SHOWN, max(gray.shape)))
    return np.round(small.clip(0, 1) * 255).astype(np.uint8)


def _as_mnist(name, patch):
    """uint8 `[28, 28]` from float32 `[height, width]`, 0 (paper) to 1 (ink)."""
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
    field = np.zeros((_FIELD, _FIELD), np.float32)
    top, left = (_start(small.sum(axis)) for axis in (1, 0))
    field[top : top + small.shape[0], left : left + small.shape[1]] = small
    return np.round(field * 255).astype(np.uint8)


def _resized(values, longest):
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


def _scaled(values, size, method="LANCZOS"):
    """Scales to `(width, height)` by one of Pillow's methods."""
    from PIL import Image

    image = Image.fromarray(values.astype(np.float32))
    return np.asarray(image.resize(size, Image.Resampling[method]))


def _cropped(values):
    """Without the rows and columns at the edges that hold no ink."""
    rows, columns = (np.flatnonzero((values >= 0.5).any(axis)) for axis in (1, 0))
    return values[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _even_stroke(outline):
    """Makes strokes thicker or thinner where MNIST has none like them."""
    unit = max(outline.shape) / _BOX
    padded = np.pad(outline, 1)
    edges = np.hypot(np.diff(padded, axis=0)[:, 1:], np.diff(padded, axis=1)[1:]).sum()
    width = 2 * outline.sum() / edges  # a stroke has two edges
    missing = np.clip(width, _THINNEST * unit, _THICKEST * unit) - width
    reach = round(abs(missing) / 2)
    if not reach:
        return outline
    sign = np.sign(missing)
    evened = sign * threshold.widened(sign * np.pad(outline, 2 * reach), reach)
    return evened if evened.max() >= 0.5 else outline  # what is only thin bridges would vanish


def _start(profile):
    """Where a profile of ink starts in the field, so that its center of mass is the field's."""
    center = (profile * np.arange(len(profile))).sum() / profile.sum()
    return int(np.clip(round(_FIELD / 2 - center), 0, _FIELD - len(profile)))
