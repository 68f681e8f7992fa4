"""A power law of size with a shape factor, fitted by robust least squares, with prediction intervals.

    y = E + A (size / centre)^-a exp((shape - mean shape) . b) + residual

`centre` is the geometric mean size.  E, A and a go together along a narrow ridge, so the fit looks for better-behaved
parameters (Ratkowsky 1983): the values of y at the mean shape, one standard deviation of log size below and above the
centre, then a and b.  The loss is Huber's, for residuals have heavy tails; its corner is 1.345 standard deviations.

The residuals' scale may change with size: log scale is linear in log size (Harvey 1976).  An interval takes quantiles
of the residuals, each divided by its scale, and adds the uncertainty of the parameters (Huber's sandwich).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nasbench_ar.arrays import FloatArray

CORNER = 1.345  # Huber's loss has 95 % efficiency under normal residuals
MAD_OF_NORMAL = 1.4826  # standard deviation over median absolute deviation
EXPONENTS = (0.01, 5.0)
STEEPEST = 50.0  # of a shape coefficient
_TOLERANCE = 1e-7
_POINTS_PER_PARAMETER = 3


@dataclass(frozen=True, eq=False)
class PowerLaw:
    """A fitted law.

    Attributes:
        centre: geometric mean size of the fitted points.
        half: standard deviation of their log size.
        mean_shape: (k,) means of their shape features.
        parameters: (3 + k,) y at `half` below and above the centre, exponent a, coefficients b.
        covariance: (3 + k, 3 + k) of the parameters.
        log_scale: intercept and slope of the residuals' log scale along log(size / centre).
        standardised: (n,) residuals y - fitted over their scale, ascending.
    """

    centre: float
    half: float
    mean_shape: FloatArray
    parameters: FloatArray
    covariance: FloatArray
    log_scale: tuple[float, float]
    standardised: FloatArray

    @property
    def exponent(self) -> float:
        """a."""
        return float(self.parameters[2])

    @property
    def shape(self) -> FloatArray:
        """(k,) b."""
        return self.parameters[3:]

    @cached_property
    def amplitude(self) -> float:
        """A: excess over the asymptote at the centre."""
        below, above, exponent = self.parameters[:3]
        return float((below - above) / (2 * np.sinh(exponent * self.half)))

    @cached_property
    def asymptote(self) -> float:
        """E: the value that infinite size would have."""
        return float(self.parameters[1] - self.amplitude * np.exp(-self.exponent * self.half))

    def predict(self, size: FloatArray, shape: FloatArray) -> FloatArray:
        """(n,) values of the law at (n,) sizes and (n, k) shapes."""
        return _values(self.parameters, np.log(size / self.centre), shape - self.mean_shape, self.half)

    def interval(self, size: FloatArray, shape: FloatArray, confidence: float = 0.95) -> FloatArray:
        """(n, 2) ends of prediction intervals of single new values."""
        from scipy.special import ndtri

        x = np.log(size / self.centre)
        value, gradient = (of(self.parameters, x, shape - self.mean_shape, self.half) for of in (_values, _gradient))
        scale = np.exp(self.log_scale[0] + self.log_scale[1] * x)
        tail = (1 - confidence) / 2
        low, high = np.quantile(self.standardised, (tail, 1 - tail))
        of_fit = ndtri(1 - tail) ** 2 * ((gradient @ self.covariance) * gradient).sum(axis=1)
        below, above = (np.sqrt((scale * max(side, 0.0)) ** 2 + of_fit) for side in (-low, high))
        return np.column_stack([value - below, value + above])


def fit_power_law(size: FloatArray, shape: FloatArray, values: FloatArray, start: PowerLaw | None = None) -> PowerLaw:
    """Fit (n,) values at (n,) positive sizes and (n, k) shapes; `start`, a law of similar points, makes it faster."""
    from scipy.optimize import least_squares

    n, k = shape.shape
    if n < _POINTS_PER_PARAMETER * (3 + k):
        raise ValueError(f"{n} points are too few for {3 + k} parameters; at least {_POINTS_PER_PARAMETER * (3 + k)}")
    log_size = np.log(size)
    x, half, moved = log_size - log_size.mean(), float(log_size.std()), shape - shape.mean(axis=0)
    if not half:
        raise ValueError(f"all {n} points have size {size[0]:g}; a law of size needs several")
    linear, *_ = np.linalg.lstsq(np.column_stack([np.ones(n), x, moved]), values)
    around = values - linear[0] - linear[1] * x - moved @ linear[2:]
    corner = CORNER * max(MAD_OF_NORMAL * float(np.median(np.abs(around - np.median(around)))), 1e-9)
    ends = np.array([-half, half])
    first = np.concatenate([linear[0] + linear[1] * ends, [0.3], np.zeros(k)])
    if start is not None:
        anchors = start.predict(np.exp(log_size.mean() + ends), np.tile(shape.mean(axis=0), (2, 1)))
        first = np.concatenate([anchors, start.parameters[2:]])
    bounds = np.tile([[-np.inf], [np.inf]], (1, 3 + k))
    bounds[:, 2], bounds[:, 3:] = EXPONENTS, np.array([[-STEEPEST], [STEEPEST]])
    found = least_squares(
        lambda parameters: _values(parameters, x, moved, half) - values,
        np.clip(first, bounds[0], bounds[1]),
        lambda parameters: _gradient(parameters, x, moved, half),
        bounds=bounds,
        loss="huber",
        f_scale=corner,
        x_scale="jac",
        ftol=_TOLERANCE,
        xtol=_TOLERANCE,
    )
    residual = values - _values(found.x, x, moved, half)
    log_scale = _log_scale(x, residual)
    return PowerLaw(
        centre=float(np.exp(log_size.mean())),
        half=half,
        mean_shape=shape.mean(axis=0),
        parameters=found.x,
        covariance=_sandwich(_gradient(found.x, x, moved, half), residual, corner),
        log_scale=log_scale,
        standardised=np.sort(residual / np.exp(log_scale[0] + log_scale[1] * x)),
    )


def _values(parameters: FloatArray, x: FloatArray, shape: FloatArray, half: float) -> FloatArray:
    """(n,) values at centred log sizes and shapes."""
    below, above = parameters[:2]
    return above + (below - above) * _part(parameters, x, shape, half)[0]


def _gradient(parameters: FloatArray, x: FloatArray, shape: FloatArray, half: float) -> FloatArray:
    """(n, 3 + k) derivatives of the values by the parameters."""
    part, excess, low, high = _part(parameters, x, shape, half)
    by_exponent = (half * low - x * excess - part * half * (high + low)) / (high - low)
    by_shape = shape * (excess / (high - low))[:, None]
    drop = parameters[0] - parameters[1]
    return np.column_stack([part, 1 - part, drop * by_exponent, drop * by_shape])


def _part(
    parameters: FloatArray, x: FloatArray, shape: FloatArray, half: float
) -> tuple[FloatArray, FloatArray, float, float]:
    """What is left of the drop from `below` to `above`: 1 at the one, 0 at the other; and what it is made of."""
    exponent = parameters[2]
    low, high = np.exp(-exponent * half), np.exp(exponent * half)
    excess = np.exp(-exponent * x + shape @ parameters[3:])
    return (excess - low) / (high - low), excess, low, high


def _log_scale(x: FloatArray, residual: FloatArray) -> tuple[float, float]:
    floor = 1e-3 * float(np.abs(residual).mean()) or 1e-12  # a residual of 0 has no logarithm
    slope, intercept = np.polyfit(x, np.log(np.maximum(np.abs(residual), floor)), 1)
    return float(intercept), float(slope)


def _sandwich(gradient: FloatArray, residual: FloatArray, corner: float) -> FloatArray:
    bread = np.linalg.pinv((gradient * (np.abs(residual) <= corner)[:, None]).T @ gradient, hermitian=True)
    scores = gradient * np.clip(residual, -corner, corner)[:, None]
    return bread @ (scores.T @ scores) @ bread
