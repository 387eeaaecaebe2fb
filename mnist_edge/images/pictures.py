"""Open pictures, folders of them, and Kaggle's test.csv. NumPy, and Pillow where it is needed."""

import dataclasses
import re
import warnings
from pathlib import Path

import numpy as np

from mnist_edge.data import csv_files
from mnist_edge.errors import InputError
from mnist_edge.safety import files

_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")  # none that runs a program
_LONGEST = 1600  # pixels: a larger picture is reduced to this before ink is looked for
_LONGEST_SIDE = 65_535  # what a JPEG can have; Pillow takes 2 GB for 80 million rows of a pixel
_LARGEST_VALUE = np.float32(1e30)  # the difference of two such is finite
_STARTS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8")
_SUFFIXES = ".png .jpg .jpeg .bmp .gif .pbm .pgm .ppm .tif .tiff .webp"
_CSV_PIXELS = 28 * 28


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture as it was opened.

    Attributes:
        name: Of its file.
        gray: float32 `[height, width]`, luminance, 0 (black) to 1.
        scale: How many of the file's pixels one of `gray` is wide.
    """

    name: str
    gray: np.ndarray
    scale: float = 1.0


def listed(paths):
    """The files that are meant: a folder stands for its pictures, 2.png before 10.png.

    Args:
        paths: Of files and folders.

    Returns:
        A list of `pathlib.Path`.

    Raises:
        InputError: A path does not exist, or a folder holds no picture.
    """
    files = []
    for path in map(Path, paths):
        if not path.exists():
            raise InputError(f"{path} must exist and does not. Give a picture, folder or test.csv.")
        if not path.is_dir():
            files.append(path)
            continue
        found = [file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES.split()]
        if not found:
            raise InputError(
                f"{path} must hold pictures and holds none ({_SUFFIXES}). "
                "Give another folder, or the files themselves."
            )
        files += sorted(found, key=_in_human_order)
    return files


def _in_human_order(path):
    """Sorts numbers within names by their value."""
    parts = re.split(r"([0-9]+)", path.name.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def read_csv(path):
    """Reads Kaggle's `test.csv`: a row an image, 784 pixels, with or without a header.

    Args:
        path: Of the file.

    Returns:
        uint8 `[n, 28, 28]`, 0 (paper) to 255 (ink).

    Raises:
        InputError: The file holds something else.
    """
    return csv_files.read_pixels(path, _CSV_PIXELS).reshape(-1, 28, 28)


def open_picture(path):
    """Opens a picture, PNG and JPEG among others, of any size and mode.

    Args:
        path: Of its file.

    Returns:
        A `Picture`. Where the file has an alpha channel, it is laid on paper: of the
        picture's own color where it has some, else of the ink's opposite.

    Raises:
        InputError: The file is missing, no picture, damaged or larger than Pillow takes.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise InputError(
            f"Pillow is required to open pictures. Got: {error}. Install 'mnist-edge[images]'."
        ) from error

    files.require(path, "Give a PNG or JPEG file.")
    too_large = (Image.DecompressionBombError, Image.DecompressionBombWarning)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is wrong with the file is said below
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=_FORMATS) as image:
                _require_sides(path, image.size)
                upright = ImageOps.exif_transpose(image)
                gray = _luminance(upright)
    except too_large as error:
        limit = Image.MAX_IMAGE_PIXELS / 1e6
        raise InputError(
            f"{path} must have at most {limit:.0f} million pixels. Got: {files.short(error)}. "
            "Make it smaller."
        ) from error
    except InputError:
        raise
    except Exception as error:  # whatever a decoder raises for a damaged file is the cause
        cause = files.cause(path, error, _STARTS)
        raise InputError(
            f"{path} must be a whole picture, PNG or JPEG. Got: {cause}. Save it again."
        ) from error
    return Picture(str(path), gray, upright.width / gray.shape[1])


def _require_sides(path, sides):
    if max(sides) > _LONGEST_SIDE:
        raise InputError(
            f"{path} must have at most {_LONGEST_SIDE:,} pixels a side. Got: {max(sides):,}. "
            "Make it smaller."
        )


def _luminance(image):
    """float32 `[height, width]`, 0 to 1, at most 1,600 pixels a side."""
    from PIL import Image

    factor = min(1, _LONGEST / max(image.size))
    size = tuple(max(1, round(length * factor)) for length in image.size)
    if image.mode.startswith(("I", "F")):  # 16 or 32 bits, of which a scanner may use 12
        values = np.nan_to_num(np.array(image, np.float32), copy=False)
        values = np.clip(values, -_LARGEST_VALUE, _LARGEST_VALUE, out=values)
        lowest, highest = min(0, values.min()), values.max()
        values -= lowest
        values /= max(highest - lowest, 1e-9)
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
