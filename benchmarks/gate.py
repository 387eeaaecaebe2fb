"""The gate: what an artefact must keep to, and each breach in words."""

import dataclasses

import numpy as np

from benchmarks import parity


@dataclasses.dataclass(frozen=True)
class Limits:
    """The gate's limits.

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


def breaches(probabilities, reference, labels, limits, is_float32):
    """Judges an artefact by the gate.

    Args:
        probabilities: float32 `[n, classes]`, or of any shape, to be judged.
        reference: float32 `[n, classes]`.
        labels: uint8 `[n]`.
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
    figures = parity.shares(probabilities, reference, labels)
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
        found += _clear_differences(probabilities, reference, limits)
    return found


def _clear_differences(probabilities, reference, limits):
    """A breach where float32 differs on an image whose answer is clear."""
    second, first = np.sort(reference, axis=1)[:, -2:].T
    differs = probabilities.argmax(1) != reference.argmax(1)
    count = int(np.sum(differs & (first - second > limits.float_margin)))
    if not count:
        return []
    return [
        f"differs from the reference on {count} images whose two largest "
        f"probabilities are more than {limits.float_margin:g} apart, none allowed"
    ]


def missing(required, statuses, unmeasured):
    """Breaches of `--require` in one bundle.

    Args:
        required: Names of variants.
        statuses: Status by variant, of the bundle's rows.
        unmeasured: The status of a row whose runtime is not installed.

    Returns:
        list of str, one a variant that is not there or could not be measured.
    """
    found = []
    for variant in required:
        if variant not in statuses:
            found.append(f"{variant}: required and not in the bundle's manifest")
        elif statuses[variant] == unmeasured:
            found.append(f"{variant}: required and its runtime is not installed")
    return found
