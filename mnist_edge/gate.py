"""The gate: checks that an artifact predicts what the Keras model predicts.

Export runs it on validation images, the benchmarks on the test set.
"""

import dataclasses
import typing
from collections.abc import Sequence

import numpy as np

from mnist_edge import heads as heads_of
from mnist_edge import metrics
from mnist_edge.errors import did_you_mean
from mnist_edge.heads import Head

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
        value_tolerance: For outputs that are values (regression): maximum difference from the
            reference's that still agrees, in standard deviations of the reference's values. The
            root mean square of the differences may be half of it: 0.1 deviations, which cost at
            most 1 % of the variance explained. Rounding to 256 steps over a range of six
            deviations changes a value by 0.01; sound artifacts of three networks reach 0.046.
    """

    min_agreement: float = 0.98
    max_accuracy_drop: float = 0.005
    min_accuracy: float = 0.0
    float_margin: float = 1e-4
    max_float_difference: float = 1e-4
    max_divergence: float = 0.2
    value_tolerance: float = 0.2


class Verdict(typing.NamedTuple):
    """Result of the gate for one artifact.

    Attributes:
        breaches: One message per threshold not met; empty if the artifact passes.
        remarks: Messages that qualify the verdict.
    """

    breaches: list[str]
    remarks: list[str]


def check(
    outputs: np.ndarray,
    reference: np.ndarray,
    truth: np.ndarray,
    is_float32: bool,
    thresholds: Thresholds,
    heads: Sequence[Head] = (),
) -> Verdict:
    """Checks an artifact against the reference, each output and each label by itself.

    With too few images for even a perfect artifact to meet a threshold with statistical
    confidence, only significant differences are breaches, and a remark gives their number.

    Args:
        outputs: The artifact's outputs, float32 `[n, width]`; another shape is a breach.
        reference: As `outputs`, of the Keras model.
        truth: The true answers: classes, integers `[n]`, or the columns of the heads' targets.
        is_float32: Whether the artifact computes in float32, as the reference does.
        thresholds: The gate's thresholds.
        heads: What the columns are; by default the probabilities of exclusive classes.
    """
    if outputs.shape != reference.shape:
        got, wanted = list(outputs.shape), list(reference.shape)
        return Verdict([f"output shape is {got} instead of {wanted}"], [])
    if not np.isfinite(outputs).all():
        what = "values" if any(h.kind == heads_of.VALUES for h in heads) else "probabilities"
        return Verdict([f"{np.sum(~np.isfinite(outputs))} {what} are NaN or infinite"], [])
    heads = heads or heads_of.plain([""] * reference.shape[1])
    breaches: list[str] = []
    for head, true, (own, expected) in heads_of.by_head(heads, truth, outputs, reference):
        check_head = _check_values if head.kind == heads_of.VALUES else _check_decisions
        found = check_head(head, own, expected, true, is_float32, thresholds)
        breaches += [f"{head.name}: {one}" if len(heads) > 1 else one for one in found]
    minimums = (thresholds.min_agreement, 1 - thresholds.max_accuracy_drop, thresholds.min_accuracy)
    is_few = len(truth) < max(map(metrics.count_to_show, minimums))
    return Verdict(breaches, [f"checked on only {len(truth):,} images"] if is_few else [])


def _check_decisions(
    head: Head,
    outputs: np.ndarray,
    reference: np.ndarray,
    truth: np.ndarray,
    is_float32: bool,
    thresholds: Thresholds,
) -> list[str]:
    """Returns the breaches of an output that decides between classes, or on labels."""
    wrong = head.fault(outputs, 0 if is_float32 else metrics.STEP)
    breaches = [f"outputs are not probabilities: {wrong}"] if wrong else []
    for name, own, expected, true in heads_of.decisions(head, outputs, reference, truth):
        choice, reference_choice = own.argmax(1), expected.argmax(1)
        found = _shares(
            choice == reference_choice, choice == true, reference_choice == true, thresholds
        )
        if is_float32:
            found += _float_differences(own, expected, thresholds)
        elif not wrong:
            found += _divergence(own, expected, thresholds)
        breaches += [f"label {name!r}: {one}" if name else one for one in found]
    return breaches


def _check_values(
    head: Head,
    outputs: np.ndarray,
    reference: np.ndarray,
    truth: np.ndarray,
    is_float32: bool,
    thresholds: Thresholds,
) -> list[str]:
    """Returns the breaches of an output of values."""
    most, hits = thresholds.value_tolerance / 2, value_hits(outputs, reference, truth, thresholds)
    breaches = _shares(*hits, thresholds)
    difference = np.abs(outputs.astype(np.float64) - reference)
    if is_float32:
        allowed = thresholds.max_float_difference * max(1.0, float(np.abs(reference).max()))
        if difference.max() > allowed:
            breaches.append(
                f"differs from the reference by {difference.max():.1e} in a value, at most "
                f"{allowed:.1g} allowed in float32"
            )
        return breaches
    errors = np.sqrt((difference**2).mean(axis=0)) / heads_of.deviations(reference)
    return breaches + [
        f"value {name!r} differs from the reference's by {error:.2g} standard deviations in root "
        f"mean square, at most {most:g} allowed"
        for name, error in zip(head.labels, errors, strict=True)
        if error > most
    ]


def agreement(outputs: np.ndarray, reference: np.ndarray, heads: Sequence[Head]) -> float:
    """Returns the share of images on which an artifact agrees with the reference.

    With several outputs or labels, the share of all decisions on them.

    Args:
        outputs: float32 `[n, width]`.
        reference: As `outputs`.
        heads: What the columns are.
    """
    unknown = np.zeros((len(outputs), sum(head.targets for head in heads)))
    compared = compare(outputs, reference, unknown, heads, Thresholds())
    return float(np.mean(np.concatenate([one.hits[0] for one in compared])))


class Compared(typing.NamedTuple):
    """An output compared with the reference's.

    Attributes:
        hits: What agrees, what is right, what of the reference is right; bool, one per decision.
        differences: Absolute differences `[n, width]`; of values, in standard deviations.
        decisions: The decisions that it makes; none if it gives values.
    """

    hits: tuple[np.ndarray, np.ndarray, np.ndarray]
    differences: np.ndarray
    decisions: list[heads_of.Decision]


def compare(
    outputs: np.ndarray,
    reference: np.ndarray,
    truth: np.ndarray,
    heads: Sequence[Head],
    thresholds: Thresholds,
) -> typing.Iterator[Compared]:
    """Compares each output with the reference's; arguments as of `check`."""
    for head, true, (own, expected) in heads_of.by_head(heads, truth, outputs, reference):
        differences = np.abs(own.astype(np.float64) - expected)  # float32 may overflow
        if head.kind == heads_of.VALUES:
            hits = value_hits(own, expected, true, thresholds)
            yield Compared(hits, differences / heads_of.deviations(expected), [])
            continue
        made = list(heads_of.decisions(head, own, expected, true))
        choices = [(m.probabilities.argmax(1), m.reference.argmax(1), m.truth) for m in made]
        choice, reference_choice, right = map(np.concatenate, zip(*choices, strict=True))
        hits = (choice == reference_choice, choice == right, reference_choice == right)
        yield Compared(hits, differences, made)


def value_hits(
    outputs: np.ndarray, reference: np.ndarray, truth: np.ndarray, thresholds: Thresholds
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns which predictions of values agree and are right, and where the reference is right.

    Args:
        outputs: float32 `[n, values]`.
        reference: As `outputs`.
        truth: As `outputs`.
        thresholds: `value_tolerance` is used.

    Returns:
        Three bool arrays `[n]`: all values agree within the tolerance; all values, and all of the
        reference's, lie within `heads.RIGHT_DEVIATIONS` of the true ones.
    """

    def near(own: np.ndarray, other: np.ndarray, most: float) -> np.ndarray:
        difference = np.abs(own.astype(np.float64) - other)
        return np.all(difference <= most * heads_of.deviations(other), axis=1)

    return (
        near(outputs, reference, thresholds.value_tolerance),
        near(outputs, truth, heads_of.RIGHT_DEVIATIONS),
        near(reference, truth, heads_of.RIGHT_DEVIATIONS),
    )


def _shares(
    agrees: np.ndarray, right: np.ndarray, reference_right: np.ndarray, thresholds: Thresholds
) -> list[str]:
    """Returns breaches of the thresholds of agreement and accuracy, given bool arrays `[n]`."""
    count, agreement, accuracy = len(agrees), agrees.mean(), right.mean()
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


def missing(
    required: typing.Iterable[str], statuses: dict[str, str], unmeasured: dict[str, str]
) -> list[str]:
    """Returns breaches of `--require` in one bundle.

    Args:
        required: Names of variants.
        statuses: Status of each variant in the bundle.
        unmeasured: The statuses of variants that were not measured, each with the reason.

    Returns:
        One message per variant that is missing or could not be measured.
    """
    breaches = []
    for variant in required:
        if variant not in statuses:
            meant = did_you_mean(variant, statuses)
            breach = f"{variant}: required and not in the bundle's manifest"
            breaches.append(f"{breach}. {meant}" if meant else breach)
        elif reason := unmeasured.get(statuses[variant]):
            breaches.append(f"{variant}: required and {reason}")
    return breaches
