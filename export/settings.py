"""The settings of one export, and every default of its command lines."""

import dataclasses
from pathlib import Path

from mnist_edge import bundle, models
from mnist_edge.cli import setting
from mnist_edge.errors import InputError
from mnist_edge.safety import keras_file

from .onnx.convert import OLDEST_OPSET
from .variants import VARIANTS


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
    allow_h5: bool = setting(
        False,
        "take a model in the older format, .h5, too: the HDF5 library, written in C, reads all of "
        "it before a line can be checked",
    )
    rescue: bool = setting(False, "try to rescue a quantized variant that breaches the gate")

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
        self._check_source()
        if self.foreign and not (self.data and self.output):
            raise InputError(
                f"{self.source} needs --data, the set that it was trained on, and --output, "
                "the bundle to write."
            )

    def _check_source(self):
        if ":/" in str(self.source) and not self.source.exists():
            raise InputError(
                f"{self.source} must be a bundle's folder or a .keras file on this computer. "
                "Fetch it first."
            )
        if self.source.suffix in keras_file.OLD_ENDINGS and not self.allow_h5:
            raise InputError(
                f"{self.source} must be a bundle or a .keras file. Got: the older format. Load it "
                "where you trust it and save it by model.save('name.keras'), or give --allow-h5."
            )

    @property
    def foreign(self):
        """Whether the model is a file of somebody else's rather than a bundle."""
        return self.source.suffix in (keras_file.ENDING, *keras_file.OLD_ENDINGS)

    @property
    def folder(self):
        """The bundle to write."""
        return self.output or self.source
