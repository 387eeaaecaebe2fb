"""Open pictures and folders of pictures. Needs NumPy and Pillow."""

import dataclasses
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

import numpy as np

from mnist_edge import cli
from mnist_edge.errors import InputError
from mnist_edge.safety import files

if TYPE_CHECKING:
    from PIL import Image

Result = TypeVar("Result")

_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")  # none that executes code
_LONGEST = 1600  # pixels: larger pictures are reduced to this first
_SHOWN = 160  # longest side of the picture to show
_LONGEST_SIDE = 65_535  # JPEG's limit; Pillow takes 2 GB for 80 million rows of one pixel
_LARGEST_VALUE = np.float32(1e30)  # differences of such values are finite
_STARTS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8")
_SUFFIXES = ".png .jpg .jpeg .bmp .gif .pbm .pgm .ppm .tif .tiff .webp"
_IN_MEMORY = "picture in memory"


@dataclasses.dataclass(frozen=True)
class Picture:
    """An opened picture.

    Attributes:
        name: The file's path.
        gray: float32 `[height, width]`, luminance, 0 (black) to 1.
        scale: Width of a pixel of `gray` in pixels of the file.
    """

    name: str
    gray: np.ndarray
    scale: float = 1.0

    def in_file(self, box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        """Converts a box (left, top, right, bottom) from pixels of `gray` to pixels of the file."""
        left, top, right, bottom = (round(edge * self.scale) for edge in box)
        return left, top, right, bottom


def listed(path: Path) -> list[Path]:
    """Returns the file itself, or the pictures in a folder, 2.png before 10.png.

    Raises:
        InputError: The path does not exist, or the folder contains no picture.
    """
    if not path.exists():
        raise InputError(f"{path} must exist and does not. Give a picture, a folder or a test.csv.")
    if not path.is_dir():
        return [path]
    pictures = [file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES.split()]
    if not pictures:
        raise InputError(
            f"{path} must contain pictures ({_SUFFIXES}) and does not. "
            "Give another folder, or the files themselves."
        )
    return sorted(pictures, key=_in_human_order)


def _in_human_order(path: Path) -> list[tuple[int, str]]:
    """Returns a sort key that compares numbers in file names by value."""
    parts = re.split(r"([0-9]+)", path.name.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def from_array(pixels: np.ndarray) -> Picture:
    """Makes a picture from an array.

    Args:
        pixels: uint8 `[height, width]`, 0 (black) to 255, or `[height, width, 3]` or
            `[height, width, 4]`, RGB or RGBA.

    Raises:
        InputError: The array has another type or shape, or is empty.
    """
    with cli.needing("images"):
        from PIL import Image

    is_shaped = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))
    if pixels.dtype != np.uint8 or not is_shaped or not pixels.size:
        raise InputError(
            "a picture in memory must be uint8 [height, width], or [height, width, 3 or 4]. "
            f"Got: {pixels.dtype} {list(pixels.shape)}."
        )
    _require_sides(_IN_MEMORY, pixels.shape[:2])
    gray = _luminance(Image.fromarray(pixels))
    return Picture(_IN_MEMORY, gray, pixels.shape[1] / gray.shape[1])


def open_picture(path: Path) -> Picture:
    """Opens a picture (PNG, JPEG and others) of any size and mode.

    A picture with an alpha channel is composited on paper: of the picture's own paper color if
    it shows paper, else of the opposite of its ink.

    Raises:
        InputError: The file is missing, damaged, not a picture, or above Pillow's size limit.
    """
    gray, width = decode(path, lambda image: (_luminance(image), image.width))
    return Picture(str(path), gray, width / gray.shape[1])


def decode(
    path: Path, read: Callable[["Image.Image"], Result], content: IO[bytes] | None = None
) -> Result:
    """Opens an untrusted picture and returns what `read` makes of it, turned upright.

    Args:
        path: The file.
        read: Given the image; whatever it raises is a fault of the file.
        content: What to read in place of the file, which is then only named.

    Raises:
        InputError: As for `open_picture`.
    """
    with cli.needing("images"):
        from PIL import Image, ImageOps

    if content is None:
        files.require(path, "Give a PNG or JPEG file.")
    too_large = (Image.DecompressionBombError, Image.DecompressionBombWarning)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # errors are reported below
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(content or path, formats=_FORMATS) as image:
                _require_sides(path, image.size)
                return read(ImageOps.exif_transpose(image))
    except too_large as error:
        limit = (Image.MAX_IMAGE_PIXELS or 0) / 1e6
        raise InputError(
            f"{path} must have at most {limit:.0f} million pixels. Got: {files.short(error)}. "
            "Make it smaller."
        ) from error
    except InputError:
        raise
    except Exception as error:  # decoders raise various types for damaged files
        cause = files.short(error) if content else files.cause(path, error, _STARTS)
        raise InputError(
            f"{path} must be a complete picture, PNG or JPEG. Got: {cause}. Save it again."
        ) from error


def resized(
    image: "Image.Image", mode: str, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Resizes a whole picture, whatever the ratio of its sides; ignores transparency.

    Args:
        image: The picture.
        mode: "L" for gray or "RGB".
        size: Width and height.

    Returns:
        The picture in this size, and a larger one to show; uint8 `[height, width]`, or
        `[height, width, 3]`.
    """
    from PIL import Image

    if image.mode.startswith(("I", "F")):
        raise ValueError("more than 8 bits per channel")
    image = image.convert(mode)
    shown = image.copy()
    shown.thumbnail((_SHOWN, _SHOWN))
    # As most loaders of training data do, with anti-aliasing.
    small = image.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(small), np.asarray(shown)


def _require_sides(path: Path | str, sides: tuple[int, ...]) -> None:
    if max(sides) > _LONGEST_SIDE:
        raise InputError(
            f"{path} must have at most {_LONGEST_SIDE:,} pixels per side. Got: {max(sides):,}. "
            "Make it smaller."
        )


def _luminance(image: "Image.Image") -> np.ndarray:
    """Returns luminance, float32 `[height, width]`, 0 to 1, at most 1,600 pixels per side."""
    from PIL import Image

    factor = min(1, _LONGEST / max(image.size))
    width, height = (max(1, round(length * factor)) for length in image.size)
    if image.mode.startswith(("I", "F")):  # 16 or 32 bits; a scanner may use only 12
        values = np.nan_to_num(np.array(image, np.float32), copy=False)
        values = np.clip(values, -_LARGEST_VALUE, _LARGEST_VALUE, out=values)
        lowest, highest = min(0, values.min()), values.max()
        values -= lowest
        values /= max(highest - lowest, 1e-9)
        return np.asarray(Image.fromarray(values).resize((width, height), Image.Resampling.BOX))
    transparent = image.has_transparency_data
    if transparent:
        image = image.convert("RGBA")  # converts a palette's transparency to a channel
    image = image.convert("LA" if transparent else "L").resize(
        (width, height), Image.Resampling.BOX
    )
    values = np.asarray(image, np.float32) / np.float32(255)
    return _on_paper(values[..., 0], values[..., 1]) if transparent else values


def _on_paper(luminance: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Composites a picture on paper; both arguments `[height, width]`, 0 to 1."""
    opaque = luminance[alpha > 0.5]
    if not opaque.size:
        return np.ones_like(luminance)
    darkest, lightest = np.percentile(opaque, [1, 99])
    # The opaque part shows paper if it is most of the picture or has two tones; else it is ink.
    has_paper = opaque.size > 0.6 * alpha.size or lightest - darkest > 0.5
    paper = np.median(opaque) if has_paper else np.round(1 - opaque.mean())
    return (luminance * alpha + paper * (1 - alpha)).astype(np.float32)
