"""Evaluate a bundle's Keras model on the test set of any data source.

    python -m mnist_edge.evaluate artifacts/edge
    python -m mnist_edge.evaluate artifacts/edge --data FOLDER --output artifacts/on-folder

prints accuracy, loss, a report per class and the expected calibration error, and writes
`evaluate.json`, `confusion.csv` and `plots/`: confusion matrix, reliability, predictions,
and the most confident mistakes. All files are written, or none.
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

_MISTAKES, _CONFUSED = 30, 5  # how many are shown
_MOST_CLASSES = 4096  # a matrix of them takes 134 MB


@dataclasses.dataclass(frozen=True)
class EvaluateSettings:
    """What to evaluate, and on what."""

    bundle: Path = setting(
        bundle.ARTIFACTS / models.DEFAULT,
        "bundle that python -m mnist_edge.train wrote",
        metavar="BUNDLE",
    )
    labels: str | None = setting(
        None, f"{data.LABELS_HELP} (default: the names that the model was trained with)"
    )
    data: str | None = setting(None, f"{data.HELP} (default: what the model was trained on)")
    output: Path | None = setting(None, "folder to write to (default: the bundle)")

    @property
    def folder(self) -> Path:
        """Where the files go."""
        return self.output or self.bundle


@dataclasses.dataclass(frozen=True)
class TestData:
    """What a model was evaluated on; `sha256` is of the arrays `x_test` and `y_test`."""

    source: str
    labels: tuple[str, ...]
    test_count: int
    sha256: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Confusion:
    """How often one class was read as another."""

    true: str
    predicted: str
    count: int


@dataclasses.dataclass(frozen=True)
class Mistake:
    """A wrong answer; `index` is the image's in the test set."""

    index: int
    true: str
    predicted: str
    confidence: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scores:
    """How a model does on a test set.

    Attributes:
        accuracy: Share of the images.
        loss: Mean cross-entropy.
        mistakes: Number of images that were read wrongly.
        most_confused: The most frequent first.
        expected_calibration_error: 0 to 1.
        calibration: Bin by bin.
        most_confident_mistakes: The most confident first.
        classification_report: scikit-learn's.
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
    """What `evaluate.json` holds: which model does how well on what, by which versions."""

    model: str
    model_sha256: str
    data: TestData
    versions: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        record: What `evaluate.json` holds.
        report: scikit-learn's classification report, text.
        remark: What the user should be told of the data, or "".
    """

    record: EvaluationRecord
    report: str
    remark: str


def evaluate(settings: EvaluateSettings) -> Evaluation:
    """Evaluates a model on a test set and writes what it found.

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
    """Names of the model's classes: as given, or as trained with."""
    classes = opened.record.data.classes
    if classes > _MOST_CLASSES:
        raise InputError(
            f"a confusion matrix is of {_MOST_CLASSES:,} classes at most. Got: {classes:,} in "
            f"{settings.bundle}. Run: python -m benchmarks {settings.bundle}"
        )
    if dataset.y_test.max() >= classes:
        raise InputError(
            f"{settings.bundle} knows {classes} classes. Got: labels up to {dataset.y_test.max()} "
            f"in {dataset.source}. Give the data set that it was trained on by --data."
        )
    if settings.labels is not None:
        return data.name_classes(settings.labels, classes)
    return opened.labels


def _measure(
    y: np.ndarray, probabilities: np.ndarray, labels: Sequence[str]
) -> tuple[Scores, str, np.ndarray]:
    """Scores, scikit-learn's report and the confusion matrix of the answers to a test set."""
    import keras
    from sklearn.metrics import classification_report, confusion_matrix

    choice = probabilities.argmax(1)
    options = {"labels": range(len(labels)), "target_names": labels, "zero_division": 0}
    matrix = confusion_matrix(y, choice, labels=options["labels"])
    calibration = metrics.calibration(probabilities, y)
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
    """One row per true class, one column per predicted one."""
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
