"""The kinds of picture, and their renderer: the same bytes every time."""

import dataclasses
import zlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ..corruptions import draws
from . import glyphs, paper
from .glyphs import Source
from .paper import Camera, Range, between

_HEIGHTS: Range = (44.0, 110.0)  # of a digit, pixels; what follows are shares of it
_GAPS: Range = (0.08, 0.4)  # between digits
_DEEPEST = 2 / 20  # two of MNIST's pixels: how far digits that touch overlap
_LIFT = 0.06  # of a digit above or below its neighbors, at most
_MARGIN: Range = (0.25, 0.7)  # of paper around the digits
_OUTSIDE = 0.8  # of the sheet beyond the picture on each side, for rotation and perspective

# Pictures per kind, of MNIST's digits and of fonts' digits.
COUNTS = {"MNIST": 195, "fonts": 65}

# Ink, and the box that it lies in: left, top, right, bottom.
Box = tuple[int, int, int, int]
# Draws what is printed on a sheet: its shape, the box of each digit, their height.
Print = Callable[[tuple[int, int], Sequence[Box], float, np.random.Generator], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Rendered:
    """A picture.

    Attributes:
        kind: Its kind.
        source: "MNIST" or "fonts".
        text: The digits on it.
        gray: uint8 `[height, width]`, luminance.
    """

    kind: str
    source: str
    text: str
    gray: np.ndarray


def _blank(
    shape: tuple[int, int], boxes: Sequence[Box], height: float, rng: np.random.Generator
) -> np.ndarray:
    return np.zeros(shape, np.float32)


def _ruled(
    shape: tuple[int, int], boxes: Sequence[Box], height: float, rng: np.random.Generator
) -> np.ndarray:
    """Lines across the sheet; the digits stand about on one of them."""
    step, width = between(rng, (1.0, 1.7)) * height, between(rng, (1.0, 3.5))
    base = boxes[0][3] + between(rng, (-0.12, 0.12)) * height
    rows = paper.stripes(shape[0], base + step * np.arange(-4, 4), width)
    return between(rng, (0.25, 0.9)) * np.repeat(rows[:, None], shape[1], 1)


def _squared(
    shape: tuple[int, int], boxes: Sequence[Box], height: float, rng: np.random.Generator
) -> np.ndarray:
    step, width = between(rng, (0.35, 1.0)) * height, between(rng, (1.0, 2.5))
    rows, columns = (
        paper.stripes(side, np.arange(between(rng, (0, step)), side, step), width) for side in shape
    )
    return between(rng, (0.25, 0.8)) * np.maximum(rows[:, None], columns[None])


def _framed(
    shape: tuple[int, int], boxes: Sequence[Box], height: float, rng: np.random.Generator
) -> np.ndarray:
    """One frame around all digits, which may reach a little over its sides."""
    pads = np.array([between(rng, (-0.04, 0.45)) * height for _ in range(4)])
    sides = _around(boxes) + pads * (-1, -1, 1, 1)
    return between(rng, (0.5, 1.0)) * paper.frame(shape, sides, between(rng, (1.0, 4.5)))


def _boxed(
    shape: tuple[int, int], boxes: Sequence[Box], height: float, rng: np.random.Generator
) -> np.ndarray:
    """One box per digit: side by side with walls in common, or apart."""
    _, top, _, bottom = _around(boxes)
    above, below = between(rng, (0.04, 0.3)) * height, between(rng, (0.04, 0.3)) * height
    width, strength = between(rng, (1.0, 4.0)), between(rng, (0.5, 1.0))
    apart = between(rng, (0.06, 0.12)) * height if draws.uniform(rng) < 0.5 else 0.0
    cell = _pitch(height)
    drawn = np.zeros(shape)
    for left, _, right, _ in boxes:
        middle = (left + right) / 2
        sides = (middle - (cell - apart) / 2, top - above, middle + (cell - apart) / 2)
        drawn = np.maximum(drawn, paper.frame(shape, (*sides, bottom + below), width))
    return strength * drawn


def _around(boxes: Sequence[Box]) -> np.ndarray:
    edges = np.array(boxes)
    return np.concatenate([edges[:, :2].min(0), edges[:, 2:].max(0)]).astype(float)


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of picture.

    Attributes:
        digits: Fewest and most digits of a string.
        printed: Draws what is printed on the sheet.
        spacing: "apart", "touching", or "cells" of equal width.
        camera: How it is photographed.
    """

    digits: tuple[int, int] = (1, 6)
    printed: Print = _blank
    spacing: str = "apart"
    camera: Camera = dataclasses.field(default_factory=Camera)


KINDS = {
    "plain": Kind(),
    "frame": Kind((1, 3), _framed),
    "boxes": Kind((3, 6), _boxed, "cells"),
    "ruled": Kind((2, 6), _ruled),
    "squared": Kind((2, 6), _squared),
    "touching": Kind((2, 2), spacing="touching"),
    "shadow": Kind(camera=Camera(shadow=(0.4, 0.75))),
    "low contrast": Kind(camera=Camera(ink=(0.12, 0.3))),
    "perspective": Kind((2, 5), camera=Camera(degrees=5, slant=0.15)),
    "light": Kind(camera=Camera(dimmest=(0.3, 0.6), noise=(0.01, 0.03))),
}


def render(
    part: str, kinds: Sequence[str] = tuple(KINDS), fonts: bool = True
) -> Iterator[Rendered]:
    """Renders pictures, `COUNTS` of each kind.

    Args:
        part: `glyphs.VALIDATION` or `glyphs.TEST`: whose digits.
        kinds: Names of `KINDS`.
        fonts: Whether to render digits of fonts too.
    """
    sources = {"MNIST": [glyphs.mnist(part)]}
    if fonts:
        sources["fonts"] = [glyphs.font(file) for file in glyphs.FONTS[part]]
    for name in kinds:
        for source, choices in sources.items():
            for number in range(COUNTS[source]):
                # Each picture has a seed of its own, so that another kind moves none.
                seed = zlib.crc32(f"{part} {name} {source} {number}".encode())
                rng = np.random.default_rng(seed)
                glyph = choices[number % len(choices)]
                yield Rendered(name, source, *_picture(KINDS[name], glyph, rng))


def _picture(kind: Kind, glyph: Source, rng: np.random.Generator) -> tuple[str, np.ndarray]:
    """Renders one picture; returns its text and luminance."""
    text = glyphs.text(rng, *kind.digits)
    height = between(rng, _HEIGHTS)
    widen = between(rng, (-1, 1))
    digits = [glyph(int(digit), height, widen, rng) for digit in text]
    lifts = [between(rng, (-_LIFT, _LIFT)) * height for _ in digits]
    starts = _starts(kind.spacing, digits, lifts, height, rng)
    margin = between(rng, _MARGIN) * height
    border = round(margin + _OUTSIDE * height)
    tallest = max(map(len, digits)) + round(2 * _LIFT * height)
    width = max(start + one.shape[1] for start, one in zip(starts, digits, strict=True))
    ink = np.zeros((tallest + 2 * border, width + 2 * border), np.float32)
    boxes = []
    for one, start, lift in zip(digits, starts, lifts, strict=True):
        left, top = border + start, border + round((tallest - len(one)) / 2 - lift)
        boxes.append((left, top, left + one.shape[1], top + len(one)))
        inside = ink[top : top + len(one), left : left + one.shape[1]]
        np.maximum(inside, one, out=inside)
    lines = kind.printed(ink.shape, boxes, height, rng)
    outside = round(_OUTSIDE * height)
    return text, paper.photograph(ink, lines, kind.camera, outside, rng)


def _starts(
    spacing: str,
    digits: Sequence[np.ndarray],
    lifts: Sequence[float],
    height: float,
    rng: np.random.Generator,
) -> list[int]:
    """Returns the first column of each digit."""
    if spacing == "cells":
        cell = _pitch(height)
        off = [between(rng, (-0.08, 0.08)) * height for _ in digits]
        return [round(cell * (i + 0.5) - one.shape[1] / 2 + off[i]) for i, one in enumerate(digits)]
    starts = [0]
    for number in range(1, len(digits)):
        end = starts[-1] + digits[number - 1].shape[1]
        if spacing == "touching":
            lower = round(lifts[number - 1] - lifts[number])
            reach = glyphs.room(digits[number - 1], digits[number], lower)
            end -= reach + round(between(rng, (0, _DEEPEST)) * height)
        else:
            end += round(between(rng, _GAPS) * height)
        starts.append(max(0, end))
    return starts


def _pitch(height: float) -> float:
    return 1.25 * height
