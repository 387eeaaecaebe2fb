"""Load what is exported: a bundle's model, or any Keras classifier with its data."""

import dataclasses
from collections.abc import Iterator
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

from . import output, reference
from .output import Output
from .reference import Reading

if TYPE_CHECKING:
    import keras

# Enough to detect a wrong conversion; the benchmarks use the whole test set. Validation
# images, because the test set must not influence any choice.
_CHECK_COUNT = 1000
_ROUNDING = 1e-2  # float16 models differ by 1e-3 between batch sizes
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
        output: What its output means.
        dataset: The data that it was trained on.
        split_seed: Seed of the split into training and validation images.
        labels: Class names, in order.
        reading: How well it reads the check images.
    """

    path: Path
    where: str
    name: str
    sha256: str
    model: "keras.Model"
    output: Output
    dataset: data.Dataset
    split_seed: int
    labels: tuple[str, ...]
    reading: Reading

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

    def test_answers(self) -> np.ndarray:
        """Returns the model's probabilities on the test images; raises if they are at chance."""
        images = data.as_inputs(self.dataset.x_test, self.shape)
        answers = self.predict(images)
        where = f"{self.where} on the test images of {self.dataset.source}"
        _read(self.model, images, self.dataset.y_test, answers, where)
        return answers

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
            activation=self.output.activation,
            softmax_added=self.output.softmax_added,
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
    broken = [each.path for each in model.variables if not np.isfinite(np.asarray(each)).all()]
    if broken:
        raise InputError(f"{where} must hold finite weights. Got: NaN or infinity in {broken[0]}.")
    path = folder / bundle.MODEL
    path.write_bytes(saving.to_bytes(model))
    return _source(path, where, model, dataset, record)


def description(source: Source) -> list[str]:
    """Describes what was found: the model, its data, and what looks wrong, one line each."""
    model, read, (low, high) = source.model, source.reading, source.input_range
    lines = [
        f"{source.where}: {source.name}, {model.count_params():,} parameters, input "
        f"{list(source.shape)}, output {len(source.labels)} classes from layer "
        f"{source.output.layer!r} ({source.output.words})",
        f"{source.dataset.source}: values from {low:g} to {high:g}; Keras is right on "
        f"{read.accuracy:.1%} of {read.count:,} training images",
    ]
    return lines + [f"warning: {warning}." for warning in _warnings(source)]


def _warnings(source: Source) -> Iterator[str]:
    """Yields what looks wrong but may be meant."""
    if source.output.warning:
        yield source.output.warning
    read, high = source.reading, source.input_range[1]
    if read.remedy:
        yield f"Keras is right on {read.remedy}. If it was trained so, change the data"
    elif read.at_chance:
        yield f"{read.count} images are too few to tell Keras's accuracy from chance"
    scales = [layer.scale for layer in source.model.layers if type(layer).__name__ == "Rescaling"]
    if not read.remedy and high <= 1 and scales and np.max(scales[0]) < _SCALES_DOWN:
        yield (
            "the model has a layer that scales its input down, and the data are small already. "
            "If it was trained on 0 to 255, multiply the data by 255"
        )
    present = np.union1d(source.dataset.y_train, source.dataset.y_test)
    absent = [name for i, name in enumerate(source.labels) if i not in present]
    if absent:
        shown = ", ".join(absent[:5]) + (", ..." if len(absent) > 5 else "")
        yield f"the data have no example of these classes of the model: {shown}"
    train, test = source.dataset.x_train[:_CHECK_COUNT], source.dataset.x_test[:_CHECK_COUNT]
    deviation, moved = float(train.std()), abs(float(train.mean()) - float(test.mean()))
    if moved > deviation or not deviation / 2 <= float(test.std()) <= 2 * deviation:
        yield (
            f"x_train and x_test seem to be scaled differently: mean {train.mean():.3g} and "
            f"{test.mean():.3g}, deviation {deviation:.3g} and {test.std():.3g}"
        )


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
        from_1 = min(dataset.y_train.min(), dataset.y_test.min()) == 1
        remedy = "Subtract 1: they start at 1" if from_1 else "Give the data that it was trained on"
        raise InputError(
            f"{where} knows {classes} classes. Got: labels up to {dataset.classes - 1} in "
            f"{dataset.source}. {remedy}{'' if from_1 else ' with --data'}."
        )
    split_seed = record.data.split_seed if record else 0
    train, validation = data.split_indices(len(dataset.x_train), split_seed)
    chosen = np.concatenate([validation, train])[:_CHECK_COUNT]
    images = data.as_inputs(dataset.x_train[chosen], model.inputs[0].shape[1:])
    outputs = trained.predict(model, images, where)
    _require_repeatable(model, images, outputs, where)
    found = output.read(model, outputs, where)
    labels, where_read = dataset.y_train[chosen], f"{where} on {dataset.source}"
    whole, answers = model, outputs
    if found.softmax_added:
        whole, answers = output.with_softmax(model), metrics.softmax(outputs)
    return Source(
        path=path,
        where=where,
        name=record.model if record else model.name,
        sha256=bundle.sha256_file(path),
        model=whole,
        output=found,
        dataset=dataset,
        split_seed=split_seed,
        labels=data.numbered(record.data.labels if record else dataset.labels, classes),
        reading=_read(whole, images, labels, answers, where_read),
    )


def _read(
    model: "keras.Model", images: np.ndarray, labels: np.ndarray, answers: np.ndarray, where: str
) -> Reading:
    """Returns how well a model reads examples.

    Raises:
        InputError: No better than by chance.
    """

    def predict(examples: np.ndarray) -> np.ndarray:
        return trained.probabilities(model, examples, where)

    found = reference.read(images, labels, answers, predict)
    if not (found.at_chance and found.is_enough):
        return found
    remedy = "It must be trained, and get the scale, channels and labels that it was trained on."
    if found.remedy:
        remedy = f"Keras is right on {found.remedy}: change the data so."
    raise InputError(
        f"{where} must be better than chance. Got: {found.accuracy:.1%} of {found.count:,} "
        f"images right, values from {images.min():g} to {images.max():g}. {remedy}"
    )


def _require_repeatable(
    model: "keras.Model", images: np.ndarray, outputs: np.ndarray, where: str
) -> None:
    """Raises `InputError` if answers are random, or depend on other examples of the batch."""
    alone = trained.predict(model, images[:1], where)
    if not np.allclose(alone, outputs[:1], rtol=_ROUNDING, atol=_ROUNDING):
        raise InputError(
            f"{where} must answer each example alone, the same each time. Got: another answer "
            "with other examples beside it. Let no layer compute at random or over the batch."
        )
