"""Evaluate a bundle's Keras model on the test set of any data source.

    python -m mnist_edge.evaluate artifacts/edge
    python -m mnist_edge.evaluate artifacts/edge --data FOLDER --output artifacts/on-folder

Prints accuracy, loss, a report per class and the expected calibration error. Writes
`evaluate.json`, `confusion.csv` and `plots/`: confusion matrix, reliability diagram, and, if
the examples are pictures, predictions and the most confident mistakes. Writes all files, or none.
"""

import csv
import dataclasses
import importlib.util
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

import mnist_edge
from mnist_edge import (
    backend,
    bundle,
    cli,
    data,
    drawing,
    evaluation_plots,
    examples,
    lock,
    metrics,
    models,
    plots,
    schema,
    staging,
)
from mnist_edge.cli import setting
from mnist_edge.errors import InputError
from mnist_edge.evaluation import Confusion, Evaluation, EvaluationRecord, Mistake, TestData
from mnist_edge.models import opened
from mnist_edge.models.opened import BundleModel
from mnist_edge.safety import supervise

_MISTAKES, _CONFUSED = 30, 5  # number of mistakes and confused pairs to report
_MOST_CLASSES = 4096  # the confusion matrix then takes 134 MB
_MOST_PRINTED = 100  # classes; more would scroll away what follows


@dataclasses.dataclass(frozen=True)
class EvaluateSettings:
    """Settings of `evaluate`."""

    bundle: Path = setting(
        bundle.ARTIFACTS / models.DEFAULT,
        "bundle written by python -m mnist_edge.train or python -m export",
        metavar="BUNDLE",
    )
    labels: str | None = setting(None, f"{data.LABELS_HELP} (default: those of the training data)")
    data: str | None = setting(None, f"{data.HELP} (default: the training data set)")
    output: Path | None = setting(None, "folder to write to (default: the bundle)")

    @property
    def folder(self) -> Path:
        """The folder to write to."""
        return self.output or self.bundle


def evaluate(settings: EvaluateSettings) -> Evaluation:
    """Evaluates a bundle's model on a test set and writes the results.

    Raises:
        InputError: The bundle or the data can't be used, or a package is missing.
    """
    _require_packages()
    bundle.refuse_replacing(settings.folder, (bundle.EVALUATION, bundle.CONFUSION, bundle.PLOTS))
    with lock.held(settings.folder, settings.bundle):
        return _evaluate(settings)


def _evaluate(settings: EvaluateSettings) -> Evaluation:
    found = opened.open_bundle(settings.bundle)
    dataset = data.load_recorded(settings.data or found.data.source, settings.bundle)
    _require_range(found, dataset)
    labels, y = _labels(settings, found, dataset)
    inputs = data.as_inputs(dataset.x_test, found.shape)
    probabilities = found.predict(inputs)
    hashes = {k: v for k, v in dataset.sha256().items() if k.endswith("_test")}
    tested = TestData(dataset.source, tuple(labels), len(dataset.x_test), hashes)
    record, report, matrix = _measure(found, tested, y, probabilities)
    remarks = [f"data: {dataset.remark}"] if dataset.remark else []
    with staging.staged(settings.folder) as stage:
        _write_confusion(stage / bundle.CONFUSION, matrix, labels)
        _draw_scores(stage, matrix, record)
        if drawing.is_picture(dataset.x_test.shape[1:]):
            _draw_examples(stage, found, dataset.x_test, y, probabilities, record)
        else:
            shape = list(dataset.x_test.shape[1:])
            remarks.append(f"no plots of examples: {shape} is not the shape of a picture")
        schema.write(stage / bundle.EVALUATION, record)
    return Evaluation(record, report, tuple(remarks))


def _require_range(found: BundleModel, dataset: data.Dataset) -> None:
    """Raises `InputError` if a data set is scaled unlike the data of the model's training."""
    if found.record:
        data.require_gray_levels(dataset)
    else:
        examples.require_range(dataset.x_test, found.input_range, f"{dataset.source}: x_test")


def _require_packages() -> None:
    drawing.require()
    if importlib.util.find_spec("sklearn") is None:
        raise InputError(
            "scikit-learn is required to evaluate and is not installed. "
            "Install 'mnist-edge[plots]'."
        )


def _labels(
    settings: EvaluateSettings, found: BundleModel, dataset: data.Dataset
) -> tuple[Sequence[str], np.ndarray]:
    """Returns the names of the model's classes, and the test labels as the model numbers them."""
    classes, y = found.data.classes, dataset.y_test
    if classes > _MOST_CLASSES:
        raise InputError(
            f"a confusion matrix must have at most {_MOST_CLASSES:,} classes. Got: {classes:,} in "
            f"{settings.bundle}. Run: python -m benchmarks {settings.bundle}"
        )
    if dataset.labels != found.labels and set(dataset.labels) <= set(found.labels):
        y = np.array([found.labels.index(name) for name in dataset.labels])[y]
    if y.max() >= classes:
        raise InputError(
            f"{settings.bundle} has {classes} classes. Got: labels up to {y.max()} "
            f"in {dataset.source}. Give the data set that it was trained on by --data."
        )
    if settings.labels is not None:
        return data.name_classes(settings.labels, classes), y
    return found.labels, y


def _measure(
    found: BundleModel, tested: TestData, y: np.ndarray, probabilities: np.ndarray
) -> tuple[EvaluationRecord, str, np.ndarray]:
    """Returns the record, scikit-learn's report and the confusion matrix."""
    import keras
    from sklearn.metrics import classification_report, confusion_matrix

    choice, labels = probabilities.argmax(1), tested.labels
    options = {"labels": range(len(labels)), "target_names": labels, "zero_division": 0}
    matrix = confusion_matrix(y, choice, labels=options["labels"])
    calibration = metrics.reliability_bins(probabilities, y)
    losses = keras.losses.sparse_categorical_crossentropy(y, probabilities)
    worst = metrics.most_confident_mistakes(probabilities, y, _MISTAKES)
    record = EvaluationRecord(
        accuracy=float(np.mean(choice == y)),
        loss=float(np.mean(keras.ops.convert_to_numpy(losses))),
        mistakes=int(np.sum(choice != y)),
        most_confused=tuple(
            Confusion(labels[i], labels[j], count)
            for i, j, count in metrics.most_confused(matrix, _CONFUSED)
        ),
        expected_calibration_error=metrics.expected_calibration_error(calibration),
        calibration=calibration,
        most_confident_mistakes=tuple(
            Mistake(
                index=int(index),
                true=labels[y[index]],
                predicted=labels[choice[index]],
                confidence=float(probabilities[index].max()),
            )
            for index in worst
        ),
        classification_report=classification_report(y, choice, output_dict=True, **options),
        model=found.name,
        model_sha256=found.sha256,
        data=tested,
        versions={"mnist-edge": mnist_edge.__version__}
        | {package: version(package) for package in ("keras", "scikit-learn", "numpy")},
    )
    report = classification_report(y, choice, digits=4, **options)
    return record, report, matrix


def _write_confusion(path: Path, matrix: np.ndarray, labels: Sequence[str]) -> None:
    """Writes a confusion matrix: one row per true class, one column per predicted class."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["true \\ predicted", *labels])
        writer.writerows([label, *row] for label, row in zip(labels, matrix.tolist(), strict=True))


def _draw_scores(stage: Path, matrix: np.ndarray, record: EvaluationRecord) -> None:
    error = record.expected_calibration_error
    drawing.save(
        stage,
        {
            "confusion": evaluation_plots.confusion(matrix, record.data.labels),
            "reliability": evaluation_plots.reliability(record.calibration, error),
        },
    )


def _draw_examples(
    stage: Path,
    found: BundleModel,
    x: np.ndarray,
    y: np.ndarray,
    probabilities: np.ndarray,
    record: EvaluationRecord,
) -> None:
    worst = [mistake.index for mistake in record.most_confident_mistakes]
    shown = plots.choose(len(y), plots.PREDICTIONS)
    is_ink = found.record is not None
    figures = {
        name: draw(
            drawing.as_pictures(x[chosen], found.input_range, is_ink),
            y[chosen],
            probabilities[chosen],
            record.data.labels,
        )
        for name, draw, chosen in (
            ("mistakes", evaluation_plots.mistakes, worst),
            ("predictions", plots.predictions, shown),
        )
    }
    drawing.save(stage, figures)


def _printed(report: str, classes: int) -> str:
    """Returns the report as the command prints it: the averages alone if there are many classes."""
    if classes <= _MOST_PRINTED:
        return report
    heading, _, *_, accuracy, macro, weighted = report.rstrip().splitlines()
    return "\n".join(
        [heading, f"of {classes:,} classes, each in {bundle.EVALUATION}", accuracy, macro, weighted]
    )


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Parses `argv`, evaluates, prints the result; returns the exit status."""
    settings = cli.parse_settings(EvaluateSettings, __doc__, argv, positional=["bundle"])
    backend.start_keras()
    evaluation = evaluate(settings)
    record = evaluation.record
    for remark in evaluation.remarks:
        print(cli.printable(remark))
    print(_printed(evaluation.report, len(record.data.labels)))
    print(
        f"{record.model} on {cli.printable(record.data.source)}: "
        f"accuracy {record.accuracy:.2%} ({record.mistakes} of "
        f"{record.data.test_count:,} wrong), "
        f"loss {record.loss:.4f}, expected calibration error "
        f"{record.expected_calibration_error:.2%} ({len(record.calibration)} bins)"
    )
    confused = [f"{c.true} as {c.predicted} {c.count}x" for c in record.most_confused]
    if confused:
        print(f"most confused: {', '.join(confused)}")
    print(f"written: {cli.printable(settings.folder)}")
    return cli.OK


if __name__ == "__main__":
    sys.exit(supervise.run(main))
