"""Settings of a training run and their defaults, which are the command line's."""

import dataclasses
from pathlib import Path
from typing import Any

from mnist_edge import bundle, data, models
from mnist_edge.cli import setting
from mnist_edge.errors import InputError
from mnist_edge.models.recipe import MOST_BATCH, MOST_EPOCHS, Recipe


def _recipes(field: str) -> str:
    return ", ".join(f"{name} {getattr(row.recipe, field)}" for name, row in models.ZOO.items())


@dataclasses.dataclass(frozen=True)
class TrainSettings:
    """Settings of a training run; the fields are the flags of the command line."""

    model: str = setting(models.DEFAULT, "network of the zoo", choices=tuple(models.ZOO))
    epochs: int | None = setting(
        None, f"passes over the training images (default: the recipe's, {_recipes('epochs')})"
    )
    batch_size: int | None = setting(
        None, f"images per step (default: the recipe's, {_recipes('batch_size')})"
    )
    seed: int = setting(0, "random seed of weights, order of the images and augmentation")
    split_seed: int = setting(0, "random seed of the split into training and validation images")
    output: Path | None = setting(
        None, f"folder of the bundle (default: {bundle.ARTIFACTS}/<model>)"
    )
    labels: str | tuple[str, ...] | None = setting(
        None, f"{data.LABELS_HELP} (default: the data set's own, or the numbers)"
    )
    data: str = setting(data.MNIST, data.HELP)  # last: the field hides the module
    augment: bool | None = setting(
        None,
        "distort the training images (default: as the recipe does, "
        f"only {', '.join(n for n, row in models.ZOO.items() if row.recipe.augment)})",
    )
    patience: int | None = setting(
        None,
        "stop after this many epochs without a higher validation accuracy, and keep the best "
        "(default: train all epochs)",
    )
    all_images: bool | None = setting(
        None,
        "train on the validation images too, and keep the last weights (default: as the "
        "recipe does)",
    )
    full: bool = setting(
        False,
        "train by the longer recipe of the recorded accuracy, if the network has one "
        f"({', '.join(n for n, row in models.ZOO.items() if row.longer) or 'none has'})",
    )
    from_: Path | None = setting(
        None,
        "repeat the run of a train.json; if its data were moved, give their place by --data",
        metavar="TRAIN.JSON",
    )
    resume: bool = setting(False, "continue an interrupted run from its last finished epoch")
    tensorboard: Path | None = setting(None, "folder for TensorBoard's logs (default: none)")
    save_h5: bool = setting(False, "also write model.h5, in Keras's legacy format")
    save_weights: bool = setting(False, "also write model.weights.h5, which holds the weights only")
    plots: bool = setting(True, "draw plots/*.png, if matplotlib is installed")
    quiet: bool = setting(False, "print only the JSON line of results")
    list: bool = setting(False, "list the zoo and exit")

    def __post_init__(self) -> None:
        limits = {"epochs": MOST_EPOCHS, "patience": MOST_EPOCHS, "batch_size": MOST_BATCH}
        for name, bound in limits.items():
            value = getattr(self, name)
            if value is not None and not 1 <= value <= bound:
                flag = name.replace("_", "-")
                raise InputError(f"--{flag} must be 1 to {bound:,}. Got: {value}.")
        for name in ("seed", "split_seed"):
            value = getattr(self, name)
            if not 0 <= value < 2**32:
                raise InputError(
                    f"--{name.replace('_', '-')} must be 0 to 4294967295. Got: {value}."
                )

    @property
    def recipe(self) -> Recipe:
        """The network's recipe with the overrides of the command line."""
        network = models.ZOO[self.model]
        recipe = network.full_recipe if self.full else network.recipe
        overrides: dict[str, Any] = {
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "patience": self.patience,
            "all_images": self.all_images,
            "keep": "best" if self.patience else "last" if self.all_images else None,
        }
        overrides = {name: value for name, value in overrides.items() if value is not None}
        if self.augment is not None:
            overrides["augment"] = (recipe.augment or models.GENTLE) if self.augment else None
        return dataclasses.replace(recipe, **overrides)

    @property
    def folder(self) -> Path:
        """Folder of the bundle."""
        return self.output or bundle.ARTIFACTS / self.model
