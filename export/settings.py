"""The settings of one export, and every default of its command lines."""

import dataclasses
from pathlib import Path

from export.to_onnx import OLDEST_OPSET
from export.variants import VARIANTS
from mnist_edge import bundle, models
from mnist_edge.cli import InputError, setting


@dataclasses.dataclass(frozen=True)
class ExportSettings:
    """What to export, to what, and how."""

    source: Path = setting(
        bundle.ARTIFACTS / models.DEFAULT,
        "bundle that python -m mnist_edge.train wrote, or any .keras classifier",
        metavar="BUNDLE",
    )
    variants: tuple[str, ...] = setting(
        tuple(VARIANTS), "which to make", nargs="+", choices=tuple(VARIANTS), metavar="VARIANT"
    )
    output: Path | None = setting(
        None, "bundle to write (default: the one that is read); required with a .keras file"
    )
    data: str | None = setting(
        None, "'mnist' or an .npz (default: the bundle's own); required with a .keras file"
    )
    batch: int | None = setting(None, "fix the batch size (default: 1 in TFLite, free in ONNX)")
    opset: int = setting(OLDEST_OPSET, "ONNX operator set, 18 or later")
    calibration_count: int = setting(500, "training images that calibrate integer variants")
    calibration_seed: int = setting(0, "seed of their choice")
    rescue: bool = setting(False, "try to rescue a quantised variant that breaches the gate")

    force: bool = setting(
        False, "remake what the bundle holds of another model, or of an earlier training, too"
    )

    def __post_init__(self):
        least = {"batch": 1, "opset": OLDEST_OPSET, "calibration_count": 1, "calibration_seed": 0}
        for name, bound in least.items():
            value = getattr(self, name)
            if value is not None and value < bound:
                flag = "--" + name.replace("_", "-")
                raise InputError(f"{flag} must be {bound} or more. Got: {value}.")
        if self.foreign and not (self.data and self.output):
            raise InputError(
                f"{self.source} needs --data, the set that it was trained on, and --output, "
                "the bundle to write."
            )

    @property
    def foreign(self):
        """Whether the model is a file of somebody else's rather than a bundle."""
        return self.source.suffix == ".keras"

    @property
    def folder(self):
        """The bundle to write."""
        return self.output or self.source
