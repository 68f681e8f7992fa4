"""Baselines without search: by brute force, and against the numbers of the embedded table."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.plots.trajectories import lines_of
from experiments.races.race import Race
from experiments.races.store import Runs
from experiments.results.baselines import LARGEST, Baseline, no_search, one_of_the_largest, random_search
from experiments.results.incumbents import expected_best_of_n
from experiments.results.judged import judge
from nasbench_ar import NARES, load
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
    law = one_of_the_largest(oracle.space, oracle.space.member_indices, 50)
    by_macs = np.argsort(-oracle.column("macs"), kind="stable")[:50]
    for metric in ("val_best_pgd_acc", "test_clean_acc", "test_pgd_acc", "test_aa_acc"):
        column = oracle.column(metric)[by_macs]
        assert law.spread(oracle.column(metric)).mean == pytest.approx(np.nanmean(column))


def test_a_limit_that_needs_queries_is_not_kept_without_one() -> None:
    """The picture counts what breaks it as the worst, as for every searcher."""
    oracle = load("nares-figures", quiet=True)
    limits = "macs<=10e9", "val_best_clean_acc>=77"
    race = Race(str(oracle.table.folder), "val_best_pgd_acc", 5, "x.Y", constraints=limits)
    within = oracle.available("val_best_clean_acc") & oracle.feasible(limits[0])
    largest = np.argsort(-np.where(within, oracle.column("macs"), 0), kind="stable")[:LARGEST]
    np.testing.assert_array_equal(np.flatnonzero(no_search(oracle, race).probability), np.sort(largest))
    column = oracle.column("val_best_pgd_acc")
    worst = column[oracle.feasible(limits)].min()
    counted = np.where(oracle.feasible(limits), column, worst)
    runs = Runs(*(np.zeros((1, 5), dtype=np.int32) for _ in range(6)))  # type: ignore[arg-type]
    lines = lines_of(oracle, race, judge(oracle, race, runs), 5)
    assert lines["no_search"] == ("one of the 50 largest", pytest.approx(counted[largest].mean()))


def test_no_line_where_the_largest_are_the_worst() -> None:
    oracle = load("nares-figures", quiet=True)
    assert "no_search" not in lines_of(oracle, Race(str(oracle.table.folder), "macs", 5, "x.Y"), None, 5)
