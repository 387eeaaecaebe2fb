"""Figures of a training run: samples of the data, learning curves, predictions."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnist_edge import data, drawing
from mnist_edge.data import Dataset
from mnist_edge.models.trained import TrainedModel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SAMPLES, PREDICTIONS = 50, 24  # numbers of images drawn


def write_training_plots(folder: Path, trained: TrainedModel, dataset: Dataset) -> None:
    """Draws samples, learning curves and predictions.

    Args:
        folder: Staging folder of a bundle; receives `plots/samples.png`, `curves.png` and
            `predictions.png`.
        trained: The model with its history; its seed selects the images.
        dataset: The data set that it was trained on.

    Raises:
        InputError: matplotlib is not installed.
    """
    train, test = (
        choose(len(y), count, trained.record.seed)
        for y, count in ((dataset.y_train, SAMPLES), (dataset.y_test, PREDICTIONS))
    )
    inputs = data.as_inputs(dataset.x_test[test], trained.shape)
    figures = {
        "samples": samples(
            data.as_inputs(dataset.x_train[train], trained.shape),
            dataset.y_train[train],
            dataset.labels,
        ),
        "curves": curves(trained.history, trained.record.kept_epoch),
        "predictions": predictions(
            inputs,
            dataset.y_test[test],
            trained.model.predict(inputs, verbose=0),
            dataset.labels,
        ),
    }
    drawing.save(folder, figures)


def samples(images: np.ndarray, y: np.ndarray, labels: Sequence[str]) -> "Figure":
    """Draws images with the names of their classes.

    Args:
        images: As `drawing.draw_image` takes them, `[n, height, width, 1 or 3]`.
        y: Integers `[n]`, their classes.
        labels: Names of the classes.
    """
    names = drawing.names(labels)
    figure, axes = drawing.grid(len(images), 10, 0.85, 1.05)
    for axis, image, label in zip(axes, images, y, strict=True):
        drawing.draw_image(axis, image)
        axis.set_title(names[label], fontsize=drawing.SMALL, pad=3)
    return figure


def curves(history: Mapping[str, Sequence[float]], kept_epoch: int | None = None) -> "Figure":
    """Draws loss and accuracy per epoch, for training and, if present, validation.

    Args:
        history: `loss`, `accuracy` and, with validation, `val_loss` and `val_accuracy`; one
            value per epoch each.
        kept_epoch: The epoch whose weights were kept, counting from 1.
    """
    figure = drawing.blank(9, 3.8)
    epochs = range(1, len(history["loss"]) + 1)
    styles = (
        ("", "training", {"color": drawing.BLUE, "linestyle": "-", "marker": "o"}),
        ("val_", "validation", {"color": drawing.VERMILLION, "linestyle": "--", "marker": "s"}),
    )
    for axis, metric in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for prefix, name, style in styles:
            if prefix + metric not in history:
                continue
            axis.plot(
                epochs,
                history[prefix + metric],
                label=name,
                markersize=4,
                markevery=math.ceil(len(epochs) / 25),
                **style,
            )
        if kept_epoch is not None:
            axis.axvline(
                kept_epoch, color=drawing.GRAY, linestyle=":", label=f"kept: epoch {kept_epoch}"
            )
        axis.set_xlabel("epoch")
        axis.set_title(metric)
        axis.set_xlim(0.5, len(epochs) + 0.5)
        axis.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axis.grid(alpha=0.3)
        axis.legend()
    figure.axes[1].yaxis.set_major_formatter(drawing.percent())
    return figure


def predictions(
    images: np.ndarray, y: np.ndarray, probabilities: np.ndarray, labels: Sequence[str]
) -> "Figure":
    """Draws images, each with its three most probable classes.

    Args:
        images: As `samples` takes them.
        y: Integers `[n]`, the true classes.
        probabilities: Float `[n, classes]`.
        labels: Names of the classes.
    """
    names = drawing.names(labels)
    columns = min(8, len(images))
    rows = math.ceil(len(images) / columns)
    figure = drawing.blank(1.25 * columns, 2.15 * rows + 0.3)
    grid = figure.add_gridspec(2 * rows, columns, height_ratios=[2.4, 1] * rows)
    for index, (image, label, row) in enumerate(zip(images, y, probabilities, strict=True)):
        line, column = divmod(index, columns)
        axis = figure.add_subplot(grid[2 * line, column], anchor="S")
        drawing.draw_image(axis, image)
        mark = "✓" if row.argmax() == label else "✗"
        axis.set_title(f"{names[label]} {mark}", fontsize=drawing.SMALL, pad=3)
        _draw_probabilities(figure.add_subplot(grid[2 * line + 1, column]), row, label, names)
    figure.suptitle(
        "Above each image: its class. Below: the three most probable (dark bar: its class)",
        fontsize=9,
    )
    return figure


def _draw_probabilities(axis: "Axes", row: np.ndarray, label: int, names: Sequence[str]) -> None:
    """Draws a bar per class, for the three most probable; the true class has a dark bar."""
    best = np.argsort(-row, kind="stable")[:3]
    for place, one in enumerate(best, start=1):
        color = drawing.BLUE if one == label else drawing.PALE
        axis.barh(place - 0.1, row[one], height=0.2, color=color)
        for x, text, side in ((0, names[one], "left"), (1, f"{row[one]:.1%}", "right")):
            axis.text(x, place - 0.25, text, fontsize=drawing.TINY, va="bottom", ha=side)
    axis.set(xlim=(0, 1), ylim=(3, 0))
    axis.axis("off")


def choose(population: int, count: int, seed: int = 0) -> np.ndarray:
    """Draws `count` random indices below `population` without replacement, int64."""
    count = min(count, population)
    return np.random.default_rng(seed).choice(population, count, replace=False)
