"""Choose calibration images: seeded, balanced by class, never one of the test set."""

import dataclasses
import hashlib

import numpy as np

from mnist_edge import bundle, data
from mnist_edge.errors import InputError


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Images that show a quantizer the ranges of the activations.

    Attributes:
        images: float32 `[n, ...]`, as the model takes them.
        seed: The choice's seed.
        indices: int64 `[n]`, into the data set's training images.
        available: How many there were to choose from.
        refused: How many training images could not be chosen because the test set has
            the very same.
    """

    images: np.ndarray
    seed: int
    indices: np.ndarray
    available: int
    refused: int

    def record(self):
        """What the manifest holds of it, a dict."""
        return {
            "count": len(self.indices),
            "seed": self.seed,
            "indices_sha256": bundle.sha256_array(self.indices),
            "refused_as_test_images": self.refused,
        }


def choose(dataset, shape, split_seed, count, seed):
    """Chooses calibration images.

    Args:
        dataset: A `mnist_edge.data.Dataset`.
        shape: What the model takes an example.
        split_seed: The seed that split off the validation images in training.
        count: How many, shared among the classes as evenly as it divides; a class with
            fewer gives all that it has.
        seed: The same seed chooses the same images.

    Returns:
        A `Calibration`.

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
    return Calibration(
        images=data.as_inputs(dataset.x_train[indices], shape),
        seed=seed,
        indices=indices,
        available=len(candidates),
        refused=int(in_test.sum()),
    )


def _in_test(dataset, indices):
    """Whether the test set has the very same image, bool `[n]`."""

    def digests(images):
        return [hashlib.sha256(image.tobytes()).digest() for image in images]

    test = set(digests(dataset.x_test))
    return np.array([digest in test for digest in digests(dataset.x_train[indices])], bool)
