"""Rank correlations between the columns of a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
LEAST_PAIRS = 3


def rank_correlations(columns: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray, NDArray[np.int64]]:
    """Spearman's rho and Kendall's tau-b of all pairs of columns, over the entries that both have.

    Args:
        columns: (n,) arrays, NaN where missing.

    Returns:
        (k, k) rho and tau, NaN for constant columns or fewer than three pairs, and the
        number of entries each is made of.
    """
    from scipy.stats import kendalltau, spearmanr

    size = len(columns)
    rho, tau = np.full((size, size), np.nan), np.full((size, size), np.nan)
    pairs = np.zeros((size, size), dtype=np.int64)
    for i in range(size):
        for j in range(i, size):
            both = ~np.isnan(columns[i]) & ~np.isnan(columns[j])
            first, second = columns[i][both], columns[j][both]
            pairs[i, j] = pairs[j, i] = len(first)
            if len(first) < LEAST_PAIRS or np.ptp(first) == 0 or np.ptp(second) == 0:
                continue
            rho[i, j] = rho[j, i] = spearmanr(first, second).statistic
            tau[i, j] = tau[j, i] = kendalltau(first, second).statistic
    return rho, tau, pairs
