"""Save and restore the state of a training run.

Keras's `BackupAndRestore` does not keep the order of the images, the random state of Dropout
and augmentation, or the count of early stopping. A checkpoint here holds every variable,
random states included, and is written atomically.
"""

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from mnist_edge import bundle, schema, staging
from mnist_edge.data import npz
from mnist_edge.errors import InputError
from mnist_edge.models import Recipe
from mnist_edge.safety import files
from mnist_edge.schema import NotNegative, Sha256

if TYPE_CHECKING:
    import keras

_VARIABLES, _BEST = "variables.npz", "best.npz"
_ARRAYS = {_VARIABLES, _BEST}
_FILES = {*_ARRAYS, bundle.STATE}
# NaN is accepted: the end of the run reports it.
_Figure = Annotated[float, schema.Check("a number", lambda value: isinstance(value, int | float))]


@dataclasses.dataclass(frozen=True)
class _State:
    """Content of an epoch's state file.

    Attributes:
        identity: `Checkpoint.identity`.
        history: `Run.history`.
        seconds: `Run.seconds`.
        sha256: SHA-256 of each file of arrays, by name.
    """

    identity: dict[str, Any]
    history: dict[str, tuple[_Figure, ...]]
    seconds: NotNegative
    sha256: dict[str, Sha256]

    def __post_init__(self) -> None:
        if "loss" not in self.history or _VARIABLES not in self.sha256:
            raise schema.SchemaError("losses and variables are missing")


@dataclasses.dataclass
class Run:
    """State of a training run.

    Attributes:
        history: Values per epoch, by metric.
        best_weights: The model's weights after the epoch with the best validation accuracy.
        seconds: Duration of the finished epochs, those before a resume included.
    """

    history: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    best_weights: list[np.ndarray] = dataclasses.field(default_factory=list)
    seconds: float = 0.0

    @property
    def epochs(self) -> int:
        """Number of finished epochs."""
        return len(self.history.get("loss", ()))

    @property
    def best_epoch(self) -> int:
        """Index of the first epoch with the highest validation accuracy."""
        return int(np.argmax(self.history["val_accuracy"]))

    def is_over(self, recipe: Recipe) -> bool:
        """Returns whether all epochs are finished or early stopping applies."""
        if self.epochs >= recipe.epochs:
            return True
        return bool(
            recipe.patience and self.epochs and self.epochs - 1 - self.best_epoch >= recipe.patience
        )


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A folder with the state of one run.

    The last two finished epochs are kept, one folder per epoch, in case the last one is
    damaged.

    Attributes:
        folder: Holds the checkpoint and nothing else.
        identity: Settings and data that identify the run, as a JSON object.
    """

    folder: Path
    identity: dict[str, Any] = dataclasses.field(default_factory=dict)

    def check(self) -> None:
        """Raises `InputError` if the folder holds anything but a checkpoint."""
        if files.kind(self.folder) not in ("a folder", "nothing"):
            raise InputError(
                f"{self.folder} must be a folder. Got: {files.kind(self.folder)}. Move it "
                "elsewhere, or give another folder by --output."
            )
        if not self.folder.exists():
            return
        foreign = [path for path in self.folder.iterdir() if not _is_ours(path)]
        if foreign:
            raise InputError(
                f"{self.folder} must hold a checkpoint and nothing else. Got: {foreign[0].name}. "
                "Move it elsewhere, or give another folder by --output."
            )

    def save(self, variables: Sequence["keras.Variable"], run: Run) -> None:
        """Saves a run after an epoch; of the earlier epochs only the previous one is kept.

        Args:
            variables: Weights, optimizer variables and random states.
            run: The run.
        """
        with staging.created(self.folder):
            staging.recover(self.folder)
            kept = self.folder / f"{bundle.EPOCH}{run.epochs:05d}"
            _remove(kept)  # left by another run, or damaged
            with staging.staged_folder(kept) as stage:
                arrays = {_VARIABLES: variables, _BEST: run.best_weights}
                arrays = {name: items for name, items in arrays.items() if items}
                for name, items in arrays.items():
                    _save_arrays(stage / name, items)
                hashes = {name: bundle.sha256_file(stage / name) for name in arrays}
                history = {name: tuple(values) for name, values in run.history.items()}
                state = schema.encode(_State(self.identity, history, run.seconds, hashes))
                bundle.write_json(stage / bundle.STATE, {"state": state, "sha256": _hash(state)})
        for path in self._epochs():
            if int(path.name.removeprefix(bundle.EPOCH)) not in (run.epochs, run.epochs - 1):
                _remove(path)

    def restore(self, variables: Sequence["keras.Variable"], warn: Callable[[str], object]) -> Run:
        """Restores the last undamaged epoch; returns a new run if there is no checkpoint.

        Args:
            variables: As for `save`; they are assigned.
            warn: Called with a message for each damaged epoch.

        Raises:
            InputError: The checkpoint belongs to another run, or every epoch is damaged.
        """
        remedy = f"Train without --resume, or remove {self.folder}."
        epochs = self._epochs()
        for path in epochs:
            try:
                state = _read_state(path)
                values, best = (_read_arrays(path, name, state) for name in (_VARIABLES, _BEST))
            except (InputError, OSError) as error:
                warn(f"{error}; continuing from the epoch before")
                continue
            self._check_identity(state.identity, remedy)
            if [value.shape for value in values] != [tuple(one.shape) for one in variables]:
                raise InputError(f"{path} holds arrays that do not fit the model. {remedy}")
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
            history = {name: list(figures) for name, figures in state.history.items()}
            return Run(history, best, state.seconds)
        if epochs:
            raise InputError(f"{self.folder} holds no epoch that is whole. {remedy}")
        return Run()

    def remove(self) -> None:
        """Removes the checkpoint, and its folder if nothing else is in it."""
        if files.kind(self.folder) != "a folder":
            return
        staging.recover(self.folder)
        for path in self._epochs():
            _remove(path)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _epochs(self) -> list[Path]:
        """Returns the folders of the saved epochs, the last one first."""
        return sorted(self.folder.glob(bundle.EPOCH + "*"), reverse=True)

    def _check_identity(self, identity: dict[str, Any], remedy: str) -> None:
        for key, value in self.identity.items():
            if identity.get(key) != value:
                raise InputError(
                    f"{self.folder} is the checkpoint of another run: {key} was "
                    f"{identity.get(key)}, now it is {value}. {remedy}"
                )


def _is_ours(path: Path) -> bool:
    """Returns whether a path in the folder is a checkpoint's: an epoch, finished or staged."""
    if path.name.startswith(bundle.EPOCH):
        return files.kind(path) == "a folder" and {p.name for p in path.iterdir()} <= _FILES
    return path.name.startswith(bundle.STAGED)


def _read_state(path: Path) -> _State:
    """Reads an epoch's state and checks the hashes of its files; raises `InputError` if damaged."""
    document = bundle.read_json(path / bundle.STATE, ("state", "sha256"), "It is damaged")
    try:
        if _hash(document["state"]) != document["sha256"]:
            raise schema.SchemaError("its hash does not match")
        state = schema.decode(_State, document["state"])
    except schema.SchemaError:
        raise InputError(f"{path / bundle.STATE} is damaged") from None
    for name in _ARRAYS & set(state.sha256):
        if bundle.sha256_file(path / name) != state.sha256[name]:
            raise InputError(f"{path / name} is damaged")
    return state


def _read_arrays(path: Path, name: str, state: _State) -> list[np.ndarray]:
    """Reads a file of an epoch's arrays, in order; returns [] if the epoch has no such file."""
    if name not in state.sha256:
        return []
    arrays = npz.read(path / name, remedy="It is damaged")
    return [arrays[key] for key in sorted(arrays)]


def _hash(state: object) -> str:
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()


def _remove(path: Path) -> None:
    """Removes an epoch's files, and its folder if nothing else is in it."""
    if files.kind(path) == "a folder":
        (path / bundle.STATE).unlink(
            missing_ok=True
        )  # first: without it the folder is not an epoch
        for name in _FILES:
            (path / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            path.rmdir()


def _save_arrays(path: Path, arrays: Sequence[Any]) -> None:
    named: dict[str, Any] = {f"{i:05d}": np.asarray(array) for i, array in enumerate(arrays)}
    np.savez(path, **named)
