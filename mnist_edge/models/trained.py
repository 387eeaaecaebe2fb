"""Open the model that `mnist_edge.train` wrote into a bundle, and run it: it may be anybody's."""

import csv
import dataclasses
import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnist_edge import bundle, data, lock, metrics, models, schema, staging
from mnist_edge.errors import InputError
from mnist_edge.models import packaged, saving
from mnist_edge.safety import keras_file, supervise
from mnist_edge.training import train_record
from mnist_edge.training.train_record import TrainRecord

if TYPE_CHECKING:
    import keras

_MOST_INPUT_VALUES = 2**24
# 134 MB in float32; Keras copies twice what it is given.
_MOST_AT_ONCE = 2**25


@dataclasses.dataclass(frozen=True)
class TrainedModel:
    """A trained classifier and the record of its training.

    Attributes:
        model: float32 `[batch, height, width, 1]`, 0 to 255, to probabilities
            `[batch, classes]`.
        record: What `train.json` holds.
        history: Metric's name to its values, one per epoch; of a model that was opened, empty.
        dataset: What it was trained on; None of a model that was opened.
    """

    model: "keras.Model"
    record: TrainRecord
    history: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    dataset: data.Dataset | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """What the model takes per example."""
        return tuple(self.model.inputs[0].shape[1:])

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.record.data.labels

    def save(self, folder: Path | str) -> None:
        """Writes a bundle: `model.keras`, `train.json` and, once trained, `history.csv`.

        Data that were in memory are written beside them, as `data.npz`.

        Raises:
            InputError: The folder holds other people's files, or the model has changed since
                it was trained.
        """
        folder = Path(folder)
        bundle.refuse_foreign(folder)
        with lock.held(folder), staging.staged(folder) as stage:
            self.write(stage)

    def write(self, stage: Path) -> None:
        """Writes the files of a bundle into its staging folder; errors as `save`'s."""
        if saving.weights_sha256(self.model) != self.record.weights_sha256:
            raise InputError(
                f"{self.record.model} must be the model that its record describes. Got: a model "
                "that was changed since. Train it again."
            )
        content = saving.to_bytes(self.model)
        sha256 = hashlib.sha256(content).hexdigest()  # of an opened model, the file may differ
        (stage / bundle.MODEL).write_bytes(content)
        schema.write(stage / bundle.TRAIN, dataclasses.replace(self.record, model_sha256=sha256))
        if self.dataset and self.dataset.source == data.IN_MEMORY:
            self.dataset.save(stage / bundle.DATA)
        if not self.history:
            return
        with open(stage / bundle.HISTORY, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["epoch", *self.history])
            for epoch, row in enumerate(zip(*self.history.values(), strict=True), start=1):
                writer.writerow([epoch, *row])


def check(folder: Path) -> tuple[Path, TrainRecord, str]:
    """Finds a bundle's model and makes sure that it is the one that was trained.

    Returns:
        `(path, record, remedy)`: the `.keras` file, what `train.json` holds, and what to
        do where the file can't be loaded all the same.

    Raises:
        InputError: The bundle is missing, incomplete or damaged.
    """
    packaged.check(folder)
    remedy = f"Run: python -m mnist_edge.train --output {folder}"
    record = train_record.read(folder / bundle.TRAIN, remedy)
    path = folder / bundle.MODEL
    if not path.is_file():
        raise InputError(f"{path} is required and does not exist. {remedy}")
    got = bundle.sha256_file(path)
    if got != record.model_sha256:
        raise InputError(
            f"{path} is not the model that {bundle.TRAIN} describes: SHA-256 {got[:12]}… "
            f"instead of {record.model_sha256[:12]}…. {remedy}"
        )
    return path, record, remedy


def load_model(path: Path, remedy: str) -> "keras.Model":
    """Loads a `.keras` file, of anybody's: what it holds is checked before Keras reads it.

    What would run code of its own is refused, and so is what takes too much memory, and NaN.

    Args:
        path: The file.
        remedy: What to do where it can't be loaded; ends the error's line.

    Returns:
        The model, not compiled.

    Raises:
        InputError: The file can't be loaded.
    """
    try:
        with supervise.opening(path):
            return keras_file.load(path)
    except Exception as error:  # what Keras raises for a damaged file is anything
        raise InputError(keras_file.refusal(path, error, remedy)) from error


def open_bundle(folder: Path) -> TrainedModel:
    """Opens a bundle's model, a classifier; errors as `check`'s."""
    path, record, remedy = check(folder)
    model = load_model(path, remedy)
    check_classifier(path, model)
    classes, named = model.outputs[0].shape[-1], record.data.classes
    if classes != named:
        raise InputError(f"{path} must know {named} classes, as trained. Got: {classes}. {remedy}")
    return TrainedModel(model, record)


def check_classifier(path: Path | str, model: "keras.Model") -> None:
    """Raises `InputError` where a model is no classifier of examples of one shape."""
    inputs, outputs = (getattr(model, name, None) or [] for name in ("inputs", "outputs"))
    if len(inputs) != 1 or len(outputs) != 1:
        raise InputError(
            f"{path} must have one input and one output. Got: inputs "
            f"{[i.name for i in inputs]}, {len(outputs)} outputs."
        )
    given, taken = inputs[0].shape, outputs[0].shape
    if None in given[1:]:
        raise InputError(
            f"{path} must take examples of a fixed shape. Got: {list(given)} at input "
            f"{inputs[0].name!r}. Rebuild the model on a keras.Input of a fixed shape."
        )
    kind = str(outputs[0].dtype)
    if taken is None or len(taken) != 2 or (taken[-1] or 0) < 2 or "float" not in kind:
        shown = None if taken is None else list(taken)
        raise InputError(
            f"{path} must be a classifier, output [batch, classes] with 2 classes or more, "
            f"floating point. Got: {shown}, {kind}, from layer {model.layers[-1].name!r}."
        )
    values = math.prod(given[1:])
    if values > _MOST_INPUT_VALUES:
        raise InputError(
            f"{path} must take at most {_MOST_INPUT_VALUES:,} values per example. Got: {values:,}."
        )


def _cause(error: Exception) -> str:
    """Why a model failed: of TensorFlow's graph, what stands behind a stack of a page."""
    said, in_graph, _ = str(error).partition("[[{{node ")
    lines = [line for line in said.splitlines() if line.strip()]
    return keras_file.reason(lines[-1]) if in_graph and lines else keras_file.reason(error)


def answers(model: "keras.Model", inputs: np.ndarray, where: object) -> np.ndarray:
    """What a model of anybody's answers.

    What it was asked in a trial need not show that it fails: that depends on the data.

    Args:
        model: A classifier, as `check_classifier` wants it.
        inputs: float32 `[n, ...]`, as it takes them.
        where: What it is called in an error's line.

    Returns:
        float32 `[n, classes]`, finite.

    Raises:
        InputError: It fails, or gives something else.
    """
    try:
        size = keras_file.batch_size(model)
        step = size * max(1, _MOST_AT_ONCE // (size * math.prod(inputs.shape[1:])))
        parts = (inputs[start : start + step] for start in range(0, len(inputs), step))
        found = np.concatenate(
            [model.predict(part, batch_size=size, verbose=0) for part in parts]
        ).astype(np.float32)
    except (InputError, OSError):
        raise
    except Exception as error:  # of a model of anybody's: what a backend raises is anything
        raise InputError(
            f"{where} must run on the examples that it is given. Got: {_cause(error)}. "
            "Give the data that it was trained on, or another model."
        ) from error
    wanted = (len(inputs), model.outputs[0].shape[-1])
    if found.shape != wanted:
        raise InputError(f"{where} must give {list(wanted)}. Got: {list(found.shape)}.")
    if not np.isfinite(found).all():
        raise InputError(
            f"{where} must give finite numbers. Got: NaN or infinity for "
            f"{np.sum(~np.isfinite(found).all(1)):,} of {len(found):,} examples. "
            "Give the data that it was trained on, or another model."
        )
    return found


def probabilities(model: "keras.Model", inputs: np.ndarray, where: object) -> np.ndarray:
    """As `answers`, which must be probabilities."""
    found = answers(model, inputs, where)
    wrong = metrics.no_probabilities(found)
    if wrong:
        raise InputError(
            f"{where} must give probabilities. Got: {wrong}. Put a softmax at its end."
        )
    return found


def open_named(name: Path | str) -> TrainedModel:
    """Opens a packaged model by its name, "edge" say, or a bundle by its folder.

    Raises:
        InputError: The bundle is missing, incomplete or damaged.
    """
    packaged_folder = models.PRETRAINED / name
    return open_bundle(packaged_folder if packaged_folder.is_dir() else Path(name))
