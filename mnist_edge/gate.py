"""The gate: is an artifact still the model?

Export asks on validation images, the benchmarks on the test set.
"""

import dataclasses
import typing

import numpy as np

from mnist_edge import metrics

# What rounding each probability to an 8-bit output can cost, in nats: half a step d = 1/512
# costs d**2 / 2p, and p counts as 1/512 at least.
_ROUNDING = metrics.STEP / 4
_SIGNIFICANT_P = 0.05


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """The gate's thresholds.

    Correct exports stand for all eight variants of the zoo and of three foreign networks.

    Attributes:
        min_agreement: Least share of images on which the artifact's first choice is the
            reference's.
        max_accuracy_drop: Most points of accuracy below the reference, 0.005 is half a
            point.
        min_accuracy: Least accuracy; 0 asks for none.
        float_margin: A float32 artifact agrees wherever the reference's two largest
            probabilities differ by more than this. Float32 sums in another order differ
            by about 1e-6, so 1e-4 leaves two digits.
        max_float_difference: Most that any probability of a float32 artifact may differ
            from the reference's. Correct exports differ by 4e-6 at most; 1e-4 leaves room
            for deeper networks and other processors.
        max_divergence: Most that an artifact of reduced precision may diverge from the
            reference's probabilities, as a share of what its bare choices would (one-hot).
            Correct exports reach 0.043, one-hot answers are at 1; 0.2 is as far from both.
    """

    min_agreement: float = 0.98
    max_accuracy_drop: float = 0.005
    min_accuracy: float = 0.0
    float_margin: float = 1e-4
    max_float_difference: float = 1e-4
    max_divergence: float = 0.2


class Verdict(typing.NamedTuple):
    """What the gate says of an artifact.

    Attributes:
        breaches: Each in words; none where it passes.
        remarks: What to know of the verdict, in words.
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

    Where images are so few that not even a faultless artifact could show what a threshold
    asks for, a breach is only what is no chance, and the verdict says how few there were.

    Args:
        probabilities: float32 `[n, classes]`, or of any shape: what the artifact gives.
        reference: float32 `[n, classes]`, probabilities.
        labels: Integers `[n]`.
        is_float32: Whether the artifact computes in float32 as the reference does.
        thresholds: What is allowed.
    """
    if probabilities.shape != reference.shape:
        given, wanted = list(probabilities.shape), list(reference.shape)
        return Verdict([f"gives {given} instead of {wanted}"], [])
    if not np.isfinite(probabilities).all():
        count = np.sum(~np.isfinite(probabilities))
        return Verdict([f"{count} probabilities are NaN or infinite"], [])
    wrong = metrics.no_probabilities(probabilities, 0 if is_float32 else metrics.STEP)
    found = [f"gives no probabilities but {wrong}"] if wrong else []
    found += _choices(probabilities, reference, labels, thresholds)
    if is_float32:
        found += _float_differences(probabilities, reference, thresholds)
    elif not wrong:
        found += _divergence(probabilities, reference, thresholds)
    asked = (thresholds.min_agreement, 1 - thresholds.max_accuracy_drop, thresholds.min_accuracy)
    is_few = len(labels) < max(map(metrics.count_to_show, asked))
    return Verdict(found, [f"checked on only {len(labels):,} images"] if is_few else [])


def _choices(
    probabilities: np.ndarray, reference: np.ndarray, labels: np.ndarray, thresholds: Thresholds
) -> list[str]:
    """Breaches of what is asked of agreement and accuracy."""
    count, choice, reference_choice = len(labels), probabilities.argmax(1), reference.argmax(1)
    right, reference_right = choice == labels, reference_choice == labels
    agreement, accuracy = np.mean(choice == reference_choice), right.mean()
    found = []
    if _is_below(agreement, count, thresholds.min_agreement):
        found.append(
            f"agrees with the reference on {agreement:.2%} of {count:,} images, "
            f"at least {thresholds.min_agreement:.2%} required"
        )
    lost, won = int(np.sum(reference_right & ~right)), int(np.sum(right & ~reference_right))
    drop, most = (lost - won) / count, thresholds.max_accuracy_drop
    is_enough = count >= metrics.count_to_show(1 - most)
    # 1e-9: a share of images, but in floating point.
    if drop > most + 1e-9 and (is_enough or metrics.mcnemar_p(lost, won) <= _SIGNIFICANT_P):
        found.append(
            f"accuracy {accuracy:.2%} is {100 * drop:.2f} points below the "
            f"reference's, at most {100 * most:.2f} allowed"
        )
    if _is_below(accuracy, count, thresholds.min_accuracy):
        found.append(f"accuracy {accuracy:.2%}, at least {thresholds.min_accuracy:.2%} required")
    return found


def _is_below(share: float, count: int, least: float) -> bool:
    """Whether a share of images is too low; where these are few, whether its interval is."""
    if count >= metrics.count_to_show(least):
        return share < least
    return metrics.wilson_interval(round(share * count), count)[1] < least


def _float_differences(
    probabilities: np.ndarray, reference: np.ndarray, thresholds: Thresholds
) -> list[str]:
    """Breaches of what float32 must keep to on every image."""
    found = []
    second, first = np.sort(reference, axis=1)[:, -2:].T
    differs = probabilities.argmax(1) != reference.argmax(1)
    count = int(np.sum(differs & (first - second > thresholds.float_margin)))
    if count:
        found.append(
            f"differs from the reference on {count} images whose two largest "
            f"probabilities are more than {thresholds.float_margin:g} apart, none allowed"
        )
    largest = np.abs(probabilities - reference).max()
    if largest > thresholds.max_float_difference:
        found.append(
            f"differs from the reference by {largest:.1e} in a probability, float32 by at most "
            f"{thresholds.max_float_difference:g}"
        )
    return found


def _divergence(
    probabilities: np.ndarray, reference: np.ndarray, thresholds: Thresholds
) -> list[str]:
    """The breach where probabilities of reduced precision tell something else."""
    found, bare = (
        metrics.divergence(probabilities, reference),
        metrics.one_hot_divergence(reference),
    )
    most = max(_ROUNDING, thresholds.max_divergence * bare.mean())
    if found.mean() <= most:
        return []
    is_few = len(found) < metrics.count_to_show(thresholds.min_agreement)
    if is_few and metrics.mean_interval(found - thresholds.max_divergence * bare)[0] <= 0:
        return []
    return [
        f"diverges from the reference's probabilities by {found.mean():.2g} nats per image, at "
        f"most {most:.2g} allowed"
    ]


def missing(required: typing.Iterable[str], statuses: dict[str, str], unmeasured: str) -> list[str]:
    """Breaches of `--require` in one bundle.

    Args:
        required: Names of variants.
        statuses: Status by variant, of the bundle's rows.
        unmeasured: The status of a row whose runtime is not installed.

    Returns:
        One per variant that is not there or could not be measured, in words.
    """
    found = []
    for variant in required:
        if variant not in statuses:
            found.append(f"{variant}: required and not in the bundle's manifest")
        elif statuses[variant] == unmeasured:
            found.append(f"{variant}: required and its runtime is not installed")
    return found
