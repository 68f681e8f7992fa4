"""Expected running times: by hand, by every order of a small table, and against random runs."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest

from experiments.results.baselines import RANDOM_SEARCH
from experiments.results.standings import course
from experiments.results.targets import SHARES, _random_search, as_text, reached

COLUMN = np.append(np.arange(200.0), np.nan)  # 1 % are the best 2, 5 % the best 10


def test_by_hand() -> None:
    values = np.array([[0, 150, 198, 198], [100, 191, 191, 191], [1, 2, 3, np.nan]], dtype=np.float64)
    found = {
        (r.searcher, r.share): r
        for r in reached([course("mine", np.arange(3), values, 199.0)], COLUMN, 4, maximize=True)
    }
    assert [share for name, share in found if name == "mine"] == [0.01, 0.05], "one alone is no target"
    tight, loose = found["mine", 0.01], found["mine", 0.05]
    assert (tight.rank, tight.value, tight.successes, tight.expected) == (2, 198, 1, 3 + 4 + 4)
    assert (loose.rank, loose.value, loose.successes, loose.expected) == (10, 190, 2, (3 + 2 + 4) / 2)
    never = reached([course("never", np.arange(1), np.zeros((1, 4)), 199.0)], COLUMN, 4, maximize=True)[0]
    assert math.isinf(never.expected)
    assert "| never            |  – (0 %) |" in as_text([never])


def test_lower_may_be_better_and_equal_values_share_a_rank() -> None:
    column = np.array([1.0, 1.0, 1.0, *range(2, 40)])
    values = np.array([[30.0, 1.0]])
    mine, chance = reached([course("mine", np.arange(1), values, 1.0)], column, 2, maximize=False)
    assert (mine.share, mine.rank, mine.value, mine.expected) == (0.05, 3, 1.0, 2.0)
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
    assert SHARES[0] < found[0].share


def test_a_table_of_few_has_no_targets() -> None:
    assert reached([], np.arange(20.0), 5, maximize=True) == []
    assert "too small" in as_text([])
