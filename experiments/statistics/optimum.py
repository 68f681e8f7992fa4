"""The best architecture, as far as a posterior of `hierarchical` knows it.

Given a draw of the effects and deviations, the truths of architectures are independent and normal, so that the law of
the largest and the chance of each to be it are one-dimensional integrals.  Averaged over draws, they have less Monte
Carlo error than counting which architecture is best in draws of all truths.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.statistics.hierarchical import Columns
from nasbench_ar.arrays import FloatArray

DRAWS = 400
_LEAST_POINTS = 64  # of an integral
_STEP = 1 / 44  # of its points, on the scale on which they are even
_NEVER = -12.0  # log probability
_QUANTILES = (np.arange(20) + 0.5) / 20  # of the largest, kept of each draw


@dataclass(frozen=True, eq=False)
class Optimum:
    """What is known of the largest truth.

    Attributes:
        chances: (m,) P(best), which sum to 1.
        errors: (m,) their Monte Carlo standard errors.
        best: (k,) equally likely values of the largest truth.
        regrets: (m,) expected distance of each architecture's truth from the largest.
        spreads: (draws, 3) standard deviations over the grid of main effects, of pairs, and of the rest of the truth.
    """

    chances: FloatArray
    errors: FloatArray
    best: FloatArray
    regrets: FloatArray
    spreads: FloatArray

    def credible_set(self, share: float = 0.95) -> NDArray[np.int64]:
        """The fewest architectures that hold the best with this probability, the likeliest first."""
        order = np.argsort(-self.chances, kind="stable")
        enough = int(np.searchsorted(np.cumsum(self.chances[order]), share * (1 - 1e-12))) + 1
        return order[:enough]


def optimum(
    conditional: Callable[[np.random.Generator], tuple[FloatArray, FloatArray]],
    columns: Columns,
    rng: np.random.Generator,
    draws: int = DRAWS,
) -> Optimum:
    """Of a whole grid whose more is better; `conditional` draws effects and deviations, as `Posterior.conditional`."""
    total, squares, truth = np.zeros((3, len(columns.main)))
    best, expected, found = [], [], []
    for _ in range(draws):
        means, deviations = conditional(rng)
        x, below, chances = largest(means, deviations)
        total += chances
        squares += chances**2
        truth += means
        expected.append(x[-1] - np.trapezoid(below, x))
        best.append(np.interp(_QUANTILES, below, x))
        found.append(spreads(columns, means + deviations * rng.standard_normal(len(means))))
    chances = total / draws
    errors = np.sqrt(np.maximum(squares / draws - chances**2, 0) / max(draws - 1, 1))
    return Optimum(chances, errors, np.concatenate(best), np.mean(expected) - truth / draws, np.array(found))


def largest(means: FloatArray, deviations: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(k,) points, P(largest of independent normals is below each), and each variable's chance to be the largest.

    A variable ends within 11 of its deviations above the least point, so that steps may grow with the distance from it.
    """
    from scipy.special import log_ndtr

    low, high = (means - 5 * deviations).max(), (means + 6 * deviations).max()
    end = high
    for _ in range(8):  # what is surely beaten need not be integrated
        middle = (low + end) / 2
        if log_ndtr((middle - means) / deviations).sum() < _NEVER:
            low = middle
        else:
            end = middle
    near = np.flatnonzero(means + 4.5 * deviations > low)
    scale = deviations[near][:, None]
    unit = 11 * scale.min()
    furthest = np.arcsinh((high - low) / unit)
    even = np.linspace(0, furthest, max(_LEAST_POINTS, int(furthest / _STEP)))
    x = low + unit * np.sinh(even)
    z = (x - means[near][:, None]) / scale
    logs = log_ndtr(z)
    below = np.exp(logs.sum(axis=0))
    chances = np.zeros(len(means))
    chances[near] = (np.exp(-(z**2) / 2 - logs) / scale) @ (below * np.cosh(even))
    return x, below, chances / chances.sum()


def spreads(columns: Columns, truth: FloatArray) -> list[float]:
    """Standard deviations over the whole grid of main effects, of pairs, and of the rest of (m,) values."""
    main, pairs = (float((((x.T @ truth) / len(truth)) ** 2).sum()) for x in (columns.main, columns.pairs))
    return [np.sqrt(main), np.sqrt(pairs), np.sqrt(max(float(truth.var()) - main - pairs, 0.0))]
