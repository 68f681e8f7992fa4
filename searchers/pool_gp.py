"""A Gaussian process over the members of a search space: kernel, marginal likelihood, posterior that grows.

Arrays (n observations, m members asked about, S one-hot columns, D entries, G groups):

    x, z       (n, S), (m, S)   0/1, one block of columns an entry (`SearchSpace.one_hot`)
    y          (n,)             targets of mean about zero
    theta      (D + 2G + 2,)    logarithms: D rates, G shared rates, G shared weights, weight of the product, noise
    log_table  (S, S)           log k_p between the levels of entry p on its block, zero elsewhere
    table      (S, S)           shared kernels on the blocks of entries of one group, zero elsewhere
    lower      (n, n)           Cholesky factor of K + noise I
    whitened   (n, m)           lower^-1 K(x, z)

The model is y = f(x) + noise.  What one training of a network adds by chance, and what no sum or product of entries
explains, is noise alike; its size is learned.  The covariance of f has two parts,

    k(x, z) = b prod_p k_p(x_p, z_p) + sum_g c_g / |g|^2 sum_{p, q in g} k_g(x_p, z_q).

The product, over all entries, says that architectures of few differences are alike; being a product, it has all
interactions.  A group holds the entries that have the same choices, such as the depths of all stages or the operations
of all edges.  Its kernel is that of a function sum_{p in g} h_g(x_p) / |g|: what a level is worth wherever it stands,
which a few observations tell.  In a group of one it is the additive effect of the entry.  Between levels,

    k_p = exp(-r)                        r = rate [levels differ]                 without an order (Hamming)
    k_p = (1 + s + s^2 / 3) exp(-s)      s = sqrt(5) rate |i - j| / (levels - 1)  in order (Matern 5/2).

With one-hot rows both parts are matrix products: K = b exp(x log_table z') + x table z'.  So are their derivatives.
With A = (K + noise I)^-1 and a = A y,

    log p(y) = -(y'a) / 2 - sum_i log lower_ii - n log(2 pi) / 2          (Rasmussen and Williams 2006, eq. 5.8)
    d log p / d t = sum_ij W_ij dK_ij / dt,   W = (a a' - A) / 2          (their eq. 5.9)
    d log p / d log rate_p = sum over block p of (x' (W * P) x) * d log_table / d log rate_p,  P = b exp(x log_table x')
    d log p / d log of the rate or weight of g = sum over the blocks of g of (x' W x) * d table.

which costs n^2 S, however many the parameters.  Parameters have log-normal priors, and the fit climbs to the
largest p(y | theta) p(theta).

The posterior at z is mean = whitened' lower^-1 y and variance = k(z, z) - sum_i whitened_i^2.  An observation adds a
row to `lower` and to `whitened` and leaves the others as they are; neither depends on y.  So a batch is chosen one by
one: the variance shrinks as if the chosen had been observed at their means.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.arrays import FloatArray

Float32Array = NDArray[np.float32]

# Of the logarithms: centre and deviation of the normal prior.
_RATE, _SHARED_WEIGHT = (0.0, 1.0), (0.0, 1.5)
_PRODUCT_WEIGHT, _NOISE = (np.log(0.5), 1.5), (np.log(0.2), 1.5)
_REACH = 5.0  # no parameter goes farther than this from its prior's centre
_LEAST_NOISE = 1e-4  # of the targets' variance; keeps `lower` well conditioned
_LEAST_VARIANCE = 1e-6
_CHUNK = 4096  # members in one pass


class PoolGP:
    """Kernel and noise, with the parameters fitted last.

    Args:
        choices: the choices of every entry; equal ones form a group if they are alike in order.
        ordered: of every entry, whether its choices are in order.
    """

    def __init__(self, choices: Sequence[Sequence[object]], ordered: Sequence[bool]) -> None:
        kinds = [(tuple(values), bool(order)) for values, order in zip(choices, ordered, strict=True)]
        groups = list(dict.fromkeys(kinds))
        sizes = [len(values) for values, _ in kinds]
        self._entry = np.repeat(np.arange(len(kinds)), sizes)  # (S,) of each column
        self._group = np.repeat([groups.index(kind) for kind in kinds], sizes)
        level = np.concatenate([np.arange(size) for size in sizes])
        span = np.maximum(np.repeat(sizes, sizes) - 1, 1)
        self._ordered = np.repeat([order for _, order in kinds], sizes)[:, None]
        steps = np.abs(level[:, None] - level)
        self._distance = np.where(self._ordered, steps / span[:, None], steps > 0)
        self._same_entry = self._entry[:, None] == self._entry
        self._same_group = self._group[:, None] == self._group
        self._entries, self._groups = len(kinds), len(groups)
        members = np.bincount([groups.index(kind) for kind in kinds])
        self._share = (1.0 / members**2)[self._group][:, None]
        priors = [*[_RATE] * (self._entries + self._groups), *[_SHARED_WEIGHT] * self._groups, _PRODUCT_WEIGHT, _NOISE]
        self._centre, self._deviation = np.array(priors).T
        self._set(self._centre.copy())

    def _set(self, theta: FloatArray) -> None:
        self.theta = theta
        log_table, _, table, _ = self._tables(theta)
        self._fitted = log_table, table

    @property
    def noise(self) -> float:
        """Variance of what is not explained."""
        return float(np.exp(self.theta[-1]))

    def _tables(self, theta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """(S, S) `log_table` and `table`, each followed by its derivative by the logarithm of its rate."""
        rates, shared, weights = np.split(np.exp(theta[:-2]), [self._entries, self._entries + self._groups])
        log_k, slope = self._log_kernel(rates[self._entry][:, None])
        log_shared, shared_slope = self._log_kernel(shared[self._group][:, None])
        table = np.where(self._same_group, self._share * weights[self._group][:, None] * np.exp(log_shared), 0.0)
        return (
            np.where(self._same_entry, log_k, 0.0),
            np.where(self._same_entry, slope, 0.0),
            table,
            table * shared_slope,
        )

    def _log_kernel(self, rate: FloatArray) -> tuple[FloatArray, FloatArray]:
        r = rate * self._distance
        s = np.sqrt(5) * r
        rise = 1 + s + s * s / 3
        return (
            np.where(self._ordered, np.log(rise) - s, -r),
            np.where(self._ordered, s * (1 + 2 * s / 3) / rise - s, -r),
        )

    def covariance(self, x: NDArray[np.floating], z: NDArray[np.floating]) -> NDArray[np.floating]:
        """(n, m) of f, without noise, in the precision of `z`."""
        log_table, table = self._fitted
        out: NDArray[np.floating] = (x @ log_table).astype(z.dtype) @ z.T
        np.exp(out, out=out)
        out *= z.dtype.type(np.exp(self.theta[-2]))
        out += (x @ table).astype(z.dtype) @ z.T
        return out

    def variance(self, z: NDArray[np.floating]) -> NDArray[np.floating]:
        """(m,) of f before anything is observed, in the precision of `z`."""
        table = self._fitted[1].astype(z.dtype)
        return z.dtype.type(np.exp(self.theta[-2])) + np.einsum("ms,ms->m", z @ table, z)

    def log_marginal_likelihood(self, theta: FloatArray, x: FloatArray, y: FloatArray) -> tuple[float, FloatArray]:
        """log p(y | theta) and its (D + 2G + 2,) gradient; -inf and zeros where K is numerically singular."""
        from scipy.linalg import lapack  # slow to import, needed here only

        log_table, log_slope, table, slope = self._tables(theta)
        product = np.exp(theta[-2] + x @ log_table @ x.T)
        k = product + x @ table @ x.T
        k.flat[:: len(y) + 1] += np.exp(theta[-1])
        lower, failed = lapack.dpotrf(k, lower=1)
        if failed:
            return -np.inf, np.zeros_like(theta)
        half, _ = lapack.dpotri(lower, lower=1)
        inverse = np.tril(half) + np.tril(half, -1).T
        alpha = inverse @ y
        value = -0.5 * y @ alpha - np.log(np.diag(lower)).sum() - 0.5 * len(y) * np.log(2 * np.pi)
        w = 0.5 * (np.outer(alpha, alpha) - inverse)
        trace = np.trace(w)
        of_shared = x.T @ w @ x
        w *= product
        gradient = np.concatenate(
            [
                np.bincount(self._entry, ((x.T @ w @ x) * log_slope).sum(axis=1)),
                np.bincount(self._group, (of_shared * slope).sum(axis=1)),
                np.bincount(self._group, (of_shared * table).sum(axis=1)),
                [w.sum(), np.exp(theta[-1]) * trace],
            ]
        )
        return float(value), gradient

    def fit(self, x: FloatArray, y: FloatArray, steps: int) -> None:
        """Climb from the last parameters by at most so many steps of L-BFGS."""
        from scipy.optimize import minimize

        def loss(theta: FloatArray) -> tuple[float, FloatArray]:
            value, gradient = self.log_marginal_likelihood(theta, x, y)
            away = (theta - self._centre) / self._deviation
            return min(0.5 * away @ away - value, 1e10), away / self._deviation - gradient

        low, high = self._centre - _REACH, self._centre + _REACH
        low[-1] = np.log(_LEAST_NOISE)
        options = {"maxiter": steps, "maxfun": 2 * steps}
        bounds = np.column_stack([low, high])
        self._set(minimize(loss, self.theta, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x)

    def predict(self, x: FloatArray, y: FloatArray, z: Float32Array) -> tuple[FloatArray, FloatArray]:
        """(m,) posterior means and variances of f, in single precision, of any number of members."""
        from scipy.linalg import solve_triangular

        k = self.covariance(x, x)
        k.flat[:: len(y) + 1] += self.noise
        lower = np.linalg.cholesky(k)
        target = solve_triangular(lower, y, lower=True, check_finite=False).astype(np.float32)
        lower32 = lower.astype(np.float32)
        mean, variance = np.empty(len(z)), np.empty(len(z))
        for start in range(0, len(z), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            whitened = solve_triangular(lower32, self.covariance(x, z[chunk]), lower=True, check_finite=False)
            mean[chunk] = target @ whitened
            variance[chunk] = self.variance(z[chunk]) - np.einsum("nm,nm->m", whitened, whitened)
        return mean, np.maximum(variance, _LEAST_VARIANCE)


class Posterior:
    """The posterior at (m, S) members, with observations that come and go at the end.

    Attributes:
        x: (n, S) what was observed so far.
    """

    def __init__(self, model: PoolGP, z: FloatArray) -> None:
        self._model, self._z = model, z
        self._noise = model.noise
        self._variance = model.variance(z)
        self.x: FloatArray = np.empty((0, z.shape[1]))
        self._lower = np.empty((0, 0))
        self._whitened = np.empty((0, len(z)))

    def extend(self, x: FloatArray) -> None:
        """Observe (b, S) more; their values are told to `mean`."""
        from scipy.linalg import solve_triangular

        n, grown = len(self.x), len(self.x) + len(x)
        if grown > len(self._lower):
            room = 2 * grown
            lower, whitened = np.zeros((room, room)), np.empty((room, len(self._z)))
            lower[:n, :n], whitened[:n] = self._lower[:n, :n], self._whitened[:n]
            self._lower, self._whitened = lower, whitened
        before = (
            solve_triangular(self._lower[:n, :n], self._model.covariance(self.x, x), lower=True, check_finite=False)
            if n
            else None
        )
        own, cross = self._model.covariance(x, x), self._model.covariance(x, self._z)
        own.flat[:: len(x) + 1] += self._noise
        if before is not None:
            own -= before.T @ before
            cross -= before.T @ self._whitened[:n]
            self._lower[n:grown, :n] = before.T
        self._lower[n:grown, n:grown] = np.linalg.cholesky(own)
        self._whitened[n:grown] = solve_triangular(self._lower[n:grown, n:grown], cross, lower=True, check_finite=False)
        self._variance = self._variance - self._explained(n, grown)
        self.x = np.concatenate([self.x, x])

    def shrink(self, n: int) -> None:
        """Forget all but the first n observations."""
        self._variance = self._variance + self._explained(n, len(self.x))
        self.x = self.x[:n]

    def _explained(self, start: int, end: int) -> FloatArray:
        rows = self._whitened[start:end]
        return np.einsum("nm,nm->m", rows, rows)

    def mean(self, y: FloatArray) -> FloatArray:
        """(m,) for the (n,) values of the observations."""
        from scipy.linalg import solve_triangular

        n = len(self.x)
        out: FloatArray = solve_triangular(self._lower[:n, :n], y, lower=True, check_finite=False) @ self._whitened[:n]
        return out

    def variance(self) -> FloatArray:
        """(m,) of f, without noise."""
        return np.maximum(self._variance, _LEAST_VARIANCE)
