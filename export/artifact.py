"""Make one artifact: convert, embed metadata, audit, run, and compare with the Keras model."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnist_edge import bundle, cli, gate, manifest, runtimes
from mnist_edge.data.parts import Part
from mnist_edge.errors import InputError
from mnist_edge.heads import Head
from mnist_edge.manifest import ArtifactEntry, CalibrationRecord, FileRecord

from . import audit, calibration, fallback, keras_export, metadata, tflm, unsupported
from .calibration import Calibration
from .fallback import Conversion
from .formats import FORMATS
from .settings import ExportOptions
from .source import Source
from .variants import KNOWN, VARIANTS, Variant

if TYPE_CHECKING:
    import keras

# Number of check images that rank the layers for the fallback.
_RANKING_COUNT = 200


@dataclasses.dataclass(frozen=True)
class Artifact:
    """An exported file.

    Attributes:
        path: Its path in the bundle.
        entry: Its entry in the manifest.
        golden: Its predictions on the golden images, float32 `[n, width]`.
    """

    path: Path
    entry: ArtifactEntry
    golden: np.ndarray

    @property
    def name(self) -> str:
        """The variant's name."""
        return self.entry.variant


@dataclasses.dataclass(frozen=True)
class About:
    """What a converter must know of the model and the options, besides arrays."""

    name: str
    sha256: str
    heads: tuple[Head, ...]
    inputs: tuple[Part, ...]
    input_range: tuple[float, float]
    batch: int | None
    opset: int
    calibration: CalibrationRecord


@dataclasses.dataclass(frozen=True)
class Task:
    """What every artifact of a model is made from and compared with, besides the model.

    Attributes:
        about: The model and the options.
        images: Check images, float32 `[n, ...]`.
        labels: The true answers.
        expected: The model's predictions on them, float32 `[n, width]`.
        golden: One image per class, float32 `[n, ...]`.
        calibration: Calibration images, float32 `[n, ...]`.
    """

    about: About
    images: np.ndarray
    labels: np.ndarray
    expected: np.ndarray
    golden: np.ndarray
    calibration: np.ndarray


def describe(
    source: Source, options: ExportOptions, chosen: Calibration, golden: np.ndarray
) -> Task:
    """Returns the task of exporting a model with these options."""
    images, labels = source.check_set()
    about = About(
        name=source.name,
        sha256=source.sha256,
        heads=source.heads,
        inputs=tuple(
            Part(name, shape) for name, shape in keras_export.input_shapes(source.model).items()
        ),
        input_range=source.input_range,
        batch=options.batch,
        opset=options.opset,
        calibration=chosen.record,
    )
    return Task(about, images, labels, source.predict(images), golden, chosen.images)


def choose(source: Source, options: ExportOptions, count: int | None) -> Calibration:
    """Chooses calibration images of a source."""
    seed = options.calibration_seed
    return calibration.choose(source.dataset, source.shape, source.split_seed, count, seed)


@dataclasses.dataclass(frozen=True)
class CheckedArtifact(Artifact):
    """An artifact that was made and checked, but not yet written.

    Attributes:
        content: Its bytes.
        agreement: Top-1 agreement with the Keras model on the check images.
        breaches: Failed checks, one line each; empty if it passed.
        remarks: Notes on the gate's verdict.
        seconds: Time to make and check it.
    """

    content: bytes
    agreement: float
    breaches: tuple[str, ...]
    remarks: tuple[str, ...]
    seconds: float


class Maker:
    """Makes and checks the artifacts of one model; shared intermediate files are made once.

    Args:
        model: The model.
        task: What to make them from and compare them with.
        work: Folder for the artifacts and for intermediate files.
    """

    def __init__(self, model: "keras.Model", task: Task, work: Path) -> None:
        self._model, self._task, self._work = model, task, work
        self._prepared: dict[Callable[..., Path], Path] = {}

    def make(self, variant: Variant) -> CheckedArtifact:
        """Makes and checks the artifact of a variant.

        Raises:
            InputError: The model can't be converted; the message names the layer.
        """
        prepared, images = self.prepare(variant.format), self._task.calibration
        convert, record = FORMATS[variant.format].convert, self._task.about.calibration
        return self.check(Conversion(variant, lambda: convert(prepared, variant, images), record))

    def fallback_steps(
        self, variant: Variant, larger: np.ndarray, record: CalibrationRecord, ranked_until: float
    ) -> Iterator[fallback.Step]:
        """Yields what `fallback.steps` does."""
        prepared = self.prepare(variant.format)

        def layer_of(name: str) -> str:
            layer = unsupported.named_layer(self._model, name)
            return layer.name if layer else name.partition(";")[0]

        return fallback.steps(
            variant, prepared, larger, record, self._error, layer_of, ranked_until
        )

    def prepare(self, format: str) -> Path:
        """Converts the model to the file that a format's variants are made from, or raises."""
        about, prepare = self._task.about, FORMATS[format].prepare
        if prepare not in self._prepared:
            with self._converting(format):
                self._prepared[prepare] = prepare(self._model, about.batch, self._work, about.opset)
        return self._prepared[prepare]

    @contextlib.contextmanager
    def _converting(self, format: str) -> Iterator[None]:
        """Hides the converters' logs and turns their exceptions into `InputError`."""

        def export_alone(model: "keras.Model", folder: Path) -> None:
            prepared = FORMATS[format].prepare(model, 1, folder, self._task.about.opset)
            variant = VARIANTS.get(f"{format}-float32", KNOWN[f"{format}-int8"])
            FORMATS[format].convert(prepared, variant, self._task.calibration)

        with cli.native_logs_held(), unsupported.refusing(self._model, format, export_alone):
            yield

    def check(self, conversion: Conversion) -> CheckedArtifact:
        """Converts and checks the result; raises as `make` does."""
        started, variant, task = time.perf_counter(), conversion.variant, self._task
        path = self._work / f"checked-{variant.file}"
        with self._converting(variant.format):
            converted = conversion.convert()
            slim = FORMATS[variant.format].finish(converted)
            fields = metadata.fields(task.about, variant)
            content = FORMATS[variant.format].embed(slim, fields, task.golden)
            path.write_bytes(content)
            graph = audit.read(path)
            opened = _open(path)
            computed, golden = map(opened.predict, (task.images, task.golden))
            before = computed if slim is converted else self._before(variant, converted)
        verdict = gate.check(
            computed,
            task.expected,
            task.labels,
            is_float32=variant.precision == "float32",
            thresholds=gate.Thresholds(),
            heads=task.about.heads,
        )
        entry = ArtifactEntry(
            variant=variant.name,
            format=variant.format,
            precision=variant.precision,
            file=variant.file,
            size_bytes=len(content),
            size_breakdown=audit.size_breakdown(content, variant.format),
            sha256=bundle.sha256_file(path),
            inputs=opened.inputs,
            outputs=opened.outputs,
            source_model_sha256=task.about.sha256,
            calibration=conversion.calibration if variant.calibrated else None,
            audit=audit.record(graph),
            tflm=tflm.describe(graph),
            companions=self._companions(variant, content),
            made_from_sha256=FORMATS[variant.format].made_from(content),
        )
        breaches = [*audit.findings(graph, variant), *changes(before, computed), *verdict.breaches]
        return CheckedArtifact(
            path=path,
            entry=entry,
            golden=golden,
            content=content,
            agreement=gate.agreement(computed, task.expected, task.about.heads),
            breaches=tuple(breaches),
            remarks=tuple(verdict.remarks),
            seconds=time.perf_counter() - started,
        )

    def _companions(self, variant: Variant, content: bytes) -> tuple[FileRecord, ...]:
        """Writes the further files of an artifact to the work folder; returns their records."""
        found = []
        for name, text in companions(variant, content).items():
            (self._work / name).write_bytes(text)
            found.append(manifest.file_record(self._work / name))
        return tuple(found)

    def _error(self, variant: Variant, content: bytes) -> float:
        """Returns the mean absolute difference from the Keras model's probabilities."""
        try:
            opened = _open(self._raw(variant, content))
        except NotRunnable:
            return np.inf
        computed = opened.predict(self._task.images[:_RANKING_COUNT])
        return float(np.abs(computed - self._task.expected[:_RANKING_COUNT]).mean())

    def _before(self, variant: Variant, converted: bytes) -> np.ndarray:
        """Runs what the converter returned on the check images."""
        opened = FORMATS[variant.format].open_converted(self._raw(variant, converted))
        return opened.predict(self._task.images)

    def _raw(self, variant: Variant, content: bytes) -> Path:
        path = self._work / f"raw-{variant.file}"
        path.write_bytes(content)
        return path


def companions(variant: Variant, content: bytes) -> dict[str, bytes]:
    """Returns the further files of an artifact, by name."""
    made = FORMATS[variant.format].companions(content)
    return {f"{variant.name}{end}": text for end, text in made.items()}


class NotRunnable(InputError):
    """An artifact that its runtime refuses to open."""


def _open(path: Path) -> runtimes.Predictor:
    """Opens an artifact.

    Raises:
        NotRunnable: The runtime refuses it, as LiteRT does if a layer's scales are too far apart.
    """
    try:
        return runtimes.open_artifact(path)
    except RuntimeError as error:
        raise NotRunnable(f"can't be opened: {cli.in_words(error)}") from error


def changes(before: np.ndarray, after: np.ndarray) -> list[str]:
    """Checks that the optimized file's outputs are bit for bit those of the converter's file.

    Args:
        before: Outputs of the converter's file, float32 `[n, width]`.
        after: Outputs of the optimized file, of the same shape.

    Returns:
        The breach as a message; empty if all bits are the same.
    """
    differing = np.any(before.view(np.uint32) != after.view(np.uint32), axis=1)
    if not differing.any():
        return []
    return [
        f"gives different outputs than the converter's file on {differing.sum()} of "
        f"{len(differing)} validation images"
    ]
