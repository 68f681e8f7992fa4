"""Statistics of races: pure functions from arrays to numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.arrays import FloatArray


def equalised(values: FloatArray) -> FloatArray:
    """Each value to 12 digits: ranks must not see differences by rounding."""
    return _rounded(values, np.abs(values), 12)


def paired_difference(first: FloatArray, second: FloatArray) -> FloatArray:
    """First minus second, each difference to 11 digits of the larger one of its pair."""
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    return _rounded(first - second, np.maximum(np.abs(first), np.abs(second)), 11)


def equalised_differences(differences: FloatArray) -> FloatArray:
    """Differences to 11 digits of the largest; all are 0 where none is above 1e-13, since their pairs are unknown."""
    largest = float(np.max(np.abs(differences), initial=0.0))
    return _rounded(differences, np.array(largest), 11) if largest > 1e-13 else np.zeros_like(differences)


def _rounded(values: FloatArray, magnitude: FloatArray, digits: int) -> FloatArray:
    with np.errstate(divide="ignore"):
        exponent = np.floor(np.log10(magnitude))
    usable = np.abs(exponent) < 290  # neither 0, infinite nor missing
    scale = 10.0 ** np.where(usable, digits - 1 - exponent, 0.0)
    return np.where(usable, np.round(values * scale) / scale, values)


def t_quantile(n: int, confidence: float = 0.95) -> float:
    """Student's t factor of a two-sided interval of a mean of `n` values, n at least 2."""
    from scipy.special import stdtrit  # `stats.t.ppf` is this function, and takes a second to import

    return float(stdtrit(n - 1, 0.5 + confidence / 2))


def mean_interval(values: FloatArray, confidence: float = 0.95) -> tuple[float, float]:
    """Student's t interval of the mean of (runs,) values without NaN; NaN for fewer than two values."""
    n = len(values)
    if n < 2:
        return math.nan, math.nan
    half = t_quantile(n, confidence) * values.std(ddof=1) / math.sqrt(n)
    return float(values.mean() - half), float(values.mean() + half)


def mean_band(curves: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Ends of the 95 % t interval of the mean at each point of (runs, points) curves; NaN for fewer than two runs."""
    runs, mean = len(curves), curves.mean(axis=0)
    half = t_quantile(runs) * curves.std(axis=0, ddof=1) / np.sqrt(runs) if runs > 1 else np.full_like(mean, np.nan)
    return mean - half, mean + half


@dataclass(frozen=True)
class Spread:
    """The known ones of (runs,) values: how many, mean, sample standard deviation, 95 % t interval of the mean.

    NaN where there are too few.
    """

    known: int
    mean: float
    std: float
    interval: tuple[float, float]


def spread(values: FloatArray) -> Spread:
    known = values[~np.isnan(values)]
    if len(known) > 1 and (known == known[0]).all():  # whose mean, and so whose deviation from it, would be rounded
        same = float(known[0])
        return Spread(len(known), same, 0.0, (same, same))
    return Spread(
        known=len(known),
        mean=float(known.mean()) if len(known) else math.nan,
        std=float(known.std(ddof=1)) if len(known) > 1 else math.nan,
        interval=mean_interval(known),
    )


def quantile_interval(values: FloatArray, share: float = 0.5) -> tuple[float, float]:
    """The range of the middle `share` of the values, that is how runs scatter; NaN for none."""
    if not len(values):
        return math.nan, math.nan
    low, high = np.quantile(values, (0.5 - share / 2, 0.5 + share / 2))
    return float(low), float(high)


def binomial_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact interval of a share (Clopper and Pearson 1934); NaN for no trials."""
    low, high = binomial_band(np.array([successes]), np.array([n]), confidence)[0]
    return float(low), float(high)


def binomial_band(successes: NDArray[np.int64], n: NDArray[np.int64], confidence: float = 0.95) -> FloatArray:
    """(points, 2) exact intervals of shares, from quantiles of the beta distribution."""
    from scipy.special import betaincinv

    failures, tail = n - successes, (1 - confidence) / 2
    low = np.where(successes > 0, betaincinv(np.maximum(successes, 1), failures + 1, tail), 0.0)
    high = np.where(failures > 0, betaincinv(successes + 1, np.maximum(failures, 1), 1 - tail), 1.0)
    return np.where(n[:, None] > 0, np.column_stack([low, high]), np.nan)


def bootstrap_interval(
    statistic: Callable[..., float],
    *samples: FloatArray,
    paired: bool = False,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of any statistic of one or several samples; NaN for fewer than two rows.

    Args:
        statistic: arrays -> number.
        samples: each (n,) or (n, ...); resampled along the first axis.
        paired: draw the same rows of every sample, as for runs of equal seeds; ValueError for unequal lengths.
        seed: of the draws; no other random state is used or touched.
    """
    lengths = [len(sample) for sample in samples]
    if paired and len(set(lengths)) > 1:
        raise ValueError(f"paired samples need equal lengths; got {lengths}")
    if min(lengths) < 2:
        return math.nan, math.nan
    rng = np.random.default_rng(seed)
    found = np.empty(resamples)
    for k in range(resamples):
        rows = rng.integers(lengths[0], size=lengths[0])
        drawn = [
            sample[rows if paired or position == 0 else rng.integers(length, size=length)]
            for position, (sample, length) in enumerate(zip(samples, lengths, strict=True))
        ]
        found[k] = statistic(*drawn)
    return quantile_interval(found, confidence)


def normalised_area(regret: FloatArray, unit: float) -> FloatArray:
    """(runs,) mean of (runs, queries) regrets over the known queries, `unit` being 1; NaN for none, or without a unit.

    With the regret of the median architecture as the unit, 0 is the best and 1 the median of a table at every query.
    """
    known = ~np.isnan(regret)
    count = known.sum(axis=1)
    total = np.where(known, regret, 0.0).sum(axis=1)
    return np.divide(total, count * unit, out=np.full(len(regret), np.nan), where=count * unit > 0)


def share_within(regrets: FloatArray, tau: FloatArray) -> FloatArray:
    """(taus,) share of runs with a regret of at most tau: Agarwal et al.'s (2021) run-score distribution of a loss."""
    return np.searchsorted(np.sort(regrets), tau, side="right") / len(regrets)
