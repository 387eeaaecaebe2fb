"""How a network is trained: the fields of a recipe, and what its defaults mean."""

import dataclasses
from typing import Annotated, ClassVar

from mnist_edge.errors import InputError
from mnist_edge.schema import CountFrom1, Share, integer, number, one_of

MOST_EPOCHS, MOST_BATCH = 100_000, 2**20
# Beyond these a run ends in no figures, or not at all.
Degrees = Annotated[float, number(0, 360)]
Pixels = Annotated[float, number(0, 10_000)]
Below1 = Annotated[float, number(0, 0.999_999)]
Rate = Annotated[float, number(0, 1000)]


@dataclasses.dataclass(frozen=True)
class Affine:
    """How training images are distorted: ranges, each uniform about 0 but the noise's.

    Attributes:
        rotation: Degrees.
        shift: Pixels, in each direction.
        zoom: Fraction of the size, the same in both directions.
        shear: Degrees.
        noise: Gray levels of 255: Gaussian noise, its standard deviation uniform from 0 to
            this per image; the result is clipped to 0 and 255.
    """

    CLOSED: ClassVar[bool] = True  # to ignore a field would change the training
    rotation: Degrees = 0.0
    shift: Pixels = 0.0
    zoom: Below1 = 0.0
    shear: Degrees = 0.0
    noise: Annotated[float, number(0, 255)] = 0.0


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a network is trained, unless the command line says otherwise.

    Attributes:
        epochs: Passes over the training images, at most.
        batch_size: Images per step.
        learning_rate: Adam's, or the peak of the schedule.
        muon_rate: Muon's learning rate, or its peak, for the kernels of convolutions; the
            other weights stay AdamW's. 0 is AdamW for all.
        weight_decay: Decoupled decay; 0 is plain Adam.
        warmup_epochs: Epochs over which the learning rate rises from 0.
        cosine: Whether the learning rate then falls to 0 along a cosine.
        loss: Keras's name of the loss, with sparse labels or with one-hot ones.
        augment: How training images are distorted, or None.
        keep: "best", the weights of the epoch with the highest validation accuracy, or
            "last".
        patience: Stop after so many epochs without a higher validation accuracy; None
            trains all epochs.
        average: Momentum per step of the exponential moving average (EMA) of the weights that
            is kept in the weights' place; 0 keeps the weights themselves.
        branch_losses: Whether each of the branches whose logits the network averages has a
            loss of its own, instead of one for their average.
        label_smoothing: Part of each label that is spread evenly over the classes.
        all_images: Whether the validation images are trained on too; nothing can be chosen
            by them then.
    """

    CLOSED: ClassVar[bool] = True
    epochs: Annotated[int, integer(1, MOST_EPOCHS)]
    batch_size: Annotated[int, integer(1, MOST_BATCH)]
    learning_rate: Annotated[float, number(1e-12, 1000)] = 1e-3
    muon_rate: Rate = 0.0
    weight_decay: Rate = 0.0
    warmup_epochs: Annotated[float, number(0, MOST_EPOCHS)] = 0.0
    cosine: bool = False
    loss: Annotated[str, one_of("sparse_categorical_crossentropy", "categorical_crossentropy")] = (
        "sparse_categorical_crossentropy"
    )
    augment: Affine | None = None
    keep: Annotated[str, one_of("best", "last")] = "last"
    patience: CountFrom1 | None = None
    average: Below1 = 0.0
    branch_losses: bool = False
    label_smoothing: Share = 0.0
    all_images: bool = False

    def __post_init__(self) -> None:
        if self.all_images and (self.keep != "last" or self.patience):
            raise InputError(
                "training on all images leaves no validation to stop or to choose by: the last "
                f"weights must be kept. Got: keep {self.keep}, patience {self.patience}. "
                "Add --no-all-images, or leave out --patience."
            )

    def words(self) -> str:
        """The recipe in a line."""
        parts = [
            f"{self.epochs} epoch{'s' if self.epochs > 1 else ''}",
            f"batch {self.batch_size}",
            f"Muon {self.muon_rate:g}" if self.muon_rate else "",
            f"{'AdamW' if self.weight_decay else 'Adam'} {self.learning_rate:g}",
            f"weight decay {self.weight_decay:g}" if self.weight_decay else "",
            "warm-up and cosine" if self.cosine else "",
            "one-hot labels" if self.loss == "categorical_crossentropy" else "",
            "a loss per branch" if self.branch_losses else "",
            f"labels smoothed by {self.label_smoothing:g}" if self.label_smoothing else "",
            "augmented" if self.augment else "",
            "averaged" if self.average else "",
            "validation's best" if self.keep == "best" else "",
            "all images" if self.all_images else "",
        ]
        return ", ".join(part for part in parts if part)
