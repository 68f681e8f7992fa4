"""The parts of a comparison, each from the arrays of the searchers' runs (see `experiments.results.comparison`)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from experiments.statistics import effects, power, ranks
from experiments.statistics.intervals import (
    binomial_band,
    binomial_interval,
    bootstrap_interval,
    mean_interval,
    normalised_area,
    paired_difference,
    quantile_interval,
    share_within,
    spread,
)
from experiments.statistics.significance import SIGNIFICANCE, holm, on_common_seeds, opposed, paired_wilcoxon
from nasbench_ar.arrays import FloatArray

Interval = tuple[float, float]


@dataclass(frozen=True)
class Course:
    """How one searcher's runs go on; regret is the distance from the table's optimum.

    Attributes:
        seeds: (runs,) int64, ascending.
        values: (runs, queries) the metric at the architecture that a run would report; NaN where the table has none.
        regret: (runs, queries), at least 0.
        known: (queries,) runs that have a value; the means and medians are over those.
        mean_band: (queries, 2) 95 % t interval of the mean regret.
        median_band: (queries, 2) the middle half of the runs.
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


@dataclass(frozen=True)
class Standing:
    """One searcher at one budget: the metric's own values, regrets, and the share of runs that found the optimum.

    `std` is the sample standard deviation; intervals are 95 %, those of means by t, that of `solved` exact.  `area` is
    the mean regret over queries 1 to `budget`, 0 being the best and 1 the median architecture.  `runs` is None for the
    exact law of random search, which has no intervals.
    """

    budget: int
    name: str
    runs: int | None
    mean: float
    std: float
    interval: Interval
    median: float
    regret: float
    regret_interval: Interval
    solved: float
    solved_interval: Interval
    area: float
    area_interval: Interval


@dataclass(frozen=True)
class Pair:
    """Two searchers at one budget, the one of the better mean first.

    Attributes:
        pairs: seeds that both have, with a value of both.
        advantage: by how much `first` is better, mean over the pairs; positive is better for every metric.
        interval: its 95 % t interval.
        p_value: Wilcoxon's signed-rank test, two-sided; NaN without pairs.
        p_holm: adjusted over all pairs of searchers at this budget; 1 where means and signed ranks disagree on which
            is better.
        superiority: Vargha and Delaney's A over all runs of both; 95 % interval by bootstrap over seeds.
        paired_superiority: share of the pairs that `first` wins, ties half.
        cohens_d: of the paired differences; 95 % interval exact for normal differences.
        correlation: Pearson's, of the two over the pairs; what pairing is worth.
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
        average: name -> mean rank, 1 being the best; NaN without seeds.
        p_value: Friedman's; NaN for two searchers, where Wilcoxon's test is the comparison.
        critical_difference: Nemenyi's, of mean ranks.
        cliques: groups of names that the test of `joined_by` does not tell apart.
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
    """(taus,) share of one searcher's runs with a regret of at most tau, with exact binomial 95 % bands of each."""

    name: str
    tau: FloatArray
    share: FloatArray
    band: FloatArray


MIDDLE = 0.5  # share of the runs in the band around a median


def course(name: str, seeds: NDArray[np.int64], values: FloatArray, optimum: float) -> Course:
    regret = np.abs(values - optimum)
    columns = [_known(column) for column in regret.T]
    return Course(
        name=name,
        seeds=seeds,
        values=values,
        regret=regret,
        known=np.array([len(column) for column in columns]),
        mean=np.array([_mean(column) for column in columns]),
        mean_band=np.array([mean_interval(column) for column in columns]),
        median=np.array([_median(column) for column in columns]),
        median_band=np.array([quantile_interval(column, MIDDLE) for column in columns]),
    )


def regret_of_median(column: FloatArray, optimum: float) -> float:
    """Distance of the median architecture from the best: the unit of areas."""
    return abs(float(np.nanmedian(column)) - optimum)


def _known(values: FloatArray) -> FloatArray:
    return values[~np.isnan(values)]


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else math.nan


def _median(values: FloatArray) -> float:
    return float(np.median(values)) if len(values) else math.nan


def standing(course: Course, budget: int, unit: float) -> Standing:
    """`unit` is the regret of the median architecture."""
    areas = _known(normalised_area(course.regret[:, :budget], unit))
    values, regret = _known(course.values[:, budget - 1]), _known(course.regret[:, budget - 1])
    found, solved = spread(values), int((regret == 0).sum())
    return Standing(
        budget=budget,
        name=course.name,
        runs=len(values),
        mean=found.mean,
        std=found.std,
        interval=found.interval,
        median=_median(values),
        regret=_mean(regret),
        regret_interval=mean_interval(regret),
        solved=solved / len(values) if len(values) else math.nan,
        solved_interval=binomial_interval(solved, len(values)),
        area=_mean(areas),
        area_interval=mean_interval(areas),
    )


def pairs_at(
    courses: Sequence[Course], budget: int, sign: float, difference: float | None, resamples: int, seed: int
) -> list[Pair]:
    """All pairs at one budget, with p-values adjusted over them."""
    found = [
        pair(first, second, budget, sign, difference, resamples, seed)
        for first, second in itertools.combinations(courses, 2)
    ]
    adjusted = holm([p.p_holm for p in found])
    return [replace(p, p_holm=value) for p, value in zip(found, adjusted, strict=True)]


def pair(
    one: Course, other: Course, budget: int, sign: float, difference: float | None, resamples: int, seed: int
) -> Pair:
    """Two searchers at one budget; `pairs_at` adjusts `p_holm`, which needs all pairs.

    Vargha and Delaney's A is taken over all runs of both, equal seeds or not: it answers how often one run beats
    another, and a user's next run shares no seed with any.  Its interval resamples the seeds of both together where
    they are the same.
    """
    x, y = sign * one.values[:, budget - 1], sign * other.values[:, budget - 1]
    first, second, pairs = _complete_pairs(one, other, x, y)
    gap = _mean(first - second) if pairs else _mean(_known(x)) - _mean(_known(y))
    if gap < 0:
        one, other, x, y, first, second, gap = other, one, y, x, second, first, -gap
    differences = paired_difference(first, second)
    p_value = paired_wilcoxon(first, second)
    d = effects.cohens_d_paired(differences)
    target = gap if difference is None else difference
    sought = differences if difference is None or not pairs else differences - gap + difference
    same = len(x) == len(y) and bool((one.seeds == other.seeds).all()) and pairs == len(x)
    return Pair(
        budget=budget,
        first=one.name,
        second=other.name,
        pairs=pairs,
        advantage=gap,
        interval=mean_interval(differences),
        p_value=p_value,
        p_holm=1.0 if opposed(first, second) else p_value,
        superiority=effects.vargha_delaney(_known(x), _known(y)),
        superiority_interval=bootstrap_interval(
            effects.vargha_delaney, _known(x), _known(y), paired=same, resamples=resamples, seed=seed
        ),
        paired_superiority=effects.paired_superiority(first, second),
        cliffs_delta=effects.cliffs_delta(_known(x), _known(y)),
        cohens_d=d,
        cohens_d_interval=effects.cohens_d_interval(d, pairs),
        correlation=_correlation(first, second),
        target=target,
        seeds_t=power.pairs_for_t(effects.cohens_d_paired(sought)),
        seeds_wilcoxon=power.pairs_for_wilcoxon(sought, seed=seed),
    )


def _complete_pairs(one: Course, other: Course, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray, int]:
    first, second = on_common_seeds((one.seeds, x), (other.seeds, y))
    both = ~np.isnan(first) & ~np.isnan(second)
    return first[both], second[both], int(both.sum())


def _correlation(first: FloatArray, second: FloatArray) -> float:
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    return float(np.corrcoef(first, second)[0, 1])


def ranking(courses: Sequence[Course], budget: int, sign: float, pairs: Sequence[Pair], joined_by: str) -> Ranking:
    names = [c.name for c in courses]
    common = courses[0].seeds
    for c in courses[1:]:
        common = np.intersect1d(common, c.seeds)
    values = np.column_stack([sign * c.values[np.isin(c.seeds, common), budget - 1] for c in courses])
    values = values[~np.isnan(values).any(axis=1)]
    seeds = len(values)
    average = ranks.average_ranks(values) if seeds else np.full(len(names), np.nan)
    critical = ranks.critical_difference(len(names), seeds)
    different = np.abs(average[:, None] - average) > critical
    if joined_by == "wilcoxon":
        for p in pairs:
            i, j = names.index(p.first), names.index(p.second)
            different[i, j] = different[j, i] = p.p_holm < SIGNIFICANCE
    chi_squared, p_value = ranks.friedman(values)
    groups = ranks.cliques(average, different) if seeds else []
    return Ranking(
        budget=budget,
        seeds=seeds,
        average=dict(zip(names, average.tolist(), strict=True)),
        chi_squared=chi_squared,
        p_value=p_value,
        critical_difference=critical,
        cliques=tuple(tuple(names[k] for k in group) for group in groups),
        joined_by=joined_by,
    )


def profiles(courses: Sequence[Course], budget: int) -> list[Profile]:
    """Share of the runs within each regret that occurs, from 0 on."""
    ends = [_known(c.regret[:, budget - 1]) for c in courses]
    tau = np.unique(np.concatenate([[0.0], *ends]))
    out = []
    for c, regrets in zip(courses, ends, strict=True):
        if len(regrets):
            share = share_within(regrets, tau)
            counts = np.rint(share * len(regrets)).astype(int)
            band = binomial_band(counts, np.full(len(counts), len(regrets)))
        else:
            share, band = np.full(len(tau), np.nan), np.full((len(tau), 2), np.nan)
        out.append(Profile(c.name, tau, share, band))
    return out
