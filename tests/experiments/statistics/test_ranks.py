"""Ranks, Friedman's test and cliques, by hand and against Demsar's table."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from experiments.statistics.ranks import average_ranks, cliques, critical_difference, friedman

# Demsar (2006), table 5: q at 5 % for 2 to 10 classifiers
PUBLISHED = dict(zip(range(2, 11), (1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164), strict=True))


def test_average_ranks_by_hand() -> None:
    values = np.array([[9.0, 5.0, 1.0], [7.0, 7.0, 8.0]])  # ranks 1 2 3 and 2.5 2.5 1
    assert average_ranks(values) == pytest.approx([1.75, 2.25, 2.0])
    assert average_ranks(np.array([[0.1 + 0.2, 0.3]])) == pytest.approx([1.5, 1.5])


@pytest.mark.parametrize("searchers", PUBLISHED)
def test_critical_difference_of_demsars_table(searchers: int) -> None:
    q = critical_difference(searchers, 1) / math.sqrt(searchers * (searchers + 1) / 6)
    assert q == pytest.approx(PUBLISHED[searchers], abs=0.0016)


def test_critical_difference_of_demsars_example() -> None:
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)  # section 3.2.3: 2.569 sqrt(4 5 / (6 14))
    assert math.isnan(critical_difference(4, 0))


def test_friedman_by_hand() -> None:
    # three seeds rank alike: chi2 = 12 N / (k (k + 1)) (sum of squares of mean ranks - k (k + 1)^2 / 4) = 9 (14 - 12)/3
    values = np.array([[3.0, 2.0, 1.0], [30.0, 20.0, 10.0], [9.0, 8.0, 7.0]])
    statistic, p = friedman(values)
    assert statistic == pytest.approx(6.0)
    assert p == pytest.approx(math.exp(-3))  # chi-squared with two degrees of freedom
    assert friedman(values[:2]) == pytest.approx((4.0, math.exp(-2)))


def test_friedman_with_ties_agrees_with_scipy() -> None:
    values = np.random.default_rng(0).integers(0, 4, (25, 4)).astype(float)
    assert friedman(values) == pytest.approx(tuple(stats.friedmanchisquare(*values.T)))


def test_friedman_without_a_question() -> None:
    assert friedman(np.ones((5, 3))) == (0.0, 1.0)
    assert all(math.isnan(x) for x in friedman(np.ones((5, 2))))
    assert all(math.isnan(x) for x in friedman(np.ones((1, 3))))


def test_cliques_by_hand() -> None:
    ranks = np.array([3.0, 1.0, 2.0, 4.0])  # order 1, 2, 0, 3
    different = np.zeros((4, 4), dtype=bool)
    assert cliques(ranks, different) == [(1, 2, 0, 3)]
    different[1, 0] = different[0, 1] = different[1, 3] = different[3, 1] = True
    assert cliques(ranks, different) == [(1, 2), (2, 0, 3)]
    different[2, 3] = different[3, 2] = True
    assert cliques(ranks, different) == [(1, 2), (2, 0), (0, 3)]
    assert cliques(ranks, ~np.eye(4, dtype=bool)) == []
