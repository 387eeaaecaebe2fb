"""Compares an artifact's predictions with the Keras reference's, image by image."""

import numpy as np

from mnist_edge import metrics

from .measurement import Disagreements, Interval, Parity


def as_probabilities(outputs: np.ndarray, softmax_added: bool) -> np.ndarray:
    """Converts a model's outputs to probabilities.

    Args:
        outputs: float32 `[n, classes]`.
        softmax_added: Whether `outputs` are logits, to which export appended a softmax.
    """
    return metrics.softmax(outputs) if softmax_added else outputs


def measure(probabilities: np.ndarray, reference: np.ndarray, labels: np.ndarray) -> Parity:
    """Compares an artifact's probabilities with the reference's.

    Args:
        probabilities: float32 `[n, classes]`, finite.
        reference: float32 `[n, classes]`.
        labels: Integers `[n]`.
    """
    choice, reference_choice = probabilities.argmax(1), reference.argmax(1)
    right, reference_right = choice == labels, reference_choice == labels
    differs = np.flatnonzero(choice != reference_choice)
    newly_wrong = int(np.sum(reference_right & ~right))
    newly_right = int(np.sum(right & ~reference_right))
    difference = np.abs(probabilities.astype(np.float64) - reference)  # float32 may overflow
    return Parity(
        accuracy=float(right.mean()),
        accuracy_interval=_interval(right),
        reference_accuracy=float(reference_right.mean()),
        agreement=float(np.mean(choice == reference_choice)),
        agreement_interval=_interval(choice == reference_choice),
        newly_wrong_count=newly_wrong,
        newly_right_count=newly_right,
        mcnemar_p=metrics.mcnemar_p(newly_wrong, newly_right),
        mean_probability_difference=float(difference.mean()),
        max_probability_difference=float(difference.max()),
        divergence=float(metrics.divergence(probabilities, reference).mean()),
        one_hot_divergence=float(metrics.one_hot_divergence(reference).mean()),
        recall_per_class=_recall(right, labels, reference.shape[1]),
        wrong_indices=tuple(np.flatnonzero(~right).tolist()),
        disagreements=Disagreements(
            indices=tuple(differs.tolist()),
            labels=tuple(labels[differs].tolist()),
            reference_choices=tuple(reference_choice[differs].tolist()),
            choices=tuple(choice[differs].tolist()),
        ),
    )


def _interval(hits: np.ndarray) -> Interval:
    low, high = metrics.wilson_interval(int(hits.sum()), len(hits))
    return low, high


def _recall(right: np.ndarray, labels: np.ndarray, classes: int) -> tuple[float | None, ...]:
    """Returns recall by class; None for a class without images."""
    counts = np.bincount(labels, minlength=classes)
    hits = np.bincount(labels, weights=right, minlength=classes)
    return tuple(
        float(hit / count) if count else None for hit, count in zip(hits, counts, strict=True)
    )
