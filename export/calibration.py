"""Choose calibration images: seeded, balanced by class, never in the test set."""

import dataclasses
import hashlib

import numpy as np

from mnist_edge import bundle, data
from mnist_edge.errors import InputError
from mnist_edge.manifest import CalibrationRecord

# Images where the user names no number; with fewer, all there are.
DEFAULT_COUNT = 500


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Images on which a quantizer measures the ranges of the activations.

    Attributes:
        images: Model inputs, float32 `[n, ...]`.
        indices: Indices into the training images, int64 `[n]`.
        record: The record in the manifest.
        available: Number of images that could be chosen.
    """

    images: np.ndarray
    indices: np.ndarray
    record: CalibrationRecord
    available: int


def choose(
    dataset: data.Dataset, shape: tuple[int, ...], split_seed: int, count: int | None, seed: int
) -> Calibration:
    """Chooses calibration images.

    Args:
        dataset: The data to choose from.
        shape: Input shape of the model, without the batch.
        split_seed: Seed of the split into training and validation images.
        count: Number of images, divided as evenly as possible among the classes, if the data have
            classes; None for 500, or as many as there are.
        seed: Seed of the choice.

    Raises:
        InputError: Fewer than `count` images are available, or none.
    """
    train_indices, _ = data.split_indices(len(dataset.x_train), split_seed)
    in_test = _in_test(dataset, train_indices)
    candidates = train_indices[~in_test]
    if count is None:
        count = max(1, min(DEFAULT_COUNT, len(candidates)))
    if count > len(candidates):
        raise InputError(
            f"calibration on {count} images needs at least as many training images. "
            f"Got: {len(candidates)}. "
            + (
                "Use fewer with --calibration-count."
                if len(candidates)
                else "Give other data: all training images are in the test set."
            )
        )
    # Shuffle, then take one image of each class in turn: the first `count` are balanced.
    shuffled = np.random.default_rng(seed).permutation(candidates)
    has_classes = not dataset.targets
    labels = dataset.y_train[shuffled] if has_classes else np.zeros(len(shuffled), np.uint8)
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
    """Returns whether the test set contains an identical image, bool `[n]`."""

    def digests(images: np.ndarray) -> list[bytes]:
        return [hashlib.sha256(image.tobytes()).digest() for image in images]

    test = set(digests(dataset.x_test))
    return np.array([digest in test for digest in digests(dataset.x_train[indices])], bool)
