"""Make one artifact: convert, embed metadata, audit, run, and compare with the Keras model."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import mnist_edge
from mnist_edge import bundle, cli, gate, runtimes, schema
from mnist_edge.manifest import ArtifactEntry

from . import audit, calibration, fallback, metadata, unsupported
from .fallback import Conversion
from .formats import FORMATS
from .settings import ExportOptions
from .source import Source
from .variants import VARIANTS, Variant

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
        golden: Its probabilities on the golden images, float32 `[n, classes]`.
    """

    path: Path
    entry: ArtifactEntry
    golden: np.ndarray

    @property
    def name(self) -> str:
        """The variant's name."""
        return self.entry.variant


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
        source: The model and its data.
        options: The export options.
        golden_images: One image per class, float32 `[n, ...]`.
        folder: The bundle that the artifacts will be written to.
        work: Folder for intermediate files.
    """

    def __init__(
        self,
        source: Source,
        options: ExportOptions,
        golden_images: np.ndarray,
        folder: Path,
        work: Path,
    ) -> None:
        self._source, self._options = source, options
        self._golden_images, self._folder, self._work = golden_images, folder, work
        self._images, self._labels = source.check_set()
        self._expected = source.predict(self._images)
        self._calibration = self._choose(options.calibration_count)
        self._prepared: dict[str, Path] = {}

    def make(self, variant: Variant) -> CheckedArtifact:
        """Makes and checks the artifact of a variant.

        Raises:
            InputError: The model can't be converted; the message names the layer.
        """
        prepared, images = self._prepare(variant.format), self._calibration.images
        convert = FORMATS[variant.format].convert
        return self.check(
            Conversion(variant, lambda: convert(prepared, variant, images), self._calibration)
        )

    def fallback_steps(self, variant: Variant) -> Iterator[fallback.Step]:
        """Yields alternatives to a quantized variant that breached the gate, in order."""
        prepared = self._prepare(variant.format)
        return fallback.steps(variant, prepared, self._calibration, self._choose, self._error)

    def _choose(self, count: int) -> calibration.Calibration:
        source = self._source
        return calibration.choose(
            source.dataset, source.shape, source.split_seed, count, self._options.calibration_seed
        )

    def _prepare(self, format: str) -> Path:
        if format not in self._prepared:
            options, prepare = self._options, FORMATS[format].prepare
            with self._converting(format):
                self._prepared[format] = prepare(
                    self._source.model, options.batch, self._work, options.opset
                )
        return self._prepared[format]

    @contextlib.contextmanager
    def _converting(self, format: str) -> Iterator[None]:
        """Hides the converters' logs and turns their exceptions into `InputError`."""

        def export_alone(model: "keras.Model", folder: Path) -> None:
            prepared = FORMATS[format].prepare(model, 1, folder, self._options.opset)
            variant = VARIANTS[f"{format}-float32"]
            FORMATS[format].convert(prepared, variant, self._calibration.images)

        model = self._source.model
        with cli.native_logs_held(), unsupported.refusing(model, format, export_alone):
            yield

    def check(self, conversion: Conversion) -> CheckedArtifact:
        """Converts and checks the result; raises as `make` does."""
        started, variant = time.perf_counter(), conversion.variant
        path = self._work / f"checked-{variant.file}"
        with self._converting(variant.format):
            converted = conversion.convert()
            slim = FORMATS[variant.format].finish(converted)
            fields = schema.encode(self._metadata(variant))
            content = FORMATS[variant.format].embed(slim, fields)
            path.write_bytes(content)
            graph = audit.read(path)
            opened = runtimes.open_artifact(path)
            computed, golden = map(opened.predict, (self._images, self._golden_images))
            before = computed if slim is converted else self._run(variant, converted)
        verdict = gate.check(
            computed,
            self._expected,
            self._labels,
            is_float32=variant.precision == "float32",
            thresholds=gate.Thresholds(),
        )
        # Set for every artifact that was opened.
        assert opened.input
        assert opened.output
        entry = ArtifactEntry(
            variant=variant.name,
            format=variant.format,
            precision=variant.precision,
            file=variant.file,
            size_bytes=len(content),
            size_breakdown=audit.size_breakdown(content, variant.format),
            sha256=bundle.sha256_file(path),
            inputs=(opened.input,),
            outputs=(opened.output,),
            source_model_sha256=self._source.sha256,
            calibration=conversion.calibration.record if variant.calibrated else None,
            audit=audit.record(graph),
        )
        breaches = [*audit.findings(graph, variant), *changes(before, computed), *verdict.breaches]
        return CheckedArtifact(
            path=self._folder / variant.file,
            entry=entry,
            golden=golden,
            content=content,
            agreement=float(np.mean(computed.argmax(1) == self._expected.argmax(1))),
            breaches=tuple(breaches),
            remarks=tuple(verdict.remarks),
            seconds=time.perf_counter() - started,
        )

    def _metadata(self, variant: Variant) -> metadata.Metadata:
        source = self._source
        layout = "NHWC" if len(source.shape) == 3 else "batch first"
        return metadata.Metadata(
            project=f"mnist-edge {mnist_edge.__version__}",
            model=source.name,
            source_model_sha256=source.sha256,
            variant=variant.name,
            input=metadata.Input("image", source.shape, layout, source.input_range),
            output=metadata.Output("probabilities", source.labels),
        )

    def _error(self, variant: Variant, content: bytes) -> float:
        """Returns the mean absolute difference from the Keras model's probabilities."""
        computed = self._run(variant, content, _RANKING_COUNT)
        return float(np.abs(computed - self._expected[:_RANKING_COUNT]).mean())

    def _run(self, variant: Variant, content: bytes, count: int | None = None) -> np.ndarray:
        """Runs artifact bytes on the first `count` check images, by default all."""
        path = self._work / f"raw-{variant.file}"
        path.write_bytes(content)
        return runtimes.open_artifact(path).predict(self._images[:count])


def changes(before: np.ndarray, after: np.ndarray) -> list[str]:
    """Checks that the optimized file's outputs are bit for bit those of the converter's file.

    Args:
        before: Outputs of the converter's file, float32 `[n, classes]`.
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
