"""Export a model: convert and check every variant, then write all files or none."""

import dataclasses
import importlib
import math
import platform
import shutil
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tqdm

import mnist_edge
from mnist_edge import backend, bundle, cli, data, lock, manifest, schema, staging
from mnist_edge.data import npz
from mnist_edge.errors import GateError, InputError
from mnist_edge.manifest import FallbackAttempt, FallbackRecord, Manifest
from mnist_edge.safety import scratch

from . import source as sources
from .artifact import Artifact, CheckedArtifact, Maker
from .formats import FORMATS
from .settings import ExportOptions, ExportSettings
from .source import Source
from .variants import KNOWN, VARIANTS

if TYPE_CHECKING:
    import keras

    from mnist_edge.models.trained import TrainedModel

# Called with progress messages, one line each.
Printer = Callable[[str], object]


def export(settings: ExportSettings, report: Printer = print) -> tuple[Artifact, ...]:
    """Exports the model of a bundle, or a `.keras` file, to a bundle.

    Args:
        settings: The model, the bundle to write, and the options.
        report: Called with a progress message per artifact.

    Returns:
        The bundle's artifacts, in the order of the variants.

    Raises:
        InputError: The model or the data can't be used.
        GateError: An artifact fails the audit or the gate; nothing is written.
    """
    folder = settings.folder
    bundle.refuse_foreign(folder, settings.source)
    with lock.held(folder, *([] if settings.is_foreign else [settings.source])):
        if settings.is_foreign:
            source = sources.open_model(settings.source, str(settings.data))
            report(cli.printable(sources.range_remark(source)))
        else:
            source = sources.open_bundle(settings.source, settings.data)
        return _export(source, folder, settings, report)


def export_model(
    model: "keras.Model | TrainedModel",
    dataset: data.Dataset,
    folder: Path | str,
    report: Printer = lambda line: None,
    **options: Any,
) -> tuple[Artifact, ...]:
    """Exports a classifier in memory to a bundle.

        artifacts = export_model(model, dataset, "artifacts/mine", variants=("tflite-int8",))
        {artifact.name: artifact.entry.size_bytes for artifact in artifacts}

    Args:
        model: A Keras classifier with one input and one output, on the TensorFlow backend.
        dataset: The data that it was trained on, scaled as the model expects. Training images
            calibrate integer variants and check every artifact; test images are for the
            benchmarks. Arrays in memory are saved to the bundle as `data.npz`.
        folder: The bundle to write: a new or empty folder, or an existing bundle.
        report: Called with a progress message per artifact.
        **options: Fields of `ExportOptions`: `variants`, `batch`, `opset`, `calibration_count`,
            `calibration_seed`, `fallback`, `force`.

    Returns:
        The bundle's artifacts, in the order of the variants.

    Raises:
        InputError: The model or the data can't be used.
        GateError: An artifact fails the audit or the gate; nothing is written.
    """
    chosen, folder = ExportOptions(**options), Path(folder)
    backend.require(("tensorflow",), "export")
    bundle.refuse_foreign(folder)
    with lock.held(folder), scratch.folder() as work:
        return _export(sources.save_model(model, dataset, work), folder, chosen, report)


def _export(
    source: Source, folder: Path, options: ExportOptions, report: Printer
) -> tuple[Artifact, ...]:
    earlier = _earlier(folder)
    stale = _stale(earlier, source)
    options = _with_stale(folder, options, stale)
    formats = {KNOWN[name].format for name in options.variants}
    _import_packages(formats)
    images, labels = _golden_images(source)
    with staging.staged(folder) as stage, scratch.folder() as work:
        made, fallbacks = _make(Maker(source, options, images, folder, work), options, report)
        names = {artifact.name for artifact in made}
        kept = _kept(earlier, folder, source, set(KNOWN) - names)
        artifacts = sorted([*made, *kept], key=lambda artifact: list(KNOWN).index(artifact.name))
        for artifact in made:
            (stage / artifact.path.name).write_bytes(artifact.content)
        if folder / bundle.MODEL != source.path:
            shutil.copyfile(source.path, stage / bundle.MODEL)
        if source.dataset.source == data.IN_MEMORY:
            source.dataset.save(stage / bundle.DATA)
        probabilities = source.predict(data.as_inputs(source.dataset.x_test, source.shape))
        np.savez_compressed(stage / bundle.REFERENCE, probabilities=probabilities)
        _write_golden(stage / bundle.GOLDEN, source, images, labels, artifacts)
        record = Manifest(
            model=source.model_entry(),
            data=source.data_record(),
            reference=manifest.file_record(stage / bundle.REFERENCE),
            golden=manifest.file_record(stage / bundle.GOLDEN),
            artifacts=tuple(artifact.entry for artifact in artifacts),
            fallbacks=tuple(fallbacks),
            versions=(earlier.versions if earlier and kept else {}) | _versions(formats),
        )
        schema.write(stage / bundle.MANIFEST, record)
    for name in {*options.variants, *stale} - names:  # replaced by a fallback, or stale
        (folder / KNOWN[name].file).unlink(missing_ok=True)
    return tuple(artifacts)


def _earlier(folder: Path) -> Manifest | None:
    """Reads the manifest of an earlier export; None if missing or unreadable."""
    try:
        return manifest.read(folder, "")
    except (InputError, OSError):
        return None


def _stale(earlier: Manifest | None, source: Source) -> list[str]:
    """Returns the variants that an earlier export made from a different model."""
    if not earlier or earlier.model.sha256 == source.sha256:
        return []
    return [entry.variant for entry in earlier.artifacts if entry.variant in KNOWN]


def _with_stale(folder: Path, options: ExportOptions, stale: Iterable[str]) -> ExportOptions:
    """Adds the stale variants to the options if `--force` is set.

    Raises:
        InputError: Artifacts of another model would remain in the folder.
    """
    more = [name for name in stale if name in VARIANTS and name not in options.variants]
    if more and not options.force:
        raise InputError(
            f"{folder} holds artifacts of another model, or of this one before it was "
            f"trained again: {', '.join(more)}. Export them again with --force, or write "
            "to another folder with --output."
        )
    return dataclasses.replace(options, variants=(*options.variants, *more))


def _import_packages(formats: Iterable[str]) -> None:
    """Imports the packages that the formats need.

    Raises:
        InputError: A package is missing or can't be imported.
    """
    for module in sorted(
        {module for format in formats for module in FORMATS[format].packages.values()}
    ):
        with cli.native_logs_held():
            try:
                importlib.import_module(module)
            except Exception as error:  # a missing shared library, too little memory, ...
                raise InputError(
                    f"{module} must be installed and importable. "
                    f"Got: {cli.in_words(error)}. Install 'mnist-edge[export]'."
                ) from error


def _versions(formats: Iterable[str]) -> dict[str, str]:
    """Returns the version of each package that the formats need."""
    packages = dict.fromkeys(package for f in sorted(formats) for package in FORMATS[f].packages)
    return {
        "mnist-edge": mnist_edge.__version__,
        "python": platform.python_version(),
        **{package: version(package) for package in ("keras", "numpy", *packages)},
    }


def _golden_images(source: Source) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first test image of each class, as model input, and their labels.

    Classes beyond what fits into the self-test's size limit for `golden.npz`, which also
    holds every artifact's outputs, are left out.
    """
    labels, first = np.unique(source.dataset.y_test, return_index=True)
    answers = len(source.labels) * (len(KNOWN) + 1)
    room = manifest.MOST_GOLDEN_BYTES - (len(KNOWN) + 3) * npz.HEADER_BYTES
    most = max(1, room // (4 * (math.prod(source.shape) + answers)))
    labels, first = labels[:most], first[:most]
    return data.as_inputs(source.dataset.x_test[first], source.shape), labels


def _make(
    maker: Maker, options: ExportOptions, report: Printer
) -> tuple[list[CheckedArtifact], list[FallbackRecord]]:
    """Makes the requested artifacts, or their fallbacks.

    Raises:
        GateError: Artifacts fail the audit or the gate; one line per breach.
    """
    made: dict[str, CheckedArtifact] = {}
    fallbacks, breaches = [], []
    shown = cli.visible_stderr()
    for name in tqdm.tqdm(options.variants, "variants", leave=False, disable=None, file=shown):
        artifact = maker.make(KNOWN[name])
        if artifact.breaches and options.fallback and KNOWN[name].quantized:
            report(f"{name} breaches the gate: {'; '.join(artifact.breaches)}")
            artifact, attempts = _fall_back(maker, artifact, report)
            fallbacks.append(FallbackRecord(name, artifact.name, attempts))
        breaches += [f"{artifact.name} {breach}" for breach in artifact.breaches]
        if artifact.name not in made:
            report(_line(artifact))
        made[artifact.name] = artifact
    if breaches:
        raise GateError("\n".join(breaches))
    return list(made.values()), fallbacks


def _fall_back(
    maker: Maker, breached: CheckedArtifact, report: Printer
) -> tuple[CheckedArtifact, tuple[FallbackAttempt, ...]]:
    """Returns the first fallback that passes, else the original artifact, and all attempts."""
    attempts: list[FallbackAttempt] = []
    for step in maker.fallback_steps(KNOWN[breached.name]):
        if not step.conversion:
            report(f"  fallback of {breached.name}: {step.name}: {step.remark}")
            attempts.append(FallbackAttempt(step.name, None, None, False, step.remark))
            continue
        made = maker.check(step.conversion)
        passed, agreement = not made.breaches, made.agreement
        outcome = f"agreement {agreement:.1%}, " + ("passed" if passed else "failed")
        report(f"  fallback of {breached.name}: {step.name}: {outcome}")
        attempts.append(FallbackAttempt(step.name, made.name, agreement, passed, step.remark))
        if passed:
            return made, tuple(attempts)
    return breached, tuple(attempts)


def _line(made: CheckedArtifact) -> str:
    state = ", ".join(["BREACH" if made.breaches else "ok", *made.remarks])
    return (
        f"{made.path.name:<26} {made.entry.size_bytes / 1000:8.1f} kB  "
        f"agreement {made.agreement:7.2%}  {made.seconds:5.1f} s  {state}"
    )


def _kept(
    earlier: Manifest | None, folder: Path, source: Source, names: set[str]
) -> list[Artifact]:
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


def _write_golden(
    path: Path,
    source: Source,
    images: np.ndarray,
    labels: np.ndarray,
    artifacts: Iterable[Artifact],
) -> None:
    """Writes the expected outputs that `python -m benchmarks.selftest` compares with."""
    answers: dict[str, Any] = {artifact.name: artifact.golden for artifact in artifacts}
    keras = source.predict(images)
    np.savez_compressed(path, images=images, labels=labels, keras=keras, **answers)


def summary(artifacts: Sequence[Artifact]) -> str:
    """Formats a table with one row per artifact."""
    lines = [f"{'artifact':<20} {'kB':>8}  {'in':<8} operators"]
    for entry in (artifact.entry for artifact in artifacts):
        operators = entry.audit.operators
        total = sum(operators.values())
        shares = ", ".join(f"{100 * n / total:.0f} % {kind}" for kind, n in operators.items())
        lines.append(
            f"{entry.variant:<20} {entry.size_bytes / 1000:8.1f}  "
            f"{entry.inputs[0].dtype:<8} {cli.printable(shares)}"
        )
    return "\n".join(lines)
