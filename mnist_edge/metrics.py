"""Classification metrics: confidence intervals, divergence, calibration, confusions."""

import dataclasses
import math
from collections.abc import Iterable

import numpy as np

# 97.5th percentile of the normal distribution: all intervals here are 95 % intervals.
_Z = 1.959964
# Probability per step of an 8-bit output.
STEP = 1 / 256
# Tolerance of a probability's bounds and of a row's sum; the rounding error of float16 is 5e-4.
TOLERANCE = 1e-3
CALIBRATION_BINS = 15  # of equal width over 0 to 1, as in Guo et al., 2017 (arXiv:1706.04599)


def probability_fault(values: np.ndarray, step: float = 0.0) -> str:
    """Returns why an array does not hold probabilities, as a message; "" if it does.

    Args:
        values: Float `[n, classes]`.
        step: Step size of a quantized output, else 0. Allows for rounding errors of half a
            step, and of a whole step at 1, which 8 bits don't reach.
    """
    low, high, sums = values.min(), values.max(), values.sum(1, dtype=np.float64)
    slack = TOLERANCE + step
    if not (low >= -slack and high <= 1 + slack):  # also false for NaN
        return f"{low:g} to {high:g}"
    off = np.abs(sums - 1)
    too_far = off.max() > slack + step * values.shape[1] / 2
    return f"rows that sum to {sums[off.argmax()]:g}" if too_far else ""


def softmax(logits: np.ndarray) -> np.ndarray:
    """Computes probabilities from logits `[n, classes]`; NaN where a logit is NaN or infinite."""
    with np.errstate(invalid="ignore"):
        powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def wilson_interval(successes: int, count: int) -> tuple[float, float]:
    """Returns Wilson's 95 % interval of a share, `(low, high)`; also accurate near 0 and 1.

    Args:
        successes: Number of successes.
        count: Number of trials, at least 1.
    """
    share = successes / count
    center = share + _Z**2 / (2 * count)
    half = _Z * np.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    scale = 1 + _Z**2 / count
    low, high = (center - half) / scale, (center + half) / scale
    return float(max(0, min(low, share))), float(min(1, max(high, share)))


def count_to_show(share: float) -> float:
    """Returns how many trials, all successful, put the whole Wilson interval above `share`."""
    return _Z**2 * share / (1 - share) if share < 1 else math.inf


def mean_interval(values: np.ndarray) -> tuple[float, float]:
    """Returns the normal 95 % interval of a mean, `(low, high)`; infinite for a single value."""
    half = _Z * values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else math.inf
    return float(values.mean() - half), float(values.mean() + half)


def mcnemar_p(one_way: int, other_way: int) -> float:
    """Returns the exact two-sided p-value of McNemar's test.

    Args:
        one_way: Number of images that changed one way, e.g. from correct to wrong.
        other_way: Number of images that changed the other way.
    """
    return min(1.0, 2 * _coin_tail(min(one_way, other_way), one_way + other_way))


# Fewest rounds for which a 95 % interval of the median exists: 2 / 2**6 is 3 %, 2 / 2**5 is 6 %.
LEAST_ROUNDS = 6


def median_interval(samples: np.ndarray) -> tuple[float, float] | None:
    """Returns the 95 % interval of the median of timed calls; None below six rounds.

    The sampling unit is the round, not the call: calls of one round share the machine's state.
    The interval spans the k-th smallest to the k-th largest of the rounds' medians, with the
    largest k that the binomial distribution allows, which holds for any distribution of noise.
    (A bootstrap covers 86 % with 5 rounds and 90 % with 20.) If rounds differ so much that the
    median of all calls lies outside, the interval is extended to include it.

    Args:
        samples: float64 `[rounds, calls]`.

    Returns:
        `(low, high)`, or None.
    """
    medians = np.sort(np.median(samples, axis=1))
    rounds = len(medians)
    fitting = [k for k in range(rounds // 2) if 2 * _coin_tail(k, rounds) <= 0.05]
    if not fitting:
        return None
    ends = (medians[fitting[-1]], np.median(samples), medians[-1 - fitting[-1]])
    return float(min(ends)), float(max(ends))


def _coin_tail(most: int, count: int) -> float:
    """Returns the probability of at most `most` heads in `count` coin flips."""
    tail = term = 1
    for k in range(most):
        term = term * (count - k) // (k + 1)
        tail += term
    return tail / 2**count


def divergence(probabilities: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Computes the Kullback-Leibler divergence of each image from the reference, in nats.

    Probabilities are raised to at least half a step of an 8-bit output: such an output rounds
    smaller ones to 0, whose logarithm would dominate the result.

    Args:
        probabilities: Finite `[n, classes]`.
        reference: As `probabilities`.

    Returns:
        float64 `[n]`, 0 or more.
    """
    actual, expected = (
        np.maximum(values.astype(np.float64), STEP / 2) for values in (probabilities, reference)
    )
    actual /= actual.sum(1, keepdims=True)
    expected /= expected.sum(1, keepdims=True)
    return (expected * np.log(expected / actual)).sum(1)


def one_hot_divergence(reference: np.ndarray) -> np.ndarray:
    """Computes the `divergence` of one-hot predictions of the reference's most likely class."""
    choices = np.zeros_like(reference)
    choices[np.arange(len(reference)), reference.argmax(1)] = 1
    return divergence(choices, reference)


@dataclasses.dataclass(frozen=True)
class CalibrationBin:
    """The images whose confidence, the largest probability, lies between two edges.

    Attributes:
        low: The lower edge, exclusive.
        high: The upper edge, inclusive.
        count: Number of images.
        confidence: Their mean confidence; None if there are none.
        accuracy: Their accuracy; None if there are none.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


def reliability_bins(
    probabilities: np.ndarray, y: np.ndarray, bins: int = CALIBRATION_BINS
) -> tuple[CalibrationBin, ...]:
    """Computes confidence and accuracy per confidence bin.

    Args:
        probabilities: Float `[n, classes]`.
        y: Integers `[n]`, the true classes.
        bins: Number of bins of equal width over 0 to 1.
    """
    confidence = probabilities.max(1).astype(np.float64)
    right = probabilities.argmax(1) == y
    edges = np.linspace(0, 1, bins + 1)
    bin_of = np.clip(np.searchsorted(edges, confidence) - 1, 0, bins - 1)
    rows = []
    for index in range(bins):
        inside = bin_of == index
        count = int(inside.sum())
        rows.append(
            CalibrationBin(
                low=float(edges[index]),
                high=float(edges[index + 1]),
                count=count,
                confidence=float(confidence[inside].mean()) if count else None,
                accuracy=float(right[inside].mean()) if count else None,
            )
        )
    return tuple(rows)


def expected_calibration_error(bins: Iterable[CalibrationBin]) -> float:
    """Returns the mean gap between accuracy and confidence, weighted by bin counts: 0 to 1."""
    distances = [
        (one.count, abs(one.accuracy - one.confidence))
        for one in bins
        if one.accuracy is not None and one.confidence is not None
    ]
    return sum(count * distance for count, distance in distances) / sum(
        count for count, _ in distances
    )


def roc_area(positives: np.ndarray, negatives: np.ndarray) -> float:
    """Returns the area under the ROC curve: how often a positive scores above a negative.

    Args:
        positives: Scores `[n]`.
        negatives: Scores `[m]`; equal ones count half.
    """
    ordered = np.sort(positives)
    below = np.searchsorted(ordered, negatives, "left")
    equal = np.searchsorted(ordered, negatives, "right") - below
    return float(1 - (below + equal / 2).mean() / len(positives))


def most_confident_mistakes(probabilities: np.ndarray, y: np.ndarray, count: int) -> np.ndarray:
    """Returns the int64 indices of wrong predictions, the most confident first.

    Args:
        probabilities: Float `[n, classes]`.
        y: Integers `[n]`, the true classes.
        count: Maximum number to return.
    """
    wrong = np.flatnonzero(probabilities.argmax(1) != y)
    surest_first = np.argsort(-probabilities[wrong].max(1), kind="stable")
    return wrong[surest_first][:count]


def most_confused(matrix: np.ndarray, count: int) -> list[tuple[int, int, int]]:
    """Returns the most frequent mistakes in a confusion matrix: `(true, predicted, count)`.

    Args:
        matrix: Integers `[classes, classes]`, one row per true class, one column per prediction.
        count: Maximum number to return.
    """
    mistakes = matrix - np.diag(np.diag(matrix))
    order = np.argsort(-mistakes, axis=None, kind="stable")[:count]
    pairs = zip(*np.unravel_index(order, mistakes.shape), strict=True)
    return [(int(i), int(j), int(mistakes[i, j])) for i, j in pairs if mistakes[i, j]]
