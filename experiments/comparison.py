"""What a comparison of searchers consists of: plain data, made by `experiments.compare`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Course:
    """How one searcher's runs go on.

    Attributes:
        name: of the searcher.
        seeds: (runs,) int64, ascending.
        values: (runs, queries) float64, the metric at the architecture that a run would
            report after each query; NaN where the table has no value.
        regret: (runs, queries) float64, how far that is from the table's optimum, at least 0.
        known: (queries,) int64 runs that have a value.
        mean: (queries,) float64 mean regret over those.
        mean_band: (queries, 2) its 95 % t interval.
        median: (queries,) median regret.
        median_band: (queries, 2) the middle half of the runs.
        areas: (runs,) float64 area under the regret curve, over the number of queries.
        area: their mean.
        area_interval: its 95 % t interval.
    """

    name: str
    seeds: NDArray[np.int64]
    values: FloatArray
    regret: FloatArray
    known: NDArray[np.int64]
    mean: FloatArray
    mean_band: FloatArray
    median: FloatArray
    median_band: FloatArray
    areas: FloatArray
    area: float
    area_interval: Interval


@dataclass(frozen=True)
class Standing:
    """One searcher at one budget; the metric's own values, and regrets.

    Attributes:
        budget: queries.
        name: of the searcher.
        runs: how many have a value.
        mean: of the metric.
        std: sample standard deviation over runs.
        interval: 95 % t interval of the mean.
        median: of the metric.
        regret: mean distance from the table's optimum.
        regret_interval: its 95 % t interval.
        solved: share of the runs that found the optimum.
        solved_interval: its exact 95 % interval.
    """

    budget: int
    name: str
    runs: int
    mean: float
    std: float
    interval: Interval
    median: float
    regret: float
    regret_interval: Interval
    solved: float
    solved_interval: Interval


@dataclass(frozen=True)
class Pair:
    """Two searchers at one budget, the one of the better mean first.

    Attributes:
        budget: queries.
        first: the better one by the mean advantage.
        second: the other.
        pairs: seeds that both have, with a value of both.
        advantage: by how much `first` is better, mean over the pairs; positive is better
            for every metric.
        interval: its 95 % t interval.
        p_value: Wilcoxon's signed-rank test, two-sided; NaN without pairs.
        p_holm: adjusted over all pairs of searchers at this budget.
        superiority: Vargha and Delaney's A over all runs of both.
        superiority_interval: 95 %, bootstrap over seeds.
        paired_superiority: share of the pairs that `first` wins, ties half.
        cliffs_delta: 2 A - 1.
        cohens_d: of the paired differences.
        cohens_d_interval: 95 %, exact for normal differences.
        correlation: of the two over the pairs, Pearson's; what pairing is worth.
        target: the difference that the numbers of seeds are about.
        seeds_t: seeds for 80 % power of the paired t test; None if it cannot be reached.
        seeds_wilcoxon: the same of Wilcoxon's test, simulated.
    """

    budget: int
    first: str
    second: str
    pairs: int
    advantage: float
    interval: Interval
    p_value: float
    p_holm: float
    superiority: float
    superiority_interval: Interval
    paired_superiority: float
    cliffs_delta: float
    cohens_d: float
    cohens_d_interval: Interval
    correlation: float
    target: float
    seeds_t: int | None
    seeds_wilcoxon: int | None


@dataclass(frozen=True)
class Ranking:
    """Mean ranks at one budget over the seeds that all searchers have.

    Attributes:
        budget: queries.
        seeds: blocks, with a value of every searcher.
        average: name -> mean rank, 1 being the best; NaN without seeds.
        chi_squared: Friedman's.
        p_value: of it; NaN for two searchers, where Wilcoxon's test is the comparison.
        critical_difference: Nemenyi's, of mean ranks.
        cliques: groups of names that the test of `joined_by` does not tell apart.
        joined_by: `wilcoxon` or `nemenyi`.
    """

    budget: int
    seeds: int
    average: dict[str, float]
    chi_squared: float
    p_value: float
    critical_difference: float
    cliques: tuple[tuple[str, ...], ...]
    joined_by: str


@dataclass(frozen=True)
class Profile:
    """Share of one searcher's runs within a regret, at the largest budget.

    Attributes:
        name: of the searcher.
        tau: (taus,) regrets, ascending.
        share: (taus,) of the runs with a regret of at most tau.
        band: (taus, 2) exact binomial 95 % interval, for each tau on its own.
    """

    name: str
    tau: FloatArray
    share: FloatArray
    band: FloatArray


@dataclass(frozen=True)
class Comparison:
    """Everything that is written and drawn.

    Attributes:
        table: its name.
        title: its line on what the numbers are.
        objective: what guided the searches.
        metric: what is compared.
        label: of the metric, for people.
        unit: of the metric, may be empty.
        maximize: whether more of it is better.
        optimum: best value in the table.
        queries: budget of a run.
        budgets: compared at, ascending.
        difference: what the numbers of seeds are about; None for the observed one of each pair.
        courses: one per searcher, in the order of the folders.
        standings: one per budget and searcher.
        pairs: one per budget and pair.
        rankings: one per budget.
        profiles: one per searcher.
        notes: what a reader has to know, one sentence each.
    """

    table: str
    title: str
    objective: str
    metric: str
    label: str
    unit: str
    maximize: bool
    optimum: float
    queries: int
    budgets: tuple[int, ...]
    difference: float | None
    courses: tuple[Course, ...]
    standings: tuple[Standing, ...]
    pairs: tuple[Pair, ...]
    rankings: tuple[Ranking, ...]
    profiles: tuple[Profile, ...]
    notes: tuple[str, ...]
