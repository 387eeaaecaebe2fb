"""Digits beside MNIST's to train on: of fonts, and in forms that its writers seldom used.

Made by `python -m benchmarks.pictures.extra_digits`.
"""

from pathlib import Path

import numpy as np

from mnist_edge.data import npz

FILE = Path(__file__).with_name("extra_digits.npz")


def load() -> tuple[np.ndarray, np.ndarray]:
    """Returns images, uint8 `[n, 28, 28]`, normalized as MNIST's are, and labels, uint8 `[n]`."""
    arrays = npz.read(FILE, ("x", "y"), remedy="Restore the file from the repository.")
    return arrays["x"], arrays["y"]
