"""Load what is exported: a bundle's model, or any Keras classifier with its data."""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnist_edge import bundle, data, heads
from mnist_edge.data import parts
from mnist_edge.data.parts import Part, Target
from mnist_edge.data.record import DataRecord, describe
from mnist_edge.errors import InputError
from mnist_edge.heads import Head
from mnist_edge.manifest import ModelEntry
from mnist_edge.models import opened, ports, precision, saving, trained
from mnist_edge.models.opened import BundleModel
from mnist_edge.models.trained import TrainedModel
from mnist_edge.safety import sandbox

from . import answers, output
from .output import Output
from .reference import Reading

if TYPE_CHECKING:
    import keras

# Enough to detect a wrong conversion; the benchmarks use the whole test set. Validation
# images, because the test set must not influence any choice.
CHECK_COUNT = 1000
_CHECK_VALUES = 2**26  # 268 MB in float32: 445 images of 224 x 224 pixels in color
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
        model: The model; its inputs and outputs are sorted by name, and logits have become
            probabilities.
        outputs: What its outputs mean.
        dataset: The data that it was trained on.
        split_seed: Seed of the split into training and validation images.
        labels: Class names, in order.
        readings: How well each output reads the check images.
    """

    path: Path
    where: str
    name: str
    sha256: str
    model: "keras.Model"
    outputs: tuple[Output, ...]
    dataset: data.Dataset
    split_seed: int
    labels: tuple[str, ...]
    readings: tuple[Reading, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example: of the model's input, or its values if it has several."""
        return ports.example_shape(self.model)

    @property
    def heads(self) -> tuple[Head, ...]:
        """What the columns of the predictions mean."""
        return tuple(output.head for output in self.outputs)

    @property
    def is_plain(self) -> bool:
        """Whether the model has one input, and one output of exclusive classes."""
        return ports.is_single(self.model) and self.heads[0].kind == heads.CLASSES

    @property
    def input_range(self) -> tuple[float, float]:
        """Minimum and maximum of the training examples."""
        x = self.dataset.x_train
        return float(x.min()), float(x.max())

    def check_set(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the validation images that every artifact is checked on, and their labels."""
        _, validation = data.split_indices(len(self.dataset.x_train), self.split_seed)
        chosen = validation[: _check_count(self.shape)]
        images = data.as_inputs(self.dataset.x_train[chosen], self.shape)
        return images, self.dataset.y_train[chosen]

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Returns the model's predictions, float32 `[n, width]`."""
        return answers.predict(self.model, self.heads, images, self.where)

    def test_answers(self) -> np.ndarray:
        """Returns the model's predictions on the test images; raises if they are at chance."""
        images = data.in_shape(self.dataset.x_test, self.shape)
        found = self.predict(images)
        where = f"{self.where} on the test images of {self.dataset.source}"
        answers.read(self.model, self.heads, images, self.dataset.y_test, found, where)
        return found

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
            activation=self.heads[0].activation,
            softmax_added=self.heads[0].added == "softmax",
            heads=() if self.is_plain else self.heads,
        )

    def data_record(self) -> DataRecord:
        """Returns the data's entry in the manifest."""
        splits = data.split_indices(len(self.dataset.x_train), self.split_seed)
        return describe(self.dataset, self.labels, self.split_seed, splits)


def open_bundle(folder: Path, dataset_source: str | None = None) -> Source:
    """Loads a bundle's model and data.

    Args:
        folder: The bundle.
        dataset_source: Path or name of the data; by default the one in the bundle's records.

    Raises:
        InputError: The bundle is missing, incomplete or damaged.
    """
    found = opened.open_bundle(folder)
    dataset = data.load_recorded(dataset_source or found.data.source, folder)
    path = folder / bundle.MODEL
    source = _source(path, str(path), found.model, dataset, found.name, found.data)
    if found.record:
        data.require_gray_levels(dataset)
    return source


def open_model(
    path: Path, dataset_source: str, input_shape: tuple[int, ...] | None = None
) -> Source:
    """Loads an untrusted Keras classifier, after a trial load in a child process.

    Args:
        path: A `.keras` file.
        dataset_source: The data that it was trained on, as for `mnist_edge.data.load`.
        input_shape: Shape of one example, for a model that takes any; by default the data's.

    Raises:
        InputError: The file, the model or the data can't be used.
    """
    sandbox.trial(path, _ADVICE)
    model = trained.load_model(path, _ADVICE)
    dataset = data.load(dataset_source)
    return _source(path, str(path), _fixed(path, model, dataset, input_shape), dataset)


def save_model(
    model: "keras.Model | TrainedModel | BundleModel",
    dataset: data.Dataset,
    folder: Path,
    input_shape: tuple[int, ...] | None = None,
) -> Source:
    """Saves a model in memory to a folder, as the source of an export; options of `open_model`.

    Raises:
        InputError: The model or the data can't be used.
    """
    record = None
    if isinstance(model, TrainedModel | BundleModel):
        record, model = model.record, model.model
    where = "the model"
    for name, value, kind in (("model", model, "keras.Model"), ("dataset", dataset, "Dataset")):
        if kind.removeprefix("keras.") not in (each.__name__ for each in type(value).__mro__):
            remedy = "Load it first: keras.models.load_model" if value is model else "Give Dataset"
            raise InputError(
                f"{name} must be a {kind}. Got: {type(value).__name__}. {remedy}(...)."
            )
    model = _fixed(where, model, dataset, input_shape)
    broken = [each.path for each in model.variables if not np.isfinite(np.asarray(each)).all()]
    if broken:
        raise InputError(f"{where} must hold finite weights. Got: NaN or infinity in {broken[0]}.")
    try:
        model = precision.in_float32(model)
    except ValueError as error:
        raise InputError(f"{where} can't be exported: {error}. Train it in float32.") from error
    path = folder / bundle.MODEL
    path.write_bytes(saving.to_bytes(model))
    if not record:
        return _source(path, where, model, dataset)
    return _source(path, where, model, dataset, record.model, record.data)


def _fixed(
    where: Path | str,
    model: "keras.Model",
    dataset: data.Dataset,
    shape: tuple[int, ...] | None,
) -> "keras.Model":
    """Returns a model that can be exported; a free input shape is fixed, by default to the data's.

    Raises:
        InputError: The model is of a kind that can't be exported, or does not fit the data.
    """
    import keras

    inputs, given = list(getattr(model, "inputs", None) or ()), dataset.x_train.shape[1:]
    wanted = [shape] if shape else [given, (*given, 1)]
    fitting = [one for one in wanted if len(inputs) == 1 and _fits(one, inputs[0].shape[1:])]
    if shape and not fitting:
        raise InputError(
            f"--input-shape must fit the model's input. Got: {list(shape)}, and inputs "
            f"{[list(one.shape[1:]) for one in inputs]} of {where}."
        )
    if fitting and None in inputs[0].shape[1:]:
        fixed = keras.Input(fitting[0], name=inputs[0].name, dtype=inputs[0].dtype)
        # The same layers and weights on another input.
        model = keras.models.clone_model(
            model, input_tensors=fixed, clone_function=lambda layer: layer
        )
    trained.check_model(where, model, given)
    expected = tuple(Part(name, tuple(t.shape[1:])) for name, t in ports.inputs(model))
    if dataset.inputs != expected if len(expected) > 1 else dataset.inputs:
        got = _shapes(dataset.inputs) or f"one array, {list(given)} per example"
        names = ", ".join(f"x_train_{part.name}" for part in expected)
        raise InputError(
            f"{where} takes {_shapes(expected)}. Got: {got} in {dataset.source}. Give an .npz with "
            f"{names if len(expected) > 1 else 'x_train'}, or the data that it was trained on."
        )
    return model


def _fits(given: tuple[int, ...], shape: tuple[int | None, ...]) -> bool:
    """Whether a shape is another, but for its free sides."""
    return len(given) == len(shape) and all(
        side in (None, own) for own, side in zip(given, shape, strict=True)
    )


def _shapes(inputs: Sequence[Part]) -> str:
    return ", ".join(f"{part.name} {list(part.shape)}" for part in inputs)


def _source(
    path: Path,
    where: str,
    model: "keras.Model",
    dataset: data.Dataset,
    name: str | None = None,
    recorded: DataRecord | None = None,
) -> Source:
    """Builds the source of a model; appends an activation to outputs that are logits.

    `name` and `recorded`, the description of the data, are those of the bundle's records, if any.
    """
    split_seed = recorded.split_seed if recorded else 0
    train, validation = data.split_indices(len(dataset.x_train), split_seed)
    shape = ports.example_shape(model)
    chosen = np.concatenate([validation, train])[: _check_count(shape)]
    images = data.as_inputs(dataset.x_train[chosen], shape)
    own_answers = trained.predict(model, images, where)
    answers.require_repeatable(model, images, own_answers, where)
    labels = recorded.labels if recorded else dataset.labels
    found = answers.read_outputs(model, dataset, labels, chosen, own_answers, where)
    own, whole = tuple(output.head for output in found), output.complete(model, found)
    finished, where_read = heads.finish(own, own_answers), f"{where} on {dataset.source}"
    return Source(
        path=path,
        where=where,
        name=name or model.name,
        sha256=bundle.sha256_file(path),
        model=whole,
        outputs=found,
        dataset=dataset,
        split_seed=split_seed,
        labels=own[0].labels if len(own) == 1 else parts.labels(_as_targets(own)),
        readings=answers.read(whole, own, images, dataset.y_train[chosen], finished, where_read),
    )


def _check_count(shape: Sequence[int]) -> int:
    """Returns the number of check images of a shape."""
    return max(1, min(CHECK_COUNT, _CHECK_VALUES // math.prod(shape)))


def _as_targets(own: Sequence[Head]) -> list[Target]:
    return [Target(head.name, "values", head.labels) for head in own]
