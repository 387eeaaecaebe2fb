"""One row of the table: build, train and export a kind of model, and note what came of it."""

import dataclasses
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mnist_edge import backend, cli, schema
from mnist_edge.errors import GateError, InputError
from mnist_edge.schema import Count, NotNegative, Share

from .. import pipeline
from ..artifact import CheckedArtifact
from ..formats import FORMATS
from ..pipeline import Exported
from . import memory, training
from .kinds import APPLICATIONS, KINDS

ALL = KINDS | APPLICATIONS


@dataclasses.dataclass(frozen=True)
class Cell:
    """What came of one variant.

    Attributes:
        made: The variant that was written: itself, a fallback in its place, or "".
        reason: Why it failed, or what the fallback leaves in float32.
        size_bytes: Size of the file; 0 if there is none.
        seconds: Time to convert and check it; 0 if there is none.
    """

    made: str
    reason: str = ""
    size_bytes: Count = 0
    seconds: NotNegative = 0.0


@dataclasses.dataclass(frozen=True)
class Row:
    """What came of one kind of model.

    Attributes:
        parameters: Number of weights.
        accuracy: Keras's, on the test images.
        seconds: Time of the export, all variants.
        peak_bytes: Peak memory of the export's processes.
        cells: By variant; empty if the model was refused.
        refusal: Why it was refused, or "".
        versions: Versions of the packages.
    """

    parameters: Count
    accuracy: Share
    seconds: NotNegative
    peak_bytes: Count
    cells: dict[str, Cell]
    refusal: str
    versions: dict[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rows(schema.Record):
    """The record beside the page: rows by the name of their kind."""

    rows: dict[str, Row]


def versions() -> dict[str, str]:
    """Returns the versions of the packages that an export needs."""
    packages = {package for format in FORMATS.values() for package in format.packages}
    return {package: version(package) for package in sorted({"keras", "numpy", *packages})}


def make(name: str, seed: int, options: dict[str, Any]) -> Row:
    """Builds, trains and exports the model of a kind.

    Args:
        name: A key of `ALL`.
        seed: Of the weights and the training.
        options: Fields of `ExportOptions`.
    """
    keras = backend.start_keras()
    keras.utils.set_random_seed(seed)
    kind = ALL[name]
    dataset = kind.data()
    model = kind.build(dataset)
    training.train(model, dataset, kind.epochs)
    exported, refusal, started = None, "", time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, memory.measured() as peak:
        try:
            exported = pipeline.export_model(model, dataset, Path(folder) / "bundle", **options)
        except GateError as error:
            exported, refusal = error.exported, str(error)
        except InputError as error:
            refusal = str(error)
    return Row(
        parameters=model.count_params(),
        accuracy=training.accuracy(model, dataset),
        seconds=round(time.perf_counter() - started, 1),
        peak_bytes=peak[0],
        cells=cells(exported) if exported else {},
        refusal="" if exported else cli.one_line(refusal),
        versions=versions(),
    )


def cells(exported: Exported) -> dict[str, Cell]:
    """Returns what came of each variant of an export."""
    found = {
        artifact.name: Cell(
            artifact.name, "", artifact.entry.size_bytes, round(artifact.seconds, 1)
        )
        for artifact in exported
        if isinstance(artifact, CheckedArtifact)  # made now
    }
    for failure in exported.failures:
        found[failure.variant] = Cell("", "; ".join(failure.reasons))
    for tried in exported.fallbacks:
        if tried.made:
            last = tried.attempts[-1]
            words = last.step + (f" ({last.remark})" if last.remark else "")
            found[tried.variant] = dataclasses.replace(found[tried.made], reason=words)
    return found
