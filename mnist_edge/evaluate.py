"""Evaluate a bundle's Keras model on the test set of any data source.

    python -m mnist_edge.evaluate artifacts/edge
    python -m mnist_edge.evaluate artifacts/edge --data FOLDER --output artifacts/on-folder

Prints accuracy, loss, a report per class and the expected calibration error. Writes
`evaluate.json`, `confusion.csv` and `plots/`: confusion matrix, reliability diagram,
predictions, and the most confident mistakes. Writes all files, or none.
"""

import csv
import dataclasses
import importlib.util
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import mnist_edge
from mnist_edge import (
    backend,
    bundle,
    cli,
    data,
    drawing,
    evaluation_plots,
    lock,
    metrics,
    models,
    plots,
    schema,
    staging,
)
from mnist_edge.cli import setting
from mnist_edge.errors import InputError
from mnist_edge.models import trained
from mnist_edge.models.trained import TrainedModel
from mnist_edge.safety import supervise

_MISTAKES, _CONFUSED = 30, 5  # number of mistakes and confused pairs to report
_MOST_CLASSES = 4096  # the confusion matrix then takes 134 MB


@dataclasses.dataclass(frozen=True)
class EvaluateSettings:
    """Settings of `evaluate`."""

    bundle: Path = setting(
        bundle.ARTIFACTS / models.DEFAULT,
        "bundle written by python -m mnist_edge.train",
        metavar="BUNDLE",
    )
    labels: str | None = setting(None, f"{data.LABELS_HELP} (default: those of the training data)")
    data: str | None = setting(None, f"{data.HELP} (default: the training data set)")
    output: Path | None = setting(None, "folder to write to (default: the bundle)")

    @property
    def folder(self) -> Path:
        """The folder to write to."""
        return self.output or self.bundle


@dataclasses.dataclass(frozen=True)
class TestData:
    """The test set of an evaluation; `sha256` has the hashes of `x_test` and `y_test`."""

    source: str
    labels: tuple[str, ...]
    test_count: int
    sha256: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Confusion:
    """How often one class was predicted as another."""

    true: str
    predicted: str
    count: int


@dataclasses.dataclass(frozen=True)
class Mistake:
    """A wrong prediction; `index` is the position of the image in the test set."""

    index: int
    true: str
    predicted: str
    confidence: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scores:
    """Metrics of a model on a test set.

    Attributes:
        accuracy: 0 to 1.
        loss: Mean cross-entropy.
        mistakes: Number of misclassified images.
        most_confused: Pairs of classes, the most frequently confused first.
        expected_calibration_error: 0 to 1.
        calibration: One entry per confidence bin.
        most_confident_mistakes: The most confident first.
        classification_report: The output of scikit-learn's function of that name.
    """

    accuracy: float
    loss: float
    mistakes: int
    most_confused: tuple[Confusion, ...]
    expected_calibration_error: float
    calibration: tuple[metrics.CalibrationBin, ...]
    most_confident_mistakes: tuple[Mistake, ...]
    classification_report: dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationRecord(Scores, schema.Record):
    """Content of `evaluate.json`: scores, and the model, data and versions they belong to."""

    model: str
    model_sha256: str
    data: TestData
    versions: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Result of an evaluation.

    Attributes:
        record: Content of `evaluate.json`.
        report: scikit-learn's classification report, as text.
        remark: How the data was read, if the user should know it, or "".
    """

    record: EvaluationRecord
    report: str
    remark: str


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
    opened = trained.open_bundle(settings.bundle)
    dataset = data.load_recorded(settings.data or opened.record.data.source, settings.bundle)
    data.require_gray_levels(dataset)
    labels = _labels(settings, opened, dataset)
    inputs = data.as_inputs(dataset.x_test, opened.shape)
    probabilities = trained.probabilities(opened.model, inputs, settings.bundle)
    scores, report, matrix = _measure(dataset.y_test, probabilities, labels)
    record = EvaluationRecord(
        model=opened.record.model,
        model_sha256=opened.record.model_sha256,
        data=TestData(
            source=dataset.source,
            labels=tuple(labels),
            test_count=len(dataset.x_test),
            sha256={k: v for k, v in dataset.sha256().items() if k.endswith("_test")},
        ),
        versions={"mnist-edge": mnist_edge.__version__}
        | {package: version(package) for package in ("keras", "scikit-learn", "numpy")},
        **vars(scores),
    )
    with staging.staged(settings.folder) as stage:
        _write_confusion(stage / bundle.CONFUSION, matrix, labels)
        _draw(stage, inputs, dataset.y_test, probabilities, labels, matrix, record)
        schema.write(stage / bundle.EVALUATION, record)
    return Evaluation(record, report, dataset.remark)


def _require_packages() -> None:
    drawing.require()
    if importlib.util.find_spec("sklearn") is None:
        raise InputError(
            "scikit-learn is required to evaluate and is not installed. "
            "Install 'mnist-edge[plots]'."
        )


def _labels(
    settings: EvaluateSettings, opened: TrainedModel, dataset: data.Dataset
) -> Sequence[str]:
    """Returns the names of the model's classes: `--labels`, or those of the training data."""
    classes = opened.record.data.classes
    if classes > _MOST_CLASSES:
        raise InputError(
            f"a confusion matrix must have at most {_MOST_CLASSES:,} classes. Got: {classes:,} in "
            f"{settings.bundle}. Run: python -m benchmarks {settings.bundle}"
        )
    if dataset.y_test.max() >= classes:
        raise InputError(
            f"{settings.bundle} has {classes} classes. Got: labels up to {dataset.y_test.max()} "
            f"in {dataset.source}. Give the data set that it was trained on by --data."
        )
    if settings.labels is not None:
        return data.name_classes(settings.labels, classes)
    return opened.labels


def _measure(
    y: np.ndarray, probabilities: np.ndarray, labels: Sequence[str]
) -> tuple[Scores, str, np.ndarray]:
    """Returns the scores, scikit-learn's report and the confusion matrix."""
    import keras
    from sklearn.metrics import classification_report, confusion_matrix

    choice = probabilities.argmax(1)
    options = {"labels": range(len(labels)), "target_names": labels, "zero_division": 0}
    matrix = confusion_matrix(y, choice, labels=options["labels"])
    calibration = metrics.reliability_bins(probabilities, y)
    losses = keras.losses.sparse_categorical_crossentropy(y, probabilities)
    worst = metrics.most_confident_mistakes(probabilities, y, _MISTAKES)
    scores = Scores(
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
    )
    report = classification_report(y, choice, digits=4, **options)
    return scores, report, matrix


def _write_confusion(path: Path, matrix: np.ndarray, labels: Sequence[str]) -> None:
    """Writes a confusion matrix: one row per true class, one column per predicted class."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["true \\ predicted", *labels])
        writer.writerows([label, *row] for label, row in zip(labels, matrix.tolist(), strict=True))


def _draw(
    stage: Path,
    inputs: np.ndarray,
    y: np.ndarray,
    probabilities: np.ndarray,
    labels: Sequence[str],
    matrix: np.ndarray,
    scores: Scores,
) -> None:
    worst = [mistake.index for mistake in scores.most_confident_mistakes]
    shown = plots.choose(len(y), plots.PREDICTIONS)
    drawing.save(
        stage,
        {
            "confusion": evaluation_plots.confusion(matrix, labels),
            "reliability": evaluation_plots.reliability(
                scores.calibration, scores.expected_calibration_error
            ),
            "mistakes": evaluation_plots.mistakes(
                inputs[worst], y[worst], probabilities[worst], labels
            ),
            "predictions": plots.predictions(inputs[shown], y[shown], probabilities[shown], labels),
        },
    )


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Parses `argv`, evaluates, prints the result; returns the exit status."""
    settings = cli.parse_settings(EvaluateSettings, __doc__, argv, positional=["bundle"])
    backend.start_keras()
    evaluation = evaluate(settings)
    record = evaluation.record
    if evaluation.remark:
        print(f"data: {cli.printable(evaluation.remark)}")
    print(evaluation.report)
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
