"""How large a difference between two searchers is: pure functions from arrays to numbers.

A p-value tells whether runs suffice to see a difference; these tell what it is worth.
Higher values are better in all of them; the caller turns the sign of losses.
"""

from __future__ import annotations

import math

import numpy as np

from experiments.statistics.intervals import equalised, equalised_differences, paired_difference
from nasbench_ar.arrays import FloatArray


def vargha_delaney(first: FloatArray, second: FloatArray) -> float:
    """A of Vargha and Delaney (2000): P(X > Y) + P(X = Y) / 2 over all pairs of (n,) and (m,) runs without NaN.

    NaN where a side is empty.  Agarwal et al. (2021) call it the probability of improvement.
    """
    from scipy import stats

    n, m = len(first), len(second)
    if not n or not m:
        return math.nan
    ranks = stats.rankdata(equalised(np.concatenate([first, second])))
    return float((ranks[:n].sum() / n - (n + 1) / 2) / m)


def paired_superiority(first: FloatArray, second: FloatArray) -> float:
    """Share of pairs of equal seeds that `first` wins, ties counted half; NaN for no pairs."""
    difference = paired_difference(first, second)
    return float(((difference > 0) + (difference == 0) / 2).mean()) if len(difference) else math.nan


def cliffs_delta(first: FloatArray, second: FloatArray) -> float:
    """P(X > Y) - P(X < Y) over all pairs of runs (Cliff 1993): 2 A - 1."""
    return 2 * vargha_delaney(first, second) - 1


def cohens_d_paired(difference: FloatArray) -> float:
    """Mean of the paired differences over their standard deviation, often written d_z.

    0 where all differences are 0, infinite where they are all equal and not 0, NaN for fewer than two.
    """
    if len(difference) < 2:
        return math.nan
    rounded = equalised_differences(difference)
    mean, spread = float(rounded.mean()), float(rounded.std(ddof=1))
    if np.ptp(rounded) == 0:
        return 0.0 if mean == 0 else math.copysign(math.inf, mean)
    return mean / spread


def cohens_d_interval(d: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact (low, high) of a paired d of n normal differences; NaN where d is not finite or n below 2.

    Inverts the noncentral t: d sqrt(n) has n - 1 degrees of freedom and noncentrality delta sqrt(n), delta being the
    true effect.
    """
    from scipy import optimize, stats

    if n < 2 or not math.isfinite(d):
        return math.nan, math.nan
    t, tail = abs(d) * math.sqrt(n), (1 - confidence) / 2
    width = (stats.norm.isf(tail) + 5) * math.sqrt(1 + t * t / (2 * (n - 1)))  # five standard errors more

    def bound(level: float) -> float:
        def excess(shift: float) -> float:
            below = float(stats.nct.cdf(t, n - 1, shift))
            if math.isnan(below):  # so far out in a tail that SciPy gives up
                below = 1.0 if shift < t else 0.0
            return below - level

        return float(optimize.brentq(excess, t - width, t + width)) / math.sqrt(n)

    low, high = bound(1 - tail), bound(tail)
    return (low, high) if d >= 0 else (-high, -low)
