"""Which points to measure, so that a normal model predicts all points of a space best (I-optimal designs).

Coefficients of columns z have the prior precision P, and a value has the variance s around z's effects.  After n values
the coefficients have the covariance C = (P + sum z z' / s)^-1, and the effects the mean variance trace(C A) over the
space, where A is the mean of z z'.  `exchange` improves a design by one point at a time (Fedorov 1972) within strata,
whose counts stay as they are; C follows by the formula of Sherman and Morrison.
"""

from __future__ import annotations

import numpy as np

from nasbench_ar.arrays import FloatArray, IntArray

MOST_PASSES = 20
_LEAST_GAIN = 1e-9  # of the criterion, for a change


def mean_variance(columns: FloatArray, precision: FloatArray, noise: float, chosen: IntArray) -> float:
    """Mean variance of the effects over (n, p) points after the chosen ones are measured; (p,) prior precisions."""
    return float(np.tensordot(_covariance(columns, precision, noise, chosen), _moments(columns)))


def stratified(strata: IntArray, n: int, rng: np.random.Generator) -> IntArray:
    """(n,) points at random, as many of each of the strata 0, 1, ... as its share, up to one."""
    order = rng.permutation(len(strata))
    order = order[np.argsort(strata[order], kind="stable")]
    places = (np.arange(n) + rng.random()) * len(strata) / n  # equal steps through a random order are a random sample
    return order[places.astype(np.int64)]


def exchange(
    columns: FloatArray,
    precision: FloatArray,
    noise: float,
    start: IntArray,
    strata: IntArray,
    rng: np.random.Generator,
) -> IntArray:
    """(k,) points of the design that one-by-one exchanges reach from `start`, ascending."""
    moments = _moments(columns)
    members = {stratum: np.flatnonzero(strata == stratum) for stratum in np.unique(strata[start])}
    chosen = start.copy()
    for _ in range(MOST_PASSES):
        known = _Known(columns, moments, _covariance(columns, precision, noise, chosen))
        changed = False
        for place in rng.permutation(len(chosen)):
            known.update(chosen[place], -noise)
            others = members[strata[chosen[place]]]
            gains = known.gains(noise)
            allowed = gains[others]
            allowed[np.isin(others, np.delete(chosen, place))] = -np.inf
            best = int(np.argmax(allowed))
            if allowed[best] > gains[chosen[place]] * (1 + _LEAST_GAIN):
                chosen[place], changed = others[best], True
            known.update(chosen[place], noise)
        if not changed:
            break
    return np.sort(chosen)


class _Known:
    """The covariance C, and of each of (n, p) points z the products z'CMCz and z'Cz, M being the moments.

    With a = C z of a new point and c = s + z'a, C becomes C - a a' / c; the products follow by two matrix-vector
    products, without C for all points anew.
    """

    def __init__(self, columns: FloatArray, moments: FloatArray, covariance: FloatArray) -> None:
        self._columns, self._moments, self._covariance = columns, moments, covariance
        along = columns @ covariance
        self._weighted = ((along @ moments) * along).sum(axis=1)
        self._variance = (along * columns).sum(axis=1)

    def update(self, point: int, noise: float) -> None:
        """With a value more at a point; negative noise takes it out again."""
        along = self._covariance @ self._columns[point]
        scale = noise + self._columns[point] @ along
        weighted = self._moments @ along
        shared, both = self._columns @ along, self._columns @ (self._covariance @ weighted)
        self._weighted += shared * (shared * (along @ weighted) / scale - 2 * both) / scale
        self._variance -= shared**2 / scale
        self._covariance = self._covariance - along[:, None] * along / scale

    def gains(self, noise: float) -> FloatArray:
        """By how much a value at each point lowers the criterion."""
        return self._weighted / (noise + self._variance)


def _moments(columns: FloatArray) -> FloatArray:
    return columns.T @ columns / len(columns)


def _covariance(columns: FloatArray, precision: FloatArray, noise: float, chosen: IntArray) -> FloatArray:
    information = columns[chosen].T @ columns[chosen] / noise + np.diag(precision)
    return np.linalg.inv(information).astype(np.float64)
