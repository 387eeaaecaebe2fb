"""Choose calibration images: seeded, balanced by class, from the training split only."""

import dataclasses

import numpy as np

from mnist_edge import bundle, data
from mnist_edge.cli import InputError


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Images that show a quantiser the ranges of the activations.

    Attributes:
        images: float32 `[n, ...]`, as the model takes them.
        seed: The choice's seed.
        indices: int64 `[n]`, into the data set's training images.
    """

    images: np.ndarray
    seed: int
    indices: np.ndarray

    def record(self):
        """What the manifest holds of it, a dict."""
        return {
            "count": len(self.indices),
            "seed": self.seed,
            "indices_sha256": bundle.sha256_array(self.indices),
        }


def choose(dataset, shape, split_seed, count, seed):
    """Chooses calibration images.

    Args:
        dataset: A `mnist_edge.data.Dataset`.
        shape: What the model takes an example.
        split_seed: The seed that split off the validation images in training.
        count: How many, shared among the classes as evenly as it divides.
        seed: The same seed chooses the same images.

    Returns:
        A `Calibration`.

    Raises:
        InputError: A class has too few training images for its share.
    """
    train_indices, _ = data.split_indices(len(dataset.x_train), split_seed)
    labels = dataset.y_train[train_indices]
    rng = np.random.default_rng(seed)
    chosen = []
    for label in range(dataset.classes):
        share = count // dataset.classes + (label < count % dataset.classes)
        candidates = train_indices[labels == label]
        if share > len(candidates):
            raise InputError(
                f"calibration on {count} images takes {share} of class {label}, which has "
                f"{len(candidates)} in the training split. Ask for fewer by --calibration-count."
            )
        chosen.append(rng.choice(candidates, share, replace=False))
    indices = rng.permutation(np.concatenate(chosen))
    return Calibration(data.as_inputs(dataset.x_train[indices], shape), seed, indices)
