"""Statistics of races: pure functions from arrays to numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

FloatArray = NDArray[np.float64]


def t_quantile(n: int, confidence: float = 0.95) -> float:
    """Student's t factor of a two-sided interval of a mean of `n` values, n at least 2."""
    return float(stats.t.ppf(0.5 + confidence / 2, n - 1))


def mean_interval(values: FloatArray, confidence: float = 0.95) -> tuple[float, float]:
    """Student's t interval of a mean; NaN for fewer than two values.

    Args:
        values: (runs,) without NaN.
        confidence: coverage, 0.95 by default.
    """
    n = len(values)
    if n < 2:
        return math.nan, math.nan
    half = t_quantile(n, confidence) * values.std(ddof=1) / math.sqrt(n)
    return float(values.mean() - half), float(values.mean() + half)


def paired_wilcoxon(first: FloatArray, second: FloatArray) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test on pairs; 1 where all pairs are equal.

    Zero differences are kept in the ranking (Pratt 1959), since runs often end at the
    same value.  NaN where no pair is complete.

    Args:
        first: (runs,) values, NaN where missing.
        second: (runs,) values of the same seeds.
    """
    if np.shape(first) != np.shape(second):
        raise ValueError(f"pairs need equal shapes; got {np.shape(first)} and {np.shape(second)}")
    difference = np.asarray(first) - np.asarray(second)
    difference = difference[~np.isnan(difference)]
    if not len(difference):
        return math.nan
    if not difference.any():
        return 1.0
    # Equal-looking differences of decimal values differ by rounding; ranks must not see that.
    return float(stats.wilcoxon(np.round(difference, 9), zero_method="pratt", method="asymptotic").pvalue)


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
