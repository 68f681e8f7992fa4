"""Effect sizes with answers worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from experiments.statistics.effects import (
    cliffs_delta,
    cohens_d_interval,
    cohens_d_paired,
    paired_superiority,
    vargha_delaney,
)

NUMBERS = st.lists(st.floats(-5, 5).map(lambda x: round(x, 1)), min_size=1, max_size=12).map(np.array)


def test_vargha_delaney_by_hand() -> None:
    # 3 > 1, 3 > 2, 3 = 3; 2 > 1, 2 = 2, 2 < 3: 3 wins and 2 ties of 6
    first, second = np.array([3.0, 2.0]), np.array([1.0, 2.0, 3.0])
    assert vargha_delaney(first, second) == pytest.approx(4 / 6)
    assert cliffs_delta(first, second) == pytest.approx(2 / 6)
    assert vargha_delaney(np.array([2.0, 2.0]), np.array([1.0])) == 1.0
    assert math.isnan(vargha_delaney(first, np.array([])))


@given(NUMBERS, NUMBERS)
def test_vargha_delaney_both_ways(first: np.ndarray, second: np.ndarray) -> None:
    assert vargha_delaney(first, second) + vargha_delaney(second, first) == pytest.approx(1)
    wins = np.sign(np.round(first[:, None] - second[None, :], 9))
    assert cliffs_delta(first, second) == pytest.approx(wins.mean(), abs=1e-12)


def test_vargha_delaney_is_mann_whitneys_u_over_the_number_of_pairs() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 6, 30).astype(float), rng.integers(1, 7, 20).astype(float)
    u = stats.mannwhitneyu(first, second, method="asymptotic").statistic
    assert vargha_delaney(first, second) == pytest.approx(u / 600)


def test_effects_do_not_see_rounding() -> None:
    first, second = np.array([0.1 + 0.2]), np.array([0.3])
    assert first[0] != second[0]
    assert vargha_delaney(first, second) == paired_superiority(first, second) == 0.5
    assert cohens_d_paired(first - second + np.zeros(3)) == 0


def test_paired_superiority_by_hand() -> None:
    # one win, one tie, two losses
    assert paired_superiority(np.array([0.5, 1, 1, 1]), np.array([0.0, 1, 2, 2])) == pytest.approx(1.5 / 4)
    assert math.isnan(paired_superiority(np.array([]), np.array([])))


def test_cohens_d_by_hand() -> None:
    assert cohens_d_paired(np.array([1.0, 2.0, 3.0])) == pytest.approx(2.0)  # mean 2, standard deviation 1
    assert cohens_d_paired(np.array([2.0, 6.0])) == pytest.approx(math.sqrt(2))  # mean 4, standard deviation sqrt(8)
    assert cohens_d_paired(np.zeros(4)) == 0
    assert cohens_d_paired(np.full(4, -0.1)) == -math.inf
    assert math.isnan(cohens_d_paired(np.array([1.0])))


@pytest.mark.parametrize(
    ("d", "n"), [(0.0, 10), (0.5, 2), (0.5, 34), (-0.5, 34), (2.0, 400), (5.0, 5), (-5.0, 3), (30.0, 4)]
)
def test_interval_of_d_inverts_the_noncentral_t(d: float, n: int) -> None:
    low, high = cohens_d_interval(d, n)
    assert low < d < high
    t = abs(d) * math.sqrt(n)  # SciPy is less exact for negative t
    low, high = (low, high) if d >= 0 else (-high, -low)
    assert stats.nct.cdf(t, n - 1, low * math.sqrt(n)) == pytest.approx(0.975, abs=1e-6)
    assert stats.nct.cdf(t, n - 1, high * math.sqrt(n)) == pytest.approx(0.025, abs=1e-6)


def test_interval_of_d_covers_the_true_effect() -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(0.6, 1, (300, 12))
    ends = [cohens_d_interval(cohens_d_paired(sample), 12) for sample in samples]
    covered = np.mean([low < 0.6 < high for low, high in ends])
    assert 0.92 < covered < 0.98


def test_no_interval_without_spread() -> None:
    for d, n in ((math.inf, 5), (math.nan, 5), (1.0, 1)):
        assert all(math.isnan(end) for end in cohens_d_interval(d, n))
