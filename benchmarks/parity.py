"""Compares an artifact's predictions with the Keras reference's, image by image."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mnist_edge import gate, heads, metrics
from mnist_edge.heads import Decision, Head

from .measurement import Difference, Disagreements, Interval, Parity


def of_outputs(
    outputs: np.ndarray,
    reference: np.ndarray,
    truth: np.ndarray,
    parts: Sequence[Head],
    thresholds: gate.Thresholds,
    indices: np.ndarray | None = None,
) -> Parity:
    """Compares an artifact's outputs with the reference's.

    Shares are of all decisions: with several outputs or labels, one for each on every image.

    Args:
        outputs: float32 `[n, width]`, finite.
        reference: float32 `[n, width]`.
        truth: The true answers: classes `[n]`, or the columns of the outputs' targets.
        parts: The outputs.
        thresholds: The gate's thresholds, for outputs that are values.
        indices: int64 `[n]`, the images' places in the test set; None for 0 to n - 1.
    """
    compared = list(gate.compare(outputs, reference, truth, parts, thresholds))
    if len(compared) == 1 and parts[0].kind in (heads.CLASSES, heads.BINARY):
        (made,) = compared[0].decisions
        return measure(made.probabilities, made.reference, made.truth, indices)
    made_all = [made for one in compared for made in one.decisions]
    differences = np.concatenate([one.differences for one in compared], axis=1)
    agrees, right, reference_right = (
        np.concatenate(hits) for hits in zip(*(one.hits for one in compared), strict=True)
    )
    divergences, one_hot = (
        float(np.mean([function(made) for made in made_all])) if made_all else 0.0
        for function in (_divergence, _one_hot_divergence)
    )
    return Parity(
        **_shares(agrees, right, reference_right),
        mean_probability_difference=float(differences.mean()),
        max_probability_difference=float(differences.max()),
        divergence=divergences,
        one_hot_divergence=one_hot,
        recall_per_class=(),
        wrong_indices=tuple(np.flatnonzero(~right).tolist()),
        disagreements=Disagreements((), (), (), ()),
    )


def agreements(
    outputs: np.ndarray,
    reference: np.ndarray,
    truth: np.ndarray,
    parts: Sequence[Head],
    thresholds: gate.Thresholds,
) -> dict[str, float]:
    """Returns the agreement of each output by name; arguments as of `of_outputs`."""
    compared = gate.compare(outputs, reference, truth, parts, thresholds)
    return {part.name: float(one.hits[0].mean()) for part, one in zip(parts, compared, strict=True)}


def difference(
    row: str, outputs: np.ndarray, others: np.ndarray, parts: Sequence[Head]
) -> Difference:
    """Compares a row's outputs with those of another that should compute the same.

    Args:
        row: The other row's name.
        outputs: float32 `[n, width]`.
        others: As `outputs`, of the other row.
        parts: The outputs; those that are values decide nothing.
    """
    differs = np.any(outputs.view(np.uint32) != others.view(np.uint32), axis=1)
    decided = np.zeros(len(outputs), bool)
    widths = [part.width for part in parts]
    arrays = zip(*(heads.columns(array, widths) for array in (outputs, others)), strict=True)
    for part, (own, other) in zip(parts, arrays, strict=True):
        if part.kind != heads.VALUES:
            truth = np.zeros((len(own), part.targets))
            for made in heads.decisions(part, own, other, truth):
                decided |= made.probabilities.argmax(1) != made.reference.argmax(1)
    return Difference(row, int(decided.sum()), int(differs.sum()))


def _divergence(made: Decision) -> float:
    return float(metrics.divergence(made.probabilities, made.reference).mean())


def _one_hot_divergence(made: Decision) -> float:
    return float(metrics.one_hot_divergence(made.reference).mean())


def measure(
    probabilities: np.ndarray,
    reference: np.ndarray,
    labels: np.ndarray,
    indices: np.ndarray | None = None,
) -> Parity:
    """Compares an artifact's probabilities with the reference's.

    Args:
        probabilities: float32 `[n, classes]`, finite.
        reference: float32 `[n, classes]`.
        labels: Integers `[n]`.
        indices: int64 `[n]`, the images' places in the test set; None for 0 to n - 1.
    """
    places = np.arange(len(labels)) if indices is None else indices
    choice, reference_choice = probabilities.argmax(1), reference.argmax(1)
    right = choice == labels
    differs = np.flatnonzero(choice != reference_choice)
    difference = np.abs(probabilities.astype(np.float64) - reference)  # float32 may overflow
    return Parity(
        **_shares(choice == reference_choice, right, reference_choice == labels),
        mean_probability_difference=float(difference.mean()),
        max_probability_difference=float(difference.max()),
        divergence=float(metrics.divergence(probabilities, reference).mean()),
        one_hot_divergence=float(metrics.one_hot_divergence(reference).mean()),
        recall_per_class=_recall(right, labels, reference.shape[1]),
        wrong_indices=tuple(places[~right].tolist()),
        disagreements=Disagreements(
            indices=tuple(places[differs].tolist()),
            labels=tuple(labels[differs].tolist()),
            reference_choices=tuple(reference_choice[differs].tolist()),
            choices=tuple(choice[differs].tolist()),
        ),
    )


def _shares(agrees: np.ndarray, right: np.ndarray, reference_right: np.ndarray) -> dict[str, Any]:
    """Returns the fields of a `Parity` that need only what agrees and what is right."""
    newly_wrong = int(np.sum(reference_right & ~right))
    newly_right = int(np.sum(right & ~reference_right))
    return {
        "accuracy": float(right.mean()),
        "accuracy_interval": _interval(right),
        "reference_accuracy": float(reference_right.mean()),
        "agreement": float(agrees.mean()),
        "agreement_interval": _interval(agrees),
        "newly_wrong_count": newly_wrong,
        "newly_right_count": newly_right,
        "mcnemar_p": metrics.mcnemar_p(newly_wrong, newly_right),
    }


def _interval(hits: np.ndarray) -> Interval:
    return metrics.wilson_interval(int(hits.sum()), len(hits))


def _recall(right: np.ndarray, labels: np.ndarray, classes: int) -> tuple[float | None, ...]:
    """Returns recall by class; None for a class without images."""
    counts = np.bincount(labels, minlength=classes)
    hits = np.bincount(labels, weights=right, minlength=classes)
    return tuple(
        float(hit / count) if count else None for hit, count in zip(hits, counts, strict=True)
    )
