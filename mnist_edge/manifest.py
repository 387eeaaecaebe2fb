"""`manifest.json`: the files of an export, one entry per artifact.

A bundle may be untrusted: every value is validated before it is used as a file name or a size.
"""

import dataclasses
from pathlib import Path
from typing import Annotated

from mnist_edge import bundle, heads, schema
from mnist_edge.data.record import DataRecord
from mnist_edge.errors import InputError
from mnist_edge.heads import Head
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

# Arrays in `golden.npz` besides the outputs of the artifacts, which may not have these names.
GOLDEN_IMAGES, GOLDEN_LABELS, GOLDEN_KERAS = "images", "labels", "keras"
FORMATS = ("tflite", "onnx", "c")
# Uncompressed size of `golden.npz`: fits at least one image of any model.
MOST_GOLDEN_BYTES = 2**27


@dataclasses.dataclass(frozen=True)
class FileRecord:
    """A file of the bundle."""

    file: Annotated[
        str, file_name(".keras", ".npz", ".h", ".html", *(f".{format}" for format in FORMATS))
    ]
    size_bytes: Annotated[int, integer(0, bundle.MOST_FILE_BYTES)]
    sha256: Sha256


@dataclasses.dataclass(frozen=True, kw_only=True)
class PageEntry(FileRecord):
    """The web page.

    Attributes:
        made_from_sha256: SHA-256 of the TFLite file whose model is inside.
    """

    file: Annotated[str, file_name(".html")]
    made_from_sha256: Sha256


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelEntry(FileRecord):
    """The Keras model that was exported.

    Attributes:
        name: The model's name.
        input_shape: Shape of one example, without the batch dimension; with several inputs, the
            number of their values.
        input_range: Smallest and largest value of the training examples.
        classes: Number of classes.
        activation: Activation that the trained model ends with; "none" if its last operation
            is none; "" in manifests written before it was recorded.
        softmax_added: Whether the trained model returns logits, and export appended a softmax.
        heads: Its outputs, sorted by name; empty for one output of exclusive classes.
    """

    name: Text
    input_shape: tuple[Length, ...]
    input_range: tuple[float, float]
    classes: CountFrom1
    activation: Text = ""
    softmax_added: bool
    heads: tuple[Head, ...] = ()


@dataclasses.dataclass(frozen=True)
class CalibrationRecord:
    """The images that a quantizer was calibrated on.

    Attributes:
        count: Number of images.
        seed: Seed by which they were drawn.
        indices_sha256: SHA-256 of their int64 indices into the training images.
        refused_as_test_images: Number of training images that were excluded because they are
            also in the test set.
    """

    count: Count
    seed: Seed
    indices_sha256: Sha256
    refused_as_test_images: Count


@dataclasses.dataclass(frozen=True)
class AuditRecord:
    """Summary of an artifact's graph.

    Attributes:
        opset: ONNX opset or TFLite schema version.
        batch: Fixed batch size; None if it is dynamic.
        tensors: Number of tensors by element type.
        operators: Number of operators by the type that they compute in.
    """

    opset: Count
    batch: CountFrom1 | None
    tensors: dict[str, Count]
    operators: dict[str, CountFrom1]


@dataclasses.dataclass(frozen=True)
class TflmRecord:
    """What is known of a TFLite file on TFLite Micro.

    Attributes:
        resolver: Lines of C++ that register its operators with a `MicroMutableOpResolver`.
        lacking: Its operators that TFLite Micro does not have.
        runs: Whether TFLite Micro runs it; None if tflite-micro was not installed at export.
        refusal: Why it does not; else empty.
        arena_bytes: Memory that TFLite Micro took on the exporting machine for activations and its
            own structures; None if it was not run. Smaller where pointers have 4 bytes.
    """

    resolver: tuple[Text, ...]
    lacking: tuple[Text, ...] = ()
    runs: bool | None = None
    refusal: Text = ""
    arena_bytes: Count | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ArtifactEntry(FileRecord):
    """An artifact of the bundle.

    Attributes:
        variant: Its name: the stem of the file, and its label in flags and tables.
        format: "tflite", "onnx" or "c".
        precision: Precision of its weights and activations, as in the variant's name.
        size_breakdown: Bytes by purpose; their sum is `size_bytes`.
        inputs: Its inputs, as reported by its runtime, sorted by name.
        outputs: Its outputs.
        source_model_sha256: SHA-256 of the Keras model's file.
        calibration: The calibration images; None if the variant needs none.
        audit: Summary of its graph.
        tflm: What is known of it on TFLite Micro; None for other formats.
        companions: Further files that belong to it, such as a C source's header.
        made_from_sha256: SHA-256 of the artifact that it was made from, if from one.
    """

    variant: Name
    format: Annotated[str, one_of(*FORMATS)]
    precision: Name
    size_breakdown: dict[str, Count]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    source_model_sha256: Sha256
    calibration: CalibrationRecord | None
    audit: AuditRecord
    tflm: TflmRecord | None = None
    companions: tuple[FileRecord, ...] = ()
    made_from_sha256: Sha256 | None = None


@dataclasses.dataclass(frozen=True)
class FallbackAttempt:
    """One step of a fallback.

    Attributes:
        step: Description of the step.
        variant: The resulting variant; None if the step does not apply.
        agreement: Its agreement with the model: share of the validation images.
        passed: Whether it passed the gate.
        remark: Why the step does not apply, or which layers stay in float32.
    """

    step: Text
    variant: Name | None
    agreement: Share | None
    passed: bool
    remark: str


@dataclasses.dataclass(frozen=True)
class FallbackRecord:
    """A quantized variant that failed the gate, and the attempts to replace it.

    Attributes:
        variant: The requested variant.
        made: The variant that was written instead; None if no attempt passed in time.
        attempts: In order; if one passed, it is the last.
    """

    variant: Name
    made: Name | None
    attempts: tuple[FallbackAttempt, ...]


@dataclasses.dataclass(frozen=True)
class Failure:
    """A variant that was not written.

    Attributes:
        variant: Its name.
        cause: "unsupported" if the model can't be converted to it, "crash" if the converter
            crashed, hung or took too much memory, "gate" if its file failed the audit or the gate.
        reasons: One line each.
    """

    variant: Name
    cause: Annotated[str, one_of("unsupported", "crash", "gate")]
    reasons: tuple[Text, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest(schema.Record):
    """Content of `manifest.json`.

    Attributes:
        model: The Keras model.
        data: The data set that it was exported with.
        reference: `reference.npz`, the model's probabilities on the test images.
        golden: `golden.npz`, one image per class with each artifact's output.
        artifacts: In the order of the variants.
        fallbacks: What was tried for quantized variants that failed the gate.
        failures: Requested variants that were not written; not those that a fallback replaced.
        page: The web page, if it was asked for.
        versions: Version by package.
    """

    model: ModelEntry
    data: DataRecord
    reference: FileRecord
    golden: FileRecord
    artifacts: tuple[ArtifactEntry, ...]
    fallbacks: tuple[FallbackRecord, ...] = ()
    failures: tuple[Failure, ...] = ()
    page: PageEntry | None = None
    versions: dict[str, Text]

    def __post_init__(self) -> None:
        seen = {GOLDEN_IMAGES, GOLDEN_LABELS, GOLDEN_KERAS}
        for i, entry in enumerate(self.artifacts):
            if not entry.file.endswith(f".{entry.format}"):
                raise SchemaError(
                    f"artifacts[{i}].file must end in .{entry.format}. Got: {entry.file}"
                )
            if not entry.inputs or not entry.outputs:
                raise SchemaError(f"artifacts[{i}] must have inputs and outputs. Got: none")
            if entry.variant in seen:
                raise SchemaError(f"artifacts[{i}].variant must be unique. Got: {entry.variant}")
            seen.add(entry.variant)

    @property
    def heads(self) -> tuple[Head, ...]:
        """What the columns of the model's predictions mean."""
        return self.model.heads or heads.plain(self.data.labels, self.model.softmax_added)


def read(folder: Path, remedy: str) -> Manifest:
    """Reads a bundle's manifest.

    Args:
        folder: The bundle.
        remedy: What to do if it is missing or wrong; the last sentence of the error message.

    Raises:
        InputError: It is missing or invalid.
    """
    return schema.read(Manifest, folder / bundle.MANIFEST, remedy)


def file_record(path: Path) -> FileRecord:
    """Returns the manifest's record of a file."""
    return FileRecord(path.name, path.stat().st_size, bundle.sha256_file(path))


def damage(path: Path, entry: FileRecord) -> str | None:
    """Returns how a file differs from its entry in the manifest; None if it matches.

    Args:
        path: The file, in a bundle; links are not followed.
        entry: Its entry in the manifest.
    """
    kind = files.kind(path)
    if kind != "a file":
        return "is missing" if kind == "nothing" else f"is {kind}, not a file"
    try:
        size = path.stat().st_size
        if size < entry.size_bytes:
            return f"truncated or replaced: {size} bytes, {entry.size_bytes} in the manifest"
        # Size first, so that at most `size` bytes are hashed.
        if size == entry.size_bytes and bundle.sha256_file(path, size) == entry.sha256:
            return None
    except (InputError, OSError) as error:
        return f"can't be read: {error}"
    return "replaced or damaged: its SHA-256 differs from the manifest"
