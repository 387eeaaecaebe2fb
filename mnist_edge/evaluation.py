"""What an evaluation found: the content of `evaluate.json`, and what the command prints."""

import dataclasses
from typing import Any

from mnist_edge import metrics, schema


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
class EvaluationRecord(schema.Record):
    """Content of `evaluate.json`.

    Attributes:
        accuracy: 0 to 1.
        loss: Mean cross-entropy.
        mistakes: Number of misclassified images.
        most_confused: Pairs of classes, the most frequently confused first.
        expected_calibration_error: 0 to 1.
        calibration: One entry per confidence bin.
        most_confident_mistakes: The most confident first.
        classification_report: The output of scikit-learn's function of that name.
        model: The model's name.
        model_sha256: SHA-256 of its file.
        data: The test set.
        versions: Version by package.
    """

    accuracy: float
    loss: float
    mistakes: int
    most_confused: tuple[Confusion, ...]
    expected_calibration_error: float
    calibration: tuple[metrics.CalibrationBin, ...]
    most_confident_mistakes: tuple[Mistake, ...]
    classification_report: dict[str, Any]
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
        remarks: What the user should know: how the data was read, what was left out.
    """

    record: EvaluationRecord
    report: str
    remarks: tuple[str, ...]
