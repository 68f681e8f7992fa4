"""Running quantiles of a cloud of points: its lower and upper envelope along one axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Envelope:
    """Quantiles in groups of equal size along x.

    Attributes:
        x: (groups,) median of x in each group.
        low: (groups,) lower quantile of y.
        middle: (groups,) median of y.
        high: (groups,) upper quantile of y.
    """

    x: FloatArray
    low: FloatArray
    middle: FloatArray
    high: FloatArray


def envelope(x: FloatArray, y: FloatArray, *, groups: int = 20, tail: float = 0.025) -> Envelope:
    """Cut the points into groups along x, and take quantiles of y in each.

    Args:
        x: (n,) without NaN.
        y: (n,) without NaN.
        groups: how many; fewer where there are not five points for each.
        tail: share of a group's points beyond either envelope.
    """
    order = np.argsort(x, kind="stable")
    parts = np.array_split(order, max(1, min(groups, len(x) // 5)))
    quantiles = np.array([np.quantile(y[part], (tail, 0.5, 1 - tail)) for part in parts])
    return Envelope(np.array([np.median(x[part]) for part in parts]), *quantiles.T)


def rise(values: FloatArray) -> tuple[float, float, float]:
    """How an envelope rises: in its first half, in its second half, and Spearman's correlation with the order.

    The ends are means of two groups, so that one group decides nothing.
    """
    from scipy.stats import spearmanr

    ends = 2 if len(values) >= 6 else 1
    half = len(values) // 2
    start, middle, end = values[:ends].mean(), values[half - ends // 2 : half + 1].mean(), values[-ends:].mean()
    monotone = float(spearmanr(np.arange(len(values)), values).statistic) if len(values) > 2 else float("nan")
    return float(middle - start), float(end - middle), monotone
