"""Make one artifact and check it: convert, embed metadata, audit, forward pass, compare."""

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

# Images on which the layers are ranked.
_RANKING_COUNT = 200


@dataclasses.dataclass(frozen=True)
class Artifact:
    """An exported file.

    Attributes:
        path: Where it lies, in its bundle.
        entry: What the manifest says of it.
        golden: float32 `[n, classes]`, its probabilities on the golden images.
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
    """An artifact that was made and checked.

    Attributes:
        content: Its bytes.
        agreement: Share of the check images on which it agrees with the model.
        breaches: Why it must not be written; empty where it may.
        remarks: What to know of that verdict.
        seconds: What it took.
    """

    content: bytes
    agreement: float
    breaches: tuple[str, ...]
    remarks: tuple[str, ...]
    seconds: float


class Maker:
    """Makes and checks the artifacts of one model; what they share is made once.

    Args:
        source: The model and its data.
        options: How to convert.
        golden_images: float32 `[n, ...]`, one per class.
        folder: Where the artifacts are to lie.
        work: Where the intermediate files go.
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
        """Makes a variant.

        Raises:
            InputError: The model can't be converted; the line names the layer.
        """
        prepared, images = self._prepare(variant.format), self._calibration.images
        convert = FORMATS[variant.format].convert
        return self.check(
            Conversion(variant, lambda: convert(prepared, variant, images), self._calibration)
        )

    def fallback_steps(self, variant: Variant) -> Iterator[fallback.Step]:
        """What may pass where a quantized variant breached the gate, in order."""
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
        """Holds the converters' logs back, and makes one line of what they raise."""

        def export_alone(model: "keras.Model", folder: Path) -> None:
            prepared = FORMATS[format].prepare(model, 1, folder, self._options.opset)
            variant = VARIANTS[f"{format}-float32"]
            FORMATS[format].convert(prepared, variant, self._calibration.images)

        model = self._source.model
        with cli.native_logs_held(), unsupported.refusing(model, format, export_alone):
            yield

    def check(self, conversion: Conversion) -> CheckedArtifact:
        """Converts, and checks what comes out; errors as `make`'s."""
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
        # A file's runtime tells both.
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
        found = [*audit.findings(graph, variant), *changes(before, computed), *verdict.breaches]
        return CheckedArtifact(
            path=self._folder / variant.file,
            entry=entry,
            golden=golden,
            content=content,
            agreement=float(np.mean(computed.argmax(1) == self._expected.argmax(1))),
            breaches=tuple(found),
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
        """Mean absolute difference from the model's probabilities, on some images."""
        computed = self._run(variant, content, _RANKING_COUNT)
        return float(np.abs(computed - self._expected[:_RANKING_COUNT]).mean())

    def _run(self, variant: Variant, content: bytes, count: int | None = None) -> np.ndarray:
        """What a file without metadata computes on the first `count` check images."""
        path = self._work / f"raw-{variant.file}"
        path.write_bytes(content)
        return runtimes.open_artifact(path).predict(self._images[:count])


def changes(before: np.ndarray, after: np.ndarray) -> list[str]:
    """What writing a file again must not do: change a bit of what it computes.

    Args:
        before: float32 `[n, classes]`, by the file as it was converted.
        after: The same, by the file as it is to be written.

    Returns:
        The breach in words; empty where all bits are the same.
    """
    differing = np.any(before.view(np.uint32) != after.view(np.uint32), axis=1)
    if not differing.any():
        return []
    return [
        f"computes otherwise than the converter's own file on {differing.sum()} of "
        f"{len(differing)} validation images"
    ]
