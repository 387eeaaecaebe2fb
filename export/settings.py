"""Settings and defaults of the export commands."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from mnist_edge import bundle, models
from mnist_edge.cli import setting
from mnist_edge.errors import InputError, did_you_mean
from mnist_edge.safety import keras_file

from . import names
from .onnx.convert import OLDEST_OPSET
from .variants import CHOICES, KNOWN, OPTIONAL, PAGE, PAGE_OF, VARIANTS


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """Options of an export, whatever the source."""

    variants: tuple[str, ...] | None = setting(
        None,
        "variants that must be exported (default: those that the model can have, of "
        f"{' '.join(VARIANTS)}); also available: {' '.join((*OPTIONAL, PAGE))}",
        nargs="+",
        metavar="VARIANT",
    )
    skip: tuple[str, ...] = setting((), "variants not to export", nargs="+", metavar="VARIANT")
    all_or_nothing: bool = setting(False, "write nothing if any variant fails")
    batch: int | None = setting(None, "fixed batch size (default: 1 in TFLite, dynamic in ONNX)")
    opset: int = setting(OLDEST_OPSET, "ONNX operator set, 18 or later")
    input_shape: tuple[int, ...] | None = setting(
        None,
        "shape of one example, e.g. 224 224 3, for a .keras model that takes any size (default: "
        "that of the data)",
        nargs="+",
        metavar="N",
    )
    calibration_count: int | None = setting(
        None,
        "number of training images that calibrate integer variants (default: 500, or all)",
    )
    calibration_seed: int = setting(0, "seed for choosing the calibration images")
    fallback: bool = setting(
        True, "if a quantized variant fails the gate, try alternatives that may pass"
    )
    fallback_seconds: int = setting(120, "time for the alternatives to one variant, in seconds")
    variant_seconds: int = setting(
        900, "time to convert and check one variant, in seconds; it fails if it takes longer"
    )
    force: bool = setting(
        False, "also export again the bundle's artifacts that were made from another model"
    )

    def __post_init__(self) -> None:
        choices = (*CHOICES, PAGE)
        unknown = [name for name in (*(self.variants or ()), *self.skip) if name not in choices]
        if unknown:
            raise InputError(
                f"a variant must be one of {', '.join(choices)}. Got: {unknown[0]}. "
                f"{did_you_mean(unknown[0], choices)}".rstrip()
            )
        if not self.planned:
            raise InputError("at least one variant must be exported. Got: all in --skip.")
        least = {
            "batch": 1,
            "opset": OLDEST_OPSET,
            "calibration_count": 1,
            "calibration_seed": 0,
            "fallback_seconds": 1,
            "variant_seconds": 1,
        }
        for name, bound in least.items():
            value = getattr(self, name)
            if value is not None and value < bound:
                flag = "--" + name.replace("_", "-")
                raise InputError(f"{flag} must be {bound} or more. Got: {value}.")

    @property
    def planned(self) -> tuple[str, ...]:
        """The variants to export: the page's artifact among them, the page not."""
        named = dict.fromkeys(PAGE_OF if name == PAGE else name for name in self.variants or ())
        return tuple(name for name in named or VARIANTS if name not in self.skip)

    @property
    def has_page(self) -> bool:
        """Whether the page shall be made."""
        return PAGE in (self.variants or ()) and PAGE not in self.skip

    def required(self, planned: Iterable[str]) -> set[str]:
        """Returns the planned variants that must pass: those named, and those in float32."""
        named = {*(self.variants or ())}
        return {
            name
            for name in planned
            if self.all_or_nothing or name in named or KNOWN[name].precision == "float32"
        }


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
        names.check_model(self.source)
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
