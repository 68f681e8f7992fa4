"""A normal model of one metric on a grid, whose effects are shrunk as much as the data say.

    y = F b + X1 u1 + X2 u2 + d + e
    u1 ~ N(0, v1),   u2 ~ N(0, v2),   d ~ N(0, v3),   e ~ N(0, known)

F has a column of ones and perhaps what another table says of each architecture; b is free.  X1 and X2 are orthonormal
columns of main effects and of pairs (`factorial.design`), so that v1 and v2 are variances over the grid a column.  d is
an architecture's own deviation from them, e the noise of its measurement.  What has the value `y - e` is its truth.

The three standard deviations have half-normal priors as wide as the values; nothing is plugged in for them.  The
posterior of their logarithms is explored on a lattice along its principal axes (Rue, Martino and Chopin 2009, section
3.1), and everything is a mixture over its nodes.  b is integrated out, which makes the likelihood a restricted one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.arrays import FloatArray

LEAST = 12  # values
_DROP = 4.0  # of the log posterior, from its mode to the last node
_SPACING, _FARTHEST = 1.5, 3  # of nodes, in standard deviations; nodes from the mode, along an axis
_SMALLEST = 1e-3  # standard deviation, of that of the values
_FREE = 1e-10  # prior precision of b, so that columns which depend on each other do no harm
_STEP = 0.05  # of logarithms, for second differences


@dataclass(frozen=True, eq=False)
class Columns:
    """What the model sees of some architectures: (n, f) F, the first column ones, (n, p1) X1 and (n, p2) X2."""

    fixed: FloatArray
    main: FloatArray
    pairs: FloatArray

    @cached_property
    def all(self) -> FloatArray:
        """(n, f + p1 + p2)."""
        return np.concatenate([self.fixed, self.main, self.pairs], axis=1)

    def __getitem__(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> Columns:
        return Columns(self.fixed[rows], self.main[rows], self.pairs[rows])


@dataclass(frozen=True, eq=False)
class Posterior:
    """What is known after `fit`: a mixture of normal distributions of (b, u1, u2), a part for a node.

    Attributes:
        deviations: (k, 3) standard deviations sqrt(v1), sqrt(v2), sqrt(v3) at each node.
        weights: (k,) posterior probabilities of the nodes, which sum to 1.
        means: (k, f + p1 + p2).
        roots: (k, f + p1 + p2, f + p1 + p2) L with covariance L L'.
        evidence: logarithm of the likelihood of the values, up to a constant that does not depend on the noise.
    """

    deviations: FloatArray
    weights: FloatArray
    means: FloatArray
    roots: FloatArray
    evidence: float = 0.0

    def expected(self, columns: Columns) -> tuple[FloatArray, FloatArray]:
        """(m,) means and variances of the truth of architectures that were not measured."""
        at = columns.all
        return self._mixed(at @ self.means.T, ((at @ self._mean_covariance) * at).sum(axis=1)[:, None] + self._own)

    def updated(self, columns: Columns, values: FloatArray, noise: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(m,) means and variances of the truth of architectures that were measured, with (m,) values and noise."""
        at = columns.all
        trust = self._trust(noise)
        means = at @ self.means.T
        means += trust * (values[:, None] - means)
        spreads = np.stack([((at @ root) ** 2).sum(axis=1) for root in self.roots], axis=1) * (1 - trust) ** 2
        return self._mixed(means, spreads + trust * noise[:, None])

    def moments(self, columns: Columns, values: FloatArray, noise: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(m,) means and variances of the truth of any architectures; values are NaN where nothing was measured."""
        mean, variance = self.expected(columns)
        known = ~np.isnan(values)
        mean[known], variance[known] = self.updated(columns[known], values[known], noise[known])
        return mean, variance

    @cached_property
    def _own(self) -> FloatArray:
        """(k,) v3."""
        return np.square(self.deviations[:, 2])

    @cached_property
    def _mean_covariance(self) -> FloatArray:
        return np.tensordot(self.weights, self.roots @ self.roots.transpose(0, 2, 1), axes=1)

    def conditional(
        self, columns: Columns, values: FloatArray, noise: FloatArray, rng: np.random.Generator
    ) -> tuple[FloatArray, FloatArray]:
        """(m,) means and standard deviations of the truth, given one draw of the effects and of the deviations.

        Given these, the truths of different architectures are independent.  Values are NaN where nothing was measured.
        """
        node = int(rng.choice(len(self.weights), p=self.weights))
        coefficients = self.means[node] + self.roots[node] @ rng.standard_normal(self.means.shape[1])
        means: FloatArray = columns.all @ coefficients
        known = ~np.isnan(values)
        own = self.deviations[node, 2] ** 2
        trust = np.where(known, _share(own, own + noise), 0.0)
        spreads = np.sqrt(np.where(known, trust * noise, own))
        return means + trust * (np.nan_to_num(values) - means), spreads

    def draw(self, columns: Columns, values: FloatArray, noise: FloatArray, rng: np.random.Generator) -> FloatArray:
        """(m,) one draw of the truth of all architectures at once; values are NaN where nothing was measured."""
        means, spreads = self.conditional(columns, values, noise, rng)
        return means + spreads * rng.standard_normal(len(means))

    def _trust(self, noise: FloatArray) -> FloatArray:
        """(m, k) weight of a measured value against the effects."""
        return _share(self._own, self._own + noise[:, None])

    def _mixed(self, means: FloatArray, spreads: FloatArray) -> tuple[FloatArray, FloatArray]:
        middle = means @ self.weights
        return middle, (spreads + (means - middle[:, None]) ** 2) @ self.weights


def _share(part: FloatArray, whole: FloatArray) -> FloatArray:
    """part / whole; 1 of nothing, since a value without noise is the truth."""
    return np.divide(part, whole, out=np.ones(np.shape(whole)), where=whole > 0)


def fit(columns: Columns, values: FloatArray, noise: FloatArray) -> Posterior:
    """The posterior after (n,) values without NaN, with (n,) known variances of their noise."""
    scale = float(np.std(values))
    if scale == 0:
        size = columns.all.shape[1]
        mean = np.zeros(size)
        mean[0] = values[0]
        return Posterior(np.zeros((1, 3)), np.ones(1), mean[None], np.zeros((1, size, size)))
    evidence = _Evidence.of(columns, values / scale, noise / scale**2)
    nodes, weights, likelihood = _lattice(evidence)
    parts = [evidence.coefficients(node) for node in nodes]
    means, roots = (np.stack(arrays) for arrays in zip(*parts, strict=True))
    return Posterior(np.exp(nodes) * scale, weights, means * scale, roots * scale, likelihood)


@dataclass(frozen=True, eq=False)
class _Evidence:
    """Sums over the rows of each different noise, from which the likelihood of any deviations follows."""

    sizes: tuple[int, int, int]
    noises: FloatArray
    counts: NDArray[np.int64]
    grams: FloatArray
    products: FloatArray
    squares: FloatArray

    @classmethod
    def of(cls, columns: Columns, values: FloatArray, noise: FloatArray) -> _Evidence:
        different, group, counts = np.unique(noise, return_inverse=True, return_counts=True)
        rows = [np.flatnonzero(group == k) for k in range(len(different))]
        parts = [columns.all[row] for row in rows]
        return cls(
            (columns.fixed.shape[1], columns.main.shape[1], columns.pairs.shape[1]),
            different,
            counts,
            np.stack([part.T @ part for part in parts]),
            np.stack([part.T @ values[row] for part, row in zip(parts, rows, strict=True)]),
            np.array([values[row] @ values[row] for row in rows]),
        )

    def _system(self, logs: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        variances = np.exp(2 * logs)
        weights = 1 / (variances[2] + self.noises)
        free, main, pairs = self.sizes
        precision = np.concatenate(
            [np.full(free, _FREE), np.full(main, 1 / variances[0]), np.full(pairs, 1 / variances[1])]
        )
        matrix = np.tensordot(weights, self.grams, axes=1) + np.diag(precision)
        return np.linalg.cholesky(matrix), weights @ self.products, weights

    def log_posterior(self, logs: FloatArray) -> float:
        """Of the logarithms of the three standard deviations, up to a constant."""
        from scipy.linalg import solve_triangular

        factor, right, weights = self._system(logs)
        _, main, pairs = self.sizes
        solved = solve_triangular(factor, right, lower=True, check_finite=False)
        determinant = 2 * np.log(np.diag(factor)).sum() - self.counts @ np.log(weights)
        determinant += 2 * (main * logs[0] + pairs * logs[1])
        fitted = float(weights @ self.squares - solved @ solved)
        return float(-(determinant + fitted) / 2 + (logs - np.exp(2 * logs) / 2).sum())

    def coefficients(self, logs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean of (b, u1, u2) and L with covariance L L', at one node."""
        from scipy.linalg import cho_solve, solve_triangular

        factor, right, _ = self._system(logs)
        root = solve_triangular(factor, np.eye(len(right)), lower=True, check_finite=False).T
        return cho_solve((factor, True), right, check_finite=False), root


def _lattice(evidence: _Evidence) -> tuple[FloatArray, FloatArray, float]:
    """(k, 3) logarithms of the deviations, their (k,) probabilities, and the logarithm of the whole integral."""
    from scipy.optimize import minimize

    low = np.log(_SMALLEST)
    start = np.log(np.array([0.2, 0.05, 0.5]))
    found = minimize(lambda x: -evidence.log_posterior(x), start, method="L-BFGS-B", bounds=[(low, 1.0)] * 3)
    values, axes = np.linalg.eigh(_curvature(evidence, found.x))
    steps = _SPACING * axes / np.sqrt(np.clip(values, 0.25, None))
    nodes, heights = [], []
    for offset in product(range(-_FARTHEST, _FARTHEST + 1), repeat=3):
        if np.square(offset).sum() > _FARTHEST**2:
            continue
        node = np.clip(found.x + steps @ np.array(offset), low, 1.5)
        height = evidence.log_posterior(node)
        if height > -found.fun - _DROP:
            nodes.append(node)
            heights.append(height)
    weights = np.exp(np.array(heights) - max(heights))
    whole = max(heights) + np.log(weights.sum()) + np.linalg.slogdet(steps)[1]
    return np.stack(nodes), weights / weights.sum(), float(whole)


def _curvature(evidence: _Evidence, at: FloatArray) -> FloatArray:
    """(3, 3) minus the second differences of the log posterior."""
    out = np.empty((3, 3))
    steps = _STEP * np.eye(3)
    for i in range(3):
        for j in range(i + 1):
            corners = [
                a * b * evidence.log_posterior(at + a * steps[i] + b * steps[j]) for a, b in product((1, -1), repeat=2)
            ]
            out[i, j] = out[j, i] = -sum(corners) / (4 * _STEP**2)
    return out
