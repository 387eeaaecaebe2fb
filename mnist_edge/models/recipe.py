"""Training recipes: hyperparameters, their ranges and their defaults."""

import dataclasses
from typing import Annotated, ClassVar

from mnist_edge.errors import InputError
from mnist_edge.schema import CountFrom1, Share, integer, number, one_of

MOST_EPOCHS, MOST_BATCH = 100_000, 2**20
# Outside these ranges a run would give NaN or never end.
Degrees = Annotated[float, number(0, 360)]
Pixels = Annotated[float, number(0, 10_000)]
Below1 = Annotated[float, number(0, 0.999_999)]
Rate = Annotated[float, number(0, 1000)]


@dataclasses.dataclass(frozen=True)
class Affine:
    """Ranges of the random distortions of training images, symmetric about 0 except the noise.

    Each is drawn uniformly per image.

    Attributes:
        rotation: Degrees.
        shift: Pixels, for each axis.
        zoom: Fraction of the size, the same for both axes.
        shear: Degrees.
        noise: Gray levels of 255. Gaussian noise whose standard deviation is drawn uniformly
            from 0 to this value per image; the result is clipped to 0 to 255.
        disturbed: Share of each batch that is disturbed as pictures of the real world are:
            see `mnist_edge/training/disturb.py`.
    """

    CLOSED: ClassVar[bool] = True  # unknown fields are refused: ignoring one would change the run
    rotation: Degrees = 0.0
    shift: Pixels = 0.0
    zoom: Below1 = 0.0
    shear: Degrees = 0.0
    noise: Annotated[float, number(0, 255)] = 0.0
    disturbed: Share = 0.0


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Hyperparameters of a training run; the command line may override some of them.

    Attributes:
        epochs: Maximum number of passes over the training images.
        batch_size: Images per step.
        learning_rate: Learning rate of Adam; with a schedule, its peak.
        muon_rate: Learning rate of Muon for the convolution kernels; with a schedule, its
            peak. All other weights use AdamW. 0 uses AdamW for all weights.
        weight_decay: Decoupled weight decay; 0 is plain Adam.
        warmup_epochs: Epochs over which the learning rate rises from 0.
        cosine: Whether the learning rate then falls to 0 along a cosine.
        loss: Keras's name of the loss, for integer or for one-hot labels.
        augment: Distortion of the training images, or None.
        plain_epochs: Number of epochs at the end that train without `augment`.
        keep: Which weights to keep: "best", those of the epoch with the highest validation
            accuracy, or "last".
        patience: Stop after this many epochs without a higher validation accuracy; None
            trains all epochs.
        average: Momentum per step of the exponential moving average (EMA) of the weights,
            which is kept instead of the weights; 0 keeps the weights themselves.
        branch_losses: Whether each branch of a network that averages its branches' logits has
            its own loss, instead of one loss for the average.
        label_smoothing: Fraction of each label that is spread evenly over the classes.
        all_images: Whether to train on the validation images too; then there is no validation.
        extra_digits: Whether digits of fonts, and in forms that MNIST lacks, join MNIST's training
            images (`mnist_edge/data/extra.py`). Other data are trained on alone.
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
    plain_epochs: Annotated[int, integer(0, MOST_EPOCHS)] = 0
    keep: Annotated[str, one_of("best", "last")] = "last"
    patience: CountFrom1 | None = None
    average: Below1 = 0.0
    branch_losses: bool = False
    label_smoothing: Share = 0.0
    all_images: bool = False
    extra_digits: bool = False

    def __post_init__(self) -> None:
        if self.all_images and (self.keep != "last" or self.patience):
            raise InputError(
                "training on all images leaves no validation images: the last weights must be "
                f"kept, without early stopping. Got: keep {self.keep}, patience {self.patience}. "
                "Add --no-all-images, or leave out --patience."
            )

    def describe(self) -> str:
        """Returns a one-line description of the recipe."""
        plain = f" except in the last {self.plain_epochs} epochs" if self.plain_epochs else ""
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
            f"augmented{plain}" if self.augment else "",
            "averaged" if self.average else "",
            "validation's best" if self.keep == "best" else "",
            "all images" if self.all_images else "",
            "extra digits" if self.extra_digits else "",
        ]
        return ", ".join(part for part in parts if part)
