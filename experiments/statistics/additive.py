"""A robust additive model of one metric, with shrinkage learned from the data (empirical Bayes).

    y_i = m + sum_e b[e, level of entry e in architecture i] + t_i,    b ~ N(0, effect variance)

with residuals t_i of Student's t distribution with 4 degrees of freedom, which keeps failed trainings from bending the
effects.  Effect variance and residual scale maximise the marginal likelihood, by expectation and maximisation: the
t distribution as a mixture of normal ones (Lange, Little and Taylor 1989), the effects as hidden variables.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nasbench_ar.arrays import FloatArray

FREEDOM = 4.0
STEPS = 50
TOLERANCE = 1e-3


@dataclass(frozen=True)
class AdditiveFit:
    """Attributes:
    intercept: m.
    effects: (p,) posterior means of b.
    effect_variance: of b before the data.
    residual_variance: of normal residuals that would have the same scale, in the metric's unit squared.
    """

    intercept: float
    effects: FloatArray
    effect_variance: float
    residual_variance: float

    def predict(self, one_hot: FloatArray) -> FloatArray:
        """(n,) fitted values of (n, p) architectures."""
        return self.intercept + one_hot @ self.effects


def fit_additive(one_hot: FloatArray, values: FloatArray) -> AdditiveFit:
    """Fit (n,) values without NaN of architectures with (n, p) one-hot entries."""
    n, p = one_hot.shape
    design = np.column_stack([np.ones(n), one_hot])
    spread = float(np.var(values))
    if spread == 0:
        return AdditiveFit(float(values[0]), np.zeros(p), 0.0, 0.0)
    middle = np.median(np.abs(values - np.median(values)))  # which one value out of bounds does not move
    tiny = 1e-9 * float(middle**2 or spread)
    effect, scale = spread / 6, spread
    mean = np.zeros(p + 1)
    mean[0] = np.median(values)
    for _ in range(STEPS):
        residual = values - design @ mean
        weight = (FREEDOM + 1) / (FREEDOM + residual**2 / scale)
        weighted = design * (weight / scale)[:, None]
        prior = np.full(p + 1, 1 / effect)
        prior[0] = 0.0
        gram = weighted.T @ design
        covariance = np.linalg.inv(gram + np.diag(prior))
        mean = covariance @ (weighted.T @ values)
        residual = values - design @ mean
        leverage = scale * (gram * covariance).sum()  # of all rows, weighted
        before = np.array([effect, scale])
        effect = max(float(np.mean(mean[1:] ** 2 + np.diag(covariance)[1:])), tiny)
        scale = max((float(weight @ residual**2) + leverage) / n, tiny)
        if (np.abs([effect, scale] - before) <= TOLERANCE * before).all():
            break
    return AdditiveFit(float(mean[0]), mean[1:], effect, scale / _scale_of_normal(FREEDOM))


@lru_cache
def _scale_of_normal(freedom: float) -> float:
    """Squared scale that the t distribution has when it is fitted to a normal one of variance 1; 0.69 for 4."""
    x, weights = np.polynomial.hermite_e.hermegauss(60)
    weights, scale = weights / weights.sum(), 1.0
    for _ in range(100):
        scale = float(weights @ ((freedom + 1) / (freedom + x**2 / scale) * x**2))
    return scale
