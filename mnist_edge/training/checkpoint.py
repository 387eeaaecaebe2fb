"""A training run as far as it has come, on disk, so that it can be gone on from.

Keras's `BackupAndRestore` forgets the order of the images, the random state of Dropout
and augmentation, and early stopping's count. A checkpoint here holds every variable,
random states included, and is there whole or not at all.
"""

import contextlib
import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np

from mnist_edge import bundle, expect
from mnist_edge.data import npz
from mnist_edge.errors import InputError
from mnist_edge.safety import files

_VARIABLES, _BEST = "variables.npz", "best.npz"
_ARRAYS = {_VARIABLES, _BEST}
_FILES = {*_ARRAYS, bundle.STATE}
_NUMBER = expect.Kind("a number", lambda value: isinstance(value, int | float))
_STATE = {
    "identity": {},
    "history": {"loss": [_NUMBER]},
    "seconds": expect.NOT_NEGATIVE,
    "sha256": {_VARIABLES: expect.SHA256, f"{_BEST}?": expect.SHA256},
}


@dataclasses.dataclass
class Run:
    """A run as far as it has come.

    Attributes:
        history: Metric's name to its values, one an epoch.
        best_weights: The model's weights after the epoch that validation prefers.
        seconds: Spent in finished epochs, over all sittings.
    """

    history: dict = dataclasses.field(default_factory=dict)
    best_weights: list = dataclasses.field(default_factory=list)
    seconds: float = 0.0

    @property
    def epochs(self):
        """How many epochs are finished."""
        return len(self.history.get("loss", ()))

    @property
    def best_epoch(self):
        """Index of the first epoch with the highest validation accuracy."""
        return int(np.argmax(self.history["val_accuracy"]))

    def is_over(self, recipe):
        """Whether all epochs are finished, or validation has not improved for too long."""
        if self.epochs >= recipe.epochs:
            return True
        return bool(
            recipe.patience and self.epochs and self.epochs - 1 - self.best_epoch >= recipe.patience
        )


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """Where a run is kept, and which run it is.

    The last two finished epochs are kept, a folder each: the older one is there for when the
    newer is damaged.

    Attributes:
        folder: Holds the checkpoint and nothing else.
        identity: What makes the run what it is, a dict that JSON can hold.
    """

    folder: Path
    identity: dict

    def check(self):
        """Raises `InputError` where the folder holds what is no checkpoint."""
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

    def save(self, variables, run):
        """Keeps a run's last epoch, and the epoch before it where that was kept.

        Args:
            variables: Keras variables: weights, optimizer, random states.
            run: A `Run`.
        """
        with bundle.made(self.folder):
            bundle.recover(self.folder)
            kept = self.folder / f"{bundle.EPOCH}{run.epochs:05d}"
            _remove(kept)  # of another run, or damaged
            with bundle.staged_folder(kept) as stage:
                arrays = {_VARIABLES: variables, _BEST: run.best_weights}
                arrays = {name: held for name, held in arrays.items() if held}
                for name, held in arrays.items():
                    _save_arrays(stage / name, held)
                state = {
                    "identity": self.identity,
                    "history": run.history,
                    "seconds": run.seconds,
                    "sha256": {name: bundle.sha256_file(stage / name) for name in arrays},
                }
                bundle.write_json(stage / bundle.STATE, {"state": state, "sha256": _hash(state)})
        for path in self._epochs():
            if int(path.name.removeprefix(bundle.EPOCH)) not in (run.epochs, run.epochs - 1):
                _remove(path)

    def restore(self, variables, warn):
        """Goes back to the last epoch that was kept whole.

        Args:
            variables: As `save`'s; assigned.
            warn: Called with a line for each epoch that is damaged.

        Returns:
            A `Run`; a fresh one where none was kept.

        Raises:
            InputError: The checkpoint is another run's, or all that it holds is damaged.
        """
        remedy = f"Train without --resume, or remove {self.folder}."
        epochs = self._epochs()
        for path in epochs:
            try:
                state = _read_state(path)
                values, best = (_read_arrays(path, name, state) for name in (_VARIABLES, _BEST))
            except (InputError, OSError) as error:
                warn(f"{error}; going on from the epoch before")
                continue
            self._check_identity(state["identity"], remedy)
            if [value.shape for value in values] != [tuple(one.shape) for one in variables]:
                raise InputError(f"{path} holds other arrays than the model has. {remedy}")
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
            return Run(state["history"], best, state["seconds"])
        if epochs:
            raise InputError(f"{self.folder} holds no epoch that is whole. {remedy}")
        return Run()

    def remove(self):
        """Removes the checkpoint, and its folder where nothing else is in it."""
        if files.kind(self.folder) != "a folder":
            return
        bundle.recover(self.folder)
        for path in self._epochs():
            _remove(path)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _epochs(self):
        """Folders of the epochs that are kept, the last one first."""
        return sorted(self.folder.glob(bundle.EPOCH + "*"), reverse=True)

    def _check_identity(self, identity, remedy):
        for key, value in self.identity.items():
            if identity.get(key) != value:
                raise InputError(
                    f"{self.folder} is the checkpoint of another run: {key} was "
                    f"{identity.get(key)}, now it is {value}. {remedy}"
                )


def _is_ours(path):
    """Whether a checkpoint's folder may hold it: an epoch, whole or being written."""
    if path.name.startswith(bundle.EPOCH):
        return files.kind(path) == "a folder" and {p.name for p in path.iterdir()} <= _FILES
    return path.name.startswith(bundle.STAGED)


def _read_state(path):
    """The state of an epoch whose files are all as they were written; `InputError` otherwise."""
    document = bundle.read_json(path / bundle.STATE, ("state", "sha256"), "It is damaged")
    state = document["state"]
    if _hash(state) != document["sha256"] or expect.mismatch(state, _STATE):
        raise InputError(f"{path / bundle.STATE} is damaged")
    for name in _ARRAYS & set(state["sha256"]):
        if bundle.sha256_file(path / name) != state["sha256"][name]:
            raise InputError(f"{path / name} is damaged")
    return state


def _read_arrays(path, name, state):
    """Arrays of an epoch, in order; none where none were kept."""
    if name not in state["sha256"]:
        return []
    arrays = npz.read(path / name, remedy="It is damaged")
    return [arrays[key] for key in sorted(arrays)]


def _hash(state):
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()


def _remove(path):
    """Removes an epoch's own files, and its folder where nothing else is in it."""
    if files.kind(path) == "a folder":
        (path / bundle.STATE).unlink(missing_ok=True)  # first: without it, it is no epoch
        for name in _FILES:
            (path / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            path.rmdir()


def _save_arrays(path, arrays):
    np.savez(path, **{f"{i:05d}": np.asarray(array) for i, array in enumerate(arrays)})
