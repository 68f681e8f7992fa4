"""Whether a difference is more than chance: paired Wilcoxon tests, Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from experiments.statistics.intervals import paired_difference
from nasbench_ar.arrays import FloatArray

SIGNIFICANCE = 0.05
EXACT_BELOW = 25  # pairs
Sample = tuple[NDArray[np.int64], FloatArray]  # seeds, ascending, and a value of each run


def paired_wilcoxon(first: FloatArray, second: FloatArray) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test on (runs,) pairs; 1 for equal pairs, NaN for no complete one.

    Zero differences are kept in the ranking (Pratt 1959), since runs often end at the same value.  Below `EXACT_BELOW`
    pairs the p-value is exact, over every pattern of signs; from there on it is of the normal approximation.

    Raises:
        ValueError: when the shapes differ.
    """
    from scipy import stats

    if np.shape(first) != np.shape(second):
        raise ValueError(f"pairs need equal shapes; got {np.shape(first)} and {np.shape(second)}")
    difference = paired_difference(first, second)
    difference = difference[~np.isnan(difference)]
    if not len(difference):
        return math.nan
    if not difference.any():
        return 1.0
    if len(difference) < EXACT_BELOW:
        return _exact(difference)
    return float(stats.wilcoxon(difference, zero_method="pratt", method="asymptotic").pvalue)


def _exact(difference: FloatArray) -> float:
    """Share of the patterns of signs whose signed ranks sum at least as far from 0 as those of (pairs,) differences."""
    from scipy import stats

    doubled = np.rint(2 * stats.rankdata(np.abs(difference)))[difference != 0].astype(np.int64)  # ties have half ranks
    patterns = np.ones(1)  # by the sum of the ranks with a positive sign
    for rank in doubled:
        patterns = np.pad(patterns, (0, rank)) + np.pad(patterns, (rank, 0))
    total, positive = doubled.sum(), doubled[difference[difference != 0] > 0].sum()
    as_far = np.abs(2 * np.arange(total + 1) - total) >= abs(2 * positive - total)
    return float(patterns[as_far].sum() / patterns.sum())


def p_of_better(first: FloatArray, second: FloatArray) -> float:
    """As `paired_wilcoxon`, but 1 where `opposed`: then neither is better."""
    p_value = paired_wilcoxon(first, second)
    return 1.0 if opposed(first, second) else p_value


def opposed(first: FloatArray, second: FloatArray) -> bool:
    """Whether mean and signed ranks of (runs,) pairs disagree on which is better.

    So it is with one that wins most pairs by little and loses a few by much.
    """
    from scipy import stats

    difference = paired_difference(first, second)
    difference = difference[~np.isnan(difference)]
    ranked = np.sign(difference) @ stats.rankdata(np.abs(difference)) if len(difference) else 0.0
    return bool(ranked * difference.sum() < 0)


def on_common_seeds(one: Sample, other: Sample) -> tuple[FloatArray, FloatArray]:
    """(pairs,) values of two samples over the seeds that both have, NaN where missing."""
    common = np.intersect1d(one[0], other[0])
    return one[1][np.isin(one[0], common)], other[1][np.isin(other[0], common)]


def against_best(samples: Sequence[Sample], *, maximize: bool) -> tuple[int | None, list[float]]:
    """The best of several samples by its mean, and the p-value of each other one against it.

    Equal seeds start from the same random numbers, so pairs are of equal seeds; p-values are of `p_of_better`,
    Holm-adjusted, NaN for the best itself.  One sample alone is not the best.  Where one has values of fewer than half
    of its runs, nothing is compared: such means are over different, few runs.
    """
    sign = 1.0 if maximize else -1.0
    if len(samples) < 2 or any(2 * np.count_nonzero(np.isnan(values)) > len(values) for _, values in samples):
        return None, [math.nan] * len(samples)
    best = int(np.argmax([sign * np.nanmean(values) for _, values in samples]))
    pairs = [on_common_seeds(sample, samples[best]) for sample in samples]
    return best, holm([math.nan if k == best else p_of_better(*pair) for k, pair in enumerate(pairs)])


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment for several comparisons; NaN entries stay and do not count."""
    p = np.asarray(p_values, dtype=np.float64)
    out = p.copy()
    order = [k for k in np.argsort(p, kind="stable") if not math.isnan(p[k])]
    largest = 0.0
    for step, k in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - step) * p[k]))
        out[k] = largest
    return out.tolist()
