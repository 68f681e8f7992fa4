"""Statistics with answers worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from experiments.statistics.intervals import (
    Spread,
    binomial_band,
    binomial_interval,
    bootstrap_interval,
    mean_band,
    mean_interval,
    normalised_area,
    quantile_interval,
    share_within,
    spread,
)


def test_interval_by_hand() -> None:
    # mean 3, s = sqrt(2.5), t(0.975, 4) = 2.776445
    low, high = mean_interval(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    half = 2.776445 * math.sqrt(2.5) / math.sqrt(5)
    assert low == pytest.approx(3 - half, rel=1e-6)
    assert high == pytest.approx(3 + half, rel=1e-6)


def test_interval_needs_two_values() -> None:
    assert all(math.isnan(end) for end in mean_interval(np.array([1.0])))
    # mean 2, s = sqrt(2), t(0.975, 1) = 12.706205
    assert mean_interval(np.array([1.0, 3.0])) == pytest.approx((2 - 12.706205, 2 + 12.706205), rel=1e-6)


def test_a_band_is_the_interval_at_each_point() -> None:
    curves = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_allclose(np.column_stack(mean_band(curves)), [mean_interval(column) for column in curves.T])
    assert np.isnan(mean_band(curves[:1])).all()


def test_equal_values_have_no_spread() -> None:
    values = np.full(20, 77.35)
    assert values.std(ddof=1) > 0, "the sum is rounded"
    assert spread(values) == Spread(20, 77.35, 0.0, (77.35, 77.35))
    assert math.isnan(spread(values[:1]).std)


def test_spread_of_known_values() -> None:
    found = spread(np.array([1.0, np.nan, 3.0]))
    assert (found.known, found.mean, found.std) == (2, 2.0, pytest.approx(math.sqrt(2)))
    assert found.interval == mean_interval(np.array([1.0, 3.0]))
    nothing = spread(np.array([np.nan]))
    assert nothing.known == 0
    assert math.isnan(nothing.mean + nothing.std + nothing.interval[0])


def test_quantile_interval_by_hand() -> None:
    assert quantile_interval(np.arange(5.0)) == (1.0, 3.0)
    assert quantile_interval(np.arange(11.0), 0.8) == pytest.approx((1.0, 9.0))
    assert all(math.isnan(end) for end in quantile_interval(np.array([])))


def test_binomial_interval_by_hand() -> None:
    # none of n: the upper end solves (1 - p)^n = 0.025
    assert binomial_interval(0, 10) == pytest.approx((0.0, 1 - 0.025**0.1))
    assert binomial_interval(10, 10) == pytest.approx((0.025**0.1, 1.0))
    low, high = binomial_interval(3, 10)
    assert stats.binom.sf(2, 10, low) == pytest.approx(0.025)
    assert stats.binom.cdf(3, 10, high) == pytest.approx(0.025)
    assert all(math.isnan(end) for end in binomial_interval(0, 0))


def test_binomial_band_equals_the_test_of_scipy() -> None:
    counts = [(k, n) for n in (1, 2, 7, 60) for k in range(n + 1)]
    band = binomial_band(*np.array(counts).T, 0.9)
    for (low, high), (k, n) in zip(band, counts, strict=True):
        exact = stats.binomtest(k, n).proportion_ci(0.9, method="exact")
        assert (low, high) == pytest.approx((exact.low, exact.high), abs=1e-9)


def test_bootstrap_takes_any_statistic() -> None:
    values = np.random.default_rng(0).normal(5, 2, 200)
    low, high = bootstrap_interval(np.mean, values)
    assert (low, high) == pytest.approx(mean_interval(values), abs=0.05)
    low, high = bootstrap_interval(np.median, values)
    assert low < np.median(values) < high
    assert bootstrap_interval(np.mean, np.ones(5)) == (1.0, 1.0)


def test_bootstrap_draws_as_many_of_each_sample_as_it_has() -> None:
    seen = set()

    def sizes(x: np.ndarray, y: np.ndarray) -> float:
        seen.add((len(x), len(y)))
        assert set(x.tolist()) <= {1.0, 2.0}
        assert set(y.tolist()) <= {3.0, 4.0, 5.0}
        return 0.0

    assert bootstrap_interval(sizes, np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0]), resamples=20) == (0.0, 0.0)
    assert seen == {(2, 3)}


def test_bootstrap_in_pairs_sees_what_is_common() -> None:
    rng = np.random.default_rng(0)
    luck = rng.normal(0, 5, 100)
    first, second = luck + rng.normal(1, 0.1, 100), luck + rng.normal(0, 0.1, 100)

    def gap(x: np.ndarray, y: np.ndarray) -> float:
        return float(x.mean() - y.mean())

    paired, apart = (bootstrap_interval(gap, first, second, paired=flag) for flag in (True, False))
    assert paired[1] - paired[0] < 0.1 < 1 < apart[1] - apart[0]
    with pytest.raises(ValueError, match="equal lengths"):
        bootstrap_interval(gap, first, second[:50], paired=True)
    assert all(math.isnan(end) for end in bootstrap_interval(gap, first, second[:1]))


def test_bootstrap_has_one_seed_and_leaves_global_states_alone() -> None:
    values = np.arange(20.0)
    state = np.random.get_state()[1].copy()  # noqa: NPY002 - must not change
    assert bootstrap_interval(np.mean, values, seed=3) == bootstrap_interval(np.mean, values, seed=3)
    assert bootstrap_interval(np.mean, values, seed=3) != bootstrap_interval(np.mean, values, seed=4)
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002


def test_area_by_hand() -> None:
    areas = normalised_area(np.array([[4.0, 2.0, 0.0], [1.0, np.nan, 3.0], [np.nan] * 3]), 4.0)
    assert areas[:2] == pytest.approx([0.5, 0.5])
    assert math.isnan(areas[2])
    assert np.isnan(normalised_area(np.zeros((2, 3)), 0.0)).all(), "the median is as good as the best"


def test_share_within_by_hand() -> None:
    shares = share_within(np.array([0.0, 0.5, 0.5, 2.0]), np.array([0.0, 0.4, 0.5, 1.9, 2.0]))
    assert shares.tolist() == [0.25, 0.25, 0.75, 0.75, 1.0]


@given(st.lists(st.floats(0, 10), min_size=1, max_size=20), st.lists(st.floats(0, 20), min_size=1, max_size=20))
def test_share_within_is_monotone(regrets: list[float], taus: list[float]) -> None:
    shares = share_within(np.array(regrets), np.sort(taus))
    assert (np.diff(shares) >= 0).all()
    assert 0 <= shares.min() <= shares.max() <= 1
