"""Distributions of a value by the level of one entry, and what one step of an entry changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Step:
    """What raising one entry by one level changes, everything else equal.

    Attributes:
        pairs: number of pairs of architectures that differ in just this step.
        change: mean difference.
        error: standard error of the mean; no architecture is in two pairs.
        up: share of pairs in which the value rises.
    """

    pairs: int
    change: float
    error: float
    up: float


def step_effect(values: FloatArray, digits: NDArray[np.integer], entry: int, level: int) -> Step:
    """Compare level + 1 with level of one entry over all pairs that both have a value.

    Args:
        values: (product,) in lexicographic order, NaN where missing.
        digits: (product, entries) level of each entry.
        entry: position in the vector.
        level: the lower level.
    """
    low = np.flatnonzero(digits[:, entry] == level)
    stride = int(np.flatnonzero(digits[:, entry] == 1)[0])  # lexicographic: first index with this digit at 1
    difference = values[low + stride] - values[low]
    difference = difference[~np.isnan(difference)]
    n = len(difference)
    if n == 0:
        return Step(0, float("nan"), float("nan"), float("nan"))
    error = float(difference.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return Step(n, float(difference.mean()), error, float((difference > 0).mean()))


def density(values: FloatArray, grid: FloatArray) -> FloatArray:
    """(grid,) Gaussian kernel density; zero everywhere for fewer than three different values.

    The bandwidth is Scott's, of the standard deviation.
    """
    from scipy.stats import gaussian_kde

    if len(np.unique(values)) < 3:
        return np.zeros(len(grid))
    return gaussian_kde(values)(grid)
