"""Figures of an evaluation: confusion matrix, reliability diagram, confident mistakes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mnist_edge import drawing, metrics
from mnist_edge.metrics import CalibrationBin

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Above this many classes the matrix has no room for numbers.
_MOST_NUMBERED = 15
# Above this many classes its axes have no room for names; larger figures take gigabytes.
_MOST_NAMED = 100
_LONGEST_ON_AXIS = 24  # characters
# Exponent of the color scale: makes a good model's errors, fractions of a percent, visible.
_ROOT = 0.35


def confusion(matrix: np.ndarray, labels: Sequence[str]) -> "Figure":
    """Draws a confusion matrix. Color is the share of the row; empty cells are white.

    Args:
        matrix: Integers `[classes, classes]`, one row per true class, one column per prediction.
        labels: Names of the classes.
    """
    drawing.require()
    from matplotlib import colormaps
    from matplotlib.colors import PowerNorm

    classes = len(labels)
    numbered = classes <= _MOST_NUMBERED
    size = max(6.0, min(classes, _MOST_NAMED) * (0.62 if numbered else 0.16))
    figure = drawing.blank(size + 1.2, size)
    axis = figure.subplots()
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    image = axis.imshow(
        np.ma.masked_equal(shares, 0),
        cmap=colormaps["cividis_r"].with_extremes(bad="white"),
        norm=PowerNorm(_ROOT, vmin=0, vmax=1),
    )
    if classes <= _MOST_NAMED:
        _name_both_axes(axis, drawing.names(labels, _LONGEST_ON_AXIS))
    axis.set(xlabel="predicted", ylabel="true")
    if numbered:
        for row, column in np.argwhere(matrix):
            dark = shares[row, column] ** _ROOT > 0.5
            axis.text(
                column,
                row,
                f"{matrix[row, column]:,}",
                ha="center",
                va="center",
                fontsize=drawing.SMALL,
                color="white" if dark else "black",
            )
    bar = figure.colorbar(image, label="share of the true class", shrink=0.8)
    bar.set_ticks(
        [0.001, 0.01, 0.05, 0.2, 0.5, 1], labels=["0.1%", "1%", "5%", "20%", "50%", "100%"]
    )
    right = np.trace(matrix)
    axis.set_title(f"{right:,} of {matrix.sum():,} right, {right / matrix.sum():.2%}", fontsize=10)
    return figure


def _name_both_axes(axis: "Axes", names: Sequence[str]) -> None:
    places = range(len(names))
    rotation = 90 if max(map(len, names)) > 3 else 0
    axis.set_xticks(places, names, fontsize=drawing.SMALL, rotation=rotation)
    axis.set_yticks(places, names, fontsize=drawing.SMALL)
    # Thin lines between cells make rows easy to follow.
    axis.set_xticks(np.arange(len(names)) + 0.5, minor=True)
    axis.set_yticks(np.arange(len(names)) + 0.5, minor=True)
    axis.grid(which="minor", linewidth=0.3, color="#BBBBBB")
    axis.tick_params(which="minor", length=0)


def reliability(bins: Sequence[CalibrationBin], error: float) -> "Figure":
    """Draws accuracy by confidence, above a histogram of confidence.

    Args:
        bins: The result of `metrics.calibration`.
        error: The expected calibration error, 0 to 1.
    """
    figure = drawing.blank(5.6, 6.2)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    filled = [one for one in bins if one.accuracy is not None]
    confidence, accuracy = (
        np.array([getattr(one, name) for one in filled]) for name in ("confidence", "accuracy")
    )
    counts = np.array([one.count for one in filled])
    rights = np.round(accuracy * counts).astype(int)
    intervals = map(metrics.wilson_interval, rights.tolist(), counts.tolist())
    low, high = np.array([*intervals]).T
    upper.plot([0, 1], [0, 1], linestyle="--", color=drawing.GRAY, label="perfectly calibrated")
    upper.errorbar(
        confidence,
        accuracy,
        yerr=[accuracy - low, high - accuracy],
        color=drawing.BLUE,
        marker="o",
        markersize=5,
        capsize=3,
        linewidth=1.2,
        label="this model, 95% intervals",
    )
    upper.set(ylabel="accuracy", ylim=(0, 1.02))
    upper.yaxis.set_major_formatter(drawing.percent())
    upper.legend(loc="upper left")
    upper.set_title(f"expected calibration error {error:.2%}, {len(bins)} bins", fontsize=10)
    lower.bar(
        [one.low for one in bins],
        [one.count for one in bins],
        width=1 / len(bins),
        align="edge",
        color=drawing.BLUE,
        edgecolor="white",
    )
    lower.set(xlabel="confidence: the largest probability", ylabel="images", xlim=(0, 1.02))
    lower.set_yscale("log")
    lower.set_ylim(bottom=0.7)
    lower.xaxis.set_major_formatter(drawing.percent())
    for axis in (upper, lower):
        axis.grid(alpha=0.3)
    return figure


def mistakes(
    images: np.ndarray, y: np.ndarray, probabilities: np.ndarray, labels: Sequence[str]
) -> "Figure":
    """Draws misclassified images with both labels and the model's confidence.

    Args:
        images: As `drawing.draw_image` takes them, `[n, height, width, 1 or 3]`; n may be 0.
        y: Integers `[n]`, the true classes.
        probabilities: Float `[n, classes]`.
        labels: Names of the classes.
    """
    if not len(images):
        figure = drawing.blank(6, 2)
        figure.text(0.5, 0.5, "no mistakes", ha="center", va="center", fontsize=14)
        return figure
    names = drawing.names(labels)
    figure, axes = drawing.grid(len(images), 6, 1.3, 1.85)
    for axis, image, label, row in zip(axes, images, y, probabilities, strict=True):
        drawing.draw_image(axis, image)
        axis.set_title(
            f"true {names[label]}\nread {names[row.argmax()]}\n{row.max():.1%} sure",
            fontsize=drawing.SMALL,
            pad=3,
        )
    return figure
