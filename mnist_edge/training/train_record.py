"""`train.json`: what a training run records, and every command after it reads."""

import dataclasses
from pathlib import Path

from mnist_edge import schema
from mnist_edge.data.record import DataRecord
from mnist_edge.models.recipe import Recipe
from mnist_edge.schema import Count, CountFrom1, Name, NotNegative, Seed, Sha256, Share, Text


@dataclasses.dataclass(frozen=True)
class Metrics:
    """How well the model does; no validation figures where it was trained on all images."""

    validation_accuracy: Share | None
    validation_loss: NotNegative | None
    test_accuracy: Share
    test_loss: NotNegative


@dataclasses.dataclass(frozen=True)
class Machine:
    """What the weights depend on besides versions: how the backend adds up.

    Attributes:
        platform: The operating system and the processor.
        cpu_count: Number of the machine's processors; None where not told.
        cores_allowed: How many of them the process may use.
        variables: Environment variables that change the arithmetic, where they are set.
    """

    platform: Text
    cpu_count: Count | None
    cores_allowed: Count | None
    variables: dict[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainRecord(schema.Record):
    """A training run: what it learned from, how, on what, and how well.

    Attributes:
        model: Name of the network, as in the zoo.
        model_sha256: Of `model.keras`.
        weights_sha256: Of the weights alone, in order, whichever file holds them.
        parameters: Number of weights.
        multiply_accumulates: Per image.
        metrics: Accuracy and loss.
        kept_epoch: The epoch whose weights were kept, counted from 1.
        epochs: Number of epochs that were trained.
        training_seconds: What they took.
        recipe: How it was trained.
        seed: Seed of weights, order and augmentation.
        data: The data set.
        versions: Version by package; the backend's name as `backend`.
        machine: What else the weights depend on.
    """

    model: Name
    model_sha256: Sha256
    weights_sha256: Sha256
    parameters: Count
    multiply_accumulates: Count
    metrics: Metrics
    kept_epoch: CountFrom1
    epochs: CountFrom1
    training_seconds: NotNegative
    recipe: Recipe
    seed: Seed
    data: DataRecord
    versions: dict[str, Text | None]
    machine: Machine


def read(path: Path, remedy: str) -> TrainRecord:
    """Reads what a training run recorded.

    Args:
        path: The `train.json`.
        remedy: What to do where it is missing or wrong; ends the error's line.

    Raises:
        InputError: It is missing, damaged or of another kind.
    """
    return schema.read(TrainRecord, path, remedy)
