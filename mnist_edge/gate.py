"""The gate: checks that an artifact predicts what the Keras model predicts.

Export runs it on validation images, the benchmarks on the test set.
"""

import dataclasses
import typing

import numpy as np

from mnist_edge import metrics

# Largest divergence, in nats, from rounding a probability p to an 8-bit output: an error of half
# a step, d = 1/512, adds d**2 / 2p, and p counts as at least 1/512.
_ROUNDING = metrics.STEP / 4
_SIGNIFICANT_P = 0.05


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """The gate's thresholds.

    "Correct exports" are all eight variants of the zoo's and of three other networks.

    Attributes:
        min_agreement: Minimum share of images on which the artifact's predicted class is
            the reference's.
        max_accuracy_drop: Maximum drop of accuracy below the reference; 0.005 is half a
            percentage point.
        min_accuracy: Minimum accuracy; 0 for no minimum.
        float_margin: A float32 artifact must agree wherever the reference's two largest
            probabilities differ by more than this. Summing float32 in another order changes
            results by about 1e-6, so 1e-4 leaves a margin of two digits.
        max_float_difference: Maximum difference of any probability of a float32 artifact
            from the reference's. Correct exports differ by at most 4e-6; 1e-4 leaves room
            for deeper networks and other processors.
        max_divergence: Maximum mean divergence of a reduced-precision artifact from the
            reference, as a share of the divergence of one-hot predictions. Correct exports
            reach 0.043, one-hot predictions 1; 0.2 is about 5 times from both.
    """

    min_agreement: float = 0.98
    max_accuracy_drop: float = 0.005
    min_accuracy: float = 0.0
    float_margin: float = 1e-4
    max_float_difference: float = 1e-4
    max_divergence: float = 0.2


class Verdict(typing.NamedTuple):
    """Result of the gate for one artifact.

    Attributes:
        breaches: One message per threshold not met; empty if the artifact passes.
        remarks: Messages that qualify the verdict.
    """

    breaches: list[str]
    remarks: list[str]


def check(
    probabilities: np.ndarray,
    reference: np.ndarray,
    labels: np.ndarray,
    is_float32: bool,
    thresholds: Thresholds,
) -> Verdict:
    """Checks an artifact against the reference.

    With too few images for even a perfect artifact to meet a threshold with statistical
    confidence, only significant differences are breaches, and a remark gives their number.

    Args:
        probabilities: The artifact's output, float32 `[n, classes]`; another shape is a breach.
        reference: float32 `[n, classes]`, probabilities.
        labels: Integers `[n]`.
        is_float32: Whether the artifact computes in float32, as the reference does.
        thresholds: The gate's thresholds.
    """
    if probabilities.shape != reference.shape:
        got, expected = list(probabilities.shape), list(reference.shape)
        return Verdict([f"output shape is {got} instead of {expected}"], [])
    if not np.isfinite(probabilities).all():
        count = np.sum(~np.isfinite(probabilities))
        return Verdict([f"{count} probabilities are NaN or infinite"], [])
    wrong = metrics.probability_fault(probabilities, 0 if is_float32 else metrics.STEP)
    breaches = [f"outputs are not probabilities: {wrong}"] if wrong else []
    breaches += _choices(probabilities, reference, labels, thresholds)
    if is_float32:
        breaches += _float_differences(probabilities, reference, thresholds)
    elif not wrong:
        breaches += _divergence(probabilities, reference, thresholds)
    minimums = (thresholds.min_agreement, 1 - thresholds.max_accuracy_drop, thresholds.min_accuracy)
    is_few = len(labels) < max(map(metrics.count_to_show, minimums))
    return Verdict(breaches, [f"checked on only {len(labels):,} images"] if is_few else [])


def _choices(
    probabilities: np.ndarray, reference: np.ndarray, labels: np.ndarray, thresholds: Thresholds
) -> list[str]:
    """Returns breaches of the thresholds of agreement and accuracy."""
    count, choice, reference_choice = len(labels), probabilities.argmax(1), reference.argmax(1)
    right, reference_right = choice == labels, reference_choice == labels
    agreement, accuracy = np.mean(choice == reference_choice), right.mean()
    breaches = []
    if _is_below(agreement, count, thresholds.min_agreement):
        breaches.append(
            f"agrees with the reference on {agreement:.2%} of {count:,} images, "
            f"at least {thresholds.min_agreement:.2%} required"
        )
    lost, won = int(np.sum(reference_right & ~right)), int(np.sum(right & ~reference_right))
    drop, most = (lost - won) / count, thresholds.max_accuracy_drop
    is_enough = count >= metrics.count_to_show(1 - most)
    # 1e-9 absorbs the rounding of a share of images.
    if drop > most + 1e-9 and (is_enough or metrics.mcnemar_p(lost, won) <= _SIGNIFICANT_P):
        breaches.append(
            f"accuracy {accuracy:.2%} is {100 * drop:.2f} points below the "
            f"reference's, at most {100 * most:.2f} allowed"
        )
    if _is_below(accuracy, count, thresholds.min_accuracy):
        breaches.append(f"accuracy {accuracy:.2%}, at least {thresholds.min_accuracy:.2%} required")
    return breaches


def _is_below(share: float, count: int, least: float) -> bool:
    """Whether a share of images is too low; for few images, whether its whole interval is."""
    if count >= metrics.count_to_show(least):
        return share < least
    return metrics.wilson_interval(round(share * count), count)[1] < least


def _float_differences(
    probabilities: np.ndarray, reference: np.ndarray, thresholds: Thresholds
) -> list[str]:
    """Returns breaches of the thresholds for float32 artifacts."""
    breaches = []
    second, first = np.sort(reference, axis=1)[:, -2:].T
    differs = probabilities.argmax(1) != reference.argmax(1)
    count = int(np.sum(differs & (first - second > thresholds.float_margin)))
    if count:
        breaches.append(
            f"differs from the reference on {count} images whose two largest "
            f"probabilities are more than {thresholds.float_margin:g} apart, none allowed"
        )
    largest = np.abs(probabilities - reference).max()
    if largest > thresholds.max_float_difference:
        breaches.append(
            f"differs from the reference by {largest:.1e} in a probability, at most "
            f"{thresholds.max_float_difference:g} allowed in float32"
        )
    return breaches


def _divergence(
    probabilities: np.ndarray, reference: np.ndarray, thresholds: Thresholds
) -> list[str]:
    """Returns a breach if reduced-precision probabilities diverge too much, else nothing."""
    values = metrics.divergence(probabilities, reference)
    one_hot = metrics.one_hot_divergence(reference)
    most = max(_ROUNDING, thresholds.max_divergence * one_hot.mean())
    if values.mean() <= most:
        return []
    is_few = len(values) < metrics.count_to_show(thresholds.min_agreement)
    if is_few and metrics.mean_interval(values - thresholds.max_divergence * one_hot)[0] <= 0:
        return []
    return [
        f"diverges from the reference's probabilities by {values.mean():.2g} nats per image, at "
        f"most {most:.2g} allowed"
    ]


def missing(required: typing.Iterable[str], statuses: dict[str, str], unmeasured: str) -> list[str]:
    """Returns breaches of `--require` in one bundle.

    Args:
        required: Names of variants.
        statuses: Status of each variant in the bundle.
        unmeasured: The status of a variant whose runtime is not installed.

    Returns:
        One message per variant that is missing or could not be measured.
    """
    breaches = []
    for variant in required:
        if variant not in statuses:
            breaches.append(f"{variant}: required and not in the bundle's manifest")
        elif statuses[variant] == unmeasured:
            breaches.append(f"{variant}: required and its runtime is not installed")
    return breaches
