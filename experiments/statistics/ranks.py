"""Ranks of several searchers over the same seeds (Demsar 2006): pure functions from arrays to numbers.

Seeds are the blocks: under each seed the searchers are ranked, 1 being the best, and mean ranks are compared.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from experiments.statistics.intervals import equalised
from experiments.statistics.significance import SIGNIFICANCE
from nasbench_ar.arrays import FloatArray


def average_ranks(values: FloatArray) -> FloatArray:
    """(searchers,) mean ranks of (seeds, searchers) values, higher being better; ties share the mean of their ranks."""
    from scipy import stats

    return stats.rankdata(-equalised(values), axis=1).mean(axis=0)


def friedman(values: FloatArray) -> tuple[float, float]:
    """Friedman's chi-squared of (seeds, searchers) values with its correction for ties, and the p-value.

    (0, 1) where every seed ties all searchers; NaN for fewer than three searchers or two seeds.
    """
    from scipy import stats

    seeds, searchers = values.shape
    if searchers < 3 or seeds < 2:
        return math.nan, math.nan
    rounded = equalised(values)
    if (rounded == rounded[:, :1]).all():
        return 0.0, 1.0
    found = stats.friedmanchisquare(*rounded.T)
    return float(found.statistic), float(found.pvalue)


def critical_difference(searchers: int, seeds: int, significance: float = SIGNIFICANCE) -> float:
    """Nemenyi's critical difference of mean ranks: q sqrt(k (k + 1) / (6 N)).

    q is the quantile of the studentized range for k groups and infinite degrees of freedom, over sqrt(2)
    (Demsar 2006, table 5: 2.569 for k = 4 at 5 %).
    """
    from scipy import stats

    if searchers < 2 or not seeds:
        return math.nan
    q = float(stats.studentized_range.isf(significance, searchers, math.inf)) / math.sqrt(2)
    return q * math.sqrt(searchers * (searchers + 1) / (6 * seeds))


def cliques(ranks: FloatArray, different: NDArray[np.bool_]) -> list[tuple[int, ...]]:
    """Largest groups of neighbours in rank within which no two searchers differ, best rank first.

    Args:
        ranks: (searchers,) mean ranks.
        different: (searchers, searchers) bool, symmetric: which pairs a test tells apart.
    """
    order = np.argsort(ranks, kind="stable").tolist()
    groups: list[tuple[int, ...]] = []
    reached = 0
    for start in range(len(order)):
        end = start + 1
        while end < len(order) and not different[np.ix_([order[end]], order[start:end])].any():
            end += 1
        if end - start > 1 and end > reached:
            groups.append(tuple(order[start:end]))
        reached = max(reached, end)
    return groups


def kendall(first: FloatArray, second: FloatArray) -> tuple[float, int]:
    """Kendall's tau-b over the entries that both have, and their number."""
    from scipy.stats import kendalltau  # half a second to import

    both = ~np.isnan(first) & ~np.isnan(second)
    return float(kendalltau(first[both], second[both]).statistic), int(both.sum())
