"""Load what is exported: a bundle's model, or any Keras classifier with its data."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnist_edge import bundle, data, metrics
from mnist_edge.data.record import DataRecord, describe
from mnist_edge.errors import InputError
from mnist_edge.manifest import ModelEntry
from mnist_edge.models import saving, trained
from mnist_edge.models.trained import TrainedModel
from mnist_edge.safety import sandbox
from mnist_edge.training.train_record import TrainRecord

if TYPE_CHECKING:
    import keras

# Enough to detect a wrong conversion; the benchmarks use the whole test set. Validation
# images, because the test set must not influence any choice.
_CHECK_COUNT = 1000
_SCALES_DOWN = 0.1  # most networks scale pixels by 1 / 255 or 1 / 127.5
_ADVICE = (
    "Rebuild the model from Keras's own layers, without Lambda, train it, and save it with "
    "model.save('name.keras')."
)


@dataclasses.dataclass(frozen=True)
class Source:
    """A model to export, and its data.

    Attributes:
        path: The `.keras` file.
        where: How error messages refer to the model.
        name: The model's name.
        sha256: SHA-256 of the file.
        model: A model with one input and one output, probabilities.
        softmax_added: Whether the file's model returns logits, so a softmax was appended.
        dataset: The data that it was trained on.
        split_seed: Seed of the split into training and validation images.
        labels: Class names, in order.
    """

    path: Path
    where: str
    name: str
    sha256: str
    model: "keras.Model"
    softmax_added: bool
    dataset: data.Dataset
    split_seed: int
    labels: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Input shape of the model, without the batch."""
        return tuple(self.model.inputs[0].shape[1:])

    @property
    def input_range(self) -> tuple[float, float]:
        """Minimum and maximum of the training examples."""
        x = self.dataset.x_train
        return float(x.min()), float(x.max())

    def check_set(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the validation images that every artifact is checked on, and their labels."""
        _, validation = data.split_indices(len(self.dataset.x_train), self.split_seed)
        chosen = validation[:_CHECK_COUNT]
        images = data.as_inputs(self.dataset.x_train[chosen], self.shape)
        return images, self.dataset.y_train[chosen]

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Returns the model's probabilities, float32 `[n, classes]`."""
        return trained.probabilities(self.model, images, self.where)

    def model_entry(self) -> ModelEntry:
        """Returns the model's entry in the manifest."""
        return ModelEntry(
            file=bundle.MODEL,
            size_bytes=self.path.stat().st_size,
            sha256=self.sha256,
            name=self.name,
            input_shape=self.shape,
            input_range=self.input_range,
            classes=len(self.labels),
            softmax_added=self.softmax_added,
        )

    def data_record(self) -> DataRecord:
        """Returns the data's entry in the manifest."""
        splits = data.split_indices(len(self.dataset.x_train), self.split_seed)
        return describe(self.dataset, self.labels, self.split_seed, splits)


def open_bundle(folder: Path, dataset_source: str | None = None) -> Source:
    """Loads a bundle's model and data.

    Args:
        folder: The bundle.
        dataset_source: Path or name of the data; by default the one recorded in training.

    Raises:
        InputError: The bundle is missing, incomplete or damaged.
    """
    opened = trained.open_bundle(folder)
    dataset = data.load_recorded(dataset_source or opened.record.data.source, folder)
    path = folder / bundle.MODEL
    source = _source(path, str(path), opened.model, dataset, opened.record)
    data.require_gray_levels(dataset)
    return source


def open_model(path: Path, dataset_source: str) -> Source:
    """Loads an untrusted Keras classifier, after a trial load in a child process.

    Args:
        path: A `.keras` file.
        dataset_source: The data that it was trained on, as for `mnist_edge.data.load`.

    Raises:
        InputError: The file, the model or the data can't be used.
    """
    sandbox.trial(path, _ADVICE)
    model = trained.load_model(path, _ADVICE)
    trained.check_classifier(path, model)
    return _source(path, str(path), model, data.load(dataset_source))


def save_model(model: "keras.Model | TrainedModel", dataset: data.Dataset, folder: Path) -> Source:
    """Saves a model in memory to a folder, as the source of an export.

    Raises:
        InputError: The model or the data can't be used.
    """
    record = model.record if isinstance(model, TrainedModel) else None
    model = model.model if isinstance(model, TrainedModel) else model
    where = "the model"
    trained.check_classifier(where, model)
    path = folder / bundle.MODEL
    path.write_bytes(saving.to_bytes(model))
    return _source(path, where, model, dataset, record)


def range_remark(source: Source) -> str:
    """Describes the range of the values fed to the model, with a warning if it looks wrong.

    The range in training is unknown. A model with a layer that scales pixels down was
    probably not trained on data in [0, 1].
    """
    low, high = source.input_range
    remark = f"the model is fed values from {low:g} to {high:g}, as in {source.dataset.source}"
    scales = [layer.scale for layer in source.model.layers if type(layer).__name__ == "Rescaling"]
    if high <= 1 and scales and np.max(scales[0]) < _SCALES_DOWN:
        return (
            f"warning: {remark}, and has a layer that scales them down. If it was trained on "
            "0 to 255, multiply the data by 255."
        )
    return f"{remark}; they must be scaled as in training"


def _source(
    path: Path,
    where: str,
    model: "keras.Model",
    dataset: data.Dataset,
    record: TrainRecord | None = None,
) -> Source:
    """Builds the source of a classifier; appends a softmax if it returns logits."""
    classes = model.outputs[0].shape[-1]
    if dataset.classes > classes:
        raise InputError(
            f"{where} knows {classes} classes. Got: labels up to {dataset.classes - 1} in "
            f"{dataset.source}. Give the data that it was trained on with --data."
        )
    images = data.as_inputs(dataset.x_train[:100], model.inputs[0].shape[1:])
    is_logits = bool(metrics.probability_fault(trained.predict(model, images, where)))
    return Source(
        path=path,
        where=where,
        name=record.model if record else model.name,
        sha256=bundle.sha256_file(path),
        model=_with_softmax(model) if is_logits else model,
        softmax_added=is_logits,
        dataset=dataset,
        split_seed=record.data.split_seed if record else 0,
        labels=data.numbered(record.data.labels if record else dataset.labels, classes),
    )


def _with_softmax(model: "keras.Model") -> "keras.Model":
    """Appends a softmax, under an unused layer name."""
    import keras

    names = {layer.name for layer in getattr(model, "operations", model.layers)}
    name = "probabilities"
    while name in names:
        name += "_"
    softmax = keras.layers.Softmax(name=name)(model.outputs[0])
    return keras.Model(model.inputs, softmax, name=model.name)
