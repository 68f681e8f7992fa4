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


def rise(x: FloatArray, values: FloatArray) -> tuple[float, float]:
    """How much an envelope rises over the lower and over the upper half of its range of x.

    A running mean of three groups comes first, so that no group decides alone.

    Args:
        x: (groups,) ascending.
        values: (groups,) the envelope.
    """
    padded = np.pad(values, 1, constant_values=np.nan)
    smooth = np.nanmean(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0)
    middle = float(np.interp((x[0] + x[-1]) / 2, x, smooth))
    return middle - float(smooth[0]), float(smooth[-1]) - middle
