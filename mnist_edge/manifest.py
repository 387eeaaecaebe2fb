"""`manifest.json`: what an export wrote, one entry per artifact.

A bundle may come from a stranger: every value is validated before it names a file, opens one or
sizes anything.
"""

import dataclasses
from pathlib import Path
from typing import Annotated

from mnist_edge import bundle, schema
from mnist_edge.data.record import DataRecord
from mnist_edge.errors import InputError
from mnist_edge.runtimes import Tensor
from mnist_edge.safety import files
from mnist_edge.schema import (
    Count,
    CountFrom1,
    Length,
    Name,
    SchemaError,
    Seed,
    Sha256,
    Share,
    Text,
    file_name,
    integer,
    one_of,
)

# What `golden.npz` holds beside each artifact's answers; no artifact may have such a name.
GOLDEN_IMAGES, GOLDEN_LABELS, GOLDEN_KERAS = "images", "labels", "keras"
FORMATS = ("tflite", "onnx")
# Images and predictions, one per class where they fit, unpacked: room for one of any model.
MOST_GOLDEN_BYTES = 2**27


@dataclasses.dataclass(frozen=True)
class FileRecord:
    """A file of the bundle."""

    file: Annotated[str, file_name(".keras", ".npz", *(f".{format}" for format in FORMATS))]
    size_bytes: Annotated[int, integer(0, bundle.MOST_FILE_BYTES)]
    sha256: Sha256


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelEntry(FileRecord):
    """The Keras model that was exported.

    Attributes:
        name: Its name.
        input_shape: Of one example, without the batch.
        input_range: Smallest and largest value of the training examples.
        classes: Number of classes.
        softmax_added: Whether the training's model gives logits, and softmax was put behind.
    """

    name: Text
    input_shape: tuple[Length, ...]
    input_range: tuple[float, float]
    classes: CountFrom1
    softmax_added: bool


@dataclasses.dataclass(frozen=True)
class CalibrationRecord:
    """The images that a quantizer found its ranges on.

    Attributes:
        count: How many.
        seed: Seed of their choice.
        indices_sha256: Of their int64 indices into the training images.
        refused_as_test_images: Number of training images that could not be chosen because
            the test set holds the very same.
    """

    count: Count
    seed: Seed
    indices_sha256: Sha256
    refused_as_test_images: Count


@dataclasses.dataclass(frozen=True)
class AuditRecord:
    """What an artifact's graph holds.

    Attributes:
        opset: Version of its operators: ONNX's opset, TFLite's schema.
        batch: The batch that it is fixed to; None where it is free.
        tensors: Number of tensors by element type.
        operators: Number of operators by what they compute in.
    """

    opset: Count
    batch: CountFrom1 | None
    tensors: dict[str, Count]
    operators: dict[str, CountFrom1]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ArtifactEntry(FileRecord):
    """An artifact of the bundle.

    Attributes:
        variant: Its name: the file's stem, the flag's value and the row's label.
        format: "tflite" or "onnx".
        precision: Of its weights and activations, as in the variant's name.
        size_breakdown: Bytes by purpose; their sum is `size_bytes`.
        inputs: Its one input, as its runtime reports it.
        outputs: Its one output.
        source_model_sha256: Of the Keras model's file.
        calibration: None where the variant takes none.
        audit: What its graph holds.
    """

    variant: Name
    format: Annotated[str, one_of(*FORMATS)]
    precision: Name
    size_breakdown: dict[str, Count]
    inputs: tuple[Tensor]
    outputs: tuple[Tensor]
    source_model_sha256: Sha256
    calibration: CalibrationRecord | None
    audit: AuditRecord


@dataclasses.dataclass(frozen=True)
class FallbackAttempt:
    """One step of a fallback.

    Attributes:
        step: What was tried.
        variant: What it gave; None where the step does not apply.
        agreement: Share of the validation images on which that agrees with the model.
        passed: Whether it passed the gate.
        remark: Why the step does not apply, or which layers it leaves in float32.
    """

    step: Text
    variant: Name | None
    agreement: Share | None
    passed: bool
    remark: str


@dataclasses.dataclass(frozen=True)
class FallbackRecord:
    """A quantized variant that breached the gate, and what was tried in its place.

    Attributes:
        variant: The one that was asked for.
        made: The one that was made instead.
        attempts: In order, the last of them the one that was kept.
    """

    variant: Name
    made: Name
    attempts: tuple[FallbackAttempt, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest(schema.Record):
    """What an export wrote.

    Attributes:
        model: The Keras model.
        data: The data set that it was exported with.
        reference: `reference.npz`, the model's probabilities on the test images.
        golden: `golden.npz`, one image per class with each artifact's answer.
        artifacts: In the order of the variants.
        fallbacks: Where variants breached the gate and `--fallback` was given.
        versions: Version by package.
    """

    model: ModelEntry
    data: DataRecord
    reference: FileRecord
    golden: FileRecord
    artifacts: tuple[ArtifactEntry, ...]
    fallbacks: tuple[FallbackRecord, ...] = ()
    versions: dict[str, Text]

    def __post_init__(self) -> None:
        seen = {GOLDEN_IMAGES, GOLDEN_LABELS, GOLDEN_KERAS}
        for i, entry in enumerate(self.artifacts):
            if not entry.file.endswith(f".{entry.format}"):
                raise SchemaError(
                    f"artifacts[{i}].file must end in .{entry.format}. Got: {entry.file}"
                )
            if entry.variant in seen:
                raise SchemaError(
                    f"artifacts[{i}].variant must be one no other has. Got: {entry.variant}"
                )
            seen.add(entry.variant)


def read(folder: Path, remedy: str) -> Manifest:
    """Reads a bundle's manifest.

    Args:
        folder: The bundle.
        remedy: What to do where it is missing or wrong; ends the error's line.

    Raises:
        InputError: It is missing, damaged or of another kind, or names a file elsewhere.
    """
    return schema.read(Manifest, folder / bundle.MANIFEST, remedy)


def file_record(path: Path) -> FileRecord:
    """What the manifest holds of a file."""
    return FileRecord(path.name, path.stat().st_size, bundle.sha256_file(path))


def damage(path: Path, entry: FileRecord) -> str | None:
    """Why a file is not the one that the manifest describes; None where it is.

    Args:
        path: The file, of a bundle: no link is followed.
        entry: Its entry in the manifest.
    """
    kind = files.kind(path)
    if kind != "a file":
        return "is missing" if kind == "nothing" else f"is {kind}, not a file"
    try:
        size = path.stat().st_size
        if size < entry.size_bytes:
            return f"truncated or replaced: {size} bytes, {entry.size_bytes} in the manifest"
        # First its size: to hash a file without end has none either.
        if size == entry.size_bytes and bundle.sha256_file(path, size) == entry.sha256:
            return None
    except (InputError, OSError) as error:
        return f"can't be read: {error}"
    return "replaced or damaged: its SHA-256 is not the manifest's"
