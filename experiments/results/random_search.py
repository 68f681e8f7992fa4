"""Random search beside the searchers of a comparison: exact, without a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.results.baselines import RANDOM_SEARCH, random_search_laws
from experiments.results.standings import Profile, Standing
from experiments.statistics.intervals import normalised_area
from nasbench_ar.arrays import FloatArray


@dataclass(frozen=True)
class RandomSearch:
    """What random search reports, given that the table has a value of it.

    Attributes:
        mean: (queries,) expected regret.
        median: (queries,) least regret that at least half of the runs do not exceed.
        profile: after the last budget, of every regret that the table has.
    """

    mean: FloatArray
    median: FloatArray
    standings: tuple[Standing, ...]
    profile: Profile


def exact(
    objective: FloatArray,
    column: FloatArray,
    members: NDArray[np.int32],
    queries: int,
    budgets: Sequence[int],
    unit: float,
    *,
    guided_up: bool,
    maximize: bool,
) -> RandomSearch:
    """The law of a (product_size,) column at the best by the objective of 1, 2, ... draws from the members."""
    optimum = float(np.nanmax(column) if maximize else np.nanmin(column))
    regret = np.abs(column - optimum)
    laws = list(random_search_laws(objective, members, queries, maximize=guided_up))
    means = [law.spread(regret).mean for law in laws]
    medians = [law.median(regret) for law in laws]
    mean, median = (np.array(found + found[-1:] * (queries - len(laws))) for found in (means, medians))
    nothing = math.nan, math.nan
    standings = []
    for budget in budgets:
        law = laws[min(budget, len(laws)) - 1]
        found = law.spread(column)
        standings.append(
            Standing(
                budget=budget,
                name=RANDOM_SEARCH,
                runs=None,
                mean=found.mean,
                std=found.std,
                interval=nothing,
                median=law.median(column),
                regret=float(mean[budget - 1]),
                regret_interval=nothing,
                solved=_share(float(law.probability[regret == 0].sum()), law.share_known(column)),
                solved_interval=nothing,
                area=float(normalised_area(mean[None, :budget], unit)[0]),
                area_interval=nothing,
            )
        )
    last, known = laws[min(budgets[-1], len(laws)) - 1], ~np.isnan(regret)
    tau, level = np.unique(regret[known], return_inverse=True)
    within = np.cumsum(np.bincount(level, last.probability[known]))
    share = np.array([_share(part, last.share_known(column)) for part in within.tolist()])
    profile = Profile(RANDOM_SEARCH, tau, share, np.full((len(tau), 2), np.nan))
    return RandomSearch(mean, median, tuple(standings), profile)


def _share(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
