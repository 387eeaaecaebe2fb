"""Strips of one to three digits, most of them touching: what the small readers are trained on."""

import numpy as np
from PIL import Image

from . import glyphs
from .glyphs import Source

_COUNTS = (0.2, 0.65, 0.15)  # how often a strip has one, two and three digits
_HEIGHTS = (44, 84)  # of a digit, pixels; what follows are shares of it
_LIFT, _DEEPEST, _WIDEST_GAP = 0.06, 0.1, 0.12
_TOUCH = 0.85  # how often two digits touch
_FONTS = 0.45  # how often the digits are a font's, which is always varied
_VARIED = 0.5  # how often MNIST's are
_COARSE, _ROWS = 0.15, (8, 16)  # how often a strip has few pixels, and in how many rows

# The digits of a strip, and the ink of each alone, float32 `[digits, height, width]`.
Strip = tuple[list[int], np.ndarray]


def sources() -> list[list[Source]]:
    """Returns MNIST's training digits, and the fonts for training."""
    fonts = [glyphs.font(file) for file in glyphs.FONTS[glyphs.TRAINING]]
    return [[glyphs.mnist(glyphs.TRAINING)], fonts]


def strip(choices: list[list[Source]], rng: np.random.Generator) -> Strip:
    """Draws digits of one hand side by side; `choices` are `sources()`."""
    glyph = _hand(choices, rng)
    count = int(rng.choice([1, 2, 3], p=_COUNTS))
    height, widen = rng.uniform(*_HEIGHTS), rng.uniform(-1, 1)
    digits = rng.integers(0, 10, count).tolist()
    inks = [glyph(digit, height, widen, rng) for digit in digits]
    lifts = rng.uniform(-_LIFT, _LIFT, count) * height
    starts = [0]
    for number in range(1, count):
        one, other = inks[number - 1 : number + 1]
        end = starts[-1] + one.shape[1]
        reach = glyphs.room(one, other, round(lifts[number - 1] - lifts[number]))
        is_apart = rng.random() >= _TOUCH
        gap = rng.uniform(0, _WIDEST_GAP) if is_apart else -rng.uniform(0, _DEEPEST)
        starts.append(max(0, end - reach + round(gap * height)))
    tall = max(map(len, inks)) + round(2 * _LIFT * height) + 4
    wide = max(start + ink.shape[1] for start, ink in zip(starts, inks, strict=True)) + 4
    layers = np.zeros((count, tall, wide), np.float32)
    for layer, ink, start, lift in zip(layers, inks, starts, lifts, strict=True):
        top = int(np.clip(round((tall - len(ink)) / 2 - lift), 0, tall - len(ink)))
        layer[top : top + len(ink), start + 2 : start + 2 + ink.shape[1]] = ink
    return digits, layers


def ink(layers: np.ndarray, rng: np.random.Generator, coarse: float = _COARSE) -> np.ndarray:
    """Returns all ink of a strip as a picture shows it, float32 `[height, width]`, 0 to 1.

    Args:
        layers: Of a `Strip`.
        rng: Random numbers.
        coarse: How often it has few pixels.
    """
    from scipy import ndimage

    whole = ndimage.gaussian_filter(layers.max(0), rng.uniform(0, 0.8))
    if rng.random() < coarse:
        whole = _coarse(whole, rng.uniform(*_ROWS) / len(whole))
    return whole / whole.max()


def _hand(choices: list[list[Source]], rng: np.random.Generator) -> Source:
    is_font = rng.random() < _FONTS
    among = choices[is_font]
    glyph = among[rng.integers(len(among))]
    return glyphs.varied(glyph, rng) if is_font or rng.random() < _VARIED else glyph


def _coarse(whole: np.ndarray, factor: float) -> np.ndarray:
    """Returns ink as a scan of few pixels, enlarged again."""
    size = whole.shape[::-1]
    small = [max(1, round(length * factor)) for length in size]
    reduced = Image.fromarray(whole).resize(small, Image.Resampling.BOX)
    return np.asarray(reduced.resize(size, Image.Resampling.BICUBIC)).clip(0, 1)
