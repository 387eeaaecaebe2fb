"""Load and split data sets. Needs only NumPy, so it also runs on a device without Keras.

The default is the packaged MNIST (`mnist.npz`); `sources.py` reads all kinds of sources.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mnist_edge import bundle
from mnist_edge.data import catalog, sources
from mnist_edge.errors import InputError
from mnist_edge.safety import files

# Help text of `--data`, shared by the commands.
HELP = (
    "'mnist'; an .npz in the layout of keras.datasets.mnist; a folder of IDX files, or "
    "FOLDER/PREFIX; Kaggle's .csv, .csv.gz or .zip; TRAIN.csv,TEST.csv; keras:mnist or "
    "keras:fashion_mnist"
)
LABELS_HELP = "names of the classes, 'cat,dog' or a file with one name per line"
_VALIDATION_COUNT = 5_000
_LEAST_COUNT = 6  # training examples, a sixth of which is for validation
MOST_CLASSES = 2**16
# Source of a data set that was not loaded; a bundle contains a copy of such a data set.
IN_MEMORY = "arrays in memory"
_SURELY_GRAY = 100  # if one set exceeds this and the other stays below 1, their scales differ
_FLOAT32 = float(np.finfo(np.float32).max)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Validated images and labels of a training and a test set.

        data = Dataset(x_train, y_train, x_test, y_test, labels=("cat", "dog"))

    Attributes:
        x_train: Finite numbers `[n, ...]`. The models of this project require uint8
            `[n, height, width]`, 0 (paper) to 255 (ink).
        y_train: Integers `[n]`, 0 to `classes - 1`; stored as uint8, or as uint16 for more
            than 256 classes.
        x_test: As `x_train`, with the same shape per example.
        y_test: As `y_train`.
        labels: Names of the classes, in order; by default the numbers from 0.
        source: The argument of `load` that it was loaded from.
        remark: How the data was read, if the user should know it, or "".

    Raises:
        InputError: The arrays or names are invalid.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    labels: tuple[str, ...] = ()
    source: str = IN_MEMORY
    remark: str = ""

    def __post_init__(self) -> None:
        for name in sources.ARRAYS:
            object.__setattr__(self, name, np.asarray(getattr(self, name)))
        _check(self)
        classes = int(max(self.y_train.max(), self.y_test.max())) + 1
        dtype = np.uint8 if classes <= 256 else np.uint16  # the hashes depend on it
        labels = self.labels or catalog.numbered((), classes)
        object.__setattr__(self, "labels", catalog.name_classes(labels, classes))
        for name in ("y_train", "y_test"):
            object.__setattr__(self, name, getattr(self, name).astype(dtype))

    @property
    def classes(self) -> int:
        """Number of classes: one more than the largest label."""
        return len(self.labels)

    def sha256(self) -> dict[str, str]:
        """Returns array name -> SHA-256 of the array's bytes."""
        return {name: bundle.sha256_array(getattr(self, name)) for name in sources.ARRAYS}

    def save(self, path: Path | str) -> None:
        """Writes an `.npz` that `load` reads, without the names of the classes."""
        np.savez_compressed(path, **{name: getattr(self, name) for name in sources.ARRAYS})


def load(source: str | Path = sources.MNIST, labels: str | Sequence[str] | None = None) -> Dataset:
    """Loads a data set.

    Args:
        source: One of:
            "mnist": the packaged set;
            FILE.npz: `x_train` and `x_test` (finite numbers `[n, ...]`, of the same shape per
            example), `y_train` and `y_test` (integers `[n]`, 0 to 65,535);
            FOLDER: the four IDX files of MNIST, Fashion-MNIST, KMNIST or EMNIST, raw or
            `.gz`, or Kaggle's train and test CSV; FOLDER/PREFIX if it contains several sets;
            FILE.csv, `.csv.gz` or `.zip`: Kaggle's CSV; without a test set, one is split off;
            TRAIN.csv,TEST.csv: a pair of CSV files;
            "keras:mnist", "keras:fashion_mnist": loaded by Keras.
        labels: Names of the classes: "cat,dog", a file with one name per line, or a sequence of
            names; None for the known names of a well-known data set, else the numbers from 0.

    Returns:
        The data set. Images are upright and labels start at 0, also for EMNIST, whose files
        contain transposed images and, in `letters`, labels from 1.

    Raises:
        InputError: The source is missing, damaged or not a data set, or the number of names is
            not the number of classes.
    """
    source = str(source)
    raw = sources.read(source)
    names = () if labels is None else catalog.parse_labels(labels)
    loaded = Dataset(*raw.train, *raw.test, names, source, raw.remark)
    if labels is None and raw.entry.labels:
        names = catalog.numbered(raw.entry.labels, loaded.classes)
        return dataclasses.replace(loaded, labels=names)
    return loaded


def load_recorded(source: str, folder: Path) -> Dataset:
    """Loads the data set that a bundle's records name.

    Args:
        source: The record's `source`; arrays in memory are loaded from their copy in the bundle.
        folder: The bundle.

    Raises:
        InputError: As `load`.
    """
    if source != IN_MEMORY:
        return load(source)
    return dataclasses.replace(load(folder / bundle.DATA), source=IN_MEMORY)


def _check(dataset: Dataset) -> None:
    """Raises `InputError` if a data set's arrays are invalid."""
    path = dataset.source
    arrays = [getattr(dataset, name) for name in sources.ARRAYS]
    needed = sum(files.data_bytes(array.size, array.itemsize) for array in arrays)
    if needed > files.LIMIT_BYTES:
        raise InputError(
            f"{path} must take at most {files.LIMIT_BYTES:,} bytes, also as float32. "
            f"Got: {needed:,}. Give less data."
        )
    shape = dataset.x_train.shape[1:]
    for split, x, y in (("train", *arrays[:2]), ("test", *arrays[2:])):
        fault = next(_faults(x, y, shape), None)
        if fault:
            must, got = fault
            raise InputError(f"{path}: {must.format(split=split)}. Got: {got}. Give other data.")
    train, test = float(dataset.x_train.max()), float(dataset.x_test.max())
    if 0 < min(train, test) <= 1 and max(train, test) > _SURELY_GRAY:
        raise InputError(
            f"{path}: x_train and x_test must have the same scale. Got: up to {train:g} and "
            f"up to {test:g}. Multiply values in [0, 1] by 255."
        )


def _faults(x: np.ndarray, y: np.ndarray, shape: tuple[int, ...]) -> Iterator[tuple[str, str]]:
    """Yields `(requirement, actual)` of each check that fails; later ones assume earlier passed."""
    if x.dtype.kind not in "uif" or x.ndim < 2 or not x.size or x.shape[1:] != shape:
        must = "x_{split} must be numbers [n, ...] with n at least 1, shaped as x_train"
        yield must, f"{x.dtype} {list(x.shape)}"
    low, high = float(x.min()), float(x.max())
    if not -_FLOAT32 <= low <= high <= _FLOAT32:  # also false for NaN
        yield "x_{split} must be finite in float32, as models take it", f"{low:g} to {high:g}"
    if y.dtype.kind not in "ui" or y.shape != x.shape[:1]:
        yield f"y_{{split}} must be integers [{len(x)}]", f"{y.dtype} {list(y.shape)}"
    if y.min() < 0 or y.max() >= MOST_CLASSES:
        yield f"y_{{split}} must be 0 to {MOST_CLASSES - 1}", f"{y.min()} to {y.max()}"


def require_gray_levels(dataset: Dataset) -> None:
    """Requires pixels from 0 to 255, the input range of all models of this project.

    Raises:
        InputError: They are outside 0 to 255, or scaled to [0, 1].
    """
    for name in ("x_train", "x_test"):
        x = getattr(dataset, name)
        low, high = float(x.min()), float(x.max())
        scaled = 0 < max(-low, high) <= 1
        if scaled or low < 0 or high > 255:
            remedy = "Multiply by 255." if scaled and low >= 0 else "Undo their scaling."
            raise InputError(
                f"{dataset.source}: {name} must be pixels from 0 to 255, as the model contains "
                f"the scaling. Got: {low:g} to {high:g}. {remedy}"
            )


def split_indices(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Splits a training set: 5,000 images, or a sixth if fewer, are for validation.

    Args:
        count: Number of training images.
        seed: Seed of the random split.

    Returns:
        `(train, validation)`, sorted, disjoint int64 index arrays.
    """
    if count < _LEAST_COUNT:
        raise InputError(
            f"the training set must hold {_LEAST_COUNT} examples or more, one of which is for "
            f"validation. Got: {count}. Give more by --data."
        )
    validation_count = min(_VALIDATION_COUNT, count // _LEAST_COUNT)
    shuffled = np.random.default_rng(seed).permutation(count)
    return np.sort(shuffled[validation_count:]), np.sort(shuffled[:validation_count])


def as_inputs(examples: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Reshapes examples to a model's input and casts them; scaling is part of the models.

    Args:
        examples: Numbers `[n, ...]`.
        shape: The model's input shape per example, e.g. `(28, 28, 1)`.

    Returns:
        float32 `[n, *shape]`.

    Raises:
        InputError: The examples have another number of elements than `shape`.
    """
    if math.prod(examples.shape[1:]) != math.prod(shape):
        raise InputError(
            f"the model takes examples of shape {list(shape)}. "
            f"Got: {list(examples.shape[1:])}. Give the data set that it was trained on by --data."
        )
    return examples.reshape(len(examples), *shape).astype(np.float32)
