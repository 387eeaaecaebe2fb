"""Helpers for matplotlib figures that need no display and are legible in gray.

Ink is drawn dark on light. Colors are from Okabe and Ito's color-blind-safe palette, and each
also differs in line style, marker or lightness; the color map is cividis.
"""

import importlib.util
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnist_edge import bundle
from mnist_edge.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

BLUE, VERMILLION, PALE, GRAY = "#0072B2", "#D55E00", "#B9B9B9", "#666666"
SMALL, TINY = 8, 6.5  # points
_DPI = 150
_LONGEST_NAME = 14  # characters that fit above an image
# Examples with a shorter side, or sides of a larger ratio, are rows of numbers, such as a series.
_LEAST_SIDE, _LARGEST_RATIO = 8, 8


def available() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def require() -> None:
    """Raises `InputError` if matplotlib is not installed."""
    if not available():
        raise InputError(
            "matplotlib is required to draw and is not installed. Install 'mnist-edge[plots]'."
        )


def names(labels: Iterable[str], longest: int = _LONGEST_NAME) -> list[str]:
    """Shortens class names for figures and escapes them as `plain` does.

    A name with characters that the figures' font lacks is replaced by the number of its class.

    Args:
        labels: The names.
        longest: Number of characters that fit.
    """
    require()
    from matplotlib import font_manager

    known = font_manager.get_font(font_manager.findfont("DejaVu Sans")).get_charmap()
    short = []
    for index, name in enumerate(labels):
        drawable = name if all(ord(character) in known for character in name) else str(index)
        if len(drawable) > longest:  # names may differ at either end
            start = longest // 2
            drawable = f"{drawable[:start]}…{drawable[start + 1 - longest :]}"
        short.append(plain(drawable))
    return short


def is_picture(shape: Sequence[int]) -> bool:
    """Whether examples of this shape are gray or color pictures, rather than other numbers."""
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in (1, 3)):
        return False
    shorter, longer = sorted(shape[:2])
    return shorter >= _LEAST_SIDE and longer <= _LARGEST_RATIO * shorter


def as_pictures(
    examples: np.ndarray, input_range: tuple[float, float], is_ink: bool = False
) -> np.ndarray:
    """Converts examples for `draw_image`, as a screen shows them.

    Args:
        examples: Numbers `[n, height, width]`, or `[n, height, width, 1 or 3]`.
        input_range: The values of black and white.
        is_ink: Whether larger values are ink, to be drawn dark.

    Returns:
        uint8 `[n, height, width, 3]`, RGB.
    """
    low, high = input_range
    shares = (examples.astype(np.float32) - low) / max(high - low, 1e-9)  # a set of one value
    shares = (1 - shares if is_ink else shares).clip(0, 1)
    pictures = np.round(255 * shares).astype(np.uint8)
    pictures = pictures[..., None] if pictures.ndim == 3 else pictures
    return np.broadcast_to(pictures, (*pictures.shape[:3], 3))


def plain(text: str) -> str:
    """Escapes untrusted text for a figure: a dollar sign would start a formula."""
    return text.replace("$", r"\$")


def save(folder: Path, figures: Mapping[str, "Figure"]) -> None:
    """Writes each figure to `folder/plots/<name>.png`."""
    (folder / bundle.PLOTS).mkdir(exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(folder / bundle.PLOTS / f"{name}.png", dpi=_DPI)


def blank(width: float, height: float) -> "Figure":
    """Returns an empty figure of `width` x `height` inches that needs no display."""
    require()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def grid(count: int, columns: int, width: float, height: float) -> tuple["Figure", list["Axes"]]:
    """Returns `(figure, axes)`: `count` axes of `width` x `height` inches each, in a grid."""
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    figure = blank(width * columns, height * rows)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for spare in axes[count:]:
        spare.remove()
    return figure, axes[:count]


def draw_image(axis: "Axes", image: np.ndarray) -> None:
    """Draws one image on matplotlib axes.

    Args:
        axis: The axes.
        image: `[height, width, 1]`, 0 (paper) to 255 (ink), or RGB, uint8 `[height, width, 3]`.
    """
    ink = image[..., 0] if image.shape[-1] == 1 else image
    axis.imshow(ink, cmap="gray_r", vmin=0, vmax=255)  # RGB is drawn as it is
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set(linewidth=0.5, color=GRAY)


def percent() -> "PercentFormatter":
    """Returns an axis formatter that shows fractions as percentages."""
    from matplotlib.ticker import PercentFormatter

    return PercentFormatter(1)
