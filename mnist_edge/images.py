"""A picture of any kind becomes 28 x 28 pixels, as MNIST's makers made them.

    picture = images.open_picture("photo.jpg")
    images.prepare(picture)[0].pixels  # uint8 [28, 28], 0 (paper) to 255 (ink)

NumPy, and Pillow inside the functions that need it: a device without Keras uses this too.
"""

import dataclasses
import warnings
from pathlib import Path

import numpy as np

from mnist_edge import ink, pieces
from mnist_edge.cli import InputError

_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")  # none that runs a program
_LONGEST = 1600  # pixels: a larger picture is reduced to this before ink is looked for

# Of MNIST (yann.lecun.com/exdb/mnist): the digit fills a box of 20 pixels within a field of 28,
# its centre of mass at the field's centre.
_FIELD, _BOX = 28, 20
# In MNIST's pixels, where 98 % of its training digits lie between 1.5 and 3.8. A pen's stroke
# in a large picture is thinner than a pixel, a felt-tip's twice as thick as any in MNIST.
_THINNEST, _THICKEST = 1.7, 3.2
# The digit's outline is drawn at this many pixels before it is reduced to 20. Where an edge
# lies, and how sharp it is, was chosen on the first 900 pictures of scikit-learn's load_digits.
_OUTLINE, _EDGE, _SHARPNESS = 100, 0.4, 2.0


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture as it was opened.

    Attributes:
        name: Of its file.
        grey: float32 `[height, width]`, luminance, 0 (black) to 1.
        scale: How many of the file's pixels one of `grey` is wide.
    """

    name: str
    grey: np.ndarray
    scale: float = 1.0


@dataclasses.dataclass(frozen=True)
class Digit:
    """What a model is to see.

    Attributes:
        pixels: uint8 `[28, 28]`, 0 (paper) to 255 (ink).
        box: Where in the file's picture it was found: left, top, right, bottom, in pixels.
    """

    pixels: np.ndarray
    box: tuple[int, int, int, int]


def open_picture(path):
    """Opens a picture, PNG and JPEG among others, of any size and mode.

    Args:
        path: Of its file.

    Returns:
        A `Picture`. Where the file has an alpha channel, it is laid on paper: of the
        picture's own colour where it has some, else of the ink's opposite.

    Raises:
        InputError: The file is missing, no picture, damaged or larger than Pillow takes.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise InputError(
            f"Pillow is required to open pictures. Got: {error}. Install 'mnist-edge[images]'."
        ) from error

    if not Path(path).is_file():
        raise InputError(f"{path} must be a picture's file and is not. Give a PNG or JPEG file.")
    too_large = (Image.DecompressionBombError, Image.DecompressionBombWarning)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=_FORMATS) as image:
                upright = ImageOps.exif_transpose(image)
                grey = _luminance(upright)
    except too_large as error:
        limit = Image.MAX_IMAGE_PIXELS / 1e6
        raise InputError(
            f"{path} must have at most {limit:.0f} million pixels. Got: {error} Make it smaller."
        ) from error
    except Exception as error:  # whatever a decoder raises for a damaged file is the cause
        raise InputError(
            f"{path} must be a whole picture, PNG or JPEG. Got: {error or type(error).__name__}. "
            "Save it again."
        ) from error
    return Picture(str(path), grey, upright.width / grey.shape[1])


def _luminance(image):
    """float32 `[height, width]`, 0 to 1, at most 1,600 pixels a side."""
    from PIL import Image

    factor = min(1, _LONGEST / max(image.size))
    size = tuple(max(1, round(length * factor)) for length in image.size)
    if image.mode.startswith(("I", "F")):  # 16 or 32 bits, of which a scanner may use 12
        values = np.nan_to_num(np.asarray(image, np.float32))
        values = (values - min(0, values.min())) / max(np.ptp(values), values.max(), 1e-9)
        return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BOX))
    transparent = image.has_transparency_data
    if transparent:
        image = image.convert("RGBA")  # a palette's transparency becomes a channel
    image = image.convert("LA" if transparent else "L").resize(size, Image.Resampling.BOX)
    values = np.asarray(image, np.float32) / 255
    return _on_paper(values[..., 0], values[..., 1]) if transparent else values


def _on_paper(luminance, alpha):
    """Lays what is opaque on paper; `[height, width]` both, 0 to 1."""
    opaque = luminance[alpha > 0.5]
    if not opaque.size:
        return np.ones_like(luminance)
    darkest, lightest = np.percentile(opaque, [1, 99])
    # A sheet, if it covers most or has ink and paper of its own; else ink alone.
    is_sheet = opaque.size > 0.6 * alpha.size or lightest - darkest > 0.5
    paper = np.median(opaque) if is_sheet else np.round(1 - opaque.mean())
    return (luminance * alpha + paper * (1 - alpha)).astype(np.float32)


def prepare(picture, many=False):
    """Makes of a picture what MNIST's makers would have made of it.

    The polarity is found, uneven paper evened, the ink cropped, scaled into 20 by 20
    pixels with its shape kept, and centred by its centre of mass in 28 by 28.

    Args:
        picture: A `Picture`.
        many: Whether to look for several digits; else all ink is one digit.

    Returns:
        A list of `Digit`, in reading order.

    Raises:
        InputError: The picture is empty.
    """
    contrast = ink.contrast(picture.grey)
    found, labels = ([], None) if contrast is None else pieces.find(contrast)
    if not found:
        raise InputError(
            f"{picture.name} must show a digit and is empty: no ink stands out of the paper. "
            "Give a picture with more contrast."
        )
    groups = pieces.digits(found) if many else [found]
    return [_digit(contrast, labels, group, picture.scale) for group in groups]


def _digit(contrast, labels, group, scale):
    """The `Digit` that a group of pieces makes."""
    box = pieces.box(group)
    left, top, right, bottom = box
    # A pixel more on each side: the outline's edge lies between ink and paper.
    inside = slice(max(0, top - 1), bottom + 1), slice(max(0, left - 1), right + 1)
    is_other = ~np.isin(labels[inside], [0, *(piece.label for piece in group)])
    patch = np.where(is_other, 0, contrast[inside])
    return Digit(_as_mnist(patch), tuple(round(edge * scale) for edge in box))


def _as_mnist(patch):
    """uint8 `[28, 28]` from float32 `[height, width]`, 0 (paper) to 1 (ink)."""
    outline = _resized(np.pad(patch, 2), _OUTLINE)
    # Anew, for a thin stroke fades when it is reduced.
    outline = outline / np.median(outline[outline > outline.max() / 2])
    outline = _cropped(np.clip((outline - _EDGE) * _SHARPNESS + 0.5, 0, 1))
    small = _resized(_cropped(_even_stroke(outline)), _BOX).clip(0, 1)
    field = np.zeros((_FIELD, _FIELD), np.float32)
    top, left = (_start(small.sum(axis)) for axis in (1, 0))
    field[top : top + small.shape[0], left : left + small.shape[1]] = small
    return np.round(field * 255).astype(np.uint8)


def _resized(values, longest):
    """Scales so that the longer side is `longest`, the shape kept, with anti-aliasing."""
    from PIL import Image

    size = [max(1, round(side * longest / max(values.shape))) for side in reversed(values.shape)]
    image = Image.fromarray(values.astype(np.float32))
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC))


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
    return sign * ink.widened(sign * np.pad(outline, 2 * reach), reach)


def _start(profile):
    """Where a profile of ink starts in the field, so that its centre of mass is the field's."""
    centre = (profile * np.arange(len(profile))).sum() / profile.sum()
    return int(np.clip(round(_FIELD / 2 - centre), 0, _FIELD - len(profile)))
