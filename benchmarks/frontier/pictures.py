"""Plots the frontier: accuracy against size, and accuracy against latency."""

import itertools
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mnist_edge import drawing, staging

from ..plots import label_points
from .published import PUBLISHED, Network
from .records import FLOAT, INT8, ExportResult, Record, Run
from .report import median_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

BYTES, LATENCY = "frontier-bytes.png", "frontier-latency.png"
_DPI = 150
_AREA = 55  # of a marker, in points squared
_LINE_AREA = 4  # of the obstacles that keep labels off a line, in points squared
_LEAST_ERROR = 1e-4  # one image of 10,000; bars are cut there, as the axis is logarithmic
_PERCENT = (50, 80, 90, 95, 97, 98, 98.5, 99, 99.2, 99.4, 99.6, 99.7, 99.8, 99.9)


class _Kind(NamedTuple):
    """Style and legend text of a kind of points; a hollow marker is a bound."""

    marker: str
    color: str
    filled: bool
    legend: str


_INT8 = "ours, int8 TFLite: mean over seeds, bar: ± standard deviation"
_FLOAT = "ours, float32 TFLite, joined to int8"
_LEAST = "published, lower bound of size: one byte per parameter"
_TIMED = "published accuracy, the same layers timed here in float32"
_KINDS = {
    "int8": _Kind("o", drawing.BLUE, True, _INT8),
    "float32": _Kind("s", drawing.BLUE, True, _FLOAT),
    "size": _Kind("D", drawing.VERMILLION, True, "published, with published size"),
    "least": _Kind("D", drawing.VERMILLION, False, _LEAST),
    "timed": _Kind("D", drawing.VERMILLION, True, _TIMED),
    "if int8": _Kind("D", drawing.VERMILLION, False, "the same in int8, if accuracy did not drop"),
}


class _Point(NamedTuple):
    """A point of a plot; None as `name` draws no label, `spread` is half of the bar."""

    name: str | None
    x: float
    accuracy: float
    kind: str
    spread: float = 0.0


def write(record: Record, folder: Path) -> None:
    """Draws both plots of a record with runs; only the first if nothing was timed."""
    with staging.staged(folder) as stage:
        title = "MNIST: accuracy against size"
        _draw(_by_size(record), title, "size, kB", stage / BYTES)
        if record.latency:
            title = "MNIST: accuracy against latency"
            x_label = "µs per call in LiteRT, batch 1, one thread"
            name = record.latency.unit
            unit = (name, record.call_times(name)[FLOAT].p50_us)
            _draw(_by_latency(record), title, x_label, stage / LATENCY, unit)


def _by_size(record: Record) -> list[_Point]:
    points = []
    for name, network in record.measured().items():
        int8 = network.exports(INT8)
        if int8:
            points.append(_ours(name, median_bytes(int8) / 1000, int8, "int8"))
    for one in PUBLISHED.networks:
        kind = "size" if one.size_bytes else "least"
        points.append(_Point(_label(one), one.least_bytes / 1000, one.accuracy, kind))
    return points


def _by_latency(record: Record) -> list[_Point]:
    points = []
    for name, network in record.measured().items():
        times, int8 = record.call_times(name), network.exports(INT8)
        if times and int8:
            points.append(_ours(name, times[INT8].p50_us, int8, "int8"))
            points.append(_ours(None, times[FLOAT].p50_us, network.runs, "float32"))
    for one in PUBLISHED.networks:
        times = record.call_times(one.name)
        if times:
            points.append(_Point(_label(one), times[FLOAT].p50_us, one.accuracy, "timed"))
            points.append(_Point(None, times[INT8].p50_us, one.accuracy, "if int8"))
    return points


def _ours(name: str | None, x: float, results: Sequence[Run | ExportResult], kind: str) -> _Point:
    accuracies = [one.test_accuracy for one in results]
    spread = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
    return _Point(name, x, statistics.mean(accuracies), kind, spread)


def _label(one: Network) -> str:
    return f"{one.name}\n{one.how}"


def _draw(
    points: list[_Point],
    title: str,
    x_label: str,
    path: Path,
    unit: tuple[str, float] | None = None,
) -> None:
    """Draws one plot; `unit` is a network and its latency in µs, for a second axis."""
    figure = drawing.blank(11, 8.5)
    axes = figure.subplots()
    axes.set_xscale("log")
    axes.set_yscale("log")
    for name, kind in _KINDS.items():
        chosen = [point for point in points if point.kind == name]
        if chosen:
            _markers(axes, chosen, kind)
    _joins(axes, points)
    _frontier(axes, [point for point in points if point.kind == "int8"])
    axes.margins(0.12)
    axes.invert_yaxis()
    axes.set_xlabel(f"{x_label} (log scale)")
    axes.set_ylabel("accuracy on the test set (log scale of the error)")
    _percent_log(axes.yaxis)
    _plain_log(axes.xaxis)
    axes.grid(alpha=0.3)
    if unit:
        name, unit_us = unit
        scale = (lambda us: us / unit_us, lambda calls: calls * unit_us)
        top = axes.secondary_xaxis("top", functions=scale)
        top.set_xlabel(f"relative to {name}'s float32 file (log scale)")
        _plain_log(top.xaxis)
    figure.suptitle(title)
    figure.legend(loc="outside lower center", ncols=2, fontsize=drawing.SMALL)
    _names(axes, points)
    figure.savefig(path, dpi=_DPI)


def _markers(axes: "Axes", points: list[_Point], kind: _Kind) -> None:
    axes.scatter(
        [point.x for point in points],
        [1 - point.accuracy for point in points],
        s=_AREA if points[0].name else _AREA / 2,
        marker=kind.marker,
        facecolors=kind.color if kind.filled else "white",
        edgecolors=kind.color,
        label=kind.legend,
        zorder=3,
    )
    for point in points:
        if point.spread:
            low, high = point.accuracy - point.spread, point.accuracy + point.spread
            ends = [1 - low, max(_LEAST_ERROR, 1 - high)]
            axes.plot([point.x] * 2, ends, color=kind.color, linewidth=1, alpha=0.6)


def _joins(axes: "Axes", points: list[_Point]) -> None:
    """Joins each network's labeled point with its unlabeled one, which follows it."""
    for first, second in itertools.pairwise(points):
        if first.name and not second.name:
            ends = [1 - first.accuracy, 1 - second.accuracy]
            color = _KINDS[first.kind].color
            axes.plot([first.x, second.x], ends, color=color, linewidth=0.8, alpha=0.4)


def _frontier(axes: "Axes", points: list[_Point]) -> None:
    """Draws our Pareto front as steps."""
    best: list[_Point] = []
    for point in sorted(points, key=lambda point: (point.x, -point.accuracy)):
        if not best or point.accuracy > best[-1].accuracy:
            best.append(point)
    if len(best) > 1:
        axes.plot(
            np.repeat([point.x for point in best], 2)[1:],
            np.repeat([1 - point.accuracy for point in best], 2)[:-1],
            color=drawing.GRAY,
            linewidth=1,
            linestyle="--",
            zorder=1,
            label="Pareto front of ours",
        )


def _names(axes: "Axes", points: list[_Point]) -> None:
    """Labels the points, avoiding markers and lines."""
    obstacles = [(point.x, 1 - point.accuracy, _AREA, point.name or "") for point in points]
    for line in axes.lines:
        path = np.asarray(line.get_path().vertices)
        for (x0, y0), (x1, y1) in itertools.pairwise(path):
            steps = zip(np.geomspace(x0, x1, 25), np.geomspace(y0, y1, 25), strict=True)
            obstacles += [(x, y, _LINE_AREA, "") for x, y in steps]
    label_points(axes, *zip(*obstacles, strict=True))


def _percent_log(axis: "Axis") -> None:
    """Formats an axis of errors as accuracies, in percent."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

    axis.set_major_locator(FixedLocator([1 - percent / 100 for percent in _PERCENT]))
    axis.set_major_formatter(FuncFormatter(lambda error, _: f"{100 * (1 - error):.4g} %"))
    axis.set_minor_formatter(NullFormatter())


def _plain_log(axis: "Axis") -> None:
    """Puts ticks at 1, 2 and 5 of each decade, as plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}" if x >= 1 else f"{x:g}"))
    axis.set_minor_formatter(NullFormatter())
