"""Settings and defaults of the export commands."""

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
    """Options of an export, whatever the source."""

    variants: tuple[str, ...] = setting(
        tuple(VARIANTS),
        f"variants to export; also available: {', '.join(OPTIONAL)}",
        nargs="+",
        choices=tuple(CHOICES),
        metavar="VARIANT",
    )
    batch: int | None = setting(None, "fixed batch size (default: 1 in TFLite, dynamic in ONNX)")
    opset: int = setting(OLDEST_OPSET, "ONNX operator set, 18 or later")
    calibration_count: int = setting(
        500, "number of training images that calibrate integer variants"
    )
    calibration_seed: int = setting(0, "seed for choosing the calibration images")
    fallback: bool = setting(
        False, "if a quantized variant breaches the gate, try alternatives that may pass"
    )
    force: bool = setting(
        False, "also export again the bundle's artifacts that were made from another model"
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
    """Settings of the export commands."""

    source: Path = setting(
        bundle.ARTIFACTS / models.DEFAULT,
        "bundle written by python -m mnist_edge.train, or any .keras classifier",
        metavar="BUNDLE",
    )
    output: Path | None = setting(
        None, "bundle to write (default: the source bundle); required for a .keras file"
    )
    data: str | None = setting(
        None, "'mnist' or an .npz (default: the bundle's data); required for a .keras file"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if ":/" in str(self.source) and not self.source.exists():
            raise InputError(
                f"{self.source} must be a bundle's folder or a .keras file on this computer. "
                "Download it first."
            )
        if self.source.suffix in keras_file.OLD_ENDINGS:
            raise InputError(
                f"{self.source} must be a bundle or a .keras file. Got: the older HDF5 "
                "format. If you trust the file, convert it: "
                f"keras.models.load_model({self.source.name!r})"
                f".save({self.source.stem + keras_file.ENDING!r})."
            )
        if self.is_foreign and not (self.data and self.output):
            raise InputError(
                f"{self.source} needs --data, the data that it was trained on, and --output, "
                "the bundle to write."
            )

    @property
    def is_foreign(self) -> bool:
        """Whether the source is a `.keras` file rather than a bundle."""
        return self.source.suffix == keras_file.ENDING

    @property
    def folder(self) -> Path:
        """The bundle to write."""
        return self.output or self.source
