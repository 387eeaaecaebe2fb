"""Export a model: convert and check every variant; what passes is written together."""

import dataclasses
import importlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tqdm

from mnist_edge import backend, bundle, cli, data, lock, staging
from mnist_edge.errors import GateError, InputError
from mnist_edge.manifest import Failure, FallbackAttempt, FallbackRecord
from mnist_edge.safety import scratch

from . import artifact as artifacts_of
from . import description, fallback, write
from . import source as sources
from .artifact import Artifact, CheckedArtifact
from .formats import FORMATS
from .onnx import convert as onnx_convert
from .settings import ExportOptions, ExportSettings
from .source import Source
from .variants import KNOWN, PAGE, PAGE_OF, VARIANTS, Variant
from .worker import Converter

if TYPE_CHECKING:
    import keras

    from mnist_edge.models.opened import BundleModel
    from mnist_edge.models.trained import TrainedModel

# What is said of a failure's cause.
_CAUSES = {"unsupported": "is unsupported", "crash": "failed", "gate": "fails the gate"}
_TORN = "c-int8 and tflite-int8 are of different exports. Name both with --variants."
# Called with progress messages, one line each.
Printer = Callable[[str], object]


@dataclasses.dataclass(frozen=True)
class Exported(Sequence[Artifact]):
    """The artifacts of a bundle after an export: a sequence of them, and what failed.

    Attributes:
        artifacts: In the order of the variants.
        failures: Variants that were not written, with the reasons.
        page: The web page's path; None if the bundle has none.
        fallbacks: What was tried for quantized variants that failed the gate.
    """

    artifacts: tuple[Artifact, ...]
    failures: tuple[Failure, ...] = ()
    fallbacks: tuple[FallbackRecord, ...] = ()
    page: Path | None = None

    def __len__(self) -> int:
        return len(self.artifacts)

    def __getitem__(self, index: Any) -> Any:
        return self.artifacts[index]


def export(settings: ExportSettings, report: Printer = print) -> Exported:
    """Exports the model of a bundle, or a `.keras` file, to a bundle.

    Args:
        settings: The model, the bundle to write, and the options.
        report: Called with a progress message per artifact.

    Returns:
        The bundle's artifacts, in the order of the variants, and what failed.

    Raises:
        InputError: The model or the data can't be used.
        GateError: A variant that was named, or is in float32, can't be made or fails the gate.
            The others are written, unless `all_or_nothing`.
    """
    folder = settings.folder
    bundle.refuse_foreign(folder, settings.source)
    with lock.held(folder, *([] if settings.is_foreign else [settings.source])):
        if settings.is_foreign:
            source = sources.open_model(settings.source, str(settings.data), settings.input_shape)
        else:
            source = sources.open_bundle(settings.source, settings.data)
        return _export(source, folder, settings, report)


def export_model(
    model: "keras.Model | TrainedModel | BundleModel",
    dataset: data.Dataset,
    folder: Path | str,
    report: Printer = lambda line: None,
    **options: Any,
) -> Exported:
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
        **options: Fields of `ExportOptions`: `variants`, `skip`, `all_or_nothing`, `batch`,
            `opset`, `input_shape`, `calibration_count`, `calibration_seed`, `fallback`,
            `fallback_seconds`, `variant_seconds`, `force`.

    Returns:
        The bundle's artifacts, in the order of the variants, and what failed.

    Raises:
        InputError: The model or the data can't be used.
        GateError: A variant that was named, or is in float32, can't be made or fails the gate.
            The others are written, unless `all_or_nothing`.
    """
    chosen, folder = cli.settings_from(ExportOptions, "export_model", options), Path(folder)
    backend.require(("tensorflow",), "export")
    bundle.refuse_foreign(folder)
    with lock.held(folder), scratch.folder() as work:
        source = sources.save_model(model, dataset, work, chosen.input_shape)
        return _export(source, folder, chosen, report)


def _export(source: Source, folder: Path, options: ExportOptions, report: Printer) -> Exported:
    for line in description.description(source):
        report(cli.printable(line))
    earlier = write.read_earlier(folder)
    earlier_page = write.intact_page(earlier, folder)  # one that was edited is not ours to remove
    stale = write.stale(earlier, source)
    planned = _planned(folder, options, stale)
    formats = {KNOWN[name].format for name in planned}
    _import_packages(formats)
    if options.has_page:
        with cli.needing("c"):
            importlib.import_module("ziglang")
    if "onnx" in formats:
        onnx_convert.check_opset(options.opset)
    golden = write.golden_images(source)
    with staging.staged(folder) as stage, scratch.folder() as work:
        chosen = artifacts_of.choose(source, options, options.calibration_count)
        task = artifacts_of.describe(source, options, chosen, golden[0])
        with Converter(source, task, folder, work, options.variant_seconds) as converter:
            made, fallbacks, failures = _make(converter, planned, source, options, report)
        breaches = _breaches(failures, options.required(planned))
        names = {artifact.name for artifact in made}
        if not made or (breaches and options.all_or_nothing):
            raise GateError("\n".join(breaches or _breaches(failures, set(planned))))
        kept = write.kept(earlier, folder, source, set(KNOWN) - names - set(planned))
        torn = write.torn(made, kept)
        kept = [artifact for artifact in kept if artifact not in torn]
        for artifact in torn:
            report(f"{artifact.path.name} left out: {_TORN}")
        if folder / bundle.MODEL != source.path:
            shutil.copyfile(source.path, stage / bundle.MODEL)
        artifacts, record = write.files(
            stage,
            source,
            golden,
            made,
            kept,
            earlier_page,
            options.has_page,
            fallbacks=fallbacks,
            failures=failures,
            versions=(earlier.versions if earlier and kept else {}) | write.versions(formats),
        )
        if failed := _breaches(record.failures[len(failures) :], {PAGE}):
            report(f"  {failed[0]}")
            breaches += failed
            if options.all_or_nothing:
                raise GateError("\n".join(breaches))
    if earlier_page and not record.page:
        (folder / earlier_page.file).unlink()
        report(f"{earlier_page.file} removed: it was of an earlier export")
    gone = {*planned, *stale, *(artifact.name for artifact in torn)} - names
    for path in (folder / KNOWN[name].file for name in KNOWN if name in gone):
        if path.exists():  # failed, replaced by a fallback, stale, or no longer its origin's
            path.unlink()
            report(f"{path.name} removed: it was of an earlier export")
    page = folder / record.page.file if record.page else None
    exported = Exported(artifacts, record.failures, fallbacks, page)
    if breaches:
        error = GateError("\n".join(breaches))
        error.exported = exported
        raise error
    return exported


def _planned(folder: Path, options: ExportOptions, stale: Iterable[str]) -> tuple[str, ...]:
    """Returns the variants to make; the stale ones are among them if `--force` is set.

    Raises:
        InputError: Artifacts of another model would remain in the folder.
    """
    more = [name for name in stale if name in VARIANTS and name not in options.planned]
    if more and not options.force:
        raise InputError(
            f"{folder} holds artifacts of another model, or of this one before it was "
            f"trained again: {', '.join(more)}. Export them again with --force, or write "
            "to another folder with --output."
        )
    return (*options.planned, *(name for name in more if name not in options.skip))


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


def _make(
    converter: Converter,
    planned: Sequence[str],
    source: Source,
    options: ExportOptions,
    report: Printer,
) -> tuple[list[CheckedArtifact], tuple[FallbackRecord, ...], tuple[Failure, ...]]:
    """Makes the planned artifacts, or their fallbacks; returns those that passed, and the rest."""
    made: dict[str, CheckedArtifact] = {}
    fallbacks, failures = [], []
    shown = cli.visible_stderr()
    progress = tqdm.tqdm(planned, "variants", leave=False, disable=None, file=shown)
    for name in progress:
        progress.set_postfix_str(name)
        found = converter.convert(KNOWN[name])
        if isinstance(found, CheckedArtifact) and found.breaches:
            report(_line(found))
            found = Failure(name, "gate", found.breaches)
        if isinstance(found, Failure):
            report(f"  {name} {_words(found)}")
            falls_back = KNOWN[name].quantized and FORMATS[KNOWN[name].format].falls_back
            if found.cause == "gate" and options.fallback and falls_back:
                other, attempts = _fall_back(converter, KNOWN[name], source, options, report)
                fallbacks.append(FallbackRecord(name, other.name if other else None, attempts))
                found = other or found
        if isinstance(found, Failure):
            failures.append(found)
            continue
        if found.name not in made:
            report(_line(found))
        made[found.name] = found
    return list(made.values()), tuple(fallbacks), tuple(failures)


def _words(failure: Failure) -> str:
    return f"{_CAUSES[failure.cause]}: {'; '.join(failure.reasons)}"


def _fall_back(
    converter: Converter, variant: Variant, source: Source, options: ExportOptions, report: Printer
) -> tuple[CheckedArtifact | None, tuple[FallbackAttempt, ...]]:
    """Returns the first fallback that passes, if any, and all attempts."""
    chosen = artifacts_of.choose(source, options, options.calibration_count)
    larger = artifacts_of.choose(source, options, fallback.more_images(chosen))
    attempts: list[FallbackAttempt] = []
    for attempt, made in converter.fallback_steps(variant, larger, options.fallback_seconds):
        outcome = attempt.remark
        if made:
            outcome = f"agreement {made.agreement:.1%}, " + (
                "passed" if attempt.passed else "failed"
            )
        report(f"  fallback of {variant.name}: {attempt.step}: {outcome}")
        attempts.append(attempt)
        if made and attempt.passed:
            return made, tuple(attempts)
    return None, tuple(attempts)


def _breaches(failures: Iterable[Failure], required: set[str]) -> list[str]:
    """Returns one line per reason why a required variant failed."""
    return [
        f"{failure.variant}{' ' if failure.cause == 'gate' else ': '}{reason}"
        for failure in failures
        if failure.variant in required
        for reason in failure.reasons
    ]


def _line(made: CheckedArtifact) -> str:
    state = ", ".join(["BREACH" if made.breaches else "ok", *made.remarks])
    return (
        f"{made.path.name:<26} {made.entry.size_bytes / 1000:8.1f} kB  "
        f"agreement {made.agreement:7.2%}  {made.seconds:5.1f} s  {state}"
    )


def summary(exported: Exported) -> str:
    """Formats a table with one row per artifact, and one per variant that was not written."""
    lines = [f"{'artifact':<20} {'kB':>8}  {'in':<8} operators"]
    for entry in (artifact.entry for artifact in exported):
        operators = entry.audit.operators
        total = sum(operators.values())
        shares = ", ".join(f"{100 * n / total:.0f} % {kind}" for kind, n in operators.items())
        lines.append(
            f"{entry.variant:<20} {entry.size_bytes / 1000:8.1f}  "
            f"{entry.inputs[0].dtype:<8} {cli.printable(shares)}"
        )
    rows = {failure.variant: _words(failure) for failure in exported.failures}
    for tried in exported.fallbacks:
        count = f"{len(tried.attempts)} fallback steps"
        if tried.made:
            rows[tried.variant] = f"fails the gate; {tried.made} in its place, after {count}"
        else:
            rows[tried.variant] += f"; {count}, none passed"
    if exported.page:
        size_kb = exported.page.stat().st_size / 1000
        lines.append(f"{PAGE:<20} {size_kb:8.1f}  {exported.page.name}, around {PAGE_OF}")
    lines += [f"{name:<20} {'-':>8}  {'-':<8} {reason}" for name, reason in rows.items()]
    return "\n".join(lines)
