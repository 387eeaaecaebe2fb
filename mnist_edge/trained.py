"""Open the model that `mnist_edge.train` wrote into a bundle."""

import dataclasses
from pathlib import Path

import numpy as np

from mnist_edge import bundle, keras_file, models, packaged
from mnist_edge.cli import InputError


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


def check(folder):
    """Finds a bundle's model and makes sure that it is the one that was trained.

    Args:
        folder: The bundle.

    Returns:
        `(path, record, remedy)`: the `.keras` file, what `train.json` holds, and what to
        do where the file can't be loaded all the same.

    Raises:
        InputError: The bundle is missing, incomplete or damaged.
    """
    packaged.check(folder)
    remedy = f"Run: python -m mnist_edge.train --output {folder}"
    record = bundle.read_json(
        Path(folder) / bundle.TRAIN, ("model", "data", "model_sha256"), remedy
    )
    if not (isinstance(record["data"], dict) and isinstance(record["model_sha256"], str)):
        raise InputError(f"{Path(folder) / bundle.TRAIN} is damaged. {remedy}")
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


def load_model(path, remedy, allow_h5=False):
    """Loads a `.keras` file: what would run code of its own is refused, and so is NaN.

    Args:
        path: The file.
        remedy: What to do where it can't be loaded; ends the error's line.
        allow_h5: Whether it may be in the older format, of which nothing is checked here:
            `mnist_edge.quarantine` must have been asked.

    Returns:
        A `keras.Model`, not compiled.

    Raises:
        InputError: The file can't be loaded.
    """
    try:
        return read_model(path, allow_h5)
    except Exception as error:  # what Keras raises for a damaged file is anything
        raise InputError(keras_file.refusal(path, error, remedy)) from error


def read_model(path, allow_h5=False):
    """As `load_model`, with bare errors: the reason alone, or whatever Keras raises."""
    import keras

    if not (allow_h5 and Path(path).suffix in keras_file.OLD_ENDINGS):
        keras_file.check(path)
    model = keras.saving.load_model(path, compile=False, safe_mode=True)
    broken = [v.path for v in model.variables if not np.isfinite(np.asarray(v)).all()]
    if broken:
        raise ValueError(f"it must hold finite weights. Got: NaN or infinity in {broken[0]}")
    return model


def open_bundle(folder):
    """Opens a bundle's model; arguments and errors as `check`'s.

    Returns:
        A `Trained`.
    """
    path, record, remedy = check(folder)
    return Trained(load_model(path, remedy), record)


def open_teacher(name):
    """Opens the model that another learns from; errors as `check`'s.

    Args:
        name: A packaged bundle's name, or a bundle's folder.

    Returns:
        A `Trained`.
    """
    packaged = models.PRETRAINED / name
    return open_bundle(packaged if packaged.is_dir() else name)


def check_teacher(teacher, model):
    """Raises `InputError` where a teacher's answers aren't about what `model` is to learn.

    Args:
        teacher: A `Trained`.
        model: The `keras.Model` that learns from it.
    """
    required, got = ((m.input.shape[1:], m.output.shape[1:]) for m in (model, teacher.model))
    if got != required:
        raise InputError(
            f"the teacher must take {list(required[0])} and tell {required[1][0]} classes apart, "
            f"as the model does. Got: {teacher.record['model']}, {list(got[0])} and {got[1][0]}. "
            "Give another by --teacher, or 'none'."
        )
