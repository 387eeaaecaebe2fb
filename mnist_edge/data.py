"""Load a data set and split it. NumPy only: a device without Keras reads it too.

The packaged MNIST (`mnist.npz`) is the default; any `.npz` in the layout of
`keras.datasets.mnist` works as well.
"""

import dataclasses
import math
import zipfile
import zlib
from pathlib import Path

import numpy as np

from mnist_edge import bundle
from mnist_edge.cli import InputError

MNIST = "mnist"
VALIDATION_COUNT = 5_000
_MNIST_FILE = Path(__file__).with_name("mnist.npz")
_ARRAYS = ("x_train", "y_train", "x_test", "y_test")
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
        source: What was asked for: "mnist" or a path.
        x_train: Numbers `[n, ...]`; uint8 `[n, height, width]`, 0 (paper) to 255 (ink),
            is what this project's own models are trained on.
        y_train: uint8 `[n]`, 0 to `classes - 1`.
        x_test: As `x_train`.
        y_test: As `y_train`.
    """

    source: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    @property
    def classes(self):
        """Number of classes: one more than the largest label."""
        return int(max(self.y_train.max(), self.y_test.max())) + 1

    def sha256(self):
        """SHA-256 of each array's bytes, by the array's name."""
        return {name: bundle.sha256_array(getattr(self, name)) for name in _ARRAYS}


def load(source=MNIST):
    """Loads a data set.

    Args:
        source: "mnist" for the packaged set, or the path of an `.npz` with `x_train`
            and `x_test` (finite numbers `[n, ...]`, of one shape an example), `y_train`
            and `y_test` (integers `[n]`, 0 to 255).

    Returns:
        A `Dataset`.

    Raises:
        InputError: The file is missing, damaged, or holds something else.
    """
    path = _MNIST_FILE if source == MNIST else Path(source)
    remedy = (
        "Restore the file from the repository."
        if source == MNIST
        else "Give 'mnist' or an .npz in the layout of keras.datasets.mnist."
    )
    arrays = _read_npz(path, remedy)
    _check(arrays, path, remedy)
    if source == MNIST:
        for name, expected in _MNIST_SHA256.items():
            got = bundle.sha256_array(arrays[name])
            if got != expected:
                raise InputError(
                    f"{path}: {name} must have SHA-256 {expected}. Got: {got}. {remedy}"
                )
    labels = {name: arrays[name].astype(np.uint8) for name in ("y_train", "y_test")}
    return Dataset(source=str(source), **(arrays | labels))


def _read_npz(path, remedy):
    if not path.is_file():
        raise InputError(f"{path} must be a file and is not. {remedy}")
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [name for name in _ARRAYS if name not in archive]
            if missing:
                raise InputError(f"{path} must hold {', '.join(missing)}. {remedy}")
            return {name: archive[name] for name in _ARRAYS}
    except InputError:
        raise
    except (
        AttributeError,  # `np.load` returned a bare array, which is no context manager
        EOFError,
        OSError,
        TypeError,
        ValueError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise InputError(f"{path} must be a whole .npz. Got: {error}. {remedy}") from error


def _check(arrays, path, remedy):
    shape = arrays["x_train"].shape[1:]
    for split in ("train", "test"):
        x, y = arrays[f"x_{split}"], arrays[f"y_{split}"]
        if x.dtype.kind not in "uif" or x.ndim < 2 or not x.size or x.shape[1:] != shape:
            raise InputError(
                f"{path}: x_{split} must be numbers [n, ...] with n at least 1, shaped as "
                f"x_train. Got: {x.dtype} {list(x.shape)}. {remedy}"
            )
        if not np.isfinite(x).all():
            raise InputError(f"{path}: x_{split} must be finite. Got: NaN or infinity. {remedy}")
        if y.dtype.kind not in "ui" or y.shape != x.shape[:1]:
            raise InputError(
                f"{path}: y_{split} must be integers [{len(x)}]. "
                f"Got: {y.dtype} {list(y.shape)}. {remedy}"
            )
        if y.min() < 0 or y.max() > 255:
            raise InputError(
                f"{path}: y_{split} must be 0 to 255. Got: {y.min()} to {y.max()}. {remedy}"
            )


def split_indices(count, seed, validation_count=VALIDATION_COUNT):
    """Splits a training set in two by seed.

    Args:
        count: Number of training images.
        seed: The same seed gives the same split.
        validation_count: How many go to validation; at most a sixth of `count` does.

    Returns:
        `(train, validation)`, sorted int64 index arrays without a common element.
    """
    validation_count = min(validation_count, count // 6)
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
