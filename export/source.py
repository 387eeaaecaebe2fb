"""Load what is exported: a bundle's model, or any Keras classifier with its data."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
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

from . import output, reference
from .output import Output
from .reference import Reading

if TYPE_CHECKING:
    import keras

# Enough to detect a wrong conversion; the benchmarks use the whole test set. Validation
# images, because the test set must not influence any choice.
_CHECK_COUNT = 1000
_CHECK_VALUES = 2**26  # 268 MB in float32: 445 images of 224 x 224 pixels in color
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
        return _predict(self.model, self.heads, images, self.where)

    def test_answers(self) -> np.ndarray:
        """Returns the model's predictions on the test images; raises if they are at chance."""
        images = data.in_shape(self.dataset.x_test, self.shape)
        answers = self.predict(images)
        where = f"{self.where} on the test images of {self.dataset.source}"
        _read(self.model, self.heads, images, self.dataset.y_test, answers, where)
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


def description(source: Source) -> list[str]:
    """Describes what was found: the model, its data, and what looks wrong, one line each."""
    model, (low, high) = source.model, source.input_range
    names = [f"{name} " if len(model.inputs) > 1 else "" for name, _ in ports.inputs(model)]
    inputs = ", ".join(
        f"{name}{list(tensor.shape[1:])}"
        for name, (_, tensor) in zip(names, ports.inputs(model), strict=True)
    )
    outputs = ", ".join(
        f"{len(output.head.labels)} {_NOUNS[output.head.kind]} from layer {output.layer!r} "
        f"({output.words})"
        for output in source.outputs
    )
    read = ", ".join(
        f"{reading.words}{f' ({head.name})' if len(source.heads) > 1 else ''}"
        for head, reading in zip(source.heads, source.readings, strict=True)
    )
    lines = [
        f"{source.where}: {source.name}, {model.count_params():,} parameters, input {inputs}, "
        f"output {outputs}",
        f"{source.dataset.source}: values from {low:g} to {high:g}; Keras {read}",
    ]
    return lines + [f"warning: {warning}." for warning in _warnings(source)]


_NOUNS = {
    heads.CLASSES: "classes",
    heads.BINARY: "classes",
    heads.LABELS: "labels",
    heads.VALUES: "values",
}


def _warnings(source: Source) -> Iterator[str]:
    """Yields what looks wrong but may be meant."""
    high = source.input_range[1]
    yield from (output.warning for output in source.outputs if output.warning)
    remedies = [reading.remedy for reading in source.readings if reading.remedy]
    yield from (f"{remedy}. If it was trained so, change the data" for remedy in remedies)
    if not remedies and any(reading.at_chance for reading in source.readings):
        count = source.readings[0].count
        yield f"{count} images are too few to tell Keras's accuracy from chance"
    scales = [layer.scale for layer in source.model.layers if type(layer).__name__ == "Rescaling"]
    if not remedies and high <= 1 and scales and np.max(scales[0]) < _SCALES_DOWN:
        yield (
            "the model has a layer that scales its input down, and the data are small already. "
            "If it was trained on 0 to 255, multiply the data by 255"
        )
    if source.is_plain:
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
    answers = trained.predict(model, images, where)
    _require_repeatable(model, images, answers, where)
    labels = recorded.labels if recorded else dataset.labels
    found = _read_outputs(model, dataset, labels, chosen, answers, where)
    own, whole = tuple(output.head for output in found), output.complete(model, found)
    answers, where_read = heads.finish(own, answers), f"{where} on {dataset.source}"
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
        readings=_read(whole, own, images, dataset.y_train[chosen], answers, where_read),
    )


def _check_count(shape: Sequence[int]) -> int:
    """Returns the number of check images of a shape."""
    return max(1, min(_CHECK_COUNT, _CHECK_VALUES // math.prod(shape)))


def _as_targets(own: Sequence[Head]) -> list[Target]:
    return [Target(head.name, "values", head.labels) for head in own]


def _read_outputs(
    model: "keras.Model",
    dataset: data.Dataset,
    labels: tuple[str, ...],
    chosen: np.ndarray,
    answers: np.ndarray,
    where: str,
) -> tuple[Output, ...]:
    """Reads what each output means, given the model's answers on the chosen training examples.

    Raises:
        InputError: The outputs do not fit the data.
    """
    named = ports.outputs(model)
    targets = dataset.targets or (Target("", "classes", labels),)
    several = len(named) > 1
    if [target.name for target in targets] != [name if several else "" for name, _ in named]:
        got = ", ".join(f"y_train_{t.name}" if t.name else "y_train" for t in targets)
        wanted = ", ".join(f"y_train_{name}" for name, _ in named) if several else "y_train"
        raise InputError(
            f"{where} has {len(named)} outputs and needs {wanted}. Got: {got} in {dataset.source}. "
            "Give the answers to each output by its name."
        )
    widths = [tensor.shape[-1] for _, tensor in named]
    truths = heads.columns(dataset.y_train, [target.width for target in targets])
    found = []
    for (name, tensor), target, own, truth in zip(
        named, targets, heads.columns(answers, widths), truths, strict=True
    ):
        if target.kind == "classes" and tensor.shape[-1] > 1:
            _require_known(where, dataset, truth, tensor.shape[-1])
        port = output.Port(name if several else "", tensor, target, own, truth[chosen])
        found.append(output.read(port, where))
    return tuple(found)


def _require_known(where: str, dataset: data.Dataset, truth: np.ndarray, classes: int) -> None:
    """Raises `InputError` if the data have classes that the model does not know."""
    most = max(truth.max(), 0 if dataset.targets else dataset.y_test.max())
    if most < classes:
        return
    from_1 = not dataset.targets and min(truth.min(), dataset.y_test.min()) == 1
    remedy = "Subtract 1: they start at 1" if from_1 else "Give the data that it was trained on"
    raise InputError(
        f"{where} knows {classes} classes. Got: labels up to {most:g} in "
        f"{dataset.source}. {remedy}{'' if from_1 else ' with --data'}."
    )


def _predict(
    model: "keras.Model", own: Sequence[Head], images: np.ndarray, where: object
) -> np.ndarray:
    """Returns a complete model's predictions; raises `InputError` if they are not valid."""
    found = trained.predict(model, images, where)
    if wrong := heads.fault(own, found):
        raise InputError(
            f"{where} must give probabilities. Got: {wrong}. End the model with a softmax."
        )
    return found


def _read(
    model: "keras.Model",
    own: Sequence[Head],
    images: np.ndarray,
    truth: np.ndarray,
    answers: np.ndarray,
    where: str,
) -> tuple[Reading, ...]:
    """Returns how well each output of a complete model reads examples.

    Raises:
        InputError: One is no better than chance.
    """
    widths = [head.width for head in own]
    parts_of = zip(
        own,
        heads.columns(answers, widths),
        heads.columns(truth, [head.targets for head in own]),
        strict=True,
    )
    return tuple(
        _read_head(model, own, head, images, true, answer, where) for head, answer, true in parts_of
    )


def _read_head(
    model: "keras.Model",
    own: Sequence[Head],
    head: Head,
    images: np.ndarray,
    truth: np.ndarray,
    answers: np.ndarray,
    where: str,
) -> Reading:
    def predict(examples: np.ndarray) -> np.ndarray:
        return _predict(model, own, examples, where)

    # A change of the data can be tried where there is one input and one answer.
    found = reference.read(
        head, images, truth, answers, predict if ports.is_single(model) else None
    )
    if not (found.at_chance and found.is_enough):
        return found
    name = f" at output {head.name!r}" if len(own) > 1 else ""
    remedy = "It must be trained, and get the scale, channels and labels that it was trained on."
    if found.remedy:
        remedy = f"{found.remedy}: change the data so."
    raise InputError(
        f"{where} must be better than chance{name}. Got: {found.measured}, values from "
        f"{images.min():g} to {images.max():g}. {remedy}"
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
