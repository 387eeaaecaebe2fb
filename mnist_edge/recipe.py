"""How a network is trained: the fields of a recipe, and what its defaults mean."""

import dataclasses
from pathlib import Path

from mnist_edge.augment import Affine
from mnist_edge.cli import InputError


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a network is trained, unless the command line says otherwise.

    Attributes:
        epochs: Passes over the training images, at most.
        batch_size: Images a step; of several, each is used for an equal share of the
            epochs, in turn.
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
        average: Momentum a step of the exponential moving average of the weights that is
            kept in the weights' place; 0 keeps the weights themselves.
        teacher: A trained network whose probabilities are learnt from: a packaged bundle's
            name, or a bundle's folder.
        teacher_share: The teacher's part of the loss; the labels have the rest.
        branch_losses: Whether each of the branches whose logits the network averages has a
            loss of its own, in the place of one for their average.
        label_smoothing: Part of each label that is spread evenly over the classes.
        gentle_epochs: The last so many epochs are distorted less.
        gentle_strength: What multiplies the ranges of distortion in them; 0 is none.
        all_images: Whether the validation images are trained on too; nothing can be chosen
            by them then.
    """

    epochs: int
    batch_size: tuple[int, ...]
    learning_rate: float = 1e-3
    muon_rate: float = 0.0
    weight_decay: float = 0.0
    warmup_epochs: float = 0.0
    cosine: bool = False
    loss: str = "sparse_categorical_crossentropy"
    augment: Affine | None = None
    keep: str = "last"
    patience: int | None = None
    average: float = 0.0
    teacher: str | None = None
    teacher_share: float = 0.5
    branch_losses: bool = False
    label_smoothing: float = 0.0
    gentle_epochs: int = 0
    gentle_strength: float = 0.5
    all_images: bool = False

    def __post_init__(self):
        if self.all_images and (self.keep != "last" or self.patience):
            raise InputError(
                "training on all images leaves no validation to stop or to choose by: the last "
                f"weights must be kept. Got: keep {self.keep}, patience {self.patience}. "
                "Add --no-all-images, or leave out --patience."
            )

    @classmethod
    def from_record(cls, record):
        """The recipe that `train.json` holds, a dict; what it does not name has its default."""
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in record.items()}
        augment = values.get("augment")
        return cls(**values | {"augment": augment and Affine(**augment)})

    def batch_size_of(self, epoch):
        """The batch size of an epoch, counted from 0."""
        return self.batch_size[epoch * len(self.batch_size) // self.epochs]

    def words(self):
        """The recipe in a line."""
        parts = [
            f"{self.epochs} epoch{'s' if self.epochs > 1 else ''}",
            f"batch {' then '.join(map(str, self.batch_size))}",
            f"Muon {self.muon_rate:g}" if self.muon_rate else "",
            f"{'AdamW' if self.weight_decay else 'Adam'} {self.learning_rate:g}",
            f"weight decay {self.weight_decay:g}" if self.weight_decay else "",
            "warm-up and cosine" if self.cosine else "",
            "one-hot labels" if self.loss == "categorical_crossentropy" else "",
            "a loss a branch" if self.branch_losses else "",
            f"labels smoothed by {self.label_smoothing:g}" if self.label_smoothing else "",
            "augmented" if self.augment else "",
            f"less so for {self.gentle_epochs}" if self.augment and self.gentle_epochs else "",
            f"taught by {Path(self.teacher).name}" if self.teacher else "",
            "averaged" if self.average else "",
            "validation's best" if self.keep == "best" else "",
            "all images" if self.all_images else "",
        ]
        return ", ".join(part for part in parts if part)
