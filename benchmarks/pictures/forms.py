"""Forms of digits that MNIST's writers seldom use, drawn as strokes.

A 1 with a long flag or a foot, an open 4, a 7 with a bar, a 9 with a curled tail.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from . import glyphs

# Points `[n, 2]`, right and down, in heights of a digit.
Stroke = np.ndarray

_PEN, _WIDER = 0.11, 0.06  # of the height: width of the stroke, and by how much it varies
_SLANTS = {1: (-0.2, 0.15)}  # of a 1 that leans further, the flag is level as that of a 7
_SLANT = (-0.2, 0.3)
_FINER = 3  # strokes are drawn so many times larger, to smooth their edges
_STEPS = 12  # lines between two points


def _one(rng: np.random.Generator) -> list[Stroke]:
    reach = rng.uniform(0.12, 0.62)
    drop = np.clip(reach * rng.uniform(0.65, 1.5), 0.15, 0.65)
    bend, lean = rng.uniform(-0.08, 0.08, 2)
    flag = [(-reach, drop), (bend - reach / 2, bend + drop / 2), (0, 0)]
    strokes = [flag, [(0, 0), (lean, 1)]]
    if rng.random() < 0.2:
        half = rng.uniform(0.1, 0.35)
        left, right = 1 + rng.uniform(-0.03, 0.03, 2)
        strokes.append([(lean - half, left), (lean + half, right)])
    return [np.array(stroke) for stroke in strokes]


def _four(rng: np.random.Generator) -> list[Stroke]:
    bar, top, left, right = rng.uniform((0.55, 0.1, -0.1, 0.6), (0.85, 0.6, 0.05, 0.85))
    bend, sag, rise = rng.uniform((-0.12, -0.02, -0.12), (0.05, 0.06, 0.04))
    first = [
        (top, 0),
        ((top + left) / 2 + bend, bar * rng.uniform(0.45, 0.6)),
        (left, bar),
        ((left + right) / 2, bar + sag),
        (right, bar + rise),
    ]
    x, y, lean = rng.uniform((0.35, 0.1, -0.3), (0.7, bar - 0.1, 0.05))
    return [np.array(first), np.array([(x, y), (x + lean, 1)])]


def _seven(rng: np.random.Generator) -> list[Stroke]:
    width, foot, start = rng.uniform((0.35, 0, -0.03), (0.6, 0.35, 0.06))
    sag, bend = rng.uniform((-0.05, 0.3), (0.05, 0.55))
    first = [(0, start), (width / 2, start + sag), (width, 0)]
    second = [(width, 0), (foot + (width - foot) * bend, 0.5), (foot, 1)]
    middle, half, bar = (foot + width) / 2, rng.uniform(0.12, 0.3), rng.uniform(0.42, 0.6)
    left, right = bar + rng.uniform(-0.06, 0.06, 2)
    strokes = [first, second, [(middle - half, left), (middle + half, right)]]
    if rng.random() < 0.3:
        strokes.append([(0, start), (rng.uniform(-0.04, 0.04), start + rng.uniform(0.08, 0.2))])
    return [np.array(stroke) for stroke in strokes]


def _nine(rng: np.random.Generator) -> list[Stroke]:
    half = rng.uniform((0.14, 0.14), (0.28, 0.27))
    turn = rng.uniform(-0.6, 0.1) + np.linspace(0, 2 * np.pi * rng.uniform(0.9, 1.05), 14)
    loop = half + half * np.stack([np.cos(turn), -np.sin(turn)], 1)
    right, low = 2 * half
    out, curl, up = rng.uniform((-0.05, -0.1, -0.02), (0.25, 0.5, 0.1))
    if curl < 0:
        tail = [(right + 0.3 * out, 0.6), (right + out - 0.1, 1)]
    else:
        tail = [
            (right + 0.5 * out, low + 0.35 * (1 - low)),
            (right + out, low + 0.7 * (1 - low)),
            (right + out - 0.5 * curl, 1),
            (right + out - curl - 0.05, 1 - up),
        ]
    return [np.concatenate([loop, tail])]


FORMS: dict[int, Callable[[np.random.Generator], list[Stroke]]] = {
    1: _one,
    4: _four,
    7: _seven,
    9: _nine,
}


def draw(digit: int, height: float, widen: float, rng: np.random.Generator) -> np.ndarray:
    """Draws a digit of `FORMS`; a `glyphs.Source` of these digits alone."""
    strokes = [_smooth(stroke) for stroke in FORMS[digit](rng)]
    slant = rng.uniform(*_SLANTS.get(digit, _SLANT))
    strokes = [stroke - stroke[:, 1:] * (slant, 0) for stroke in strokes]
    pen = _PEN + _WIDER * widen
    points = np.concatenate(strokes)
    start, size = points.min(0) - pen, np.ptp(points, 0) + 2 * pen
    width, tall = np.ceil(size * height).astype(int).tolist()
    image = Image.new("L", (_FINER * width, _FINER * tall))
    pencil, scale = ImageDraw.Draw(image), _FINER * height
    for stroke in strokes:
        places = [tuple(place) for place in ((stroke - start) * scale).tolist()]
        pencil.line(places, 255, round(pen * scale), "curve")
        for place in places:
            pencil.circle(place, pen * scale / 2, 255)
    return glyphs.cropped(np.asarray(image.reduce(_FINER), np.float32) / 255)


def _smooth(stroke: Stroke) -> Stroke:
    """Returns a curve through the points of a stroke."""
    from scipy import interpolate

    curve = interpolate.make_interp_spline(np.arange(len(stroke)), stroke, min(3, len(stroke) - 1))
    return curve(np.linspace(0, len(stroke) - 1, _STEPS * (len(stroke) - 1) + 1))
