"""An artifact's answers beside the Keras reference's, image by image."""

import numpy as np

from mnist_edge import metrics


def as_probabilities(answers: np.ndarray, entry: dict) -> np.ndarray:
    """What a row answers: behind a Keras model of logits export put softmax, here it is missing.

    Args:
        answers: float32 `[n, classes]`, as its file gives them.
        entry: The manifest's entry of it.
    """
    return metrics.softmax(answers) if entry.get("softmax_added") else answers


def shares(probabilities, reference, labels):
    """The shares that the gate judges.

    Args:
        probabilities: float32 `[n, classes]`.
        reference: float32 `[n, classes]`.
        labels: uint8 `[n]`.

    Returns:
        dict: `accuracy`, `reference_accuracy` and `agreement`, all 0 to 1.
    """
    choice, reference_choice = probabilities.argmax(1), reference.argmax(1)
    return {
        "accuracy": float(np.mean(choice == labels)),
        "reference_accuracy": float(np.mean(reference_choice == labels)),
        "agreement": float(np.mean(choice == reference_choice)),
    }


def measure(probabilities, reference, labels):
    """Compares an artifact's probabilities with the reference's, in full.

    Args:
        probabilities: As `shares`'s, finite.
        reference: As `shares`'s.
        labels: As `shares`'s.

    Returns:
        dict, as a row of `benchmark.json` holds it; see docs/benchmark-schema.md.
    """
    choice, reference_choice = probabilities.argmax(1), reference.argmax(1)
    right, reference_right = choice == labels, reference_choice == labels
    differs = np.flatnonzero(choice != reference_choice)
    newly_wrong = int(np.sum(reference_right & ~right))
    newly_right = int(np.sum(right & ~reference_right))
    difference = np.abs(probabilities.astype(np.float64) - reference)  # float32 may overflow
    return {
        **shares(probabilities, reference, labels),
        "accuracy_interval": metrics.wilson_interval(int(right.sum()), len(labels)),
        "agreement_interval": metrics.wilson_interval(len(labels) - len(differs), len(labels)),
        "newly_wrong_count": newly_wrong,
        "newly_right_count": newly_right,
        "mcnemar_p": metrics.mcnemar_p(newly_wrong, newly_right),
        "mean_probability_difference": float(difference.mean()),
        "max_probability_difference": float(difference.max()),
        "divergence": float(metrics.divergence(probabilities, reference).mean()),
        "one_hot_divergence": float(metrics.one_hot_divergence(reference).mean()),
        "recall_per_class": _recall(right, labels, reference.shape[1]),
        "wrong_indices": np.flatnonzero(~right).tolist(),
        "disagreements": {
            "indices": differs.tolist(),
            "labels": labels[differs].tolist(),
            "reference_choices": reference_choice[differs].tolist(),
            "choices": choice[differs].tolist(),
        },
    }


def _recall(right, labels, classes):
    """Share of each class's images that are right; None for a class without images."""
    counts = np.bincount(labels, minlength=classes)
    hits = np.bincount(labels, weights=right, minlength=classes)
    return [float(hit / count) if count else None for hit, count in zip(hits, counts, strict=True)]
