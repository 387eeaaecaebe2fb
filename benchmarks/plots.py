"""Draws the plots of a report, if Matplotlib is installed."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnist_edge import drawing

from . import tables
from .bundles import Bundle, spaced
from .measurement import Measurement, Parity, Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PICTURE = "benchmark.png"
DISAGREEMENTS_PICTURE = "benchmark-disagreements.png"
FILES = {PICTURE, DISAGREEMENTS_PICTURE}
_MOST_DRAWN = 40  # disagreeing images; more mean a broken artifact, which the table shows
_DPI = 150


def draw(report: Report, loaded: Sequence[Bundle], folder: Path) -> list[str]:
    """Draws the plots of a report.

    Args:
        report: The report.
        loaded: The bundles of the report.
        folder: Folder for the plots.

    Returns:
        One line per plot that could not be drawn, with the reason.
    """
    if not drawing.available():
        return ["no plots: Matplotlib is not installed"]
    skipped = []
    points = [(row, row.parity) for row in report.measurements if row.parity and row.latency]
    used = ", ".join(dict.fromkeys(map(tables.test_images, report.bundles)))
    if points:
        _scatter(points, report.several, used, folder / PICTURE)
    tiles, count = _tiles(report, loaded)
    if tiles:
        _disagreements(tiles, count, used, folder / DISAGREEMENTS_PICTURE)
    elif count:
        skipped.append("no plot of disagreements: the examples are not images")
    return skipped


def _scatter(
    points: Sequence[tuple[Measurement, Parity]], several: bool, used: str, path: Path
) -> None:
    """Plots accuracy against latency; a disc's area is the size."""
    figure = drawing.blank(12, 8.5)
    axes = figure.subplots()
    largest = max(row.shipped_bytes for row, _ in points)
    labels = list(dict.fromkeys(row.bundle for row, _ in points))
    x = [row.latency[0].p50_us for row, _ in points]
    y = [100 * parity.accuracy for _, parity in points]
    # In points squared: 900 is a disc about half an inch wide.
    areas = [30 + 900 * row.shipped_bytes / largest for row, _ in points]
    for i, (row, parity) in enumerate(points):
        color = f"C{labels.index(row.bundle)}"
        axes.scatter(x[i], y[i], s=areas[i], color=color, alpha=0.4)
        axes.scatter(x[i], y[i], s=6, color="black", zorder=3)
        # Intervals show that a few images of 10,000 are not a significant difference.
        ends = [100 * end for end in parity.accuracy_interval]
        axes.plot([x[i]] * 2, ends, color=color, linewidth=0.8, alpha=0.5)
    axes.set_xscale("log")
    axes.margins(0.15)
    axes.set_xlabel("median latency at batch 1, µs (log scale)")
    axes.set_ylabel(f"accuracy on {used}, %")
    threads = points[0][0].latency[0].threads
    axes.set_title(
        f"Accuracy against latency, threads: {threads}; bar: 95 % interval; area: file size, at "
        f"most {largest / 1000:,.0f} kB"
    )
    axes.grid(alpha=0.3)
    names = [drawing.plain(row.name(several)) for row, _ in points]
    label_points(axes, x, y, areas, names)
    figure.savefig(path, dpi=_DPI)


def label_points(
    axes: "Axes",
    x: Sequence[float],
    y: Sequence[float],
    areas: Sequence[float],
    names: Sequence[str],
) -> None:
    """Labels points, as near as possible without overlaps, with a line from label to point.

    Args:
        axes: Axes that the points are drawn on.
        x: The points' x coordinates, in data units.
        y: The points' y coordinates, in data units.
        areas: Areas of the points' discs, in points squared.
        names: The labels; a point with an empty one is only an obstacle for the others.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

    canvas = FigureCanvasAgg(axes.figure)
    canvas.draw()  # computes the layout, which the positions below depend on
    frame, centers = axes.get_window_extent(), axes.transData.transform(np.column_stack([x, y]))
    # 0.8 of each disc's radius in pixels: half the side of a box that mostly covers the disc.
    reaches = 0.8 * np.sqrt(np.asarray(areas) / np.pi) * axes.figure.dpi / 72
    taken = [
        Bbox([center - reach, center + reach])
        for center, reach in zip(centers, reaches, strict=True)
    ]
    for index in np.argsort(x):
        if not names[index]:
            continue
        for dx, dy in _OFFSETS:
            label = axes.annotate(
                names[index],
                (x[index], y[index]),
                xytext=(dx, dy),
                textcoords="offset points",
                ha="left" if dx > 0 else "right",
                va="center",
                fontsize=9,
                arrowprops={"arrowstyle": "-", "color": "gray", "linewidth": 0.6},
                bbox={"boxstyle": "round,pad=0.1", "color": "white", "alpha": 0.7},
                in_layout=False,
            )
            label.update_positions(canvas.get_renderer())
            box = Text.get_window_extent(label).padded(2)  # of the text, without the line
            is_free = not any(map(box.overlaps, taken))
            if is_free and frame.contains(box.x0, box.y0) and frame.contains(box.x1, box.y1):
                break
            label.remove()
        else:
            axes.add_artist(label)  # no free position: keep the last one tried
        taken.append(box)


# Positions of a label relative to its point, in points, nearest first.
_OFFSETS = [
    (side * reach, rise)
    for reach in (14, 30, 60, 100)
    for rise in (0, 14, -14, 28, -28, 42, -42, 60, -60, 80, -80, 100, -100, 120, -120)
    for side in (1, -1)
]


def _tiles(report: Report, loaded: Sequence[Bundle]) -> tuple[list[tuple[np.ndarray, str]], int]:
    """Returns `([(image, title)], count)`: the images to draw, and the number that disagree."""
    by_label = {one.label: one for one in loaded}
    names = {one.label: drawing.names(one.manifest.data.labels) for one in loaded}
    predictions: dict[tuple[str, int], dict[str, int]] = {}
    for row in report.measurements:
        if row.parity:
            found = row.parity.disagreements
            for index, choice in zip(found.indices, found.choices, strict=True):
                predictions.setdefault((row.bundle, index), {})[row.name(False)] = choice
    images = sorted(predictions)
    tiles = []
    for place in spaced(len(images), _MOST_DRAWN):
        label, index = images[place]
        one, called = by_label[label], names[label]
        at = int(np.searchsorted(one.indices, index))
        pictures = one.pictures([at])
        if pictures is None:
            continue
        lines = [
            f"image {index} is {called[one.labels[at]]}",
            f"keras: {called[one.reference[at].argmax()]}",
        ]
        lines += [
            f"{drawing.plain(name)}: {called[choice]}"
            for name, choice in predictions[label, index].items()
        ]
        tiles.append((pictures[0], "\n".join([drawing.plain(label), *lines][len(loaded) == 1 :])))
    return tiles, len(images)


def _disagreements(
    tiles: Sequence[tuple[np.ndarray, str]], count: int, used: str, path: Path
) -> None:
    """Draws the images on which an artifact and Keras disagree, titled with both predictions."""
    columns = min(8, len(tiles))
    lines = -(-len(tiles) // columns)
    tallest = max(title.count("\n") for _, title in tiles) + 1
    figure = drawing.blank(max(5, 1.9 * columns), lines * (1.3 + 0.14 * tallest) + 0.6)
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, (image, title) in zip(grid.flat, tiles, strict=False):
        axes.imshow(image)
        axes.set_title(title, fontsize=7, loc="left")
    drawn = "" if len(tiles) == count else f" ({len(tiles)} of them drawn)"
    figure.suptitle(f"{count} of {used} on which an artifact and Keras disagree{drawn}")
    figure.savefig(path, dpi=_DPI)
