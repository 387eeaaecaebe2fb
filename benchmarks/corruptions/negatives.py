"""Pictures of no digit: blank paper, textures, scribbles, letters."""

import functools
import string
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from . import draws, light

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

Negative = Callable[[np.random.Generator, int, int, int], np.ndarray]

_SEED = 1
_CHUNK = 250
_GRAIN = 10  # gray levels: the largest deviation of paper's noise
_PERIODS = (3, 14)  # pixels of a pattern's period: finer ones alias, coarser ones are blank
_POINTS, _WAVES = 96, 3  # of a scribble
_PEN = 1.5  # pixels from its middle to where a stroke ends
# Matplotlib brings these fonts. I, l, O and o look like digits in any font.
_FONTS = ("Sans", "Sans-Bold", "Sans-Oblique", "SansMono", "Serif", "Serif-Italic")
_LETTERS = "".join(letter for letter in string.ascii_letters if letter not in "IlOo")
_LETTER_SIZE, _TURN = 0.7, 10  # share of the picture's height; degrees to either side


def blank(rng: np.random.Generator, count: int, height: int, width: int) -> np.ndarray:
    """Paper of any gray, with a little grain."""
    gray, grain = 255 * draws.uniform(rng, count, 1, 1), _GRAIN * draws.uniform(rng, count, 1, 1)
    return gray + grain * draws.normal(rng, count, height, width)


def textures(rng: np.random.Generator, count: int, height: int, width: int) -> np.ndarray:
    """Clouds, stripes, checks and noise, as many of each."""
    size = 1 << (max(height, width) - 1).bit_length()
    clouds = light.clouds(rng, count, size)[:, :height, :width]
    low, high = _PERIODS
    period = low + (high - low) * draws.uniform(rng, 2, count, 1, 1)
    phase, angle = 2 * np.pi * draws.uniform(rng, 2, count, 1, 1)
    y, x = np.mgrid[:height, :width]
    along, across = (
        np.sin(2 * np.pi / one * (np.cos(turn) * x + np.sin(turn) * y) + phase)
        for one, turn in zip(period, (angle, angle + np.pi / 2), strict=True)
    )
    grain = draws.uniform(rng, count, height, width)
    kinds = np.stack([clouds, (1 + along) / 2, (along * across > 0).astype(float), grain])
    return 255 * kinds[np.arange(count) % len(kinds), np.arange(count)]


def scribbles(rng: np.random.Generator, count: int, height: int, width: int) -> np.ndarray:
    """One long curved stroke, light on dark."""
    turns = 2 * np.pi * np.arange(_POINTS) / _POINTS * np.arange(1, _WAVES + 1)[:, None]
    phases = 2 * np.pi * draws.uniform(rng, 2, count, _WAVES, 1)
    sizes = draws.uniform(rng, 2, count, _WAVES, 1) / _WAVES
    paths = (sizes * np.sin(turns + phases)).sum(2)  # [2, count, points], -1 to 1
    middles = np.array([height, width])[:, None, None] / 2
    rows, columns = (middles - 0.5 + 0.9 * middles * paths)[..., None, None]
    y, x = np.mgrid[:height, :width]
    distance = np.sqrt(((rows - y) ** 2 + (columns - x) ** 2).min(1))
    return 255 * (_PEN - distance).clip(0, 1)


def letters(rng: np.random.Generator, count: int, height: int, width: int) -> np.ndarray:
    """Printed letters, light on dark, turned a little; not those that look like digits."""
    from PIL import Image, ImageDraw

    which = draws.integers(rng, 0, len(_LETTERS) - 1, count)
    fonts = draws.integers(rng, 0, len(_FONTS) - 1, count)
    turns = _TURN * (2 * draws.uniform(rng, count) - 1)
    pictures = []
    for letter, font, turn in zip(which, fonts, turns, strict=True):
        picture = Image.new("L", (width, height))
        middle, loaded = (width / 2, height / 2), _font(_FONTS[font], round(_LETTER_SIZE * height))
        ImageDraw.Draw(picture).text(middle, _LETTERS[letter], 255, font=loaded, anchor="mm")
        pictures.append(np.asarray(picture.rotate(float(turn), Image.Resampling.BICUBIC)))
    return np.stack(pictures).astype(np.float64)


@functools.cache
def _font(name: str, size: int) -> "FreeTypeFont":
    import matplotlib
    from PIL import ImageFont

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / f"DejaVu{name}.ttf"), size)


NEGATIVES: dict[str, Negative] = {
    "blank paper": blank,
    "textures": textures,
    "scribbles": scribbles,
    "letters": letters,
}


def make(name: str, count: int, shape: tuple[int, ...]) -> np.ndarray:
    """Makes pictures, the same each time.

    Args:
        name: A name of `NEGATIVES`.
        count: How many.
        shape: `(height, width)` or `(height, width, channels)`, which are alike.

    Returns:
        float32 `[count, *shape]`, whole gray levels, 0 to 255.
    """
    rng = np.random.default_rng(_SEED)
    parts = [
        NEGATIVES[name](rng, min(_CHUNK, count - start), *shape[:2])
        for start in range(0, count, _CHUNK)
    ]
    gray = np.floor(np.concatenate(parts).clip(0, 255) + 0.5 + 1e-6).astype(np.float32)
    stacked = gray.reshape(*gray.shape, *(1 for _ in shape[2:]))
    return np.broadcast_to(stacked, (count, *shape))
