"""Accuracy of an artefact, and its agreement with the Keras reference."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Limits:
    """The gate.

    Attributes:
        min_agreement: Least share of images on which the artefact's first choice is the
            reference's.
        max_accuracy_drop: Most points of accuracy below the reference, 0.005 is half a
            point.
        min_accuracy: Least accuracy; 0 asks for none.
        float_margin: A float32 artefact agrees wherever the reference's two largest
            probabilities differ by more than this. Float32 sums in another order differ
            by about 1e-6, so 1e-4 leaves two digits.
    """

    min_agreement: float = 0.98
    max_accuracy_drop: float = 0.005
    min_accuracy: float = 0.0
    float_margin: float = 1e-4


def measure(probabilities, reference, labels):
    """Compares an artefact's probabilities with the reference's.

    Args:
        probabilities: float32 `[n, classes]`.
        reference: float32 `[n, classes]`.
        labels: uint8 `[n]`.

    Returns:
        dict: `accuracy`, `reference_accuracy`, `agreement` (all 0 to 1) and
        `max_probability_difference`.
    """
    choice, reference_choice = probabilities.argmax(1), reference.argmax(1)
    return {
        "accuracy": float(np.mean(choice == labels)),
        "reference_accuracy": float(np.mean(reference_choice == labels)),
        "agreement": float(np.mean(choice == reference_choice)),
        "max_probability_difference": float(np.abs(probabilities - reference).max()),
    }


def breaches(probabilities, reference, labels, limits, is_float32):
    """Judges an artefact by the gate.

    Args:
        probabilities: As `measure`'s; of any shape, to be judged.
        reference: As `measure`'s.
        labels: As `measure`'s.
        limits: A `Limits`.
        is_float32: Whether the artefact computes in float32 as the reference does.

    Returns:
        list of str, one a breach; empty where the artefact passes.
    """
    if probabilities.shape != reference.shape:
        return [f"gives {list(probabilities.shape)} instead of {list(reference.shape)}"]
    if not np.isfinite(probabilities).all():
        return [f"{np.sum(~np.isfinite(probabilities))} probabilities are NaN or infinite"]
    found = []
    figures = measure(probabilities, reference, labels)
    if figures["agreement"] < limits.min_agreement:
        found.append(
            f"agrees with the reference on {figures['agreement']:.2%} of images, "
            f"at least {limits.min_agreement:.2%} required"
        )
    drop = figures["reference_accuracy"] - figures["accuracy"]
    if drop > limits.max_accuracy_drop + 1e-9:  # a share of images, but in floating point
        found.append(
            f"accuracy {figures['accuracy']:.2%} is {100 * drop:.2f} points below the "
            f"reference's, at most {100 * limits.max_accuracy_drop:.2f} allowed"
        )
    if figures["accuracy"] < limits.min_accuracy:
        found.append(
            f"accuracy {figures['accuracy']:.2%}, at least {limits.min_accuracy:.2%} required"
        )
    if is_float32:
        second, first = np.sort(reference, axis=1)[:, -2:].T
        differs = probabilities.argmax(1) != reference.argmax(1)
        count = int(np.sum(differs & (first - second > limits.float_margin)))
        if count:
            found.append(
                f"differs from the reference on {count} images whose two largest "
                f"probabilities are more than {limits.float_margin:g} apart, none allowed"
            )
    return found
