"""Expected running times: by hand, by every order of a small table, and against random runs."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.races.noise import tied_with_best
from experiments.results.baselines import RANDOM_SEARCH
from experiments.results.standings import course
from experiments.results.targets import TIED, _random_search, as_text, ecdfs, reached, targets_of
from nasbench_ar import load

COLUMN = np.append(np.arange(200.0), np.nan)  # 1 % are the best 2, 5 % the best 10


def test_by_hand() -> None:
    values = np.array([[0, 150, 198, 198], [100, 191, 191, 191], [1, 2, 3, np.nan]], dtype=np.float64)
    found = {
        (r.searcher, r.target.share): r
        for r in reached([course("mine", np.arange(3), values, 199.0)], COLUMN, 4, maximize=True)
    }
    assert [share for name, share in found if name == "mine"] == [0.01, 0.05], "one alone is no target"
    tight, loose = found["mine", 0.01], found["mine", 0.05]
    assert (tight.target.rank, tight.target.value, tight.successes, tight.expected) == (2, 198, 1, 3 + 4 + 4)
    assert (loose.target.rank, loose.target.value, loose.successes, loose.expected) == (10, 190, 2, (3 + 2 + 4) / 2)
    never = reached([course("never", np.arange(1), np.zeros((1, 4)), 199.0)], COLUMN, 4, maximize=True)[0]
    assert math.isinf(never.expected)
    assert "| never            |  – (0 %) |" in as_text([never])


def test_lower_may_be_better_and_equal_values_share_a_rank() -> None:
    column = np.array([1.0, 1.0, 1.0, *range(2, 40)])
    values = np.array([[30.0, 1.0]])
    mine, chance = reached([course("mine", np.arange(1), values, 1.0)], column, 2, maximize=False)
    assert (mine.target.share, mine.target.rank, mine.target.value, mine.expected) == (0.05, 3, 1.0, 2.0)
    assert (chance.searcher, chance.successes) == (RANDOM_SEARCH, pytest.approx(1 - 38 / 41 * 37 / 40))


@pytest.mark.parametrize(("rank", "queries"), [(1, 3), (2, 1), (2, 4), (3, 9)])
def test_random_search_over_every_order(rank: int, queries: int) -> None:
    spent, successes = 0, 0
    orders = list(permutations(range(6)))
    for order in orders:
        hits = [n for n, index in enumerate(order[:queries], start=1) if index < rank]
        successes += bool(hits)
        spent += hits[0] if hits else min(queries, 6)
    assert _random_search(6, rank, queries) == pytest.approx((successes / len(orders), spent / successes))


def test_random_runs_come_out_at_their_law() -> None:
    rng = np.random.default_rng(0)
    runs = np.array([rng.permutation(np.arange(200.0))[:50] for _ in range(4000)])
    best = np.maximum.accumulate(runs, axis=1)
    found = reached([course("drawn", np.arange(4000), best, 199.0)], COLUMN, 50, maximize=True)
    for drawn, law in zip(found[::2], found[1::2], strict=True):
        assert drawn.successes / 4000 == pytest.approx(law.successes, abs=0.03)
        assert drawn.expected == pytest.approx(law.expected, rel=0.06)
    assert found[0].target.name == "best 1 %", "fewer than two are no target"
    drawn, law = ecdfs([course("drawn", np.arange(4000), best, 199.0)], COLUMN, 50, maximize=True)
    np.testing.assert_allclose(drawn.share, law.share, atol=0.015)


def test_no_law_of_random_search_where_another_metric_guides_it() -> None:
    runs = [course("mine", np.arange(1), np.array([[198.0]]), 199.0)]
    assert {r.searcher for r in reached(runs, COLUMN, 1, maximize=True, guided=False)} == {"mine"}
    assert [e.name for e in ecdfs(runs, COLUMN, 1, maximize=True, guided=False)] == ["mine"]


def test_ecdf_by_hand() -> None:
    """Of 6 architectures, 51 shares up to a half are the best 2 and the best 3."""
    column = np.array([10.0, 20, 30, 40, 50, 60])
    values = np.array([[30.0, 40, 50], [np.nan, 60, 10]])
    mine, chance = ecdfs([course("mine", np.arange(2), values, 60.0)], column, 3, maximize=True)
    assert mine.share.tolist() == [0.0, 0.75, 1.0], "what was reached stays so"
    assert mine.band[0].tolist() == [0, 0]
    assert chance.share == pytest.approx([(2 + 3) / 12, 1 - (4 * 3 + 3 * 2) / 60, 1 - (4 * 3 * 2 + 3 * 2) / 240])
    lower = ecdfs([course("mine", np.arange(2), -values, -60.0)], -column, 3, maximize=False)
    assert [e.share.tolist() for e in lower] == [mine.share.tolist(), chance.share.tolist()]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=3, max_size=6), st.integers(1, 8), st.booleans())
def test_ecdf_of_random_search_over_every_order(values: list[int], queries: int, maximize: bool) -> None:
    column = np.array(values, dtype=np.float64)
    orders = np.array(list(permutations(values)), dtype=np.float64)
    best = (np.maximum if maximize else np.minimum).accumulate(orders, axis=1)
    kept = np.pad(best, ((0, 0), (0, max(queries - len(values), 0))), mode="edge")[:, :queries]
    every, law = ecdfs([course("every", np.arange(len(kept)), kept, 0.0)], column, queries, maximize=maximize)
    np.testing.assert_allclose(law.share, every.share, atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 1000), min_size=2, max_size=50), st.sampled_from([10, 100, 2000]))
def test_tied_with_the_best_is_a_rank(tenths: list[int], images: int) -> None:
    column = np.append(np.array(tenths) / 10, np.nan)
    target = targets_of(column, maximize=True, images=images)[-1]
    tied = tied_with_best(column, images)
    assert (target.name, target.rank, target.value) == (TIED, tied.sum(), column[tied].min())
    assert target.share == target.rank / len(tenths)
    assert target.rank == (column >= target.value).sum()


def test_half_of_the_embedded_table_is_tied_with_its_best() -> None:
    """A target that tells nobody apart; the legend says how many reach it."""
    column = load("nares-figures", quiet=True).column("val_best_pgd_acc")
    target = targets_of(column, maximize=True, images=2000)[-1]
    assert (target.rank, target.value, len(column)) == (7957, 36.3, 15625)
    # by hand: 38.8 - 36.3 = 2.5 <= 1.645 sqrt((38.8 61.2 + 36.3 63.7) / 2000) = 2.51; 36.2 is below
    assert 2.5 <= 1.6449 * math.sqrt((38.8 * 61.2 + 36.3 * 63.7) / 2000) < 2.6
    assert "the 7957 architectures (51 % of all that may be chosen)" in as_text(
        reached([course("one", np.arange(1), np.array([[37.0]]), 38.8)], column, 1, maximize=True, images=2000)
    )


def test_a_table_of_few_has_no_targets() -> None:
    assert reached([], np.arange(20.0), 5, maximize=True) == []
    assert ecdfs([], np.arange(2.0), 5, maximize=True) == []
    assert "too small" in as_text([])
