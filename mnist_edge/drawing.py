"""Helpers for matplotlib figures that need no display and are legible in gray.

Ink is drawn dark on light. Colors are from Okabe and Ito's color-blind-safe palette, and each
also differs in line style, marker or lightness; the color map is cividis.
"""

import importlib.util
import math
from collections.abc import Iterable, Mapping
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


def available() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def require() -> None:
    """Raises `InputError` if matplotlib is not installed."""
    if not available():
        raise InputError(
            "matplotlib is required to draw and is not installed. Install 'mnist-edge[plots]'."
        )


def names(labels: Iterable[str]) -> list[str]:
    """Shortens class names for figures and escapes them as `plain` does."""
    short = (n if len(n) <= _LONGEST_NAME else n[: _LONGEST_NAME - 1] + "…" for n in labels)
    return list(map(plain, short))


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
    """Draws one image, `[height, width, 1]`, 0 (paper) to 255 (ink), on matplotlib axes."""
    axis.imshow(image[..., 0], cmap="gray_r", vmin=0, vmax=255)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set(linewidth=0.5, color=GRAY)


def percent(decimals: int | None = None) -> "PercentFormatter":
    """Returns an axis formatter that shows fractions as percentages."""
    from matplotlib.ticker import PercentFormatter

    return PercentFormatter(1, decimals)
