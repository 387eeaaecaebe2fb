"""Export a model: make every artifact, then write all files, or none."""

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

# What converts and checks files of a format: the module to import, by package.
Printer = Callable[[str], object]


def export(settings: ExportSettings, report: Printer = print) -> tuple[Artifact, ...]:
    """Exports a bundle's model, or a `.keras` file, into a bundle.

    Args:
        settings: What to export, to what, and how.
        report: Called with a line as each artifact is made.

    Returns:
        The bundle's artifacts, in the order of the variants.

    Raises:
        InputError: The model or the data can't be used.
        GateError: An artifact is not what it should be; nothing is written.
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
    """Exports a classifier that is in memory into a bundle.

        artifacts = export_model(model, dataset, "artifacts/mine", variants=("tflite-int8",))
        {artifact.name: artifact.entry.size_bytes for artifact in artifacts}

    Args:
        model: A classifier, one input and one output, in Keras on TensorFlow.
        dataset: What it was trained on, values as it takes them. Training images calibrate
            integer variants and check every artifact; test images are for the benchmarks.
            Arrays from memory are kept in the bundle, as `data.npz`.
        folder: The bundle to write; new, empty or a bundle.
        report: Called with a line as each artifact is made.
        **options: Fields of `ExportOptions`: `variants`, `batch`, `opset`, `calibration_count`,
            `calibration_seed`, `fallback`, `force`.

    Returns:
        The bundle's artifacts, in the order of the variants.

    Raises:
        InputError: The model or the data can't be used.
        GateError: An artifact is not what it should be; nothing is written.
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
        names = {one.name for one in made}
        kept = _kept(earlier, folder, source, set(KNOWN) - names)
        artifacts = sorted([*made, *kept], key=lambda one: list(KNOWN).index(one.name))
        for one in made:
            (stage / one.path.name).write_bytes(one.content)
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
            artifacts=tuple(one.entry for one in artifacts),
            fallbacks=tuple(fallbacks),
            versions=(earlier.versions if earlier and kept else {}) | _versions(formats),
        )
        schema.write(stage / bundle.MANIFEST, record)
    for name in {*options.variants, *stale} - names:  # made under another name, or stale
        (folder / KNOWN[name].file).unlink(missing_ok=True)
    return tuple(artifacts)


def _earlier(folder: Path) -> Manifest | None:
    """The manifest of an earlier export; None where there is none that can be read."""
    try:
        return manifest.read(folder, "")
    except (InputError, OSError):
        return None


def _stale(earlier: Manifest | None, source: Source) -> list[str]:
    """Names of the artifacts of an earlier export of another model than `source`'s."""
    if not earlier or earlier.model.sha256 == source.sha256:
        return []
    return [entry.variant for entry in earlier.artifacts if entry.variant in KNOWN]


def _with_stale(folder: Path, options: ExportOptions, stale: Iterable[str]) -> ExportOptions:
    """Options that remake what the folder holds of another model too, where that is asked for.

    Raises:
        InputError: The folder holds artifacts of another model, and they would stay.
    """
    more = [name for name in stale if name in VARIANTS and name not in options.variants]
    if more and not options.force:
        raise InputError(
            f"{folder} holds artifacts of another model, or of this one before it was "
            f"trained again: {', '.join(more)}. Remake them too by --force, or give another "
            "folder by --output."
        )
    return dataclasses.replace(options, variants=(*options.variants, *more))


def _import_packages(formats: Iterable[str]) -> None:
    """Raises `InputError` where a package that a format needs can't be imported."""
    for module in sorted(
        {module for format in formats for module in FORMATS[format].packages.values()}
    ):
        with cli.native_logs_held():
            try:
                importlib.import_module(module)
            except Exception as error:  # a library that is missing, too little memory, anything
                raise InputError(
                    f"{module} must be there to export, and be importable. "
                    f"Got: {cli.in_words(error)}. Install 'mnist-edge[export]'."
                ) from error


def _versions(formats: Iterable[str]) -> dict[str, str]:
    """Version by package, of those that the formats need."""
    packages = dict.fromkeys(package for f in sorted(formats) for package in FORMATS[f].packages)
    return {
        "mnist-edge": mnist_edge.__version__,
        "python": platform.python_version(),
        **{package: version(package) for package in ("keras", "numpy", *packages)},
    }


def _golden_images(source: Source) -> tuple[np.ndarray, np.ndarray]:
    """The first test image of each class, as the model takes it, and their labels.

    Of as many classes as leave a file that the self-test reads, with all artifacts' answers.
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
    """The artifacts that were asked for, or what was made in their place.

    Raises:
        GateError: Artifacts are not what they should be, a line each.
    """
    made: dict[str, CheckedArtifact] = {}
    fallbacks, breaches = [], []
    shown = cli.visible_stderr()
    for name in tqdm.tqdm(options.variants, "variants", leave=False, disable=None, file=shown):
        one = maker.make(KNOWN[name])
        if one.breaches and options.fallback and KNOWN[name].quantized:
            report(f"{name} breaches the gate: {'; '.join(one.breaches)}")
            one, attempts = _fall_back(maker, one, report)
            fallbacks.append(FallbackRecord(name, one.name, attempts))
        breaches += [f"{one.name} {breach}" for breach in one.breaches]
        if one.name not in made:
            report(_line(one))
        made[one.name] = one
    if breaches:
        raise GateError("\n".join(breaches))
    return list(made.values()), fallbacks


def _fall_back(
    maker: Maker, breached: CheckedArtifact, report: Printer
) -> tuple[CheckedArtifact, tuple[FallbackAttempt, ...]]:
    """The artifact that passes, or the one that breached; and what was tried."""
    attempts: list[FallbackAttempt] = []
    for step in maker.fallback_steps(KNOWN[breached.name]):
        if not step.conversion:
            report(f"  fallback of {breached.name}: {step.name}: {step.remark}")
            attempts.append(FallbackAttempt(step.name, None, None, False, step.remark))
            continue
        made = maker.check(step.conversion)
        passed, agreement = not made.breaches, made.agreement
        outcome = f"agreement {agreement:.1%}, " + ("passed" if passed else "not enough")
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
    """Artifacts of an earlier export, of the same model and data, that are still whole."""
    if not earlier or (earlier.model.sha256, earlier.data) != (source.sha256, source.data_record()):
        return []
    whole = [
        entry
        for entry in earlier.artifacts
        if entry.variant in names
        and entry.file == KNOWN[entry.variant].file
        and not manifest.damage(folder / entry.file, entry)
    ]
    if not whole or manifest.damage(folder / bundle.GOLDEN, earlier.golden):
        return []
    try:
        golden = npz.read(
            folder / bundle.GOLDEN, [entry.variant for entry in whole], manifest.MOST_GOLDEN_BYTES
        )
    except (InputError, OSError):
        return []  # none that can be told whole
    return [Artifact(folder / entry.file, entry, golden[entry.variant]) for entry in whole]


def _write_golden(
    path: Path,
    source: Source,
    images: np.ndarray,
    labels: np.ndarray,
    artifacts: Iterable[Artifact],
) -> None:
    """What a device must compute: `python -m benchmarks.selftest` compares with it."""
    answers: dict[str, Any] = {one.name: one.golden for one in artifacts}
    keras = source.predict(images)
    np.savez_compressed(path, images=images, labels=labels, keras=keras, **answers)


def summary(artifacts: Sequence[Artifact]) -> str:
    """A table of artifacts, one row each."""
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
