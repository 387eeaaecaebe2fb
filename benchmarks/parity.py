"""Compares an artifact's predictions with the Keras reference's, image by image."""

from collections.abc import Sequence

import numpy as np

from mnist_edge import gate, heads, metrics
from mnist_edge.heads import Head

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
    made = [each for one in compared for each in one.decisions]
    differences = np.concatenate([one.differences for one in compared], axis=1)
    agrees, right, reference_right = (
        np.concatenate(hits) for hits in zip(*(one.hits for one in compared), strict=True)
    )
    recall: tuple[float | None, ...] = ()
    wrong, disagreements = np.flatnonzero(~right), Disagreements((), (), (), ())
    if len(compared) == 1 and parts[0].kind in (heads.CLASSES, heads.BINARY):
        (only,) = made
        differences = np.abs(only.probabilities.astype(np.float64) - only.reference)
        recall = _recall(right, only.truth, only.reference.shape[1])
        places, differs = np.arange(len(right)) if indices is None else indices, ~agrees
        wrong = places[~right]
        disagreements = Disagreements(
            indices=tuple(places[differs].tolist()),
            labels=tuple(only.truth[differs].tolist()),
            reference_choices=tuple(only.reference.argmax(1)[differs].tolist()),
            choices=tuple(only.probabilities.argmax(1)[differs].tolist()),
        )
    lost, won = int(np.sum(reference_right & ~right)), int(np.sum(right & ~reference_right))
    divergences = [metrics.divergence(m.probabilities, m.reference).mean() for m in made]
    one_hot = [metrics.one_hot_divergence(m.reference).mean() for m in made]
    return Parity(
        accuracy=float(right.mean()),
        accuracy_interval=_interval(right),
        reference_accuracy=float(reference_right.mean()),
        agreement=float(agrees.mean()),
        agreement_interval=_interval(agrees),
        newly_wrong_count=lost,
        newly_right_count=won,
        mcnemar_p=metrics.mcnemar_p(lost, won),
        mean_probability_difference=float(differences.mean()),
        max_probability_difference=float(differences.max()),
        divergence=float(np.mean(divergences)) if made else 0.0,
        one_hot_divergence=float(np.mean(one_hot)) if made else 0.0,
        recall_per_class=recall,
        wrong_indices=tuple(wrong.tolist()),
        disagreements=disagreements,
    )


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


def _interval(hits: np.ndarray) -> Interval:
    return metrics.wilson_interval(int(hits.sum()), len(hits))


def _recall(right: np.ndarray, labels: np.ndarray, classes: int) -> tuple[float | None, ...]:
    """Returns recall by class; None for a class without images."""
    counts = np.bincount(labels, minlength=classes)
    hits = np.bincount(labels, weights=right, minlength=classes)
    return tuple(
        float(hit / count) if count else None for hit, count in zip(hits, counts, strict=True)
    )
