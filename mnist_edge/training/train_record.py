"""The record of a training run, `train.json`."""

import dataclasses

from mnist_edge import schema
from mnist_edge.data.record import DataRecord
from mnist_edge.models.recipe import Recipe
from mnist_edge.schema import Count, CountFrom1, Name, NotNegative, Seed, Sha256, Share, Text


@dataclasses.dataclass(frozen=True)
class Metrics:
    """Accuracy and loss; the validation figures are None if it was trained on all images."""

    validation_accuracy: Share | None
    validation_loss: NotNegative | None
    test_accuracy: Share
    test_loss: NotNegative


@dataclasses.dataclass(frozen=True)
class Machine:
    """Properties of the machine that may change the order of floating-point operations.

    Attributes:
        platform: Operating system and processor.
        cpu_count: Number of the machine's processors; None if unknown.
        cores_allowed: Number of processors that the process may use.
        variables: Values of the environment variables that change the arithmetic.
    """

    platform: Text
    cpu_count: Count | None
    cores_allowed: Count | None
    variables: dict[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainRecord(schema.Record):
    """The record of a training run.

    Attributes:
        model: Name of the network, as in the zoo.
        model_sha256: SHA-256 of `model.keras`.
        weights_sha256: SHA-256 of the weights in order, independent of the file format.
        parameters: Number of weights.
        multiply_accumulates: Multiply-accumulates per image.
        metrics: Accuracy and loss.
        kept_epoch: The epoch whose weights were kept, counted from 1.
        epochs: Number of trained epochs.
        training_seconds: Duration of these epochs.
        recipe: The training recipe.
        seed: Seed of weights, order of the images and augmentation.
        data: The data set.
        versions: Version by package; `backend` is the backend's name.
        machine: The machine.
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
