"""What is to be exported: a bundle's model, or any Keras classifier with its data."""

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

# Enough to tell a wrong graph from a right one; the benchmarks check on the whole test
# set. Validation images, so that the test set chooses nothing.
_CHECK_COUNT = 1000
_SCALES_DOWN = 0.1  # by 255 or 127.5, in most networks
_ADVICE = (
    "Rebuild the model from Keras's own layers, without Lambda, train it, and save it by "
    "model.save('name.keras')."
)


@dataclasses.dataclass(frozen=True)
class Source:
    """A model and the data that it is exported with.

    Attributes:
        path: The `.keras` file.
        where: What the model is called in an error's line.
        name: The model's name.
        sha256: Of the file.
        model: With one input and one output, probabilities.
        softmax_added: Whether the file's model gives logits, and softmax was put behind.
        dataset: What it was trained on.
        split_seed: Of the split into training and validation images.
        labels: Names of the classes, in order.
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
        """What the model takes per example."""
        return tuple(self.model.inputs[0].shape[1:])

    @property
    def input_range(self) -> tuple[float, float]:
        """Smallest and largest value of the training examples."""
        x = self.dataset.x_train
        return float(x.min()), float(x.max())

    def check_set(self) -> tuple[np.ndarray, np.ndarray]:
        """Validation images that every artifact is compared on, and their labels."""
        _, validation = data.split_indices(len(self.dataset.x_train), self.split_seed)
        chosen = validation[:_CHECK_COUNT]
        images = data.as_inputs(self.dataset.x_train[chosen], self.shape)
        return images, self.dataset.y_train[chosen]

    def predict(self, images: np.ndarray) -> np.ndarray:
        """The model's probabilities, float32 `[n, classes]`."""
        return trained.probabilities(self.model, images, self.where)

    def model_entry(self) -> ModelEntry:
        """What the manifest holds of the model."""
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
        """What the manifest holds of the data."""
        splits = data.split_indices(len(self.dataset.x_train), self.split_seed)
        return describe(self.dataset, self.labels, self.split_seed, splits)


def open_bundle(folder: Path, dataset_source: str | None = None) -> Source:
    """Opens the model that `mnist_edge.train` wrote into a bundle.

    Args:
        folder: The bundle.
        dataset_source: Where its data lie now; None is where they lay in training.

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
    """Opens a Keras classifier that this project did not train; in a child process first.

    Args:
        path: A `.keras` file.
        dataset_source: The data that it was trained on, as `mnist_edge.data.load` takes.

    Raises:
        InputError: The file, the model or the data can't be used.
    """
    sandbox.trial(path, _ADVICE)
    model = trained.load_model(path, _ADVICE)
    trained.check_classifier(path, model)
    return _source(path, str(path), model, data.load(dataset_source))


def save_model(model: "keras.Model | TrainedModel", dataset: data.Dataset, folder: Path) -> Source:
    """Saves a model that is in memory into a folder, to export it from there.

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
    """What to know of the values that a foreign model gets, a line.

    Only its author knows what it was trained on; a layer of its own that scales pixels down
    is a sign that it was not on what lies in [0, 1] already.
    """
    low, high = source.input_range
    remark = f"the model gets {low:g} to {high:g}, as {source.dataset.source} has it"
    scales = [layer.scale for layer in source.model.layers if type(layer).__name__ == "Rescaling"]
    if high <= 1 and scales and np.max(scales[0]) < _SCALES_DOWN:
        return (
            f"warning: {remark}, and then scales it down by its own layer. If it was trained on "
            "0 to 255, multiply by 255."
        )
    return f"{remark}; give data scaled as in its training"


def _source(
    path: Path,
    where: str,
    model: "keras.Model",
    dataset: data.Dataset,
    record: TrainRecord | None = None,
) -> Source:
    """What is exported, of a model that is a classifier."""
    classes = model.outputs[0].shape[-1]
    if dataset.classes > classes:
        raise InputError(
            f"{where} knows {classes} classes. Got: labels up to {dataset.classes - 1} in "
            f"{dataset.source}. Give the data set that it was trained on by --data."
        )
    images = data.as_inputs(dataset.x_train[:100], model.inputs[0].shape[1:])
    is_logits = bool(metrics.no_probabilities(trained.answers(model, images, where)))
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
    """A model of logits with softmax behind it, by a name that no layer has."""
    import keras

    names = {one.name for one in getattr(model, "operations", model.layers)}
    name = "probabilities"
    while name in names:
        name += "_"
    softmax = keras.layers.Softmax(name=name)(model.outputs[0])
    return keras.Model(model.inputs, softmax, name=model.name)
