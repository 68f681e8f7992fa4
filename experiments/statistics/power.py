"""How many seeds a paired comparison needs: the power of the t test and of Wilcoxon's test.

The t test has a closed form under normal differences.  Runs of searchers end at few distinct values, so Wilcoxon's
test, which the reports use, is simulated by drawing from the stored differences.
"""

from __future__ import annotations

import functools
import math
import warnings

import numpy as np

from experiments.statistics.intervals import equalised_differences
from experiments.statistics.significance import SIGNIFICANCE
from nasbench_ar.arrays import FloatArray

POWER = 0.8
MOST_PAIRS = 1_000_000  # of the closed form
MOST_SIMULATED = 5000
FEWEST_SIGNED_RANKS = 6  # 2 / 2^6 < 0.05 < 2 / 2^5: with fewer pairs the exact test can never reject


def paired_t_power(effect: float, n: int, significance: float = SIGNIFICANCE) -> float:
    """Power of the two-sided paired t test of n normal differences, n at least 2.

    It is P(|T| > critical value), T being noncentral t with n - 1 degrees of freedom and noncentrality effect sqrt(n);
    `effect` is the paired d.
    """
    from scipy import stats

    critical = stats.t.isf(significance / 2, n - 1)
    shift = abs(effect) * math.sqrt(n)
    above, below = stats.nct.sf(critical, n - 1, shift), stats.nct.cdf(-critical, n - 1, shift)
    # SciPy gives up far out in a tail
    return (float(shift > critical) if math.isnan(above) else float(above)) + float(np.nan_to_num(below))


def pairs_for_t(effect: float, power: float = POWER, significance: float = SIGNIFICANCE) -> int | None:
    """Fewest pairs, at least two, that give the paired t test this power; None when a million do not."""
    from scipy import stats

    if math.isnan(effect) or effect == 0:
        return None
    if math.isinf(effect):
        return 2
    quantiles = stats.norm.isf(significance / 2) + stats.norm.isf(1 - power)
    low, high = 1, max(2, math.ceil((quantiles / effect) ** 2))  # normal approximation: slightly too few
    while high <= MOST_PAIRS and paired_t_power(effect, high, significance) < power:
        low, high = high, math.ceil(high * 1.1) + 1
    while high <= MOST_PAIRS and high - low > 1:
        middle = (low + high) // 2
        if paired_t_power(effect, middle, significance) < power:
            low = middle
        else:
            high = middle
    return high if high <= MOST_PAIRS else None


def wilcoxon_power(
    difference: FloatArray, n: int, *, draws: int = 1000, seed: int = 0, significance: float = SIGNIFICANCE
) -> float:
    """Share of simulated experiments of n pairs in which the signed-rank test sees the difference.

    Each draws n of the (pairs,) stored differences with replacement.  Counted are rejections on the side of
    the mean difference, by the normal approximation of `paired_wilcoxon` at any n; below six pairs there are none.
    The standard error is at most 0.5 / sqrt(draws).
    """
    from scipy import stats

    if n < FEWEST_SIGNED_RANKS:
        return 0.0
    rng = np.random.default_rng([seed, n])
    towards = equalised_differences(difference) * np.sign(difference.mean())
    drawn = towards[rng.integers(len(difference), size=(draws, n))]
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore")  # experiments of equal pairs only; they count as not seen
        p = stats.wilcoxon(drawn, axis=1, zero_method="pratt", method="asymptotic", alternative="greater").pvalue
    return float((p < significance / 2).mean())


def pairs_for_wilcoxon(
    difference: FloatArray, power: float = POWER, *, most: int = MOST_SIMULATED, draws: int = 1000, seed: int = 0
) -> int | None:
    """Fewest pairs found that give the signed-rank test this power; None when `most` do not.

    Starts from Noether's (1987) approximation and searches by simulation, so the answer has the simulation's noise of
    a few per cent.  Shift the (pairs,) stored differences to ask for another difference.
    """
    if len(difference) < 2 or not equalised_differences(np.append(difference, difference.mean()))[-1]:
        return None

    @functools.cache
    def enough(n: int) -> bool:
        return wilcoxon_power(difference, n, draws=draws, seed=seed) >= power

    low = high = min(most, _noether(difference, power))
    while not enough(high):
        if high == most:
            return None
        low, high = high, min(most, math.ceil(high * 1.3))
    while low == high or enough(low):
        high, low = low, max(FEWEST_SIGNED_RANKS - 1, math.floor(low / 1.3))
    while high - low > max(1, high // 50):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _noether(difference: FloatArray, power: float) -> int:
    """n = (z_(alpha/2) + z_beta)^2 / (3 (P(D + D' > 0) - 1/2)^2), D and D' two differences."""
    from scipy import stats

    sums = equalised_differences(difference[:, None] + difference[None, :])[np.triu_indices(len(difference), 1)]
    offset = abs(((sums > 0) + (sums == 0) / 2).mean() - 0.5)
    quantiles = stats.norm.isf(SIGNIFICANCE / 2) + stats.norm.isf(1 - power)
    return max(FEWEST_SIGNED_RANKS, math.ceil(min(quantiles**2 / (3 * max(offset, 1e-6) ** 2), MOST_PAIRS)))
