"""Load and split data sets. Needs only NumPy, so it also runs on a device without Keras.

The default is the packaged MNIST (`mnist.npz`); `sources.py` reads all kinds of sources.
"""

import dataclasses
import itertools
import math
import operator
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mnist_edge import bundle
from mnist_edge.data import batches, catalog, parts, sources
from mnist_edge.data.parts import Part, Target
from mnist_edge.errors import InputError
from mnist_edge.safety import files

# Help text of `--data`, shared by the commands.
HELP = (
    "'mnist'; an .npz, or FILE.npz:x_train,y_train,x_test,y_test with its own names; a folder of "
    "pictures (CLASS/picture.png, or train/CLASS and test/CLASS), of IDX files (or FOLDER/PREFIX) "
    "or of .parquet; a .csv, .csv.gz, .zip or .parquet; TRAIN.csv,TEST.csv; keras:mnist, "
    "keras:fashion_mnist, keras:cifar10 or keras:cifar100"
)
LABELS_HELP = "names of the classes, 'cat,dog' or a file with one name per line"
_VALIDATION_COUNT = 5_000
_LEAST_COUNT = 6  # training examples, a sixth of which is for validation
MOST_CLASSES = parts.MOST_CLASSES
# Source of a data set that was not loaded; a bundle contains a copy of such a data set.
IN_MEMORY = "arrays in memory"
_MOST_AXES = 5  # of an example whose transpositions are tried
_SURELY_GRAY = 100  # if one set exceeds this and the other stays below 1, their scales differ
_FLOAT32 = float(np.finfo(np.float32).max)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Validated images and labels of a training and a test set.

        data = Dataset(x_train, y_train, x_test, y_test, labels=("cat", "dog"))

    Attributes:
        x_train: Finite numbers `[n, ...]`. The models of this project require uint8
            `[n, height, width]`, 0 (paper) to 255 (ink). For a model with several inputs, a dict
            of arrays by the names of its inputs; stored as rows `[n, values]`, in which the
            values of each input follow each other, in the order of their names.
        y_train: Integers `[n]`, 0 to `classes - 1`; stored as uint8, or as uint16 for more
            than 256 classes. Given as integers, whole floats or text, `[n]` or `[n, 1]`, or as
            one-hot rows; text is numbered in sorted order. For models of other kinds: rows
            `[n, labels]` of 0 and 1, several labels per example; floats `[n]` or `[n, values]`,
            for regression; or a dict of any of these, by the names of the model's outputs.
        x_test: As `x_train`, with the same shape per example.
        y_test: As `y_train`.
        labels: Names of the classes, in order; by default the labels that are text, or else the
            numbers from 0.
        inputs: Names and shapes of the parts of `x_train`, if it was a dict; else empty.
        targets: What `y_train` holds, unless it is one class per example; then empty.
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
    inputs: tuple[Part, ...] = ()
    targets: tuple[Target, ...] = ()

    def __post_init__(self) -> None:
        x_train, x_test, inputs = parts.pack(self.x_train, self.x_test, self.source)
        names: tuple[str, ...] = ()
        y_train, y_test, targets = self.y_train, self.y_test, self.targets
        if not targets:
            y_train, y_test, targets, names = parts.encode(y_train, y_test, self.source)
        for name, value in zip(
            (*sources.ARRAYS, "inputs", "targets"),
            (x_train, y_train, x_test, y_test, inputs or self.inputs, targets),
            strict=True,
        ):
            object.__setattr__(self, name, value)
        _check(self)
        if self.targets:
            object.__setattr__(self, "targets", parts.named(self.targets, self.labels))
            object.__setattr__(self, "labels", parts.labels(self.targets))
            return
        classes = int(max(self.y_train.max(), self.y_test.max())) + 1
        dtype = np.uint8 if classes <= 256 else np.uint16  # the hashes depend on it
        labels = self.labels or names or catalog.numbered((), classes)
        object.__setattr__(self, "labels", catalog.name_classes(labels, classes))
        for name in ("y_train", "y_test"):
            object.__setattr__(self, name, getattr(self, name).astype(dtype))

    @classmethod
    def from_batches(
        cls,
        train: "Iterable[Any]",
        test: "Iterable[Any] | None" = None,
        labels: tuple[str, ...] = (),
    ) -> "Dataset":
        """Collects batches in memory.

            data = Dataset.from_batches(keras.utils.image_dataset_from_directory("flowers"))

        Args:
            train: A `tf.data.Dataset`, a `keras.utils.PyDataset` or any iterable of finite length
                that gives `(x, y)`, batches or single examples.
            test: As `train`; None to split off a seventh of the training examples, by seed.
            labels: As of a `Dataset`; by default the `class_names` of `train`, if it has them.

        Raises:
            InputError: These are not batches of a data set, or take too much memory.
        """
        x, y = batches.collect(train, "train")
        if test is None:
            pair, held_out = sources.split_off(x, y)
        else:
            pair, held_out = (x, y), batches.collect(test, "test")
        return cls(*pair, *held_out, labels or tuple(getattr(train, "class_names", ())))

    @property
    def classes(self) -> int:
        """Number of classes: one more than the largest label."""
        return len(self.labels)

    def sha256(self) -> dict[str, str]:
        """Returns array name -> SHA-256 of the array's bytes."""
        return {name: bundle.sha256_array(getattr(self, name)) for name in sources.ARRAYS}

    @property
    def is_mnist(self) -> bool:
        """Whether the training images are MNIST's, wherever they were loaded from."""
        return bundle.sha256_array(self.x_train) == sources.MNIST_SHA256["x_train"]

    def save(self, path: Path | str) -> None:
        """Writes an `.npz` that `load` reads, without the names of the classes."""
        arrays = {name: getattr(self, name) for name in sources.ARRAYS}
        given: dict[str, Any] = parts.unpack(arrays, self.inputs, self.targets)
        np.savez_compressed(path, **given)


def load(source: str | Path = sources.MNIST, labels: str | Sequence[str] | None = None) -> Dataset:
    """Loads a data set.

    Args:
        source: One of:
            "mnist": the packaged set;
            FILE.npz: `x_train` and `x_test` (finite numbers `[n, ...]`, of the same shape per
            example), `y_train` and `y_test` (labels as in `Dataset`), or other usual names of
            these; FILE.npz:a,b,c,d names them, in this order;
            FOLDER: the four IDX files of MNIST, Fashion-MNIST, KMNIST or EMNIST, raw or
            `.gz`, or a train and test CSV; FOLDER/PREFIX if it contains several sets; or
            pictures, CLASS/picture.png, perhaps in `train` and `test`; or `.parquet` files;
            FILE.csv, `.csv.gz` or `.zip`: labels and pixels or other numbers;
            TRAIN.csv,TEST.csv: a pair of CSV files;
            FILE.parquet: pictures and labels in Hugging Face's layout;
            "keras:mnist", "keras:fashion_mnist", "keras:cifar10", "keras:cifar100".
            Without a test set, one is split off.
        labels: Names of the classes: "cat,dog", a file with one name per line, or a sequence of
            names; None for those of the data or of a well-known data set, else the numbers from 0.

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
    is_numbered = loaded.labels == catalog.numbered((), loaded.classes)
    if labels is None and raw.entry.labels and is_numbered:
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
    files.require_room(path, needed)
    shape, has_classes = dataset.x_train.shape[1:], not dataset.targets
    for split, x, y in (("train", *arrays[:2]), ("test", *arrays[2:])):
        fault = next(_faults(x, y, shape, has_classes), None)
        if fault:
            must, got = fault
            raise InputError(f"{path}: {must.format(split=split)}. Got: {got}. Give other data.")
    train, test = float(dataset.x_train.max()), float(dataset.x_test.max())
    if 0 < min(train, test) <= 1 and max(train, test) > _SURELY_GRAY:
        raise InputError(
            f"{path}: x_train and x_test must have the same scale. Got: up to {train:g} and "
            f"up to {test:g}. Multiply values in [0, 1] by 255."
        )


def _faults(
    x: np.ndarray, y: np.ndarray, shape: tuple[int, ...], has_classes: bool
) -> Iterator[tuple[str, str]]:
    """Yields `(requirement, actual)` of each check that fails; later ones assume earlier passed."""
    if x.dtype.kind not in "uif" or x.ndim < 2 or not x.size or x.shape[1:] != shape:
        must = "x_{split} must be numbers [n, ...] with n at least 1, shaped as x_train"
        yield must, f"{x.dtype} {list(x.shape)}"
    low, high = float(x.min()), float(x.max())
    if not -_FLOAT32 <= low <= high <= _FLOAT32:  # also false for NaN
        yield "x_{split} must be finite in float32, as models take it", f"{low:g} to {high:g}"
    if not has_classes:
        if len(y) != len(x) or not np.isfinite(y).all():
            yield f"y_{{split}} must be finite, one row for each of {len(x)}", f"{list(y.shape)}"
        return
    if y.dtype.kind not in "ui" or y.shape != x.shape[:1]:
        must = f"y_{{split}} must be integers [{len(x)}], or one-hot rows or text"
        yield must, f"{y.dtype} {list(y.shape)}"
    if y.min() < 0 or y.max() >= MOST_CLASSES:
        must = f"y_{{split}} must be 0 to {MOST_CLASSES - 1}, or floats for regression"
        yield must, f"{y.min()} to {y.max()}"


def require_gray_levels(dataset: Dataset) -> None:
    """Requires pixels from 0 to 255 and one class per image, as all models of this project take.

    Raises:
        InputError: Pixels are outside 0 to 255, or scaled to [0, 1]; or labels are no classes.
    """
    if dataset.targets:
        kinds = {target.kind for target in dataset.targets}
        raise InputError(
            f"{dataset.source}: y_train and y_test must be one class per image: integers, text or "
            f"one-hot rows. Got: {', '.join(sorted(kinds))}. Give other data."
        )
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
    """Reshapes examples as `in_shape` does, and casts them; scaling is part of the models.

    Returns:
        float32 `[n, *shape]`.
    """
    return in_shape(examples, shape).astype(np.float32)


def in_shape(examples: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Reshapes examples to a model's input, without a copy.

    Only harmless reshapes are made, in which every value keeps its place: axes of length 1 come
    and go, neighboring axes are merged (`[28, 28]` to `[784]`), and flat rows become images of
    one channel, row by row. Flat rows of color images are not: some data sets store them channel
    by channel, others pixel by pixel.

    Args:
        examples: Numbers `[n, ...]`.
        shape: The model's input shape per example, e.g. `(28, 28, 1)`.

    Returns:
        `[n, *shape]`, of the examples' type.

    Raises:
        InputError: The examples have another shape.
    """
    given = examples.shape[1:]
    if not _keeps_places(given, shape):
        raise InputError(
            f"the model takes examples of shape {list(shape)}. "
            f"Got: {list(given)}. {_reshape_remedy(given, shape)}"
        )
    return examples.reshape(len(examples), *shape)


def _keeps_places(given: Sequence[int], shape: Sequence[int]) -> bool:
    """Whether a reshape of one example is harmless; see `as_inputs`."""
    if math.prod(given) != math.prod(shape):
        return False
    sizes = [size for size in given if size != 1]
    wanted = [size for size in shape if size != 1]
    if len(sizes) <= 1:
        return len(wanted) <= 2
    # Merged axes end where axes of the examples end.
    return set(itertools.accumulate(wanted, operator.mul)) <= set(
        itertools.accumulate(sizes, operator.mul)
    )


def _reshape_remedy(given: Sequence[int], shape: Sequence[int]) -> str:
    """Returns what to do about examples of another shape: a transposition, if one fits."""
    wanted = [size for size in shape if size != 1]
    orders = itertools.permutations(range(len(given))) if len(given) <= _MOST_AXES else ()
    for order in orders:
        if [given[axis] for axis in order if given[axis] != 1] == wanted:
            axes = ", ".join(str(axis) for axis in (0, *(axis + 1 for axis in order)))
            return f"Transpose x_train and x_test: x.transpose({axes})."
    if math.prod(given) == math.prod(shape):
        return "Reshape x_train and x_test, in the order of values that it was trained on."
    return "Give the data set that it was trained on by --data."
