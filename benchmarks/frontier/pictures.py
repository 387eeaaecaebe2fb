"""The frontier's two pictures: accuracy against bytes, and against microseconds."""

import dataclasses
import itertools
import statistics

import numpy as np

from mnist_edge import bundle, drawing

from ..plots import label_points
from . import latency as frontier_latency
from . import report as frontier_report
from .published import PUBLISHED

BYTES, LATENCY = "frontier-bytes.png", "frontier-latency.png"
_DPI = 150
_AREA = 55  # of a marker, points squared
_LINE_AREA = 4  # of the places along a line that names keep clear of
_LEAST_ERROR = 1e-4  # one image of 10,000: a bar that reaches further has no end
_ACCURACIES = (
    0.5,
    0.8,
    0.9,
    0.95,
    0.97,
    0.98,
    0.985,
    0.99,
    0.992,
    0.994,
    0.996,
    0.997,
    0.998,
    0.999,
)


@dataclasses.dataclass(frozen=True)
class _Point:
    """A point: name (None draws none), place, half of its bar, and its kind, a `_KINDS` key."""

    name: str | None
    x: float
    accuracy: float
    kind: str
    spread: float = 0.0


# Kind: (marker, color, filled, what it is). Hollow is a bound: at best there.
_KINDS = {
    "int8": (
        "o",
        drawing.BLUE,
        True,
        "ours, the int8 TFLite file: mean of the seeds, bar: ± standard deviation",
    ),
    "float32": ("s", drawing.BLUE, True, "ours, the float32 TFLite file, joined to its int8 one"),
    "size": ("D", drawing.VERMILLION, True, "published, with its size"),
    "least": ("D", drawing.VERMILLION, False, "published, at best: one byte a parameter, no file"),
    "timed": (
        "D",
        drawing.VERMILLION,
        True,
        "accuracy as published, the same layers timed here in float32",
    ),
    "if int8": ("D", drawing.VERMILLION, False, "the same in int8, at best: were nothing lost"),
}


def write(record, folder):
    """Draws what the record holds: both pictures, or the first where nothing was timed.

    Args:
        record: What `records.load` returns, with runs of the frontier.
        folder: Where the pictures go.
    """
    with bundle.staged(folder) as stage:
        title = "MNIST: accuracy against size"
        _draw(_by_size(record), title, "size, kB", stage / BYTES)
        latency = record["latency"]
        if latency:
            unit = latency[frontier_latency.ZOO][latency["unit"]][frontier_report.FLOAT]
            title = "MNIST: accuracy against latency"
            x_label = "a call in LiteRT at batch 1, one thread, µs"
            scale = (latency["unit"], unit["p50_us"])
            _draw(_by_latency(record), title, x_label, stage / LATENCY, scale)


def _by_size(record):
    points = []
    for name, runs in frontier_report.measured(record).items():
        size = frontier_report.size_bytes(runs)
        if size:
            reached = frontier_report.of_variant(runs, frontier_report.INT8)
            points.append(_ours(name, size / 1000, reached, "int8"))
    for one in PUBLISHED:
        kind = "size" if one.size_bytes else "least"
        points.append(_Point(_published_name(one), one.least_bytes / 1000, one.accuracy, kind))
    return points


def _by_latency(record):
    points = []
    for name, runs in frontier_report.measured(record).items():
        blocks = frontier_report.timed(record, frontier_latency.ZOO, name)
        reached = frontier_report.of_variant(runs, frontier_report.INT8)
        if blocks and reached:
            float_us = blocks[frontier_report.FLOAT]["p50_us"]
            int8_us = blocks[frontier_report.INT8]["p50_us"]
            points.append(_ours(name, int8_us, reached, "int8"))
            points.append(_ours(None, float_us, runs, "float32"))
    for one in PUBLISHED:
        blocks = frontier_report.timed(record, frontier_latency.PUBLISHED, one.name)
        if blocks:
            float_us = blocks[frontier_report.FLOAT]["p50_us"]
            int8_us = blocks[frontier_report.INT8]["p50_us"]
            points.append(_Point(_published_name(one), float_us, one.accuracy, "timed"))
            points.append(_Point(None, int8_us, one.accuracy, "if int8"))
    return points


def _ours(name, x, reached, kind):
    accuracies = [one["test_accuracy"] for one in reached]
    spread = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
    return _Point(name, x, statistics.mean(accuracies), kind, spread)


def _published_name(one):
    return f"{one.name}\n{one.how}"


def _draw(points, title, x_label, path, unit=None):
    """One picture; `unit` is a name and its µs, for a second axis."""
    figure = drawing.blank(11, 8.5)
    axes = figure.subplots()
    axes.set_xscale("log")
    axes.set_yscale("log")
    for kind, (marker, color, filled, words) in _KINDS.items():
        chosen = [point for point in points if point.kind == kind]
        if chosen:
            _markers(axes, chosen, marker, color, filled, words)
    _joins(axes, points)
    _frontier(axes, [point for point in points if point.kind == "int8"])
    axes.margins(0.12)
    axes.invert_yaxis()
    axes.set_xlabel(f"{x_label} (logarithmic)")
    axes.set_ylabel("accuracy on the test set (logarithmic in the error)")
    _ticks(axes)
    axes.grid(alpha=0.3)
    if unit:
        name, unit_us = unit
        scale = (lambda us: us / unit_us, lambda calls: calls * unit_us)
        top = axes.secondary_xaxis("top", functions=scale)
        top.set_xlabel(f"the same in calls of {name}'s float32 file")
        _plain_log(top.xaxis)
    figure.suptitle(title)
    figure.legend(loc="outside lower center", ncols=2, fontsize=drawing.SMALL)
    _names(axes, points)
    figure.savefig(path, dpi=_DPI)


def _markers(axes, points, marker, color, filled, words):
    axes.scatter(
        [point.x for point in points],
        [1 - point.accuracy for point in points],
        s=_AREA if points[0].name else _AREA / 2,
        marker=marker,
        facecolors=color if filled else "white",
        edgecolors=color,
        label=words,
        zorder=3,
    )
    for point in points:
        if point.spread:
            low, high = point.accuracy - point.spread, point.accuracy + point.spread
            ends = [1 - low, max(_LEAST_ERROR, 1 - high)]
            axes.plot([point.x] * 2, ends, color=color, linewidth=1, alpha=0.6)


def _joins(axes, points):
    """A line from each network's named point to its other one, which follows it."""
    for first, second in itertools.pairwise(points):
        if first.name and not second.name:
            ends = [1 - first.accuracy, 1 - second.accuracy]
            color = _KINDS[first.kind][1]
            axes.plot([first.x, second.x], ends, color=color, linewidth=0.8, alpha=0.4)


def _frontier(axes, points):
    """The steps through those of ours that no smaller or faster one reaches."""
    best = []
    for point in sorted(points, key=lambda point: (point.x, -point.accuracy)):
        if not best or point.accuracy > best[-1].accuracy:
            best.append(point)
    if len(best) > 1:
        x, y = [point.x for point in best], [1 - point.accuracy for point in best]
        words = "no other of ours is better on both axes"
        axes.plot(
            np.repeat(x, 2)[1:],
            np.repeat(y, 2)[:-1],
            color=drawing.GREY,
            linewidth=1,
            linestyle="--",
            zorder=1,
            label=words,
        )


def _names(axes, points):
    """Names the points, clear of each other's markers and of every line."""
    places = [(point.x, 1 - point.accuracy, _AREA, point.name or "") for point in points]
    for line in axes.lines:
        path = line.get_path().vertices
        for (x0, y0), (x1, y1) in itertools.pairwise(path):
            steps = zip(np.geomspace(x0, x1, 25), np.geomspace(y0, y1, 25), strict=True)
            places += [(x, y, _LINE_AREA, "") for x, y in steps]
    label_points(axes, *zip(*places, strict=True))


def _ticks(axes):
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

    axes.yaxis.set_major_locator(FixedLocator([1 - accuracy for accuracy in _ACCURACIES]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda error, _: f"{100 * (1 - error):.4g} %"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    _plain_log(axes.xaxis)


def _plain_log(axis):
    """Ticks at 1, 2 and 5 of each decade, as plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}" if x >= 1 else f"{x:g}"))
    axis.set_minor_formatter(NullFormatter())
