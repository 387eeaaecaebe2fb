"""What each output of a model means, and what its predictions are judged by.

The outputs of a model with several are columns of one array, `[n, width]`, in the order of the
heads, which are sorted by name. Needs only NumPy.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, NamedTuple

import numpy as np

from mnist_edge import metrics
from mnist_edge.errors import InputError
from mnist_edge.schema import Text, one_of

CLASSES, BINARY, LABELS, VALUES = "classes", "binary", "labels", "values"
# Name of a model's only output in the artifacts.
NAMES = {
    CLASSES: "probabilities",
    BINARY: "probability",
    LABELS: "probabilities",
    VALUES: "values",
}
# A prediction of values is right within this many standard deviations of the true values.
RIGHT_DEVIATIONS = 0.5


@dataclasses.dataclass(frozen=True)
class Head:
    """One output of a model.

    Attributes:
        name: Its name in the artifacts.
        kind: "classes": one probability per class, of which one is true; "binary": the
            probability of the second of two classes; "labels": one probability per label, each
            true or not; "values": numbers (regression).
        labels: Names of the classes, labels or values; of both classes if "binary".
        activation: Activation that the trained model ends with, "none" if that is no activation.
        added: Activation that export appended to logits: "softmax", "sigmoid" or "".
    """

    name: Text
    kind: Annotated[str, one_of(*NAMES)]
    labels: tuple[Text, ...]
    activation: Text = ""
    added: Annotated[str, one_of("softmax", "sigmoid", "")] = ""

    @property
    def width(self) -> int:
        """Number of columns of the predictions."""
        return 1 if self.kind == BINARY else len(self.labels)

    @property
    def targets(self) -> int:
        """Number of columns of the true answers: one class number, or one per label or value."""
        return len(self.labels) if self.kind in (LABELS, VALUES) else 1

    def finish(self, outputs: np.ndarray) -> np.ndarray:
        """Applies the activation that export appended; float `[n, width]`."""
        return _ADDED[self.added](outputs)

    def fault(self, outputs: np.ndarray, step: float = 0.0) -> str:
        """Returns why outputs `[n, width]` can't be of this kind, as a message, or "".

        Args:
            outputs: Float `[n, width]`.
            step: Step size of a quantized output, else 0.
        """
        if self.kind == VALUES:
            return ""
        if self.kind == CLASSES:
            return metrics.probability_fault(outputs, step)
        return metrics.probability_fault(_two(outputs.reshape(-1)), step)


class Decision(NamedTuple):
    """A choice between classes that a head makes for each image.

    Attributes:
        name: The label that is decided on; "" if the head makes one decision.
        probabilities: Float `[n, classes]`.
        reference: As `probabilities`, of the Keras model.
        truth: Integers `[n]`.
    """

    name: str
    probabilities: np.ndarray
    reference: np.ndarray
    truth: np.ndarray


def plain(labels: Sequence[str], softmax_added: bool = False) -> tuple[Head, ...]:
    """Returns the heads of a classifier with one output, probabilities of exclusive classes."""
    added = "softmax" if softmax_added else ""
    return (Head(NAMES[CLASSES], CLASSES, tuple(labels), added=added),)


def width(heads: Sequence[Head]) -> int:
    """Returns the number of columns of a model's predictions."""
    return sum(head.width for head in heads)


def finish(heads: Sequence[Head], outputs: np.ndarray) -> np.ndarray:
    """Applies the activations that export appended to a model's own outputs `[n, width]`."""
    if not any(head.added for head in heads) or outputs.shape[1] != width(heads):
        return outputs
    parts = columns(outputs, [head.width for head in heads])
    return np.concatenate([h.finish(part) for h, part in zip(heads, parts, strict=True)], axis=1)


def columns(array: np.ndarray, widths: Sequence[int]) -> list[np.ndarray]:
    """Splits an array `[n, sum(widths)]` into one of each width; `[n]` counts as one column."""
    rows = array.reshape(len(array), -1)
    return np.split(rows, np.cumsum(widths)[:-1], axis=1)


def by_head(
    heads: Sequence[Head], truth: np.ndarray, *outputs: np.ndarray
) -> Iterator[tuple[Head, np.ndarray, list[np.ndarray]]]:
    """Yields each head, its true answers, and its columns of each array of outputs.

    Args:
        heads: The heads.
        truth: The true answers: classes `[n]`, or the columns of the heads' targets.
        *outputs: Predictions, float `[n, width]`.
    """
    widths = [head.width for head in heads]
    truths = columns(truth, [head.targets for head in heads])
    parts = zip(*(columns(array, widths) for array in outputs), strict=True)
    for head, true, own in zip(heads, truths, parts, strict=True):
        yield head, true, list(own)


def fault(heads: Sequence[Head], outputs: np.ndarray) -> str:
    """Returns why outputs `[n, width]` can't be those of the heads, as a message, or ""."""
    parts = columns(outputs, [head.width for head in heads])
    found = ((head, head.fault(part)) for head, part in zip(heads, parts, strict=True))
    several = len(heads) > 1
    return "; ".join(f"{head.name}: {why}" if several else why for head, why in found if why)


def uncovered(heads: Sequence[Head], truth: np.ndarray) -> str:
    """Returns which true answers the heads can't give, as a message, or ""."""
    for head, own in zip(heads, columns(truth, [head.targets for head in heads]), strict=True):
        classes = 2 if head.kind in (BINARY, LABELS) else len(head.labels)
        if head.kind != VALUES and own.max() >= max(2, classes):
            return f"{classes} classes, labels up to {own.max():g}"
    return ""


def require_classes(heads: Sequence[Head], where: object, what: str) -> None:
    """Raises `InputError` unless a model has one output, of exclusive classes."""
    if [head.kind for head in heads] != [CLASSES]:
        kinds = ", ".join(f"{head.name} ({head.kind})" for head in heads)
        raise InputError(
            f"{what} needs a model with one output, the probabilities of exclusive classes. "
            f"Got: {kinds} in {where}."
        )


def decisions(
    head: Head, outputs: np.ndarray, reference: np.ndarray, truth: np.ndarray
) -> Iterator[Decision]:
    """Yields the decisions of a head of any kind but "values".

    Args:
        head: The head.
        outputs: Its columns, float `[n, head.width]`.
        reference: As `outputs`, of the Keras model.
        truth: The true answers `[n, head.targets]`.
    """
    truth = truth.astype(np.int64)
    if head.kind == CLASSES:
        yield Decision("", outputs, reference, truth[:, 0])
    elif head.kind == BINARY:
        yield Decision("", _two(outputs[:, 0]), _two(reference[:, 0]), truth[:, 0])
    else:
        for i, label in enumerate(head.labels):
            yield Decision(label, _two(outputs[:, i]), _two(reference[:, i]), truth[:, i])


def deviations(values: np.ndarray) -> np.ndarray:
    """Returns the standard deviation of each column of `[n, width]`; 1 for constant columns."""
    found = values.std(axis=0, dtype=np.float64)
    return np.where(found > 0, found, 1.0)


def _two(probability: np.ndarray) -> np.ndarray:
    """Returns the probabilities `[n, 2]` of false and true from that of true `[n]`."""
    return np.stack([1 - probability, probability], axis=1)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0, -logits))


_ADDED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "": np.asarray,
    "softmax": metrics.softmax,
    "sigmoid": _sigmoid,
}
