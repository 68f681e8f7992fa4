"""Power: published sample sizes, and simulation against closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from experiments.statistics.power import paired_t_power, pairs_for_t, pairs_for_wilcoxon, wilcoxon_power
from experiments.statistics.significance import paired_wilcoxon


@pytest.mark.parametrize(("effect", "n"), [(0.2, 199), (0.5, 34), (0.8, 15), (-0.5, 34)])
def test_pairs_of_the_t_test_are_the_textbook_ones(effect: float, n: int) -> None:
    assert pairs_for_t(effect) == n
    assert paired_t_power(effect, n) >= 0.8 > paired_t_power(effect, n - 1)


def test_power_of_the_t_test_against_simulation() -> None:
    samples = np.random.default_rng(0).normal(0.4, 1, (4000, 30))
    seen = (stats.ttest_1samp(samples, 0, axis=1).pvalue < 0.05).mean()
    assert paired_t_power(0.4, 30) == pytest.approx(seen, abs=0.025)
    assert paired_t_power(0.0, 30) == pytest.approx(0.05)


def test_pairs_of_the_t_test_at_the_edges() -> None:
    assert pairs_for_t(0.0) is None
    assert pairs_for_t(math.nan) is None
    assert pairs_for_t(1e-6) is None
    assert pairs_for_t(math.inf) == pairs_for_t(-math.inf) == 2
    assert pairs_for_t(50.0) == 2


def test_power_of_wilcoxon_counts_what_the_reports_test() -> None:
    difference = np.round(np.random.default_rng(0).normal(0.3, 1, 80), 1)
    rows = difference[np.random.default_rng([5, 25]).integers(80, size=(200, 25))]
    seen = [paired_wilcoxon(row, np.zeros(25)) < 0.05 and row.mean() > 0 for row in rows]
    assert wilcoxon_power(difference, 25, draws=200, seed=5) == pytest.approx(np.mean(seen), abs=0.011)
    assert wilcoxon_power(-difference, 25, draws=200, seed=5) == wilcoxon_power(difference, 25, draws=200, seed=5)


def test_wilcoxon_needs_a_little_more_than_t_under_normality() -> None:
    # its asymptotic efficiency is 3 / pi
    quantiles = stats.norm.ppf((np.arange(400) + 0.5) / 400)
    difference = 0.3 + quantiles / quantiles.std(ddof=1)
    by_t = pairs_for_t(0.3)
    assert by_t == 90
    assert pairs_for_wilcoxon(difference) == pytest.approx(90 * math.pi / 3, rel=0.08)


def test_pairs_of_wilcoxon_reach_the_power() -> None:
    difference = np.array([0.0] * 10 + [0.1] * 6 + [-0.1] * 3 + [0.4] * 5)
    n = pairs_for_wilcoxon(difference, seed=1)
    assert n is not None
    assert wilcoxon_power(difference, n, draws=4000, seed=2) == pytest.approx(0.8, abs=0.04)
    assert n == pairs_for_wilcoxon(difference, seed=1)


def test_pairs_of_wilcoxon_at_the_edges() -> None:
    assert pairs_for_wilcoxon(np.ones(20)) == 6, "with five pairs the exact test can never reject"
    assert wilcoxon_power(np.ones(20), 5) == 0
    assert pairs_for_wilcoxon(np.zeros(20)) is None
    assert pairs_for_wilcoxon(np.array([1.0, -1.0])) is None
    assert pairs_for_wilcoxon(np.array([1.0])) is None
    assert pairs_for_wilcoxon(np.array([1.0, -1.0] * 20 + [0.1]), most=50, draws=100) is None
    assert wilcoxon_power(np.zeros(20), 10) == 0
    skewed = np.array([-0.1] * 30 + [5.0])  # most are below 0, the mean is above
    assert pairs_for_wilcoxon(skewed, most=60, draws=100) is None


@pytest.mark.parametrize("effect", [1.0, 5.0, 8.0, 12.0, 30.0, -9.0])
@pytest.mark.parametrize("n", [2, 3, 5])
def test_power_of_the_t_test_against_integration(effect: float, n: int) -> None:
    """Also where SciPy gives up on the noncentral t."""
    critical, shift, freedom = stats.t.isf(0.025, n - 1), effect * math.sqrt(n), n - 1

    def beyond(scale: float) -> float:
        both = stats.norm.sf(critical * scale - shift) + stats.norm.cdf(-critical * scale - shift)
        return float(both * stats.chi.pdf(scale * math.sqrt(freedom), freedom) * math.sqrt(freedom))

    expected = integrate.quad(beyond, 0, 8, points=[abs(shift) / critical], limit=500)[0]
    assert paired_t_power(effect, n) == pytest.approx(expected, abs=1e-4)


def test_large_effects_need_their_pairs() -> None:
    assert pairs_for_t(8.0) == 3
