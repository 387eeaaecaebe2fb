"""Open pictures and folders of them. NumPy and Pillow."""

import dataclasses
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnist_edge import cli
from mnist_edge.errors import InputError
from mnist_edge.safety import files

if TYPE_CHECKING:
    from PIL import Image

_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")  # none that runs a program
_LONGEST = 1600  # pixels: a larger picture is reduced to this before ink is looked for
_LONGEST_SIDE = 65_535  # what a JPEG can have; Pillow takes 2 GB for 80 million rows of a pixel
_LARGEST_VALUE = np.float32(1e30)  # the difference of two such is finite
_STARTS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8")
_SUFFIXES = ".png .jpg .jpeg .bmp .gif .pbm .pgm .ppm .tif .tiff .webp"
_IN_MEMORY = "picture in memory"


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

    def in_file(self, box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        """A box in `gray` as it lies in the file: left, top, right, bottom, in pixels."""
        left, top, right, bottom = (round(edge * self.scale) for edge in box)
        return left, top, right, bottom


def listed(path: Path) -> list[Path]:
    """The file, or those of a folder, 2.png before 10.png.

    Raises:
        InputError: The path does not exist, or the folder holds no picture.
    """
    if not path.exists():
        raise InputError(f"{path} must exist and does not. Give a picture, folder or test.csv.")
    if not path.is_dir():
        return [path]
    found = [file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES.split()]
    if not found:
        raise InputError(
            f"{path} must hold pictures and holds none ({_SUFFIXES}). "
            "Give another folder, or the files themselves."
        )
    return sorted(found, key=_in_human_order)


def _in_human_order(path: Path) -> list[tuple[int, str]]:
    """Sorts numbers within names by their value."""
    parts = re.split(r"([0-9]+)", path.name.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def from_array(pixels: np.ndarray) -> Picture:
    """A picture in memory.

    Args:
        pixels: uint8 `[height, width]`, 0 (black) to 255, or `[height, width, 3]` or
            `[height, width, 4]`, RGB or RGBA.

    Raises:
        InputError: It is something else.
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
    """Opens a picture, PNG and JPEG among others, of any size and mode.

    Where the file has an alpha channel, it is laid on paper: of the picture's own color where
    it has some, else of the ink's opposite.

    Raises:
        InputError: The file is missing, no picture, damaged or larger than Pillow takes.
    """
    with cli.needing("images"):
        from PIL import Image, ImageOps

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
        limit = (Image.MAX_IMAGE_PIXELS or 0) / 1e6
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


def _require_sides(path: Path | str, sides: tuple[int, ...]) -> None:
    if max(sides) > _LONGEST_SIDE:
        raise InputError(
            f"{path} must have at most {_LONGEST_SIDE:,} pixels a side. Got: {max(sides):,}. "
            "Make it smaller."
        )


def _luminance(image: "Image.Image") -> np.ndarray:
    """float32 `[height, width]`, 0 to 1, at most 1,600 pixels a side."""
    from PIL import Image

    factor = min(1, _LONGEST / max(image.size))
    width, height = (max(1, round(length * factor)) for length in image.size)
    if image.mode.startswith(("I", "F")):  # 16 or 32 bits, of which a scanner may use 12
        values = np.nan_to_num(np.array(image, np.float32), copy=False)
        values = np.clip(values, -_LARGEST_VALUE, _LARGEST_VALUE, out=values)
        lowest, highest = min(0, values.min()), values.max()
        values -= lowest
        values /= max(highest - lowest, 1e-9)
        return np.asarray(Image.fromarray(values).resize((width, height), Image.Resampling.BOX))
    transparent = image.has_transparency_data
    if transparent:
        image = image.convert("RGBA")  # a palette's transparency becomes a channel
    image = image.convert("LA" if transparent else "L").resize(
        (width, height), Image.Resampling.BOX
    )
    values = np.asarray(image, np.float32) / np.float32(255)
    return _on_paper(values[..., 0], values[..., 1]) if transparent else values


def _on_paper(luminance: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Lays what is opaque on paper; `[height, width]` both, 0 to 1."""
    opaque = luminance[alpha > 0.5]
    if not opaque.size:
        return np.ones_like(luminance)
    darkest, lightest = np.percentile(opaque, [1, 99])
    # A sheet, if it covers most or has ink and paper of its own; else ink alone.
    is_sheet = opaque.size > 0.6 * alpha.size or lightest - darkest > 0.5
    paper = np.median(opaque) if is_sheet else np.round(1 - opaque.mean())
    return (luminance * alpha + paper * (1 - alpha)).astype(np.float32)
