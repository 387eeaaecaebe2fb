"""How right a classifier is, how sure that is, and how far its probabilities can be trusted."""

import dataclasses
import math
from collections.abc import Iterable

import numpy as np

# The normal distribution's 97.5th percentile: every interval here is a 95 % one.
_Z = 1.959964
# What one step of an 8-bit output is worth in probability.
STEP = 1 / 256
# Of probabilities' bounds and of a row's sum: float16 rounds by 5e-4 of each.
TOLERANCE = 1e-3
CALIBRATION_BINS = 15  # of equal width over 0 to 1, as Guo et al., 2017 (arXiv:1706.04599)


def no_probabilities(values: np.ndarray, step: float = 0.0) -> str:
    """Why numbers are no probabilities, in words; "" where they are.

    Args:
        values: Float `[n, classes]`.
        step: What one step of the output is worth, where integers give it: each number
            is then off by half a step, and 1 itself, which 8 bits don't reach, by a whole one.
    """
    low, high, sums = values.min(), values.max(), values.sum(1, dtype=np.float64)
    slack = TOLERANCE + step
    if not (low >= -slack and high <= 1 + slack):  # NaN is not
        return f"{low:g} to {high:g}"
    off = np.abs(sums - 1)
    too_far = off.max() > slack + step * values.shape[1] / 2
    return f"rows that sum to {sums[off.argmax()]:g}" if too_far else ""


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of logits `[n, classes]`; NaN where one is NaN or infinite."""
    with np.errstate(invalid="ignore"):
        powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def wilson_interval(successes: int, count: int) -> list[float]:
    """95 % interval of a share (Wilson 1927), `[low, high]`: right near 0 and 1 too.

    Args:
        successes: How many of `count`.
        count: At least 1.
    """
    share = successes / count
    center = share + _Z**2 / (2 * count)
    half = _Z * np.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    scale = 1 + _Z**2 / count
    low, high = (center - half) / scale, (center + half) / scale
    return [float(max(0, min(low, share))), float(min(1, max(high, share)))]


def count_to_show(share: float) -> float:
    """How many successes without a failure show a share: put Wilson's whole interval above it."""
    return _Z**2 * share / (1 - share) if share < 1 else math.inf


def mean_interval(values: np.ndarray) -> list[float]:
    """95 % interval of a mean by the normal distribution, `[low, high]`; endless for one value."""
    half = _Z * values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else math.inf
    return [float(values.mean() - half), float(values.mean() + half)]


def mcnemar_p(one_way: int, other_way: int) -> float:
    """Exact two-sided p of McNemar's test: did as many change one way as the other?

    Args:
        one_way: Images that changed one way, from right to wrong say.
        other_way: Images that changed the other way.
    """
    return min(1.0, 2 * _coin_tail(min(one_way, other_way), one_way + other_way))


def median_interval(samples: np.ndarray) -> list[float] | None:
    """95 % interval of the median of timed calls, `[low, high]`; None below six rounds.

    Whole rounds count, not calls: the calls of a round share whatever the machine did
    meanwhile. The k-th smallest and the k-th largest of the rounds' medians, k as large as
    leaves 95 % by the binomial distribution; that holds whatever the noise's distribution is.
    A bootstrap over 5 rounds covers 86 %, over 20 rounds 90 %. The median of all calls may
    lie beyond it where rounds differ much, and then the interval reaches to there.

    Args:
        samples: float64 `[rounds, calls]`.
    """
    medians = np.sort(np.median(samples, axis=1))
    rounds = len(medians)
    fitting = [k for k in range(rounds // 2) if 2 * _coin_tail(k, rounds) <= 0.05]
    if not fitting:
        return None
    ends = (medians[fitting[-1]], np.median(samples), medians[-1 - fitting[-1]])
    return [float(min(ends)), float(max(ends))]


def _coin_tail(most: int, count: int) -> float:
    """How likely `count` coins show heads `most` times or less; exact until the division."""
    tail = term = 1
    for k in range(most):
        term = term * (count - k) // (k + 1)
        tail += term
    return tail / 2**count


def divergence(probabilities: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """By how much an image's cross-entropy grows where others answer for the reference.

    With the reference's probabilities as targets, in nats (Kullback-Leibler divergence).
    A probability below half a step of an 8-bit output counts as that: such an output
    gives 0 for it, whose logarithm would outweigh all the rest.

    Args:
        probabilities: Finite `[n, classes]`.
        reference: As `probabilities`.

    Returns:
        float64 `[n]`, 0 or more.
    """
    given, wanted = (
        np.maximum(values.astype(np.float64), STEP / 2) for values in (probabilities, reference)
    )
    given /= given.sum(1, keepdims=True)
    wanted /= wanted.sum(1, keepdims=True)
    return (wanted * np.log(wanted / given)).sum(1)


def one_hot_divergence(reference: np.ndarray) -> np.ndarray:
    """`divergence` of an answer that keeps the reference's first choice and nothing else."""
    choices = np.zeros_like(reference)
    choices[np.arange(len(reference)), reference.argmax(1)] = 1
    return divergence(choices, reference)


@dataclasses.dataclass(frozen=True)
class CalibrationBin:
    """Images whose confidence, the largest probability, lies between two edges.

    Attributes:
        low: The lower edge; a confidence on it is in the bin below.
        high: The upper edge.
        count: Number of images.
        confidence: Their mean confidence; None where there are none.
        accuracy: Their accuracy; None where there are none.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


def calibration(
    probabilities: np.ndarray, y: np.ndarray, bins: int = CALIBRATION_BINS
) -> tuple[CalibrationBin, ...]:
    """Compares confidence with accuracy, bin by bin.

    Args:
        probabilities: Float `[n, classes]`.
        y: Integers `[n]`, the true classes.
        bins: Number of bins of equal width over 0 to 1.
    """
    confidence = probabilities.max(1).astype(np.float64)
    right = probabilities.argmax(1) == y
    edges = np.linspace(0, 1, bins + 1)
    of = np.clip(np.searchsorted(edges, confidence) - 1, 0, bins - 1)
    rows = []
    for index in range(bins):
        inside = of == index
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
    """Mean distance of accuracy from confidence, weighted by the bins' counts: 0 to 1."""
    distances = [
        (one.count, abs(one.accuracy - one.confidence))
        for one in bins
        if one.accuracy is not None and one.confidence is not None
    ]
    return sum(count * distance for count, distance in distances) / sum(
        count for count, _ in distances
    )


def most_confident_mistakes(probabilities: np.ndarray, y: np.ndarray, count: int) -> np.ndarray:
    """Indices of the wrong answers, the most confident first, int64.

    Args:
        probabilities: Float `[n, classes]`.
        y: Integers `[n]`, the true classes.
        count: How many at most.
    """
    wrong = np.flatnonzero(probabilities.argmax(1) != y)
    surest_first = np.argsort(-probabilities[wrong].max(1), kind="stable")
    return wrong[surest_first][:count]


def most_confused(matrix: np.ndarray, count: int) -> list[tuple[int, int, int]]:
    """The most frequent mistakes in a confusion matrix, `(true, predicted, times)`.

    Args:
        matrix: Integers `[classes, classes]`, one row per true class, one column per prediction.
        count: How many at most.
    """
    mistakes = matrix - np.diag(np.diag(matrix))
    order = np.argsort(-mistakes, axis=None, kind="stable")[:count]
    pairs = zip(*np.unravel_index(order, mistakes.shape), strict=True)
    return [(int(i), int(j), int(mistakes[i, j])) for i, j in pairs if mistakes[i, j]]
