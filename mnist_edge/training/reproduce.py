"""What a run must record so that it can be repeated, and how it is repeated.

The same seed, data, machine, versions and number of threads give the same weights bit for
bit; nothing is promised across them.
"""

import dataclasses
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import mnist_edge
from mnist_edge import cli, schema
from mnist_edge.data import Dataset
from mnist_edge.errors import InputError
from mnist_edge.models import zoo
from mnist_edge.training import train_record
from mnist_edge.training.settings import TrainSettings
from mnist_edge.training.train_record import Machine, TrainRecord

if TYPE_CHECKING:
    pass

_REMEDY = "Give a train.json that mnist_edge.train wrote."
# Settings that go with --from: none of them changes what is learned.
_BESIDE = (
    *("from_", "output", "data", "resume", "plots", "quiet"),
    *("tensorboard", "save_h5", "save_weights"),
)
# Variables that change how a backend adds up, where they are set.
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
    """A run that is to be repeated.

    Attributes:
        settings: Those that repeat it.
        record: What its `train.json` holds.
    """

    settings: TrainSettings
    record: TrainRecord


def versions() -> dict[str, str | None]:
    """Versions that the weights depend on, by package; the backend's name as `backend`."""
    import keras

    backend = keras.backend.backend()
    return {
        "mnist-edge": mnist_edge.__version__,
        "python": platform.python_version(),
        "keras": keras.version(),
        "backend": backend,
        "backend_version": _version(backend),  # its package has its name
        "numpy": np.__version__,
    }


def machine() -> Machine:
    """What else the weights depend on besides settings and data."""
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
    """How many cores this process may use: as many threads do the arithmetic."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def read(path: Path, settings: TrainSettings) -> Repetition:
    """Reads a run's `train.json`, and completes the settings to those that repeat it.

    Raises:
        InputError: The file is no record of a run, or a setting would change the run.
    """
    record = train_record.read(path, _REMEDY)
    changed = [
        field.name
        for field in dataclasses.fields(settings)
        if field.name not in _BESIDE and getattr(settings, field.name) != field.default
    ]
    if changed:
        raise InputError(
            f"--from repeats a run as it was. Got: --{changed[0].replace('_', '-')} too. "
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
    """Raises `InputError` where the data that were loaded are not the run's."""
    recorded = schema.encode(repetition.record.data.sha256)
    for name, got in dataset.sha256().items():
        if got != recorded[name]:
            raise InputError(
                f"{repetition.settings.from_} was trained on other data: {name} of "
                f"{dataset.source} has another SHA-256. Give the same data by --data."
            )


def differences(before: TrainRecord, now: TrainRecord) -> list[str]:
    """What differs between two runs in what weights depend on, a few words each."""
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
    """Whether a run came out as the one that it repeats, and the line that says so."""
    if before.weights_sha256 == now.weights_sha256:
        return True, "repeated: the same weights, bit for bit"
    others = differences(before, now)
    because = f": {'; '.join(others)}" if others else ""
    return False, (
        "repeated with other weights; the same are promised on the same machine, with the same "
        f"versions and threads alone{because}"
    )
