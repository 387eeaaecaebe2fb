"""Write an export's files to its bundle, and keep what an earlier export left there."""

import dataclasses
import math
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import mnist_edge
from mnist_edge import bundle, data, heads, manifest, schema
from mnist_edge.data import npz
from mnist_edge.errors import InputError
from mnist_edge.manifest import Failure, Manifest, PageEntry

from . import artifact as artifacts_of
from . import tflm
from .artifact import Artifact, CheckedArtifact
from .formats import FORMATS
from .source import Source
from .variants import KNOWN, PAGE, PAGE_OF
from .web import page

# Golden images of a model without classes.
_GOLDEN_COUNT = 10


def read_earlier(folder: Path) -> Manifest | None:
    """Reads the manifest of an earlier export; None if missing or unreadable."""
    try:
        return manifest.read(folder, "")
    except (InputError, OSError):
        return None


def stale(earlier: Manifest | None, source: Source) -> list[str]:
    """Returns the variants that an earlier export made from a different model."""
    if not earlier or earlier.model.sha256 == source.sha256:
        return []
    return [entry.variant for entry in earlier.artifacts if entry.variant in KNOWN]


def kept(earlier: Manifest | None, folder: Path, source: Source, names: set[str]) -> list[Artifact]:
    """Returns the undamaged artifacts of an earlier export of the same model and data."""
    if not earlier or (earlier.model.sha256, earlier.data) != (source.sha256, source.data_record()):
        return []
    intact = [
        entry
        for entry in earlier.artifacts
        if entry.variant in names
        and entry.file == KNOWN[entry.variant].file
        and not manifest.damage(folder / entry.file, entry)
    ]
    if not intact or manifest.damage(folder / bundle.GOLDEN, earlier.golden):
        return []
    try:
        golden = npz.read(
            folder / bundle.GOLDEN, [entry.variant for entry in intact], manifest.MOST_GOLDEN_BYTES
        )
    except (InputError, OSError):
        return []  # unreadable: nothing can be verified
    return [Artifact(folder / entry.file, entry, golden[entry.variant]) for entry in intact]


def intact_page(earlier: Manifest | None, folder: Path) -> PageEntry | None:
    """Returns the entry of an earlier export's page, if the page is undamaged."""
    entry = earlier.page if earlier else None
    return entry if entry and not manifest.damage(folder / entry.file, entry) else None


def torn(made: Iterable[Artifact], kept: Iterable[Artifact]) -> list[Artifact]:
    """Returns the kept artifacts that don't belong to those made now: one is made of the other."""
    named = {artifact.name: artifact.entry for artifact in (*made, *kept)}
    torn = []
    for name, entry in named.items():
        variant = KNOWN[name]
        origin = named.get(f"tflite-{variant.precision}") if entry.made_from_sha256 else None
        if origin and origin.sha256 != entry.made_from_sha256:
            torn += [name, origin.variant]
    return [artifact for artifact in kept if artifact.name in torn]


def golden_images(source: Source) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first test image of each class, as model input, and their labels.

    Without classes, the first ten. Images beyond what fits into the self-test's size limit for
    `golden.npz`, which also holds every artifact's outputs, are left out.
    """
    if source.dataset.targets:
        first = np.arange(min(_GOLDEN_COUNT, len(source.dataset.y_test)))
        labels = source.dataset.y_test[first]
    else:
        labels, first = np.unique(source.dataset.y_test, return_index=True)
    answers = heads.width(source.heads) * (len(KNOWN) + 1)
    room = manifest.MOST_GOLDEN_BYTES - (len(KNOWN) + 3) * npz.HEADER_BYTES
    most = max(1, room // (4 * (math.prod(source.shape) + answers)))
    labels, first = labels[:most], first[:most]
    return data.as_inputs(source.dataset.x_test[first], source.shape), labels


def versions(formats: Iterable[str]) -> dict[str, str]:
    """Returns the version of each package that the formats need."""
    packages = dict.fromkeys(package for f in sorted(formats) for package in FORMATS[f].packages)
    return {
        "mnist-edge": mnist_edge.__version__,
        "python": platform.python_version(),
        **{package: version(package) for package in ("keras", "numpy", *packages)},
    }


def files(
    stage: Path,
    source: Source,
    golden: tuple[np.ndarray, np.ndarray],
    made: Sequence[CheckedArtifact],
    kept: Sequence[Artifact],
    earlier_page: PageEntry | None,
    has_page: bool,
    **lists: Any,
) -> tuple[tuple[Artifact, ...], Manifest]:
    """Writes the files of an export into a bundle's staging folder.

    Args:
        stage: The folder.
        source: The model.
        golden: What `golden_images` returned.
        made: The artifacts to write.
        kept: Those that the bundle keeps from an earlier export.
        earlier_page: The page of an earlier export, which stays if its artifact does.
        has_page: Whether to make the page.
        **lists: The manifest's `failures`, `fallbacks` and `versions`.

    Returns:
        All artifacts of the bundle, in the order of the variants, and the manifest.
    """
    for artifact in made:
        (stage / artifact.path.name).write_bytes(artifact.content)
        of = artifacts_of.companions(KNOWN[artifact.name], artifact.content)
        for name, content in of.items():
            (stage / name).write_bytes(content)
    entries = tflm.measured([artifact.entry for artifact in made], stage)
    measured = [
        dataclasses.replace(artifact, entry=entry)
        for artifact, entry in zip(made, entries, strict=True)
    ]
    artifacts = sorted([*measured, *kept], key=lambda artifact: list(KNOWN).index(artifact.name))
    if source.dataset.source == data.IN_MEMORY:
        source.dataset.save(stage / bundle.DATA)
    np.savez_compressed(stage / bundle.REFERENCE, probabilities=source.test_answers())
    images, labels = golden
    answers: dict[str, Any] = {"images": images, "labels": labels, "keras": source.predict(images)}
    answers |= {artifact.name: artifact.golden for artifact in artifacts}
    np.savez_compressed(stage / bundle.GOLDEN, **answers)
    record = Manifest(
        model=source.model_entry(),
        data=source.data_record(),
        reference=manifest.file_record(stage / bundle.REFERENCE),
        golden=manifest.file_record(stage / bundle.GOLDEN),
        artifacts=tuple(artifact.entry for artifact in artifacts),
        **lists,
    )
    named = {artifact.entry.sha256 for artifact in artifacts}
    if has_page:
        record = _with_page(stage, record, made)
    elif earlier_page and earlier_page.made_from_sha256 in named:
        record = dataclasses.replace(record, page=earlier_page)
    schema.write(stage / bundle.MANIFEST, record)
    return tuple(artifacts), record


def _with_page(stage: Path, record: Manifest, made: Sequence[CheckedArtifact]) -> Manifest:
    """Writes the page; returns the manifest with its entry, or with its failure."""
    origin = next((artifact for artifact in made if artifact.name == PAGE_OF), None)
    try:
        if origin is None:
            raise InputError(f"it is made from {PAGE_OF}, which was not written.")
        parts = page.compiled(record, origin.content, record.model.name)
    except InputError as error:
        failure = Failure(PAGE, "unsupported", (str(error).rstrip("."),))
        return dataclasses.replace(record, failures=(*record.failures, failure))
    path = stage / page.FILE
    path.write_bytes(page.assemble(*parts).content)
    file = dataclasses.asdict(manifest.file_record(path))
    return dataclasses.replace(record, page=PageEntry(**file, made_from_sha256=origin.entry.sha256))
