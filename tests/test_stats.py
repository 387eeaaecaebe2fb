import numpy as np
import pytest
from scipy.stats import binomtest

from benchmarks import stats


@pytest.mark.parametrize(("successes", "count"), [(0, 20), (7, 20), (9957, 10_000), (50, 50)])
def test_wilson_interval_is_scipys(successes, count):
    expected = binomtest(successes, count).proportion_ci(method="wilson")
    assert stats.wilson_interval(successes, count) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("one_way", "other_way"), [(2, 1), (0, 9), (30, 55), (3000, 2800)])
def test_mcnemar_is_the_exact_binomial_test(one_way, other_way):
    expected = binomtest(one_way, one_way + other_way).pvalue
    assert stats.mcnemar_p(one_way, other_way) == pytest.approx(expected, rel=1e-9)
    assert stats.mcnemar_p(other_way, one_way) == stats.mcnemar_p(one_way, other_way)


def test_mcnemar_of_no_change_is_1():
    assert stats.mcnemar_p(0, 0) == stats.mcnemar_p(3, 3) == 1


def test_median_interval_is_seeded_and_holds_the_median():
    samples = np.random.default_rng(0).normal(10, 1, (20, 50))
    low, high = stats.median_interval(samples)
    assert low < np.median(samples) < high
    assert stats.median_interval(samples) == [low, high]
    assert stats.median_interval(samples, seed=1) != [low, high]


def test_rounds_that_differ_widen_the_interval():
    samples = np.random.default_rng(0).normal(10, 1, (20, 50))
    noisy = samples + np.arange(20)[:, None]  # each round was slower than the last

    def width(values):
        low, high = stats.median_interval(values)
        return high - low

    # Drawn call by call, the rounds' order would be lost and this much narrower.
    assert width(noisy) > 4 * width(
        np.random.default_rng(0).permuted(noisy.ravel()).reshape(20, 50)
    )
