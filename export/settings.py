"""The settings of one export, and every default of its command lines."""

import dataclasses
from pathlib import Path

from mnist_edge import bundle, models
from mnist_edge.cli import setting
from mnist_edge.errors import InputError
from mnist_edge.safety import keras_file

from .onnx.convert import OLDEST_OPSET
from .variants import CHOICES, OPTIONAL, VARIANTS


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """To what a model is exported, and how."""

    variants: tuple[str, ...] = setting(
        tuple(VARIANTS),
        f"which to make, {', '.join(OPTIONAL)} too",
        nargs="+",
        choices=tuple(CHOICES),
        metavar="VARIANT",
    )
    batch: int | None = setting(None, "fix the batch size (default: 1 in TFLite, free in ONNX)")
    opset: int = setting(OLDEST_OPSET, "ONNX operator set, 18 or later")
    calibration_count: int = setting(500, "training images that calibrate integer variants")
    calibration_seed: int = setting(0, "seed of their choice")
    fallback: bool = setting(
        False, "where a quantized variant breaches the gate, try what may make it pass"
    )
    force: bool = setting(
        False, "remake what the bundle holds of another model, or of an earlier training, too"
    )

    def __post_init__(self) -> None:
        unknown = [name for name in self.variants if name not in CHOICES]
        if unknown:
            raise InputError(f"a variant must be one of {', '.join(CHOICES)}. Got: {unknown[0]}.")
        least = {"batch": 1, "opset": OLDEST_OPSET, "calibration_count": 1, "calibration_seed": 0}
        for name, bound in least.items():
            value = getattr(self, name)
            if value is not None and value < bound:
                flag = "--" + name.replace("_", "-")
                raise InputError(f"{flag} must be {bound} or more. Got: {value}.")


@dataclasses.dataclass(frozen=True)
class ExportSettings(ExportOptions):
    """What to export, to what, and how."""

    source: Path = setting(
        bundle.ARTIFACTS / models.DEFAULT,
        "bundle that python -m mnist_edge.train wrote, or any .keras classifier",
        metavar="BUNDLE",
    )
    output: Path | None = setting(
        None, "bundle to write (default: the one that is read); required with a .keras file"
    )
    data: str | None = setting(
        None, "'mnist' or an .npz (default: the bundle's own); required with a .keras file"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if ":/" in str(self.source) and not self.source.exists():
            raise InputError(
                f"{self.source} must be a bundle's folder or a .keras file on this computer. "
                "Fetch it first."
            )
        if self.source.suffix in keras_file.OLD_ENDINGS:
            raise InputError(
                f"{self.source} must be a bundle or a .keras file. Got: the older format. Where "
                f"you trust it: keras.models.load_model({self.source.name!r})"
                f".save({self.source.stem + keras_file.ENDING!r})."
            )
        if self.is_foreign and not (self.data and self.output):
            raise InputError(
                f"{self.source} needs --data, the set that it was trained on, and --output, "
                "the bundle to write."
            )

    @property
    def is_foreign(self) -> bool:
        """Whether the model is a file of somebody else's rather than a bundle."""
        return self.source.suffix == keras_file.ENDING

    @property
    def folder(self) -> Path:
        """The bundle to write."""
        return self.output or self.source
