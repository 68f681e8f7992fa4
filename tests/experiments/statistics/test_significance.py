"""Tests of significance, by hand and by their properties."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from experiments.statistics import effects, ranks
from experiments.statistics.intervals import paired_difference
from experiments.statistics.significance import against_best, holm, on_common_seeds, p_of_better, paired_wilcoxon


def test_holm_by_hand() -> None:
    # sorted 0.01, 0.02, 0.04 -> 0.03, 0.04, 0.04
    assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])


def test_holm_leaves_nan_out() -> None:
    adjusted = holm([math.nan, 0.01, 0.04])
    assert math.isnan(adjusted[0])
    assert adjusted[1:] == pytest.approx([0.02, 0.04])


def test_pairs_are_of_equal_seeds() -> None:
    one = np.array([3, 4, 5, 9]), np.array([0.3, 0.4, np.nan, 0.9])
    other = np.array([0, 4, 5]), np.array([1.0, 1.4, 1.5])
    first, second = on_common_seeds(one, other)
    np.testing.assert_array_equal(first, [0.4, np.nan])
    np.testing.assert_array_equal(second, [1.4, 1.5])


def test_the_best_is_compared_with_every_other() -> None:
    seeds, rng = np.arange(30), np.random.default_rng(0)
    columns = [rng.normal(size=30), rng.normal(size=30) + 2, rng.normal(size=30) + 1.9]
    samples = [(seeds, column) for column in columns]
    best, p_values = against_best(samples, maximize=True)
    assert best == int(np.argmax([column.mean() for column in columns])) == 1
    assert math.isnan(p_values[1])
    expected = holm([paired_wilcoxon(columns[k], columns[1]) for k in (0, 2)])
    assert [p_values[0], p_values[2]] == expected
    assert against_best(samples, maximize=False)[0] == 0
    assert against_best(samples[:1], maximize=True)[0] is None, "nobody to be better than"


def test_nothing_is_compared_where_a_sample_has_few_values() -> None:
    seeds = np.arange(4)
    few, half = np.array([9.0, *[np.nan] * 3]), np.array([1.0, 2.0, np.nan, np.nan])
    whole = np.array([1.0, 1.0, 1.0, 1.5])
    assert against_best([(seeds, half), (seeds, whole)], maximize=True)[0] == 0
    best, p_values = against_best([(seeds, column) for column in (few, half, whole)], maximize=True)
    assert best is None
    assert np.isnan(p_values).all()


def test_wilcoxon_is_symmetric_and_sees_a_shift() -> None:
    rng = np.random.default_rng(0)
    first = rng.normal(size=60)
    second = first + 0.5 + 0.1 * rng.normal(size=60)
    assert paired_wilcoxon(first, second) == paired_wilcoxon(second, first) < 1e-9
    assert paired_wilcoxon(first, rng.permutation(first)) > 0.01


def test_wilcoxon_of_equal_or_missing_pairs() -> None:
    values = np.array([1.0, 2.0, np.nan])
    assert paired_wilcoxon(values, values) == 1.0
    assert math.isnan(paired_wilcoxon(values, np.array([np.nan, np.nan, 1.0])))
    with pytest.raises(ValueError, match="equal shapes"):
        paired_wilcoxon(values, values[:2])


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9).filter(any))
def test_few_pairs_are_tested_over_every_pattern_of_signs(values: list[int]) -> None:
    difference = np.array(values, dtype=np.float64)
    ranked = np.where(difference == 0, 0, stats.rankdata(np.abs(difference)))
    signs = np.array(list(itertools.product((-1, 1), repeat=len(values))))
    expected = (np.abs(signs @ ranked) >= abs(np.sign(difference) @ ranked)).mean()
    assert paired_wilcoxon(difference, np.zeros(len(values))) == pytest.approx(expected)


@pytest.mark.parametrize(("pairs", "method"), [(5, "exact"), (24, "exact"), (25, "asymptotic")])
def test_wilcoxon_is_exact_below_25_pairs(pairs: int, method: str) -> None:
    rng = np.random.default_rng(pairs)
    for shift in (0.0, 0.3, 1.0):
        difference = rng.normal(shift, 1, pairs)
        expected = stats.wilcoxon(difference, zero_method="pratt", method=method).pvalue
        assert paired_wilcoxon(difference, np.zeros(pairs)) == pytest.approx(expected)
    assert paired_wilcoxon(np.arange(5.0), np.full(5, -1.0)) == 0.0625, "five pairs never reject"


def test_wilcoxon_does_not_see_rounding() -> None:
    first = np.array([38.8, 38.7, 38.6, 38.8])
    second = first - np.array([0.1, 0.1, -0.1, -0.1]) + np.array([1e-14, -1e-14, 1e-14, 0])
    assert paired_wilcoxon(first, second) == pytest.approx(1.0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_lowers_nothing(p_values: list[float]) -> None:
    adjusted = np.array(holm(p_values))
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()
    assert (adjusted >= np.array(p_values) - 1e-12).all()
    assert adjusted.max() <= 1


def test_neither_is_better_where_means_and_ranks_disagree() -> None:
    often = np.zeros(100)
    rarely = np.where(np.arange(100) < 4, 5.0, -0.1)
    assert rarely.mean() > often.mean()
    assert paired_wilcoxon(often, rarely) < 1e-9
    assert p_of_better(often, rarely) == p_of_better(rarely, often) == 1.0
    rng = np.random.default_rng(0)
    for shift in (0.5, 2.0):
        better = often + rng.normal(shift, 1, 100)
        assert p_of_better(better, often) == paired_wilcoxon(better, often)
    seeds = np.arange(100)
    assert against_best([(seeds, often), (seeds, rarely)], maximize=True)[1][0] == 1.0
    assert math.isnan(p_of_better(np.full(3, np.nan), np.ones(3)))


@pytest.mark.parametrize("unit", [1e-12, 1e-9, 1e-6, 1.0, 1e6])
def test_no_number_depends_on_the_unit(unit: float) -> None:
    rng = np.random.default_rng(0)
    one = 5 + rng.normal(0, 1, 30)
    other = one + rng.normal(0.2, 0.5, 30)
    assert paired_wilcoxon(unit * one, unit * other) == pytest.approx(paired_wilcoxon(one, other))
    assert effects.vargha_delaney(unit * one, unit * other) == effects.vargha_delaney(one, other)
    assert effects.paired_superiority(unit * one, unit * other) == effects.paired_superiority(one, other)
    d = effects.cohens_d_paired(paired_difference(unit * one, unit * other))
    assert d == pytest.approx(effects.cohens_d_paired(one - other))
    both = np.column_stack([one, other])
    assert ranks.average_ranks(unit * both).tolist() == ranks.average_ranks(both).tolist()


def test_a_value_out_of_bounds_makes_no_ties() -> None:
    rng = np.random.default_rng(0)
    one = 5 + rng.normal(0, 1, 30)
    other = one + rng.normal(0.2, 0.5, 30)
    one[3], other[3] = 1e14, 1e14 + 1e6
    expected = stats.wilcoxon(one, other, zero_method="pratt", method="asymptotic").pvalue
    assert paired_wilcoxon(one, other) == pytest.approx(expected)
    assert effects.paired_superiority(one, other) == (one > other).mean()
    assert effects.vargha_delaney(one, other) == pytest.approx((one[:, None] > other).mean())
    both = np.column_stack([one, other])
    assert ranks.average_ranks(both).tolist() == stats.rankdata(-both, axis=1).mean(axis=0).tolist()


def test_differences_by_rounding_are_ties() -> None:
    one = np.full(20, 38.1)
    other = np.array([38.1 * (1 + sign * 1e-15) for sign in (-1, 1)] * 10)
    assert (one != other).any()
    assert paired_wilcoxon(one, other) == 1.0
    assert effects.paired_superiority(one, other) == 0.5
