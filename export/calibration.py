"""Choose calibration images: seeded, balanced by class, never one of the test set."""

import dataclasses
import hashlib

import numpy as np

from mnist_edge import bundle, data
from mnist_edge.errors import InputError
from mnist_edge.manifest import CalibrationRecord


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Images that show a quantizer the ranges of the activations.

    Attributes:
        images: float32 `[n, ...]`, as the model takes them.
        indices: int64 `[n]`, into the data set's training images.
        record: What the manifest holds of them.
        available: How many there were to choose from.
    """

    images: np.ndarray
    indices: np.ndarray
    record: CalibrationRecord
    available: int


def choose(
    dataset: data.Dataset, shape: tuple[int, ...], split_seed: int, count: int, seed: int
) -> Calibration:
    """Chooses calibration images.

    Args:
        dataset: Where they come from.
        shape: What the model takes per example.
        split_seed: The seed that split off the validation images in training.
        count: How many, shared among the classes as evenly as it divides; a class with
            fewer gives all that it has.
        seed: The same seed chooses the same images.

    Raises:
        InputError: There are fewer candidates than `count`.
    """
    train_indices, _ = data.split_indices(len(dataset.x_train), split_seed)
    in_test = _in_test(dataset, train_indices)
    candidates = train_indices[~in_test]
    if count > len(candidates):
        raise InputError(
            f"calibration on {count} images needs as many in the training split. "
            f"Got: {len(candidates)}. Ask for fewer by --calibration-count."
        )
    # Each class shuffled, then dealt out in turn: the first `count` are balanced.
    shuffled = np.random.default_rng(seed).permutation(candidates)
    labels = dataset.y_train[shuffled]
    turn = np.empty(len(shuffled), np.int64)
    for label in np.unique(labels):
        turn[labels == label] = np.arange(np.sum(labels == label))
    indices = shuffled[np.lexsort((labels, turn))][:count]
    record = CalibrationRecord(
        count=count,
        seed=seed,
        indices_sha256=bundle.sha256_array(indices),
        refused_as_test_images=int(in_test.sum()),
    )
    images = data.as_inputs(dataset.x_train[indices], shape)
    return Calibration(images, indices, record, available=len(candidates))


def _in_test(dataset: data.Dataset, indices: np.ndarray) -> np.ndarray:
    """Whether the test set has the very same image, bool `[n]`."""

    def digests(images: np.ndarray) -> list[bytes]:
        return [hashlib.sha256(image.tobytes()).digest() for image in images]

    test = set(digests(dataset.x_test))
    return np.array([digest in test for digest in digests(dataset.x_train[indices])], bool)
