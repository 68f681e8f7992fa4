"""Noise of the training seed, where a table has several trainings of an architecture.

One-way random effects: value = architecture + training.  `within` is the standard
deviation of trainings of one architecture; it holds everything that differs from seed to
seed, the evaluation images, which are the same, not among it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nasbench_ar import MissingEntryError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class SeedNoise:
    """Components of variance.

    Attributes:
        architectures: number that have at least two trainings with a value.
        trainings: of these.
        within: standard deviation between trainings of one architecture.
        between: standard deviation between architectures, noise taken out.
        intraclass: intraclass correlation ICC(1), the share of a single training's
            variance that belongs to the architecture; below 0 is chance.
        spearman: mean rank correlation of two trainings: the ceiling that any predictor
            of another training can be expected to reach.
        kendall: likewise.
        truth_pearson: sqrt(ICC), the correlation of one training with the expected value
            of its architecture; 0 where ICC is negative.
    """

    architectures: int
    trainings: int
    within: float
    between: float
    intraclass: float
    spearman: float
    kendall: float
    truth_pearson: float


def seed_noise(index: NDArray[np.integer], seeds: NDArray[np.integer], values: FloatArray) -> SeedNoise:
    """Components of variance from the rows of a table.

    Args:
        index: (rows,) architecture of each row.
        seeds: (rows,) seed of each row.
        values: (rows,) NaN where missing.

    Raises:
        MissingEntryError: when fewer than three architectures have two trainings.
    """
    known = ~np.isnan(values)
    index, seeds, values = index[known], seeds[known], values[known]
    present, group, count = np.unique(index, return_inverse=True, return_counts=True)
    repeated = count[group] > 1
    if (count > 1).sum() < 3:
        raise MissingEntryError(f"{int((count > 1).sum())} architectures have several trainings; at least 3 are needed")
    index, seeds, values = index[repeated], seeds[repeated], values[repeated]
    present, group, count = np.unique(index, return_inverse=True, return_counts=True)
    n, k = len(values), len(present)
    means = np.bincount(group, values) / count
    mean_square_within = float(((values - means[group]) ** 2).sum() / (n - k))
    mean_square_between = float((count * (means - values.mean()) ** 2).sum() / (k - 1))
    size = (n - (count**2).sum() / n) / (k - 1)  # the group size that unequal groups are worth
    between = (mean_square_between - mean_square_within) / size
    total = between + mean_square_within
    intraclass = between / total if total else 0.0
    rho, tau = _agreement(group, seeds, values)
    return SeedNoise(
        architectures=k,
        trainings=n,
        within=float(np.sqrt(mean_square_within)),
        between=float(np.sqrt(max(between, 0.0))),
        intraclass=float(intraclass),
        spearman=rho,
        kendall=tau,
        truth_pearson=float(np.sqrt(max(intraclass, 0.0))),
    )


def _agreement(group: NDArray[np.integer], seeds: NDArray[np.integer], values: FloatArray) -> tuple[float, float]:
    """Rank correlation of seeds, averaged over the pairs of seeds and weighted by what they share."""
    from scipy.stats import kendalltau, spearmanr

    different = np.unique(seeds)
    wide = np.full((len(different), group.max() + 1), np.nan)
    wide[np.searchsorted(different, seeds), group] = values
    found = []
    for i in range(len(different)):
        for j in range(i + 1, len(different)):
            both = ~np.isnan(wide[i]) & ~np.isnan(wide[j])
            first, second = wide[i][both], wide[j][both]
            if len(first) > 2 and np.ptp(first) and np.ptp(second):
                found.append((len(first), spearmanr(first, second).statistic, kendalltau(first, second).statistic))
    if not found:
        return float("nan"), float("nan")
    weights, rho, tau = np.array(found).T
    return float(np.average(rho, weights=weights)), float(np.average(tau, weights=weights))
