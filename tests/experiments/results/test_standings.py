"""Parts of a comparison from arrays written by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from experiments.results.standings import Course, course, pair, pairs_at, profiles, ranking
from experiments.statistics.effects import vargha_delaney
from experiments.statistics.intervals import bootstrap_interval


def one_query(name: str, values: list[float], *, first_seed: int = 0, optimum: float = 100.0) -> Course:
    """Runs of a single query."""
    return course(name, np.arange(first_seed, first_seed + len(values)), np.array(values)[:, None], optimum)


# Seven wins, six of them large, and two small losses: the signed ranks tell, the mean ranks do not.
LARGE = one_query("large", [50.0 + k for k in range(9)])
SMALL = one_query("small", [40.0, 41, 42, 43, 44, 45, 55.9, 57.1, 58.2])


def test_what_joins_searchers_is_the_test_that_was_asked_for() -> None:
    pairs = pairs_at([LARGE, SMALL], 1, 1.0, None, 10, 0)
    assert pairs[0].p_holm < 0.05
    wilcoxon, nemenyi = (ranking([LARGE, SMALL], 1, 1.0, pairs, word) for word in ("wilcoxon", "nemenyi"))
    assert wilcoxon.average == nemenyi.average == pytest.approx({"large": 1 + 2 / 9, "small": 2 - 2 / 9})
    assert wilcoxon.cliques == ()
    assert nemenyi.cliques == (("large", "small"),)


@pytest.mark.parametrize("first_seed", [0, 1])
def test_the_bootstrap_is_paired_only_where_the_seeds_are_the_same(first_seed: int) -> None:
    other = one_query("small", SMALL.values[:, 0].tolist(), first_seed=first_seed)
    found = pair(LARGE, other, 1, 1.0, None, 200, 3)
    assert found.pairs == 9 - first_seed
    x, y = LARGE.values[:, 0], SMALL.values[:, 0]
    expected = [bootstrap_interval(vargha_delaney, x, y, paired=p, resamples=200, seed=3) for p in (True, False)]
    assert expected[0] != expected[1]
    assert found.superiority_interval == expected[first_seed]


def test_a_profile_begins_at_no_regret() -> None:
    (profile,) = profiles([one_query("never", [98.0, 99.0])], 1)
    assert (profile.tau.tolist(), profile.share.tolist()) == ([0.0, 1.0, 2.0], [0.0, 0.5, 1.0])


def test_correlation_over_common_seeds() -> None:
    first, second = one_query("first", [0.0, 1.0, 0.0, 1.0]), one_query("second", [5.0, 5.5, 5.0, 6.0])
    assert pair(first, second, 1, 1.0, None, 10, 0).correlation == pytest.approx(
        np.corrcoef([0, 1, 0, 1], [5, 5.5, 5, 6])[0, 1]
    )
    flat = one_query("flat", [7.0] * 4)
    assert math.isnan(pair(first, flat, 1, 1.0, None, 10, 0).correlation)
