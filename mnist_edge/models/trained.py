"""Trained models: open the model of a bundle, which may be untrusted, run it and save it."""

import csv
import dataclasses
import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnist_edge import backend, bundle, cli, data, lock, metrics, schema, staging
from mnist_edge.errors import InputError
from mnist_edge.models import packaged, ports, saving
from mnist_edge.safety import keras_file, supervise
from mnist_edge.training.train_record import TrainRecord

if TYPE_CHECKING:
    import keras

_MOST_INPUT_VALUES = 2**24
# Values per call of `predict`: 134 MB in float32, of which Keras makes two copies.
_MOST_AT_ONCE = 2**25


@dataclasses.dataclass(frozen=True)
class TrainedModel:
    """A trained classifier and the record of its training.

    Attributes:
        model: Maps float32 `[batch, height, width, 1]`, 0 to 255, to probabilities
            `[batch, classes]`.
        record: The content of `train.json`.
        history: Values per epoch, by metric; empty if the model was loaded from a bundle.
        dataset: The training data; None if the model was loaded from a bundle.
    """

    model: "keras.Model"
    record: TrainRecord
    history: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    dataset: data.Dataset | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input example."""
        return tuple(self.model.inputs[0].shape[1:])

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.record.data.labels

    def save(self, folder: Path | str) -> None:
        """Writes a bundle: `model.keras`, `train.json` and, if just trained, `history.csv`.

        Data that were given as arrays are written to `data.npz` beside them.

        Raises:
            InputError: The folder holds files that are not a bundle's, or the model was
                changed after training.
        """
        folder = Path(folder)
        bundle.refuse_foreign(folder)
        with lock.held(folder), staging.staged(folder) as stage:
            self.write(stage)

    def write(self, stage: Path) -> None:
        """Writes the files of a bundle into its staging folder; raises the errors of `save`."""
        if saving.weights_sha256(self.model) != self.record.weights_sha256:
            raise InputError(
                f"{self.record.model} must be the model that its record describes. Got: a model "
                "that was changed since. Train it again."
            )
        content = saving.to_bytes(self.model)
        sha256 = hashlib.sha256(content).hexdigest()  # may differ from the file it was loaded from
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
    """Finds a bundle's model and checks it against the hash in its record.

    Returns:
        `(path, record, remedy)`: the `.keras` file, the content of `train.json`, and advice
        for the error message in case the file can't be loaded.

    Raises:
        InputError: The bundle is missing, incomplete or damaged.
    """
    packaged.check(folder)
    if not folder.is_dir():
        raise InputError(
            f"{folder} must be a bundle's folder and is not. Train one: python -m mnist_edge.train "
            f"--output {folder}; or export a model of your own: python -m export MODEL.keras "
            f"--data DATA --output {folder}"
        )
    record_path = folder / bundle.TRAIN
    remedy = "Copy the whole bundle again, or train or export to another folder."
    record = schema.read(TrainRecord, record_path, remedy)
    remedy = (
        "Copy the whole bundle again, or repeat its training: python -m mnist_edge.train "
        f"--from {record_path} --output ANOTHER_FOLDER"
    )
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
    """Loads an untrusted `.keras` file, whose content is checked before Keras reads it.

    Refuses models that would run their own code, take too much memory or hold NaN.

    Args:
        path: The file.
        remedy: What to do if it can't be loaded; ends the error message.

    Returns:
        The model, not compiled.

    Raises:
        InputError: The file can't be loaded.
    """
    try:
        with supervise.opening(path):
            backend.import_keras()
            return keras_file.load(path)
    except Exception as error:  # Keras may raise anything for a damaged file
        raise InputError(keras_file.refusal(path, error, remedy)) from error


def check_classifier(path: Path | str, model: "keras.Model") -> None:
    """Raises `InputError` if a model is not a classifier with one input of a fixed shape."""
    check_model(path, model)
    if not ports.is_single(model) or model.outputs[0].shape[-1] < 2:
        raise InputError(
            f"{path} must be a classifier with one input and one output of at least 2 classes. "
            f"Got: inputs {[i.name for i in model.inputs]}, outputs "
            f"{[list(tensor.shape) for tensor in model.outputs]}, the last from layer "
            f"{model.layers[-1].name!r}."
        )


def check_model(
    path: Path | str, model: "keras.Model", given: tuple[int, ...] | None = None
) -> None:
    """Raises `InputError` if a model's inputs and outputs are not of a kind that is exported.

    Args:
        path: The file, or another name of the model.
        model: The model.
        given: Shape of one example of the data, for the error message.
    """
    got = f", and data of {list(given)}" if given else ""
    inputs, outputs = (getattr(model, name, None) or [] for name in ("inputs", "outputs"))
    if not inputs or not outputs:
        raise InputError(
            f"{path} must be a functional or Sequential model that was built. Got: no inputs. "
            "Wrap it: keras.Model(inputs, model(inputs)) with inputs = keras.Input(...)."
        )
    for tensor in inputs:
        if None in tensor.shape[1:]:
            raise InputError(
                f"{path} must take examples of a fixed shape. Got: {list(tensor.shape)} at input "
                f"{tensor.name!r}{got}. Fix it with --input-shape, to the shape of the data."
            )
    for name, tensor in ports.outputs(model):
        shape, kind = tensor.shape, str(tensor.dtype)
        if shape is None or len(shape) != 2 or not shape[-1] or "float" not in kind:
            shown = None if shape is None else list(shape)
            remedy = (
                "Wrap it: end the model with keras.layers.Flatten() to compare all values, or "
                "with a pooling layer for one answer per example."
                if "float" in kind
                else "Let the model end in what this is computed from: probabilities or logits."
            )
            raise InputError(
                f"{path} must give [batch, n], floating point, at each output. Got: {shown}, "
                f"{kind}, from layer {name!r}. {remedy}"
            )
    values = sum(math.prod(tensor.shape[1:]) for tensor in inputs)
    if values > _MOST_INPUT_VALUES:
        raise InputError(
            f"{path} must take at most {_MOST_INPUT_VALUES:,} values per example. Got: {values:,}."
        )


def _cause(error: Exception) -> str:
    """Returns why a model failed; TensorFlow puts the cause after a long stack trace."""
    trace, in_graph, _ = str(error).partition("[[{{node ")
    lines = [line for line in trace.splitlines() if line.strip()]
    return keras_file.reason(lines[-1]) if in_graph and lines else keras_file.reason(error)


@cli.native_logs_held()
def predict(model: "keras.Model", inputs: np.ndarray, where: object) -> np.ndarray:
    """Runs an untrusted model and checks its outputs.

    A model that passed a trial may still fail here, depending on the data.

    Args:
        model: A model that passes `check_model`.
        inputs: Numbers `[n, ...]`, in the model's input shape, or rows `[n, values]` for a model
            with several inputs; cast to float32 part by part.
        where: The model's name in error messages.

    Returns:
        float32 `[n, classes]`, finite; the columns of several outputs follow each other.

    Raises:
        InputError: It fails, or gives outputs of another shape, NaN or infinity.
    """
    try:
        size = keras_file.batch_size(model)
        step = size * max(1, _MOST_AT_ONCE // (size * math.prod(inputs.shape[1:])))
        parts = (inputs[start : start + step] for start in range(0, len(inputs), step))
        call = ports.caller(model, lambda part: model.predict(part, batch_size=size, verbose=0))
        found = np.concatenate([call(part.astype(np.float32)) for part in parts]).astype(np.float32)
    except (InputError, OSError):
        raise
    except Exception as error:  # a backend may raise anything
        raise InputError(
            f"{where} must run on the given examples. Got: {_cause(error)}. "
            "Give the data that it was trained on, or another model."
        ) from error
    expected = (len(inputs), sum(tensor.shape[-1] for tensor in model.outputs))
    if found.shape != expected:
        raise InputError(f"{where} must give {list(expected)}. Got: {list(found.shape)}.")
    if not np.isfinite(found).all():
        raise InputError(
            f"{where} must give finite numbers. Got: NaN or infinity for "
            f"{np.sum(~np.isfinite(found).all(1)):,} of {len(found):,} examples. "
            "Give the data that it was trained on, or another model."
        )
    return found


def probabilities(
    model: "keras.Model", inputs: np.ndarray, where: object, softmax_added: bool = False
) -> np.ndarray:
    """Like `predict`; adds the softmax that export added, and checks for probabilities."""
    found = predict(model, inputs, where)
    if softmax_added:
        found = metrics.softmax(found)
    wrong = metrics.probability_fault(found)
    if wrong:
        raise InputError(
            f"{where} must give probabilities. Got: {wrong}. End the model with a softmax."
        )
    return found
