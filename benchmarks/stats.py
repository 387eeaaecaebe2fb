"""Intervals and tests: how much of a difference is noise? NumPy and the standard library."""

import numpy as np

# The normal distribution's 97.5th percentile: every interval here is a 95 % one.
_Z = 1.959964


def wilson_interval(successes, count):
    """95 % interval of a share (Wilson 1927): right near 0 and 1, where accuracies lie.

    Args:
        successes: How many of `count`.
        count: At least 1.

    Returns:
        `[low, high]`, each 0 to 1.
    """
    share = successes / count
    centre = share + _Z**2 / (2 * count)
    half = _Z * np.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    scale = 1 + _Z**2 / count
    return [float(max(0, (centre - half) / scale)), float(min(1, (centre + half) / scale))]


def mcnemar_p(one_way, other_way):
    """Exact two-sided p of McNemar's test: did as many change one way as the other?

    Args:
        one_way: Images that changed one way, from right to wrong say.
        other_way: Images that changed the other way.

    Returns:
        float, 0 to 1; 1 where nothing changed.
    """
    count = one_way + other_way
    tail = term = 1  # binomial coefficients, exact: integers of Python have no limit
    for k in range(min(one_way, other_way)):
        term = term * (count - k) // (k + 1)
        tail += term
    return min(1.0, 2 * tail / 2**count)


def median_interval(samples, resamples=500, seed=0):
    """95 % bootstrap interval of the median of timed calls.

    Whole rounds are drawn, not calls: the calls of one round share whatever the machine
    did meanwhile, and drawing them singly would make the interval too narrow.

    Args:
        samples: float64 `[rounds, calls]`.
        resamples: How many draws; 500 place the ends of the interval to about a
            twentieth of its width.
        seed: Of the draws.

    Returns:
        `[low, high]`, in the samples' unit.
    """
    rounds = len(samples)
    drawn = np.random.default_rng(seed).integers(0, rounds, (resamples, rounds))
    medians = [np.median(samples[rows]) for rows in drawn]
    return [float(end) for end in np.percentile(medians, [2.5, 97.5])]
