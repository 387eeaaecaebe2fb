"""The settings of one training run, and every default of its command line."""

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
    """The settings of one training run, and every default of the command line."""

    model: str = setting(models.DEFAULT, "network of the zoo", choices=tuple(models.ZOO))
    epochs: int | None = setting(
        None, f"passes over the training images (default: the recipe's, {_recipes('epochs')})"
    )
    batch_size: int | None = setting(
        None, f"images per step (default: the recipe's, {_recipes('batch_size')})"
    )
    seed: int = setting(0, "seed of weights, order and augmentation")
    split_seed: int = setting(0, "seed of the split into training and validation images")
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
        f"{', '.join(n for n, row in models.ZOO.items() if row.recipe.augment)} alone)",
    )
    patience: int | None = setting(
        None,
        "stop after so many epochs without a higher validation accuracy, and keep the best "
        "(default: train all epochs)",
    )
    all_images: bool | None = setting(
        None,
        "train on the validation images too, and keep the last weights (default: as the "
        "recipe does)",
    )
    full: bool = setting(
        False,
        "train by the longer recipe of the figures on record, where the network has one "
        f"({', '.join(n for n, row in models.ZOO.items() if row.longer) or 'none has'})",
    )
    from_: Path | None = setting(
        None,
        "repeat the run of a train.json; --data says where its data lie now, where they moved",
        metavar="TRAIN.JSON",
    )
    resume: bool = setting(False, "go on from the last finished epoch of an interrupted run")
    tensorboard: Path | None = setting(None, "folder for TensorBoard's logs (default: none)")
    save_h5: bool = setting(False, "also write model.h5, Keras's old format")
    save_weights: bool = setting(False, "also write model.weights.h5, the weights alone")
    plots: bool = setting(True, "draw plots/*.png, where matplotlib is installed")
    quiet: bool = setting(False, "print the JSON line of results alone")
    list: bool = setting(False, "show the zoo and end")

    def __post_init__(self) -> None:
        most = {"epochs": MOST_EPOCHS, "patience": MOST_EPOCHS, "batch_size": MOST_BATCH}
        for name, bound in most.items():
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
        """The network's recipe with what the command line overrides."""
        network = models.ZOO[self.model]
        recipe = network.full_recipe if self.full else network.recipe
        given: dict[str, Any] = {
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "patience": self.patience,
            "all_images": self.all_images,
            "keep": "best" if self.patience else "last" if self.all_images else None,
        }
        given = {name: value for name, value in given.items() if value is not None}
        if self.augment is not None:
            given["augment"] = (recipe.augment or models.GENTLE) if self.augment else None
        return dataclasses.replace(recipe, **given)

    @property
    def folder(self) -> Path:
        """Where the bundle goes."""
        return self.output or bundle.ARTIFACTS / self.model
