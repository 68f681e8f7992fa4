"""Baselines without search: by brute force, and against the numbers of the embedded table."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.results.baselines import Baseline, one_of_the_largest, random_search, reportable
from experiments.results.incumbents import expected_best_of_n
from nasbench_ar import NARES, SearchSpace, load
from searchers.testing import TINY


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=7), st.integers(1, 9), st.booleans())
def test_random_search_equals_all_subsets(values: list[int], queries: int, maximize: bool) -> None:
    """Every subset is as likely; among its best, the first observed is reported, which is any of them equally often."""
    column = np.array([np.nan, *values, np.nan], dtype=np.float64)
    members = np.arange(1, len(values) + 1, dtype=np.int32)
    expected = np.zeros(len(column))
    subsets = list(combinations(members.tolist(), min(queries, len(values))))
    for subset in subsets:
        best = (max if maximize else min)(column[list(subset)])
        winners = [index for index in subset if column[index] == best]
        expected[winners] += 1 / len(winners) / len(subsets)
    law = random_search(column, members, queries, maximize=maximize)
    np.testing.assert_allclose(law.probability, expected, atol=1e-12)
    exact = expected_best_of_n(column[members], queries, maximize=maximize)[-1]
    assert law.spread(column).mean == pytest.approx(exact)


@pytest.mark.parametrize("n", [1, 3, 10, 16, 40])
def test_the_largest_by_counting(n: int) -> None:
    members = TINY.member_indices
    law = one_of_the_largest(TINY, members, n)
    largest = sorted(members.tolist(), key=lambda index: -TINY.macs(TINY.from_index(index)))[:n]
    assert law.candidates == len(largest)
    np.testing.assert_allclose(law.probability[largest], 1 / len(largest))
    assert law.name == ("the largest" if n == 1 else f"one of the {min(n, 16)} largest")


def test_who_ties_for_the_last_places_shares_them() -> None:
    """Two stages of one width each: equal costs occur when depth moves between them."""
    costs = NARES.macs_many(indices=NARES.member_indices)
    values, counts = np.unique(-costs, return_counts=True)
    n = int(counts[: int(np.argmax(counts > 1)) + 1].sum()) - 1  # cuts the first tie in two
    law = one_of_the_largest(NARES, NARES.member_indices, n)
    assert law.candidates == n + 1
    tied = law.probability[costs == -values[np.argmax(counts > 1)]]
    np.testing.assert_allclose(tied, (len(tied) - 1) / len(tied) / n)
    assert law.probability.sum() == pytest.approx(1)


def test_spread_is_over_what_has_a_value() -> None:
    law = Baseline("by hand", 0, np.array([0.5, 0.25, 0.25, 0.0]))
    found = law.spread(np.array([1.0, 4.0, np.nan, 100.0]))
    assert (found.known, found.mean) == (2, pytest.approx(2.0))
    assert found.std == pytest.approx(np.sqrt(2 / 3 * 1 + 1 / 3 * 4))
    assert law.share_known(np.array([1.0, 4.0, np.nan, 100.0])) == 0.75
    assert np.isnan(law.spread(np.full(4, np.nan)).mean)


def test_the_50_largest_of_the_embedded_table() -> None:
    oracle = load("nares-figures", quiet=True)
    law = one_of_the_largest(oracle.space, reportable(oracle, "val_best_pgd_acc"), 50)
    by_macs = np.argsort(-oracle.column("macs"), kind="stable")[:50]
    for metric in ("val_best_pgd_acc", "test_clean_acc", "test_pgd_acc", "test_aa_acc"):
        column = oracle.column(metric)[by_macs]
        assert law.spread(oracle.column(metric)).mean == pytest.approx(np.nanmean(column))


def test_limits_leave_out_what_a_search_may_not_report() -> None:
    oracle = load("nares-figures", quiet=True)
    members = reportable(oracle, "val_best_pgd_acc", constraints="macs<=10e9,val_best_clean_acc>=75")
    assert len(members) > 0
    assert oracle.column("macs")[members].max() <= 10e9
    assert oracle.column("val_best_clean_acc")[members].min() >= 75
    assert isinstance(oracle.space, SearchSpace)
