"""Open the Keras model of any bundle: trained by this project, or exported from elsewhere."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_edge import bundle, manifest, models
from mnist_edge.data.record import DataRecord
from mnist_edge.errors import InputError, did_you_mean
from mnist_edge.models import packaged, trained
from mnist_edge.models.trained import TrainedModel
from mnist_edge.safety import files
from mnist_edge.training.train_record import TrainRecord

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True)
class BundleModel:
    """The Keras model of a bundle, and what the bundle's records say of it.

    Attributes:
        model: Maps float32 `[batch, ...]` to probabilities or, if `softmax_added`, logits
            `[batch, classes]`.
        where: The bundle's folder.
        name: The model's name.
        sha256: SHA-256 of its file.
        data: The data set that it was trained or exported with.
        input_range: Smallest and largest value of the training examples.
        softmax_added: Whether it returns logits, and export appended a softmax to the artifacts.
        record: The content of `train.json`; None if this project did not train it.
    """

    model: "keras.Model"
    where: Path
    name: str
    sha256: str
    data: DataRecord
    input_range: tuple[float, float]
    softmax_added: bool = False
    record: TrainRecord | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input example."""
        return tuple(self.model.inputs[0].shape[1:])

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.data.labels

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Returns probabilities, float32 `[n, classes]`; raises the errors of `trained.predict`.

        Args:
            inputs: float32 `[n, ...]`, in the model's input shape.
        """
        return trained.probabilities(self.model, inputs, self.where, self.softmax_added)


def is_trained_here(folder: Path) -> bool:
    """Whether a bundle has the record of a training by this project."""
    return files.kind(folder / bundle.TRAIN) != "nothing"


def open_bundle(folder: Path) -> BundleModel:
    """Opens a bundle's model: as trained if it has a `train.json`, else as exported.

    Raises:
        InputError: The bundle is missing, incomplete or damaged.
    """
    if is_trained_here(folder) or files.kind(folder / bundle.MANIFEST) == "nothing":
        path, record, remedy = trained.check(folder)
        name, sha256, used, says = record.model, record.model_sha256, record.data, "as trained"
        about: dict[str, Any] = {"input_range": (0.0, 255.0), "record": record}
    else:
        packaged.check(folder)
        remedy = (
            "Copy the whole bundle again, or export its model again: python -m export MODEL.keras "
            f"--data DATA --output {folder}"
        )
        loaded = manifest.read(folder, remedy)
        entry, used, says = loaded.model, loaded.data, "as its manifest names"
        path, name, sha256 = folder / entry.file, entry.name, entry.sha256
        about = {"input_range": entry.input_range, "softmax_added": entry.softmax_added}
        if cause := manifest.damage(path, entry):
            raise InputError(f"{path}: {cause}. {remedy}")
    model = trained.load_model(path, remedy)
    trained.check_classifier(path, model)
    classes = model.outputs[0].shape[-1]
    if classes != used.classes:
        raise InputError(
            f"{path} must have {used.classes} classes, {says}. Got: {classes}. {remedy}"
        )
    return BundleModel(model, folder, name, sha256, used, **about)


def open_named(name: Path | str) -> TrainedModel | BundleModel:
    """Opens a packaged model by its name, such as "edge", or a bundle by its folder.

    Returns:
        A `TrainedModel` with the record of its training if this project trained it, else a
        `BundleModel`. Both have `model`, `shape`, `labels` and `record`.

    Raises:
        InputError: The bundle is missing, incomplete or damaged.
    """
    folder = models.PRETRAINED / name
    folder = folder if folder.is_dir() else Path(name)
    meant = did_you_mean(str(name), [each.name for each in models.PRETRAINED.glob("*/")])
    if meant and not folder.exists():
        raise InputError(
            f"{name} must be a packaged model or a bundle's folder. Got: nothing of "
            f"this name. {meant}"
        )
    opened = open_bundle(folder)
    return TrainedModel(opened.model, opened.record) if opened.record else opened
