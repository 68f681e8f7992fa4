"""What needs no search, exactly: one of the n largest networks, or of all, drawn at random; and random search.

A baseline is a law: the probability that it reports each architecture.  From it follow mean and standard deviation of
every metric of what is reported, without a run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.races.race import Race
from experiments.statistics.intervals import Spread
from nasbench_ar import ConfigError, Grid, Oracle, SearchSpace
from nasbench_ar.arrays import FloatArray
from nasbench_ar.constraints import Constraint, ConstraintsLike

RANDOM_SEARCH = "random search, exact"
LARGEST = 50  # in Table 2 and in pictures


@dataclass(frozen=True)
class Baseline:
    """A law of what is reported: (product_size,) `probability` by index, after `queries` scores seen."""

    name: str
    queries: int
    probability: FloatArray

    def spread(self, column: FloatArray) -> Spread:
        """Of a (product_size,) metric over what is reported, given that it has a value; no interval, since it is exact.

        `known` counts the architectures that have a value and may be reported.
        """
        counted = (self.probability > 0) & ~np.isnan(column)
        values, weights = column[counted], self.probability[counted]
        nothing = math.nan, math.nan
        if not len(values):
            return Spread(0, math.nan, math.nan, nothing)
        mean = float(np.average(values, weights=weights))
        std = math.sqrt(np.average((values - mean) ** 2, weights=weights))
        return Spread(len(values), mean, std if len(values) > 1 else math.nan, nothing)

    def median(self, column: FloatArray) -> float:
        """Least value that at least half of what is reported and has a value does not exceed; NaN for none."""
        counted = np.flatnonzero((self.probability > 0) & ~np.isnan(column))
        if not len(counted):
            return math.nan
        upwards = counted[np.argsort(column[counted], kind="stable")]
        weight = np.cumsum(self.probability[upwards])
        return float(column[upwards[np.searchsorted(weight, weight[-1] / 2 * (1 - 1e-12))]])  # but for rounding

    @property
    def candidates(self) -> int:
        return int((self.probability > 0).sum())

    def share_known(self, column: FloatArray) -> float:
        """Probability that the reported architecture has a value of this metric."""
        return float(self.probability[~np.isnan(column)].sum())


def one_of_the_largest(space: SearchSpace, members: NDArray[np.int32], n: int) -> Baseline:
    """Any of the `n` members of most MACs, with equal probability; all, where there are fewer.

    Networks that tie for the last places share them.
    """
    n = min(n, len(members))
    cost = space.macs_many(indices=members)
    last = np.sort(cost)[-n]
    above, level = cost > last, cost == last
    probability = np.zeros(space.product_size)
    probability[members[above]] = 1 / n
    probability[members[level]] = (n - above.sum()) / level.sum() / n
    return Baseline("the largest" if n == 1 else f"one of the {n} largest", 0, probability)


def one_at_random(space: Grid, members: NDArray[np.int32]) -> Baseline:
    """Any of the members, with equal probability."""
    probability = np.zeros(space.product_size)
    probability[members] = 1 / len(members)
    return Baseline("one at random", 0, probability)


def known_limits(oracle: Oracle, constraints: ConstraintsLike) -> tuple[Constraint, ...]:
    """Limits on what is known before training; ConfigError on others."""
    limits = oracle.limits(constraints)
    if measured := ", ".join(str(limit) for limit in limits if not limit.known_cost):
        known = " or ".join(name for name in oracle.metrics if oracle.metric(name).before_training)
        raise ConfigError(f"constraint={measured}: only a query tells what keeps it; limit {known or 'nothing here'}")
    return limits


def without_search(space: Grid, members: NDArray[np.int32]) -> Baseline:
    """One of the largest networks; in a space that knows no costs, one at random."""
    if isinstance(space, SearchSpace):
        return one_of_the_largest(space, members, LARGEST)
    return one_at_random(space, members)


def no_search(oracle: Oracle, race: Race) -> Baseline:
    """The baseline that stands beside a race.  It keeps limits on costs; others cannot be kept without a query."""
    return without_search(oracle.space, race.members(oracle))


def random_search(column: FloatArray, members: NDArray[np.int32], queries: int, *, maximize: bool) -> Baseline:
    """The best by a (product_size,) column of uniform draws without replacement from the members."""
    last = min(queries, len(members))
    [law] = random_search_laws(column, members, last, maximize=maximize, first=last)
    return law


def random_search_laws(
    column: FloatArray, members: NDArray[np.int32], queries: int, *, maximize: bool, first: int = 1
) -> Iterator[Baseline]:
    """`random_search` after 1, 2, ... queries, or from the `first` on, until there is no member left.

    The best of n draws is among the i worst with probability C(i, n) / C(N, n) (see `expected_best_of_n`);
    architectures of equal value are reported equally often.
    """
    _, level, counts = np.unique(column[members] * (1 if maximize else -1), return_inverse=True, return_counts=True)
    no_better, total = np.cumsum(counts), len(members)
    within = np.ones(len(counts))
    for drawn in range(min(queries, total)):
        within *= np.maximum(no_better - drawn, 0) / (total - drawn)
        if drawn + 1 < first:
            continue
        probability = np.zeros(len(column))
        probability[members] = (np.diff(within, prepend=0.0) / counts)[level]
        yield Baseline(RANDOM_SEARCH, drawn + 1, probability)
