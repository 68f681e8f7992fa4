"""Whether a difference is more than chance: paired Wilcoxon tests, Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from experiments.statistics.intervals import equalised
from nasbench_ar.arrays import FloatArray


def paired_wilcoxon(first: FloatArray, second: FloatArray) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test on (runs,) pairs; 1 for equal pairs, NaN for no complete one.

    Zero differences are kept in the ranking (Pratt 1959), since runs often end at the same value.

    Raises:
        ValueError: when the shapes differ.
    """
    from scipy import stats

    if np.shape(first) != np.shape(second):
        raise ValueError(f"pairs need equal shapes; got {np.shape(first)} and {np.shape(second)}")
    difference = np.asarray(first) - np.asarray(second)
    difference = difference[~np.isnan(difference)]
    if not len(difference):
        return math.nan
    if not difference.any():
        return 1.0
    return float(stats.wilcoxon(equalised(difference), zero_method="pratt", method="asymptotic").pvalue)


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


SIGNIFICANCE = 0.05
