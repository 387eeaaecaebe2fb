"""Load a data set and split it. NumPy only: a device without Keras reads it too.

The packaged MNIST (`mnist.npz`) is the default; `sources.py` reads the other kinds.
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

# What `--data` takes, for the help of each command that has it.
HELP = (
    "'mnist'; an .npz as keras.datasets.mnist's; a folder of IDX files, or FOLDER/PREFIX; "
    "Kaggle's .csv, .csv.gz or .zip; TRAIN.csv,TEST.csv; keras:mnist or keras:fashion_mnist"
)
LABELS_HELP = "names of the classes, 'cat,dog' or a file with one name per line"
_VALIDATION_COUNT = 5_000
_LEAST_COUNT = 6  # of training examples: a sixth of them is for validation
MOST_CLASSES = 2**16
# The source of what was loaded from nowhere; a bundle keeps such a data set itself.
IN_MEMORY = "arrays in memory"
_SURELY_GRAY = 100  # a value above this and a whole set below 1 are not of one scale
_FLOAT32 = float(np.finfo(np.float32).max)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Images and labels, checked; of arrays in memory too.

        data = Dataset(x_train, y_train, x_test, y_test, labels=("cat", "dog"))

    Attributes:
        x_train: Finite numbers `[n, ...]`; uint8 `[n, height, width]`, 0 (paper) to 255 (ink),
            is what this project's own models are trained on.
        y_train: Integers `[n]`, 0 to `classes - 1`; held as uint8, or as uint16 where there
            are more than 256 classes.
        x_test: As `x_train`, of the same shape per example.
        y_test: As `y_train`.
        labels: Names of the classes, in order; their numbers where none are given.
        source: Where it was loaded from, as `load` takes it.
        remark: What the user should be told of how it was read, or "".

    Raises:
        InputError: The arrays or names are something else; the line says which and why.
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
        dtype = np.uint8 if classes <= 256 else np.uint16  # by which their hashes go
        labels = self.labels or catalog.numbered((), classes)
        object.__setattr__(self, "labels", catalog.name_classes(labels, classes))
        for name in ("y_train", "y_test"):
            object.__setattr__(self, name, getattr(self, name).astype(dtype))

    @property
    def classes(self) -> int:
        """Number of classes: one more than the largest label."""
        return len(self.labels)

    def sha256(self) -> dict[str, str]:
        """SHA-256 of each array's bytes, by the array's name."""
        return {name: bundle.sha256_array(getattr(self, name)) for name in sources.ARRAYS}

    def save(self, path: Path | str) -> None:
        """Writes an `.npz` that `load` reads; the names of the classes are not in it."""
        np.savez_compressed(path, **{name: getattr(self, name) for name in sources.ARRAYS})


def load(source: str | Path = sources.MNIST, labels: str | Sequence[str] | None = None) -> Dataset:
    """Loads a data set.

    Args:
        source: Where it is:
            "mnist": the packaged set;
            FILE.npz: `x_train` and `x_test` (finite numbers `[n, ...]`, of one shape per
            example), `y_train` and `y_test` (integers `[n]`, 0 to 65,535);
            FOLDER: the four IDX files of MNIST, Fashion-MNIST, KMNIST or EMNIST, raw or
            `.gz`, or Kaggle's train and test CSV; FOLDER/PREFIX where it holds several sets;
            FILE.csv, `.csv.gz` or `.zip`: Kaggle's CSV; a test set is split off it where
            there is none;
            TRAIN.csv,TEST.csv: a pair of them;
            "keras:mnist", "keras:fashion_mnist": Keras's own, which needs Keras.
        labels: Names of the classes: "cat,dog", a file with one name per line, or the names;
            None is what the source's name tells, or else the numbers from 0.

    Returns:
        The data set. EMNIST's files hold their images transposed, and its `letters` count
        from 1: here the images are upright and all labels count from 0.

    Raises:
        InputError: The source is missing, damaged, or holds something else, or there
            are more or fewer names than classes.
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
    """Loads the data set that a bundle's records name; from the bundle, where it was in memory.

    Args:
        source: What the record says.
        folder: The bundle.

    Raises:
        InputError: As `load`.
    """
    if source != IN_MEMORY:
        return load(source)
    return dataclasses.replace(load(folder / bundle.DATA), source=IN_MEMORY)


def _check(dataset: Dataset) -> None:
    """Raises `InputError` where a data set's arrays are not what they must be."""
    path = dataset.source
    arrays = [getattr(dataset, name) for name in sources.ARRAYS]
    needed = sum(files.data_bytes(array.size, array.itemsize) for array in arrays)
    if needed > files.LIMIT_BYTES:
        raise InputError(
            f"{path} must take at most {files.LIMIT_BYTES:,} bytes as float32 too. "
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
            f"{path}: x_train and x_test must be scaled alike. Got: up to {train:g} and "
            f"up to {test:g}. Multiply by 255 what lies in [0, 1]."
        )


def _faults(x: np.ndarray, y: np.ndarray, shape: tuple[int, ...]) -> Iterator[tuple[str, str]]:
    """What examples and their labels must be and are not, and what they are; the first counts."""
    if x.dtype.kind not in "uif" or x.ndim < 2 or not x.size or x.shape[1:] != shape:
        must = "x_{split} must be numbers [n, ...] with n at least 1, shaped as x_train"
        yield must, f"{x.dtype} {list(x.shape)}"
    low, high = float(x.min()), float(x.max())
    if not -_FLOAT32 <= low <= high <= _FLOAT32:  # NaN is not
        yield "x_{split} must be finite in float32, as models take it", f"{low:g} to {high:g}"
    if y.dtype.kind not in "ui" or y.shape != x.shape[:1]:
        yield f"y_{{split}} must be integers [{len(x)}]", f"{y.dtype} {list(y.shape)}"
    if y.min() < 0 or y.max() >= MOST_CLASSES:
        yield f"y_{{split}} must be 0 to {MOST_CLASSES - 1}", f"{y.min()} to {y.max()}"


def require_gray_levels(dataset: Dataset) -> None:
    """Requires pixels of 0 to 255, as every model of this project takes them.

    Raises:
        InputError: They lie in [0, 1], say, or beyond 0 to 255.
    """
    for name in ("x_train", "x_test"):
        x = getattr(dataset, name)
        low, high = float(x.min()), float(x.max())
        scaled = 0 < max(-low, high) <= 1
        if scaled or low < 0 or high > 255:
            cure = "Multiply by 255." if scaled and low >= 0 else "Undo their scaling."
            raise InputError(
                f"{dataset.source}: {name} must be pixels from 0 to 255, which the model itself "
                f"scales. Got: {low:g} to {high:g}. {cure}"
            )


def split_indices(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Splits a training set in two by seed: 5,000 images, or a sixth, are for validation.

    Args:
        count: Number of training images.
        seed: The same seed gives the same split.

    Returns:
        `(train, validation)`, sorted int64 index arrays without a common element.
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
    """Examples as a model takes them. Nothing is scaled: that is inside the models.

    Args:
        examples: Numbers `[n, ...]`.
        shape: What the model takes per example, `(28, 28, 1)` say; the examples have as
            many elements.

    Returns:
        float32 `[n, *shape]`, the same values in the same order.

    Raises:
        InputError: The examples have another number of elements.
    """
    if math.prod(examples.shape[1:]) != math.prod(shape):
        raise InputError(
            f"the model takes examples of shape {list(shape)}. "
            f"Got: {list(examples.shape[1:])}. Give the data set that it was trained on by --data."
        )
    return examples.reshape(len(examples), *shape).astype(np.float32)
