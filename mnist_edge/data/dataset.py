"""Load a data set and split it. NumPy only: a device without Keras reads it too.

The packaged MNIST (`mnist.npz`) is the default; `sources.py` reads the other kinds.
"""

import dataclasses
import math

import numpy as np

from mnist_edge import bundle
from mnist_edge.data import catalog, sources
from mnist_edge.errors import InputError
from mnist_edge.safety import files

MNIST = sources.MNIST
# What `--data` takes, for the help of each command that has it.
HELP = (
    "'mnist'; an .npz as keras.datasets.mnist's; a folder of IDX files, or FOLDER/PREFIX; "
    "Kaggle's .csv, .csv.gz or .zip; TRAIN.csv,TEST.csv; keras:mnist or keras:fashion_mnist"
)
LABELS_HELP = "names of the classes, 'cat,dog' or a file with a name a line"
VALIDATION_COUNT = 5_000
_LEAST_COUNT = 6  # of training examples: a sixth of them is for validation
MOST_CLASSES = 2**16
_SURELY_GREY = 100  # a value above this and a whole set below 1 are not of one scale
_FLOAT32 = float(np.finfo(np.float32).max)
# Of the arrays' bytes; the four IDX files they were made from carry the MD5 sums
# published with MNIST (see mnist.LICENSE.txt).
_MNIST_SHA256 = {
    "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Images and labels, as loaded.

    Attributes:
        source: What was asked for: "mnist" or a path, say.
        x_train: Numbers `[n, ...]`; uint8 `[n, height, width]`, 0 (paper) to 255 (ink),
            is what this project's own models are trained on.
        y_train: uint8 `[n]`, 0 to `classes - 1`; uint16 where there are more than 256 classes.
        x_test: As `x_train`.
        y_test: As `y_train`.
        labels: Names of the classes, `classes` of them, in order.
        remark: What the user should be told of how it was read, or "".
    """

    source: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    labels: tuple[str, ...]
    remark: str = ""

    @property
    def classes(self):
        """Number of classes: one more than the largest label."""
        return len(self.labels)

    def sha256(self):
        """SHA-256 of each array's bytes, by the array's name."""
        return {name: bundle.sha256_array(getattr(self, name)) for name in sources.ARRAYS}


def load(source=MNIST, labels=None):
    """Loads a data set.

    Args:
        source: Where it is, a str:
            "mnist": the packaged set;
            FILE.npz: `x_train` and `x_test` (finite numbers `[n, ...]`, of one shape an
            example), `y_train` and `y_test` (integers `[n]`, 0 to 65,535);
            FOLDER: the four IDX files of MNIST, Fashion-MNIST, KMNIST or EMNIST, raw or
            `.gz`, or Kaggle's train and test CSV; FOLDER/PREFIX where it holds several sets;
            FILE.csv, `.csv.gz` or `.zip`: Kaggle's CSV; a test set is split off it where
            there is none;
            TRAIN.csv,TEST.csv: a pair of them;
            "keras:mnist", "keras:fashion_mnist": Keras's own, which needs Keras.
        labels: Names of the classes: "cat,dog", a file with a name a line, or a sequence;
            None is what the source's name tells, or else the numbers from 0.

    Returns:
        A `Dataset`. EMNIST's files hold their images transposed, and its `letters` count
        from 1: here the images are upright and all labels count from 0.

    Raises:
        InputError: The source is missing, damaged, or holds something else, or there
            are more or fewer names than classes.
    """
    source = str(source)
    raw = sources.read(source)
    where = sources.MNIST_FILE if source == MNIST else source
    _check(raw.arrays, where, sources.remedy(source))
    if source == MNIST:
        _check_packaged(raw.arrays)
    ys = {name: raw.arrays[name] for name in ("y_train", "y_test")}
    classes = int(max(y.max() for y in ys.values())) + 1
    dtype = np.uint8 if classes <= 256 else np.uint16  # by which their hashes go
    ys = {name: y.astype(dtype) for name, y in ys.items()}
    return Dataset(
        source=source,
        **(raw.arrays | ys),
        labels=(
            numbered(raw.known.labels, classes) if labels is None else name_classes(labels, classes)
        ),
        remark=raw.remark,
    )


def numbered(names, count):
    """`count` names of classes: the first of `names`, or the numbers where they are too few."""
    return tuple(names[:count]) if len(names) >= count else tuple(map(str, range(count)))


def name_classes(given, count):
    """Names of `count` classes from what `--labels` takes; `InputError` for more or fewer."""
    names = catalog.parse_labels(given)
    if len(names) != count:
        raise InputError(
            f"--labels must name {count} classes, one a label of the data. Got: {len(names)}, "
            f"{', '.join(names[:12])}{', …' if len(names) > 12 else ''}."
        )
    return names


def _check_packaged(arrays):
    for name, expected in _MNIST_SHA256.items():
        got = bundle.sha256_array(arrays[name])
        if got != expected:
            raise InputError(
                f"{sources.MNIST_FILE}: {name} must have SHA-256 {expected}. Got: {got}. "
                f"{sources.remedy(MNIST)}"
            )


def _check(arrays, path, remedy):
    needed = sum(files.data_bytes(array.size, array.itemsize) for array in arrays.values())
    if needed > files.LIMIT_BYTES:
        raise InputError(
            f"{path} must take at most {files.LIMIT_BYTES:,} bytes as float32 too. "
            f"Got: {needed:,}. Give less data."
        )
    shape = arrays["x_train"].shape[1:]
    for split in ("train", "test"):
        x, y = arrays[f"x_{split}"], arrays[f"y_{split}"]
        if x.dtype.kind not in "uif" or x.ndim < 2 or not x.size or x.shape[1:] != shape:
            raise InputError(
                f"{path}: x_{split} must be numbers [n, ...] with n at least 1, shaped as "
                f"x_train. Got: {x.dtype} {list(x.shape)}. {remedy}"
            )
        low, high = float(x.min()), float(x.max())
        if not -_FLOAT32 <= low <= high <= _FLOAT32:  # NaN is not
            raise InputError(
                f"{path}: x_{split} must be finite in float32, as models take it. "
                f"Got: {low:g} to {high:g}. {remedy}"
            )
        if y.dtype.kind not in "ui" or y.shape != x.shape[:1]:
            raise InputError(
                f"{path}: y_{split} must be integers [{len(x)}]. "
                f"Got: {y.dtype} {list(y.shape)}. {remedy}"
            )
        if y.min() < 0 or y.max() >= MOST_CLASSES:
            raise InputError(
                f"{path}: y_{split} must be 0 to {MOST_CLASSES - 1}. "
                f"Got: {y.min()} to {y.max()}. {remedy}"
            )
    tops = {name: float(arrays[name].max()) for name in ("x_train", "x_test")}
    if 0 < min(tops.values()) <= 1 and max(tops.values()) > _SURELY_GREY:
        raise InputError(
            f"{path}: x_train and x_test must be scaled alike. Got: up to {tops['x_train']:g} and "
            f"up to {tops['x_test']:g}. Multiply by 255 what lies in [0, 1]. {remedy}"
        )


def require_gray_levels(dataset):
    """Requires pixels of 0 to 255, as every model of this project takes them.

    Args:
        dataset: A `Dataset`.

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


def split_indices(
    count: int, seed: int, validation_count: int = VALIDATION_COUNT
) -> tuple[np.ndarray, np.ndarray]:
    """Splits a training set in two by seed.

    Args:
        count: Number of training images.
        seed: The same seed gives the same split.
        validation_count: How many go to validation; at most a sixth of `count` does.

    Returns:
        `(train, validation)`, sorted int64 index arrays without a common element.
    """
    if count < _LEAST_COUNT:
        raise InputError(
            f"the training set must hold {_LEAST_COUNT} examples or more, one of which is for "
            f"validation. Got: {count}. Give more by --data."
        )
    validation_count = min(validation_count, count // _LEAST_COUNT)
    shuffled = np.random.default_rng(seed).permutation(count)
    return np.sort(shuffled[validation_count:]), np.sort(shuffled[:validation_count])


def as_inputs(examples, shape):
    """Examples as a model takes them. Nothing is scaled: that is inside the models.

    Args:
        examples: Numbers `[n, ...]`.
        shape: What the model takes an example, `(28, 28, 1)` say; the examples have as
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
