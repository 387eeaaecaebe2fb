"""A training run as far as it has come, on disk, so that it can be gone on from.

Keras's `BackupAndRestore` forgets the order of the images, the random state of Dropout
and augmentation, and early stopping's count. A checkpoint here holds every variable,
random states included, and replaces the one before only when it is whole.
"""

import dataclasses
from pathlib import Path

import numpy as np

from mnist_edge import bundle
from mnist_edge.cli import InputError

_VARIABLES, _BEST = "variables.npz", "best.npz"


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

    Attributes:
        folder: Holds the checkpoint and nothing else.
        identity: What makes the run what it is, a dict that JSON can hold.
    """

    folder: Path
    identity: dict

    def save(self, variables, run):
        """Keeps a run in place of what was kept before.

        Args:
            variables: Keras variables: weights, optimizer, random states.
            run: A `Run`.
        """
        with bundle.staged(self.folder) as stage:
            _save_arrays(stage / _VARIABLES, variables)
            _save_arrays(stage / _BEST, run.best_weights)
            state = {
                "identity": self.identity,
                "history": run.history,
                "seconds": run.seconds,
                "sha256": {n: bundle.sha256_file(stage / n) for n in (_VARIABLES, _BEST)},
            }
            bundle.write_json(stage / bundle.STATE, state)

    def restore(self, variables):
        """Goes back to the run that was kept.

        Args:
            variables: As `save`'s; assigned.

        Returns:
            A `Run`; a fresh one where none was kept.

        Raises:
            InputError: The checkpoint is another run's, or damaged.
        """
        if not (self.folder / bundle.STATE).exists():
            return Run()
        remedy = f"Train without --resume, or remove {self.folder}."
        state = bundle.read_json(
            self.folder / bundle.STATE, ("identity", "history", "seconds", "sha256"), remedy
        )
        for key, value in self.identity.items():
            if state["identity"].get(key) != value:
                raise InputError(
                    f"{self.folder} is the checkpoint of another run: {key} was "
                    f"{state['identity'].get(key)}, now it is {value}. {remedy}"
                )
        for name, sha256 in state["sha256"].items():
            path = self.folder / name
            if not path.is_file() or bundle.sha256_file(path) != sha256:
                raise InputError(f"{path} is missing or damaged. {remedy}")
        for variable, value in zip(variables, _load_arrays(self.folder / _VARIABLES), strict=True):
            variable.assign(value)
        return Run(state["history"], _load_arrays(self.folder / _BEST), state["seconds"])

    def remove(self):
        """Removes the checkpoint, and its folder where nothing else is in it."""
        for name in (bundle.STATE, _VARIABLES, _BEST):
            (self.folder / name).unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()


def _save_arrays(path, arrays):
    np.savez(path, **{f"{i:05d}": np.asarray(array) for i, array in enumerate(arrays)})


def _load_arrays(path):
    with np.load(path, allow_pickle=False) as archive:
        return [archive[name] for name in sorted(archive)]
