"""Depth-width ratios that were proposed as guides to robust networks, and how much they explain.

RobustResNet (Huang et al. 2023): r = sum(D) / (sum(D) + sum(W)).
RobustPrinciple (Peng et al. 2023): r = (C1 / D1 + C2 / D2) / 2, C being channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """A least-squares polynomial.

    Attributes:
        coefficients: by ascending power.
        r2: share of the variance it explains.
    """

    coefficients: tuple[float, ...]
    r2: float


def robust_resnet_ratio(vectors: NDArray[np.integer]) -> FloatArray:
    """(n,) depth's share in the sum of all entries of (n, entries) vectors D1, W1, D2, ..."""
    depth, width = vectors[:, 0::2].sum(axis=1), vectors[:, 1::2].sum(axis=1)
    return depth / (depth + width)


def robust_principle_ratio(vectors: NDArray[np.integer], unit_channels: int) -> FloatArray:
    """(n,) mean over stages 1 and 2 of channels per block; stage i has `unit_channels * 2^(i-1) * W_i`.

    Raises:
        ValueError: when the vectors have fewer than two stages.
    """
    if vectors.shape[1] < 4:
        raise ValueError(f"the ratio needs two stages; the vectors have {vectors.shape[1] // 2}")
    first = unit_channels * vectors[:, 1] / vectors[:, 0]
    second = unit_channels * 2 * vectors[:, 3] / vectors[:, 2]
    return (first + second) / 2


def polynomial_fit(x: FloatArray, y: FloatArray, degree: int) -> Fit:
    """Least squares of a polynomial, without NaN in either array."""
    fitted = np.polynomial.Polynomial.fit(x, y, degree)
    residual = y - fitted(x)
    spread = float(((y - y.mean()) ** 2).sum())
    r2 = 1 - float((residual**2).sum()) / spread if spread else 0.0
    coefficients = np.zeros(degree + 1)
    converted = fitted.convert().coef
    coefficients[: len(converted)] = converted
    return Fit(tuple(coefficients.tolist()), r2)


def explained_at_best(x: FloatArray, y: FloatArray) -> float:
    """Most that any function of x could explain of y's variance: epsilon squared between equal x.

    The correlation ratio, corrected for the number of different x; negative values are 0.
    NaN where no two x are equal.
    """
    _, group = np.unique(x, return_inverse=True)
    count = np.bincount(group)
    if len(count) == len(y):
        return float("nan")
    within = float(((y - (np.bincount(group, y) / count)[group]) ** 2).sum()) / max(len(y) - len(count), 1)
    total = float(((y - y.mean()) ** 2).sum()) / max(len(y) - 1, 1)
    return max(0.0, 1 - within / total) if total else 0.0


def ranges_at_equal(x: FloatArray, y: FloatArray, least: int = 10) -> tuple[float, float, int]:
    """How far y spreads where x is equal: median and largest range, over values of x that `least` points share.

    Returns:
        Median range, largest range, and the number of such values of x; NaN for none.
    """
    _, group, count = np.unique(x, return_inverse=True, return_counts=True)
    ranges = np.array([np.ptp(y[group == k]) for k in np.flatnonzero(count >= least)])
    if not len(ranges):
        return float("nan"), float("nan"), 0
    return float(np.median(ranges)), float(ranges.max()), len(ranges)
