"""Open the model that `mnist_edge.train` wrote into a bundle, and run it: it may be anybody's."""

import concurrent.futures
import contextlib
import dataclasses
import math
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mnist_edge import bundle, data, metrics, models
from mnist_edge.errors import InputError
from mnist_edge.models import packaged
from mnist_edge.safety import footprint, keras_file, supervise, weights_file
from mnist_edge.training import train_record

_MOST_INPUT_VALUES = 2**24
# 134 MB in float32; Keras copies twice what it is given.
_MOST_AT_ONCE = 2**25


@dataclasses.dataclass(frozen=True)
class Trained:
    """A trained model and the record of its training.

    Attributes:
        model: `keras.Model`: float32 `[batch, height, width, 1]`, 0 to 255, to
            probabilities `[batch, classes]`.
        record: What `train.json` holds, a dict.
    """

    model: object
    record: dict

    @property
    def shape(self) -> tuple[int, ...]:
        """What the model takes per example."""
        return tuple(self.model.inputs[0].shape[1:])

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes; numbers where the record has none."""
        return data.numbered(self.record["data"].get("labels", ()), self.record["data"]["classes"])


def check(folder: Path, *keys: str) -> tuple[Path, dict, str]:
    """Finds a bundle's model and makes sure that it is the one that was trained.

    Args:
        folder: The bundle.
        *keys: What its `train.json` must hold besides model, data and the model's hash.

    Returns:
        `(path, record, remedy)`: the `.keras` file, what `train.json` holds, and what to
        do where the file can't be loaded all the same.

    Raises:
        InputError: The bundle is missing, incomplete or damaged.
    """
    packaged.check(folder)
    remedy = f"Run: python -m mnist_edge.train --output {folder}"
    needed = ("model", "data", "model_sha256", *keys)
    record = train_record.read(Path(folder) / bundle.TRAIN, needed, remedy)
    path = Path(folder) / bundle.MODEL
    if not path.is_file():
        raise InputError(f"{path} is required and does not exist. {remedy}")
    got = bundle.sha256_file(path)
    if got != record["model_sha256"]:
        raise InputError(
            f"{path} is not the model that {bundle.TRAIN} describes: SHA-256 {got[:12]}… "
            f"instead of {record['model_sha256'][:12]}…. {remedy}"
        )
    return path, record, remedy


def load_model(path: Path, remedy: str, allow_h5: bool = False) -> object:
    """Loads a `.keras` file, of anybody's: what it holds is checked before Keras reads it.

    What would run code of its own is refused, and so is what takes too much memory, and NaN.

    Args:
        path: The file.
        remedy: What to do where it can't be loaded; ends the error's line.
        allow_h5: Whether it may be in the older format.

    Returns:
        A `keras.Model`, not compiled.

    Raises:
        InputError: The file can't be loaded.
    """
    try:
        with supervise.opening(path):
            return read_model(Path(path), allow_h5)
    except Exception as error:  # what Keras raises for a damaged file is anything
        raise InputError(keras_file.refusal(path, error, remedy)) from error


def read_model(path: Path, allow_h5: bool = False) -> object:
    """As `load_model`, with bare errors: the reason alone, or whatever Keras raises."""
    import keras

    old_format = allow_h5 and path.suffix in keras_file.OLD_ENDINGS
    if old_format:
        keras_file.check_regular(path, keras_file.OLD_ENDINGS)
    config = None if old_format else keras_file.check(path)
    with weights_file.opened(path) as file:
        weights_file.check(file)
        if old_format:
            weights_file.check_old_config(file)
    if config:
        _check_size(config)
    model = keras.saving.load_model(path, compile=False, safe_mode=True)
    footprint.check(model)
    broken = [v.path for v in model.variables if not np.isfinite(np.asarray(v)).all()]
    if broken:
        raise ValueError(f"it must hold finite weights. Got: NaN or infinity in {broken[0]}")
    return model


def _check_size(config: dict) -> None:
    """Builds a model without values: how much it takes is known before it is taken."""
    import keras

    def build() -> None:
        with keras.StatelessScope(initialize_variables=False):
            model = keras.saving.deserialize_keras_object(_uncompiled(config), safe_mode=True)
            footprint.check(model)

    # Keras would give these variables values later; what it notes of a thread ends with it.
    drawn = random.getstate()
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        thread.submit(build).result()
    random.setstate(drawn)


def _uncompiled(node: object) -> object:
    """A configuration without its optimizers, those of models within it too: they need values."""
    if isinstance(node, dict):
        return {k: _uncompiled(v) for k, v in node.items() if k != "compile_config"}
    return [_uncompiled(each) for each in node] if isinstance(node, list) else node


def open_bundle(folder: Path, *keys: str) -> Trained:
    """Opens a bundle's model, a classifier; arguments and errors as `check`'s."""
    path, record, remedy = check(folder, *keys)
    model = load_model(path, remedy)
    check_classifier(path, model)
    classes, named = model.outputs[0].shape[-1], record["data"]["classes"]
    if classes != named:
        raise InputError(f"{path} must know {named} classes, as trained. Got: {classes}. {remedy}")
    return Trained(model, record)


def check_classifier(path: Path, model: object) -> None:
    """Raises `InputError` where a `keras.Model` is no classifier of examples of one shape."""
    inputs, outputs = (getattr(model, name, None) or () for name in ("inputs", "outputs"))
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


@contextlib.contextmanager
def running(where: str) -> Iterator[None]:
    """Makes one line of whatever a model raises when it is run in the block.

    What it was asked in a trial need not show it: its cost and its errors depend on the data.

    Args:
        where: What the model is called.

    Raises:
        InputError: The block raised anything but an error of the system's.
    """
    try:
        yield
    except (InputError, OSError):
        raise
    except Exception as error:  # of a model of anybody's: what a backend raises is anything
        raise InputError(
            f"{where} must run on the examples that it is given. Got: {_cause(error)}. "
            "Give the data that it was trained on, or another model."
        ) from error


def _cause(error: Exception) -> str:
    """Why a model failed: of TensorFlow's graph, what stands behind a stack of a page."""
    said, in_graph, _ = str(error).partition("[[{{node ")
    lines = [line for line in said.splitlines() if line.strip()]
    return keras_file.reason(lines[-1]) if in_graph and lines else keras_file.reason(error)


def answers(model: object, inputs: np.ndarray, where: str) -> np.ndarray:
    """What a model of anybody's answers.

    Args:
        model: A `keras.Model`, as `check_classifier` wants it.
        inputs: float32 `[n, ...]`, as it takes them.
        where: What it is called in an error's line.

    Returns:
        float32 `[n, classes]`, finite.

    Raises:
        InputError: It fails, or gives something else.
    """
    with running(where):
        size = footprint.batch_size(model)
        step = size * max(1, _MOST_AT_ONCE // (size * math.prod(inputs.shape[1:])))
        parts = (inputs[start : start + step] for start in range(0, len(inputs), step))
        found = [model.predict(part, batch_size=size, verbose=0) for part in parts]
        found = np.concatenate(found).astype(np.float32)
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


def probabilities(model: object, inputs: np.ndarray, where: str) -> np.ndarray:
    """As `answers`, which must be probabilities."""
    found = answers(model, inputs, where)
    wrong = metrics.no_probabilities(found)
    if wrong:
        raise InputError(
            f"{where} must give probabilities. Got: {wrong}. Put a softmax at its end."
        )
    return found


def open_named(name: Path | str) -> Trained:
    """Opens a trained model; errors as `check`'s.

    Args:
        name: A packaged model's name, "edge" say, or a bundle's folder.
    """
    packaged = models.PRETRAINED / name
    return open_bundle(packaged if packaged.is_dir() else Path(name))


def check_teacher(teacher: Trained, model: object) -> None:
    """Raises `InputError` where a teacher's answers aren't about what `model` is to learn.

    Args:
        teacher: A `Trained`.
        model: The `keras.Model` that learns from it.
    """
    required, got = (
        (m.inputs[0].shape[1:], m.outputs[0].shape[1:]) for m in (model, teacher.model)
    )
    if got != required:
        raise InputError(
            f"the teacher must take {list(required[0])} and tell {required[1][0]} classes apart, "
            f"as the model does. Got: {teacher.record['model']}, {list(got[0])} and {got[1][0]}. "
            "Give another by --teacher, or 'none'."
        )
