"""How a network is trained: the fields of a recipe, and what its defaults mean."""

import dataclasses
from pathlib import Path

from mnist_edge import expect
from mnist_edge.errors import InputError
from mnist_edge.expect import SHARE, TRUTH
from mnist_edge.training.augment import Affine

_DEGREES, _PIXELS, _BELOW_1 = expect.number(360), expect.number(10_000), expect.number(0.999_999)
MOST_EPOCHS, MOST_BATCH = 100_000, 2**20
# A recipe in JSON, field by field; beyond these a run ends in no figures, or not at all.
_AUGMENT = {
    "rotation?": _DEGREES,
    "shift?": _PIXELS,
    "zoom?": _BELOW_1,
    "shear?": _DEGREES,
    "elastic?": _PIXELS,
    "noise?": expect.number(255),
    "erase?": expect.count(10_000),
}
_RECIPE = {
    "epochs": expect.count(MOST_EPOCHS, least=1),
    "batch_size": [expect.count(MOST_BATCH, least=1)],
    "learning_rate?": expect.number(1000, least=1e-12),
    "muon_rate?": expect.number(1000),
    "weight_decay?": expect.number(1000),
    "warmup_epochs?": expect.number(MOST_EPOCHS),
    "cosine?": TRUTH,
    "augment?": _AUGMENT,
    "loss?": expect.one_of("sparse_categorical_crossentropy", "categorical_crossentropy"),
    "keep?": expect.one_of("best", "last"),
    "patience?": expect.or_null(expect.count(least=1)),
    "average?": _BELOW_1,
    "teacher?": expect.or_null(expect.PATH),
    "teacher_share?": SHARE,
    "branch_losses?": TRUTH,
    "label_smoothing?": SHARE,
    "gentle_epochs?": expect.COUNT,
    "gentle_strength?": SHARE,
    "all_images?": TRUTH,
}


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
        teacher: A trained network whose probabilities are learned from: a packaged bundle's
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
    def from_record(cls, record: dict, where: str) -> "Recipe":
        """The recipe that `train.json` holds; what it does not name has its default.

        Args:
            record: The recipe, as JSON has it.
            where: What the error's line starts with.

        Raises:
            InputError: It is no recipe of this version's.
        """
        augment = record.get("augment")
        given = record if augment is not None else record | {"augment": {}}
        wrong = _mismatch(given, _RECIPE, "recipe") or _mismatch(
            given.get("augment"), _AUGMENT, "recipe.augment"
        )
        if not wrong and not record["batch_size"]:
            wrong = "recipe.batch_size must hold a number or more. Got: none"
        if wrong:
            raise InputError(f"{where}: {wrong}. Train again, or use the version that wrote it.")
        values = record | {"batch_size": tuple(record["batch_size"])}
        return cls(**values | {"augment": None if augment is None else Affine(**augment)})

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


def _mismatch(value: dict, kinds: dict, where: str) -> str | None:
    """As `expect.mismatch`, and a field that there is not is one."""
    unknown = [name for name in value if name not in kinds and f"{name}?" not in kinds]
    if unknown:
        return f"{where} must be of fields that this version knows. Got: {unknown[0]}"
    return expect.mismatch(value, kinds, where)
