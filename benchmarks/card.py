"""Write a model card for a bundle: model, data, origin, accuracy, artifacts, limitations.

    python -m benchmarks.card artifacts/edge

measures the bundle's Keras model on the test images and writes `CARD.md` into the bundle, from
its own records: `train.json`, `manifest.json`, `benchmark.json` and `pictures.json`, as far as
there are any. If this project trained the model, accuracy on distorted test images is measured too.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mnist_edge import backend, bundle, cli, data, manifest, models, schema, staging
from mnist_edge.manifest import Manifest
from mnist_edge.models import opened
from mnist_edge.models.opened import BundleModel
from mnist_edge.safety import files, supervise
from mnist_edge.training.train_record import TrainRecord

from . import corruptions, limits, robustness, tables
from .frontier import records
from .measurement import BENCHMARK_JSON, Measurement, Report
from .pictures import records as pictures
from .pictures.records import PicturesReport

CARD = "CARD.md"
_WORST = 3  # corruptions named beside the mean
_MOST_NAMED = 20  # classes; more names would hide the rest of the card
_CAUSES = {"unsupported": "unsupported", "crash": "conversion failed", "gate": "failed the gate"}


def measure(
    model: BundleModel,
    dataset: data.Dataset,
    distortions: tuple[str, ...] = tuple(corruptions.DISTORTIONS),
) -> dict[str, float]:
    """Measures a bundle's model on distorted test images.

    Args:
        model: The bundle's model.
        dataset: The dataset to test on.
        distortions: Names in `corruptions.DISTORTIONS`; `PLAIN` takes examples of any kind.

    Returns:
        Accuracy on all test images, as a share, by distortion.

    Raises:
        InputError: The model fails, or the data have another shape.
    """
    images = data.as_inputs(dataset.x_test, model.shape)
    accuracy = {}
    for name in distortions:
        changed = images
        if name != corruptions.PLAIN:
            robustness.check(model.shape, model.input_range, model.where)
            changed = robustness.distort(images, name, model.input_range)
        accuracy[name] = float(np.mean(model.predict(changed).argmax(1) == dataset.y_test))
    return accuracy


def card(
    model: BundleModel,
    accuracy: dict[str, float],
    exported: Manifest | None = None,
    rows: Sequence[Measurement] = (),
    read: PicturesReport | None = None,
) -> str:
    """Formats the card as Markdown.

    Args:
        model: The bundle's model.
        accuracy: Accuracy by distortion, as returned by `measure`.
        exported: The bundle's manifest, if it was exported.
        rows: What the bundle's benchmark measured, if it was benchmarked.
        read: What the model or an artifact read in pictures, if that was measured.
    """
    parts = [f"# {model.name}", _summary(model), _data(model)]
    parts += _training(model.record) if model.record else _origin(model, exported)
    parts.append(_accuracy(accuracy))
    parts += _artifacts(model.where, exported, rows)
    parts += _no_digit(rows)
    parts += _pictures(read)
    found = limits.of(model, accuracy, rows, read)
    parts.append("**Limits.**\n" + "\n".join(f"- {limit}" for limit in found))
    versions = model.record.versions if model.record else exported.versions if exported else {}
    made = ", ".join(f"{name} {version}" for name, version in versions.items())
    parts.append(f"Made with {cli.printable(made)}. `{bundle.MODEL}` has SHA-256 `{model.sha256}`.")
    return "\n\n".join(parts) + "\n"


def _accuracy(accuracy: dict[str, float]) -> str:
    if len(accuracy) == 1:
        return (
            f"**Accuracy of the Keras model** on the test set: {accuracy[corruptions.PLAIN]:.2%}."
        )
    lines = "\n".join(f"| {name} | {share:.2%} |" for name, share in accuracy.items())
    fifteen = sorted((accuracy[name], name) for name in corruptions.MNIST_C)
    mean = sum(share for share, _ in fifteen) / len(fifteen)
    worst = ", ".join(f"{name} {share:.2%}" for share, name in fifteen[:_WORST])
    return (
        f"**Robustness.** Mean of the fifteen corruptions of MNIST-C {mean:.2%}; worst: {worst}."
        f"\n\n| test images | accuracy of this model |\n| --- | --: |\n{lines}\n\n"
        "The first fifteen are MNIST-C's, remade (docs/robustness.md). Shifts and rotations have a "
        "random direction; noise is Gaussian with a standard "
        f"deviation of {corruptions.own.NOISE} gray levels of 255."
    )


def _summary(model: BundleModel) -> str:
    names = [cli.printable(name) for name in model.labels]
    named = ", ".join(names[:_MOST_NAMED])
    if len(names) > _MOST_NAMED:
        named += f" and {len(names) - _MOST_NAMED:,} more"
    operations = ""
    if model.record:
        operations = f", {model.record.multiply_accumulates:,} multiply-accumulates per example"
    shape = ", ".join(map(str, model.shape))
    low, high = model.input_range
    return (
        f"A classifier of {len(names):,} classes: {named}. {model.model.count_params():,} "
        f"parameters{operations}. Input `[batch, {shape}]`, trained on values from {low:g} to "
        f"{high:g}; output one probability per class."
    )


def _data(model: BundleModel) -> str:
    used = model.data
    return (
        f"**Data.** {cli.printable(used.source)}: {used.train_count:,} training examples, "
        f"{used.validation_count:,} kept for validation, {used.test_count:,} for this report. "
        f"Hashes are in `{bundle.TRAIN if model.record else bundle.MANIFEST}`."
    )


def _training(record: TrainRecord) -> Iterator[str]:
    """Yields how the model was trained, and the runs of all seeds if it is one of them."""
    command = f"python -m mnist_edge.train --from {bundle.TRAIN} --output ANOTHER_FOLDER"
    if record.data.source == data.IN_MEMORY:
        command += f" --data {bundle.DATA}"
    yield (
        f"**Recipe.** {record.recipe.describe()}; seed {record.seed}, "
        f"{record.training_seconds:.0f} s of training on {record.machine.cpu_count} cores. "
        f"Repeat it in this folder: `{command}`."
    )
    network = models.ZOO.get(record.model)
    runs = records.load().runs(record.model) if network else ()
    accuracy = records.share(record.metrics.test_accuracy)
    own = [run for run in runs if (run.seed, run.test_accuracy) == (record.seed, accuracy)]
    if network and own and record.recipe == network.full_recipe:
        yield (
            f"**All seeds.** {records.accuracy_words(runs)} on the test images. The recipe was "
            "chosen on validation images (`docs/search.md` describes how, and where test accuracy "
            "influenced a choice)."
        )


def _origin(model: BundleModel, exported: Manifest | None) -> Iterator[str]:
    """Yields where a model that this project did not train comes from."""
    activation = exported.model.activation if exported else ""
    ends = f" It ends in {activation}." if activation not in ("", "none") else ""
    if model.softmax_added:
        ends = " It returns logits, to which the artifacts add a softmax."
    source = cli.printable(model.data.source)
    command = f"python -m export {bundle.MODEL} --data {source} --output ANOTHER_FOLDER"
    if model.data.source == data.IN_MEMORY:
        command = 'mnist_edge.export_model(model, data, "ANOTHER_FOLDER")'
    yield (
        f"**Origin.** A Keras model named {cli.printable(model.name)} that mnist-edge did not "
        f"train; how it was trained is not recorded.{ends} Export it again in this folder: "
        f"`{command}`."
    )


def _artifacts(
    folder: Path, exported: Manifest | None, rows: Sequence[Measurement]
) -> Iterator[str]:
    """Yields a table of the artifacts, and what failed."""
    if exported is None:
        yield f"**Artifacts.** None yet: `python -m export {cli.printable(folder)}`."
        return
    measured = {row.variant: row for row in rows}
    headings = [("artifact", False), ("kB", True), ("accuracy", True), ("agreement", True)]
    headings += [("median, µs", True), ("benchmark", False)]
    lines = []
    for entry in exported.artifacts:
        row = measured.get(entry.variant)
        parity = row.parity if row else None
        latency = row.latency[0] if row and row.latency else None
        lines.append(
            (
                *(entry.variant, f"{entry.size_bytes / 1000:.1f}"),
                tables.shown(parity and parity.accuracy, ".2%"),
                tables.shown(parity and parity.agreement, ".2%"),
                tables.shown(latency and latency.p50_us, ".1f"),
                ", ".join([row.status, *tables.remarks(row)]) if row else tables.MISSING,
            )
        )
    source = f"Figures are from `{BENCHMARK_JSON}`."
    if not rows:
        source = f"Not benchmarked as they are: `python -m benchmarks {cli.printable(folder)}`."
    yield f"**Artifacts.** {source}"
    if lines:
        yield tables.layout(headings, lines)
    replaced = {one.variant: one.made for one in exported.fallbacks if one.made}
    missing = [
        f"- `{name}`: failed the gate; `{made}` is in its place" for name, made in replaced.items()
    ]
    missing += [
        f"- `{one.variant}`: {_CAUSES[one.cause]}: {cli.one_line('; '.join(one.reasons))}"
        for one in exported.failures
    ]
    if missing:
        yield "**Not written.**\n" + "\n".join(missing)


def _no_digit(rows: Sequence[Measurement]) -> Iterator[str]:
    """Yields what is called "no digit", if it was measured."""
    found = {row.variant: row.robustness for row in rows if row.robustness}
    found = {variant: one for variant, one in found.items() if one.refused}
    if not found:
        return
    pictures = list(next(iter(found.values())).confidence_roc_area)
    headings = [("artifact", False), ("digits refused", True)]
    headings += [(f"{name}: area", True) for name in pictures]
    lines = [
        (
            *(variant, tables.shown(one.refused.get(corruptions.PLAIN), ".2%")),
            *(tables.shown(one.confidence_roc_area.get(name), ".2%") for name in pictures),
        )
        for variant, one in found.items()
    ]
    count = next(iter(found.values())).image_count
    yield (
        '**"No digit".** What `python -m mnist_edge.predict` says below its least confidence, on '
        f"{count:,} test images; the area under the ROC curve of the confidence against pictures "
        "of no digit."
    )
    yield tables.layout(headings, lines)


def _pictures(report: PicturesReport | None) -> Iterator[str]:
    """Yields how many whole strings are read right in pictures, if it was measured."""
    if report is None:
        return
    yield (
        f"**Pictures.** Whole strings that `{report.file}` reads right on rendered pictures of "
        f"{report.part} digits (docs/pictures.md)."
    )
    headings = [("pictures", False), ("read right", True), ("of", True)]
    yield tables.layout(
        headings, [(one.kind, f"{one.share:.1%}", f"{one.count:,}") for one in report.results]
    )


def own_pictures(
    folder: Path, model: BundleModel, exported: Manifest | None
) -> PicturesReport | None:
    """Returns the bundle's `pictures.json` if it is of the model or an artifact as it is now."""
    if files.kind(folder / pictures.FILE) == "nothing":
        return None
    remedy = f"Run: python -m benchmarks.pictures --model {folder}"
    report = schema.read(PicturesReport, folder / pictures.FILE, remedy)
    artifacts = exported.artifacts if exported else ()
    return report if report.sha256 in {model.sha256, *(one.sha256 for one in artifacts)} else None


def own_rows(folder: Path, exported: Manifest) -> list[Measurement]:
    """Returns what the bundle's `benchmark.json` says of the artifacts as they are now."""
    if files.kind(folder / BENCHMARK_JSON) == "nothing":
        return []
    report = schema.read(Report, folder / BENCHMARK_JSON, f"Run: python -m benchmarks {folder}")
    sha256 = {entry.variant: entry.sha256 for entry in exported.artifacts}
    return [
        row
        for row in report.measurements
        if sha256.get(row.variant) == row.sha256 and not row.kernels
    ]


def _exported(folder: Path, model: BundleModel) -> Manifest | None:
    """Returns the bundle's manifest, if it is of this model."""
    if files.kind(folder / bundle.MANIFEST) == "nothing":
        return None
    found = manifest.read(folder, f"Export it again: python -m export {folder}")
    return found if found.model.sha256 == model.sha256 else None


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Measures the model in `argv` and writes its card; returns the exit status."""
    parser = cli.parser(__doc__)
    parser.add_argument(
        "bundle",
        type=Path,
        metavar="BUNDLE",
        help="bundle written by python -m mnist_edge.train or python -m export",
    )
    folder = parser.parse_args(argv).bundle
    backend.start_keras()
    model = opened.open_bundle(folder)
    dataset = data.load_recorded(model.data.source, folder)
    exported = _exported(folder, model)
    rows = own_rows(folder, exported) if exported else []
    distortions = tuple(corruptions.DISTORTIONS) if model.record else (corruptions.PLAIN,)
    read = own_pictures(folder, model, exported)
    text = card(model, measure(model, dataset, distortions), exported, rows, read)
    with staging.staged(folder) as stage:
        (stage / CARD).write_text(text, encoding="utf-8", errors="backslashreplace")
    print(f"written: {cli.printable(folder / CARD)}")
    return cli.OK


if __name__ == "__main__":
    sys.exit(supervise.run(main))
