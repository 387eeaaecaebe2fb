"""The description of a data set in a bundle's records."""

import dataclasses
from typing import Annotated

import numpy as np

from mnist_edge.data.dataset import MOST_CLASSES, Dataset
from mnist_edge.schema import Count, PathText, SchemaError, Seed, Sha256, Text, integer


@dataclasses.dataclass(frozen=True)
class ArraySha256:
    """SHA-256 of each of a data set's arrays."""

    x_train: Sha256
    y_train: Sha256
    x_test: Sha256
    y_test: Sha256


@dataclasses.dataclass(frozen=True)
class DataRecord:
    """A data set and its split.

    Attributes:
        source: The argument of `mnist_edge.load_dataset` that it was loaded from.
        classes: Number of classes.
        labels: Their names, in order.
        split_seed: Seed of the split into training and validation images.
        train_count: Number of training images.
        validation_count: Number of validation images.
        test_count: Number of test images.
        sha256: Hashes of its arrays.
    """

    source: PathText
    classes: Annotated[int, integer(1, MOST_CLASSES)]
    labels: tuple[Text, ...]
    split_seed: Seed
    train_count: Count
    validation_count: Count
    test_count: Count
    sha256: ArraySha256

    def __post_init__(self) -> None:
        if len(self.labels) != self.classes:
            raise SchemaError(
                f"data.labels must name {self.classes} classes. Got: {len(self.labels)}"
            )


def describe(
    dataset: Dataset,
    labels: tuple[str, ...],
    split_seed: int,
    splits: tuple[np.ndarray, np.ndarray],
) -> DataRecord:
    """Returns the record of a data set and its split, with these names of the classes."""
    return DataRecord(
        source=dataset.source,
        classes=len(labels),
        labels=labels,
        split_seed=split_seed,
        train_count=len(splits[0]),
        validation_count=len(splits[1]),
        test_count=len(dataset.x_test),
        sha256=ArraySha256(**dataset.sha256()),
    )
