"""Lines on paper, and the camera: perspective, light and noise."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from PIL import Image

from ..corruptions import draws

Range = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Camera:
    """How a sheet of paper is photographed; each range is drawn from evenly.

    Attributes:
        degrees: Largest rotation.
        slant: Largest shift of a corner, as a share of the picture's shorter side.
        ink: Darkness of the ink, 0 to 1, as a share of the paper's light.
        dimmest: Light in the darkest corner, as a share of that in the lightest.
        shadow: Light inside a shadow, as a share of that outside.
        noise: Standard deviation, as a share of the largest value.
    """

    degrees: float = 1.5
    slant: float = 0.02
    ink: Range = (0.55, 0.9)
    dimmest: Range = (0.85, 1.0)
    shadow: Range = (1.0, 1.0)
    noise: Range = (0.0, 0.012)


def between(rng: np.random.Generator, ends: Range) -> float:
    """Draws a number from a range."""
    return ends[0] + (ends[1] - ends[0]) * float(draws.uniform(rng))


def stripes(length: int, centers: Sequence[float] | np.ndarray, width: float) -> np.ndarray:
    """Returns the profile across parallel lines, `[length]`, 0 to 1, with smooth edges."""
    away = np.abs(np.arange(length)[:, None] + 0.5 - np.asarray(centers)[None])
    return (width / 2 + 0.5 - away).clip(0, 1).max(1, initial=0)


def frame(shape: tuple[int, int], box: Sequence[float] | np.ndarray, width: float) -> np.ndarray:
    """Draws the outline of a box (left, top, right, bottom); returns `[height, width]`, 0 to 1."""
    left, top, right, bottom = box
    rows, columns = stripes(shape[0], (top, bottom), width), stripes(shape[1], (left, right), width)
    within = [
        stripes(length, [(first + last) / 2], last - first + width)
        for length, (first, last) in zip(shape, ((top, bottom), (left, right)), strict=True)
    ]
    return np.maximum(np.outer(rows, within[1]), np.outer(within[0], columns))


def photograph(
    ink: np.ndarray, lines: np.ndarray, camera: Camera, margin: int, rng: np.random.Generator
) -> np.ndarray:
    """Photographs a sheet of paper.

    Args:
        ink: What was written, float32 `[height, width]`, 0 to 1.
        lines: What was printed, in the same shape; 1 is as dark as the ink.
        camera: How.
        margin: How much of the sheet's border stays outside the picture, in pixels.
        rng: Random numbers.

    Returns:
        uint8 `[height, width]`, luminance.
    """
    from scipy import ndimage

    darkness = between(rng, camera.ink)
    sheet = (1 - darkness * ink) * (1 - darkness * lines)
    seen = _seen(sheet.astype(np.float32), camera, margin, rng)
    seen = ndimage.gaussian_filter(seen, between(rng, (0.0, 0.8)))
    light = _light(seen.shape, camera, rng)
    noise = between(rng, camera.noise) * draws.normal(rng, *seen.shape)
    values = seen * light * between(rng, (0.8, 0.98)) + noise
    return np.round(values.clip(0, 1) * 255).astype(np.uint8)


def _seen(sheet: np.ndarray, camera: Camera, margin: int, rng: np.random.Generator) -> np.ndarray:
    """Cuts the picture from the sheet: rotated, and in perspective."""
    height, width = (side - 2 * margin for side in sheet.shape)
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    angle = np.radians(camera.degrees * (2 * draws.uniform(rng) - 1))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = (corners - (width / 2, height / 2)) @ turn.T + (width / 2, height / 2)
    moved += camera.slant * min(width, height) * (2 * draws.uniform(rng, 4, 2) - 1) + margin
    rows = []
    for (x, y), (u, v) in zip(corners, moved, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    to_sheet = np.linalg.solve(np.array(rows), moved.reshape(-1)).tolist()
    image = Image.fromarray(sheet).transform(
        (width, height),
        Image.Transform.PERSPECTIVE,
        to_sheet,
        Image.Resampling.BICUBIC,
        fillcolor=1,
    )
    return np.asarray(image).clip(0, 1)


def _light(shape: Sequence[int], camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """Draws a lamp's light, and the shadow of a straight edge, soft or hard."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij")
    angle, edge = draws.uniform(rng, 2) * 2 * np.pi
    across = (x * np.cos(angle) + y * np.sin(angle)) / np.sqrt(2)  # -1 to 1
    lamp = 1 - (1 - between(rng, camera.dimmest)) * (across + 1) / 2
    depth, softness = 1 - between(rng, camera.shadow), between(rng, (0.01, 0.3))
    beyond = (x * np.cos(edge) + y * np.sin(edge) - between(rng, (-0.4, 0.4))) / softness
    return lamp * (1 - depth / (1 + np.exp(-(4 * beyond).clip(-50, 50))))
