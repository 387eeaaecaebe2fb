"""Draws ten images of each distortion, and ten pictures of no digit of each kind."""

from pathlib import Path

import numpy as np

from mnist_edge import data, drawing

from . import DISTORTIONS, distort, negatives

_COUNT, _SCALE = 10, 0.6  # images per row; inches per image


def draw(path: Path) -> None:
    """Draws the test set's first images; writes a `.png`."""
    images = data.load().x_test[:_COUNT, :, :, None].astype(np.float32)
    rows = {name: distort(images, name) for name in DISTORTIONS}
    rows |= {name: negatives.make(name, _COUNT, images.shape[1:]) for name in negatives.NEGATIVES}
    mosaic = np.concatenate([np.concatenate(list(row[..., 0]), 1) for row in rows.values()])
    figure = drawing.blank(_COUNT * _SCALE, len(rows) * _SCALE)
    axes = figure.subplots()
    axes.imshow(mosaic, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    side = images.shape[1]
    axes.set_xticks([])
    axes.set_yticks([side * (place + 0.5) for place in range(len(rows))], list(rows))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.savefig(path, dpi=100, bbox_inches="tight")  # the names are left of the figure
