"""Reads MNIST-C's own files: FOLDER/shot_noise/test_images.npy, test_labels.npy, and so on."""

from pathlib import Path

import numpy as np

from mnist_edge import examples
from mnist_edge.errors import InputError

from . import MNIST_C, PLAIN

PREFIX = "mnist-c:"
CLASSES = 10
_REMEDY = "Give the folder of MNIST-C, unpacked, as --data mnist-c:FOLDER."
# Folders whose names are not those of our corruptions with underscores.
_FOLDERS = {PLAIN: "identity"}
NAMES = (PLAIN, *MNIST_C)


def folder(data: str) -> Path:
    """Returns the FOLDER of `mnist-c:FOLDER`; raises `InputError` for anything else."""
    path = Path(data.removeprefix(PREFIX))
    if not data.startswith(PREFIX) or not path.is_dir():
        raise InputError(f"--data must be mnist-c: and a folder. Got: {data}. {_REMEDY}")
    return path


def read(source: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Reads the test set of a corruption.

    Args:
        source: The folder of all corruptions.
        name: One of `NAMES`.

    Returns:
        Images, uint8 `[n, 28, 28, 1]`, and labels, integers `[n]`, 0 to 9.

    Raises:
        InputError: A file is missing, damaged, or holds something else.
    """
    own = source / _FOLDERS.get(name, name.replace(" ", "_"))
    images, labels = (
        examples.read_npy(own / f"test_{what}.npy", _REMEDY) for what in ("images", "labels")
    )
    if images.dtype != np.uint8 or images.shape[1:] != (28, 28, 1) or not len(images):
        raise InputError(
            f"{own / 'test_images.npy'} must be uint8 [n, 28, 28, 1]. "
            f"Got: {images.dtype} {list(images.shape)}. {_REMEDY}"
        )
    is_class = labels.dtype.kind in "iu" and labels.shape == images.shape[:1]
    if not is_class or labels.min() < 0 or labels.max() >= CLASSES:
        raise InputError(
            f"{own / 'test_labels.npy'} must be {len(images):,} integers, 0 to 9. "
            f"Got: {labels.dtype} {list(labels.shape)}. {_REMEDY}"
        )
    return images, labels
