"""Reproduce a training run from its record.

The same seed, data, machine, versions and number of threads give bit-identical weights. If any
of them differs, nothing is guaranteed.
"""

import dataclasses
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

import mnist_edge
from mnist_edge import cli, schema
from mnist_edge.data import Dataset
from mnist_edge.errors import InputError
from mnist_edge.models import zoo
from mnist_edge.training.settings import TrainSettings
from mnist_edge.training.train_record import Machine, TrainRecord

_REMEDY = "Give a train.json that mnist_edge.train wrote."
# Settings that may be combined with --from: none of them changes the weights.
_ALLOWED_WITH_FROM = (
    *("from_", "output", "data", "resume", "plots", "quiet"),
    *("tensorboard", "save_h5", "save_weights"),
)
# Environment variables that may change the order of a backend's floating-point operations.
_VARIABLES = (
    "OMP_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_XLA_FLAGS",
    "XLA_FLAGS",
    "CUDA_VISIBLE_DEVICES",
)


@dataclasses.dataclass(frozen=True)
class Repetition:
    """A run to repeat.

    Attributes:
        settings: Settings that repeat the run.
        record: The content of its `train.json`.
    """

    settings: TrainSettings
    record: TrainRecord


def versions() -> dict[str, str | None]:
    """Returns the versions that the weights depend on, by package; `backend` is its name."""
    import keras

    backend = keras.backend.backend()
    return {
        "mnist-edge": mnist_edge.__version__,
        "python": platform.python_version(),
        "keras": keras.version(),
        "backend": backend,
        "backend_version": _version(backend),  # the package has the same name
        "numpy": np.__version__,
    }


def machine() -> Machine:
    """Returns the properties of the machine that the weights depend on."""
    return Machine(
        platform=platform.platform(),
        cpu_count=os.cpu_count(),
        cores_allowed=_cores_allowed(),
        variables={name: os.environ[name] for name in _VARIABLES if name in os.environ},
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cores_allowed() -> int | None:
    """Returns how many cores this process may use, which sets the number of threads."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def read(path: Path, settings: TrainSettings) -> Repetition:
    """Reads a run's `train.json` and returns the settings that repeat it.

    Raises:
        InputError: The file is not a record of a run, or a setting would change the run.
    """
    record = schema.read(TrainRecord, path, _REMEDY)
    changed = [
        field.name
        for field in dataclasses.fields(settings)
        if field.name not in _ALLOWED_WITH_FROM and getattr(settings, field.name) != field.default
    ]
    if changed:
        raise InputError(
            "--from repeats a run with its recorded settings. "
            f"Got: --{changed[0].replace('_', '-')} as well. "
            "Leave it out, or train without --from."
        )
    try:
        zoo.check(record.model, record.recipe)
    except InputError as error:
        raise InputError(f"{path}: {error} {_REMEDY}") from None
    is_moved = settings.data != type(settings).data
    repeated = dataclasses.replace(
        settings,
        model=record.model,
        seed=record.seed,
        split_seed=record.data.split_seed,
        data=settings.data if is_moved else record.data.source,
        labels=record.data.labels,
    )
    return Repetition(repeated, record)


def check(repetition: Repetition, dataset: Dataset) -> None:
    """Raises `InputError` if the loaded data are not those of the run."""
    recorded = schema.encode(repetition.record.data.sha256)
    for name, got in dataset.sha256().items():
        if got != recorded[name]:
            raise InputError(
                f"{repetition.settings.from_} was trained on different data: {name} of "
                f"{dataset.source} has another SHA-256. Give the same data by --data."
            )


def differences(before: TrainRecord, now: TrainRecord) -> list[str]:
    """Lists the differences in versions and machine between two runs, in words."""
    found = []
    for was, is_ in (
        (before.versions, now.versions),
        (schema.encode(before.machine), schema.encode(now.machine)),
    ):
        for name in {**was, **is_}:
            values = [record.get(name, "not recorded") for record in (was, is_)]
            if values[0] != values[1]:
                found.append(cli.one_line(f"{name} was {values[0]}, now {values[1]}"))
    return found


def verdict(before: TrainRecord, now: TrainRecord) -> tuple[bool, str]:
    """Returns whether a repeated run gave the same weights, and a line to print."""
    if before.weights_sha256 == now.weights_sha256:
        return True, "repeated: the same weights, bit for bit"
    changes = differences(before, now)
    because = f": {'; '.join(changes)}" if changes else ""
    return False, (
        "repeated with different weights; they are only guaranteed to be the same on the same "
        f"machine, with the same versions and number of threads{because}"
    )
