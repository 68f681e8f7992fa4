"""Bayesian optimisation with a Gaussian process over the whole space (Jones et al. 1998; Frazier 2018).

Scores become normal scores: the i-th smallest of n is replaced by the (i - 1/2)/n quantile of the standard normal
distribution.  So outliers, units and what a limit makes of a score do not matter, only the order.  `pool_gp` models
them, and learns by marginal likelihood how much of them is noise.

What is sought is the architecture of the best score, and the score is f plus a noise that is drawn once.  Expected
improvement is therefore that of a new score, whose variance is that of f plus the noise, over the best score so far.
Where little can be explained, it follows the mean; where much can, it looks at what the variance of f promises.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.architecture import Architecture
from nasbench_ar.arrays import FloatArray
from nasbench_ar.errors import SearchError
from nasbench_ar.grid import Grid
from nasbench_ar.system.threads import single_threaded
from searchers.base import Searcher, check_at_least
from searchers.pool_gp import PoolGP, Posterior

IndexArray = NDArray[np.int64]

_LATE = 100  # observations, from which on fits are fewer and shorter
_STEPS, _LATER_STEPS = 10, 5  # of L-BFGS in a fit, which goes on from the last one
_GROWTH, _LATER_GROWTH = 1.5, 2.0  # of the observations, from one fit to the next
_MOST_BETWEEN_FITS = 250
_MOST_MODELLED = 1000  # observations
_FOLLOWED = 1024  # members whose posterior is brought up to date between fits
_QUERIES_PER_PLACE = 50  # told architectures for each further place of a batch
_CENTRES = 10  # best architectures whose neighbours a drawn pool has


class GaussianProcess(Searcher):
    """Model all members, query what promises most.

    A fit looks at every member and picks those that promise most; until the next fit only these are followed.

    Args:
        starts: random architectures to begin with.
        batch: architectures proposed at once, at most; one while little is known, and one more for every 50 told.
        acquisition: `"ei"`, expected improvement, or `"its"`, a draw from each candidate's posterior on its own.
        pool: members that are modelled at most; in larger spaces, so many are drawn anew for every fit, and the
            neighbours of the best ten join.
    """

    def __init__(
        self,
        space: Grid,
        seed: int,
        *,
        starts: int = 4,
        batch: int = 10,
        acquisition: str = "ei",
        pool: int = 65_536,
    ) -> None:
        super().__init__(space, seed)
        self.starts = check_at_least("starts", starts, 1)
        self.batch = check_at_least("batch", batch, 1)
        self.pool = check_at_least("pool", pool, 1)
        if acquisition not in ACQUISITIONS:
            raise SearchError(f"acquisition={acquisition!r}: expected one of {', '.join(ACQUISITIONS)}")
        self._acquire = ACQUISITIONS[acquisition]
        self.model = PoolGP([e.choices for e in space.entries], [e.ordered for e in space.entries])
        self._members: IndexArray = np.empty(0, dtype=np.int64)  # of the pool
        self._encoded = np.empty((0, 0), dtype=np.float32)  # one-hot rows of the pool
        self._followed: IndexArray = self._members
        self._posterior: Posterior | None = None
        self._rows: IndexArray = self._members  # what the posterior has observed, by place in the history
        self._hoped: IndexArray = self._members  # indices proposed last that the posterior takes for observed
        self._told_observed = 0
        self._next_fit = 0

    def _ask(self) -> list[Architecture]:
        if len(self.history) < self.starts:
            return self.sample_unseen_batch(self.starts - len(self.history))
        told = np.fromiter(map(self.space.index, self.history), dtype=np.int64)
        y = normal_scores(np.fromiter(self.history.values(), dtype=np.float64))
        with single_threaded():
            if self._posterior is None or len(told) >= self._next_fit:
                self._fit(told, y)
            self._observe(told)
            if np.isin(self._followed, told).all():
                self._fit(told, y)
            chosen = self._choose(told, y)
        return [self.space.from_index(index) for index in chosen] or self.sample_unseen_batch(self.batch)

    def _fit(self, told: IndexArray, y: FloatArray) -> None:
        """New parameters, and the members that promise most by them."""
        rows = _representative(y)
        x = self._one_hot(told[rows])
        late = len(told) >= _LATE
        self.model.fit(x, y[rows], _LATER_STEPS if late else _STEPS)
        self._draw_pool()
        value = self._acquire(self.rng, *self.model.predict(x, y[rows], self._encoded), self.model.noise, y.max())
        value[np.isin(self._members, told)] = -np.inf
        kept = np.sort(np.argsort(-value, kind="stable")[:_FOLLOWED])
        self._followed = self._members[kept]
        self._posterior = Posterior(self.model, self._encoded[kept].astype(np.float64))
        self._posterior.extend(x)
        self._rows, self._hoped, self._told_observed = rows, self._followed[:0], len(told)
        self._next_fit = min(
            math.ceil(len(told) * (_LATER_GROWTH if late else _GROWTH)), len(told) + _MOST_BETWEEN_FITS
        )

    def _draw_pool(self) -> None:
        space = self.space
        if space.size <= self.pool:
            if not len(self._members):
                self._members = space.member_indices.astype(np.int64)
                self._encoded = space.one_hot(indices=self._members)
            return
        drawn = self.rng.integers(space.size, size=self.pool)
        if space.members is not None:
            drawn = space.member_indices[drawn].astype(np.int64)
        best = islice(sorted(self.history, key=self.history.__getitem__, reverse=True), _CENTRES)
        near = [space.index(neighbour) for architecture in best for neighbour in space.neighbours(architecture)]
        self._members = np.unique(np.concatenate([drawn, near]).astype(np.int64))
        self._encoded = space.one_hot(indices=self._members)

    def _observe(self, told: IndexArray) -> None:
        """What was told since the last fit; what was hoped for and was told in that order stays."""
        assert self._posterior is not None
        known = len(self._rows)
        new = told[self._told_observed :]
        count = min(len(new), len(self._hoped))
        differ = np.flatnonzero(new[:count] != self._hoped[:count])
        kept = int(differ[0]) if len(differ) else count
        self._posterior.shrink(known + kept)
        self._hoped = self._hoped[:0]
        if kept < len(new):
            self._posterior.extend(self._one_hot(new[kept:]))
        self._rows = np.append(self._rows, np.arange(self._told_observed, len(told)))
        self._told_observed = len(told)

    def _choose(self, told: IndexArray, y: FloatArray) -> list[int]:
        """Indices of a batch, one by one, each as if those before had been observed at their means."""
        posterior = self._posterior
        assert posterior is not None
        mean, open_ = posterior.mean(y[self._rows]), ~np.isin(self._followed, told)
        size = min(self.batch, 1 + len(told) // _QUERIES_PER_PLACE, int(open_.sum()))
        places: list[int] = []
        for _ in range(size):
            if places:
                posterior.extend(self._one_hot(self._followed[places[-1:]]))
            value = self._acquire(self.rng, mean, posterior.variance(), self.model.noise, y.max())
            value[~open_] = -np.inf
            places.append(int(value.argmax()))
            open_[places[-1]] = False
        self._hoped = self._followed[places[:-1]]
        return self._followed[places].tolist()

    def _one_hot(self, indices: IndexArray) -> FloatArray:
        return self.space.one_hot(indices=indices).astype(np.float64)


def normal_scores(values: FloatArray) -> FloatArray:
    """(n,) quantiles of the standard normal distribution at (rank - 1/2) / n; equal values share their mean rank."""
    from scipy.special import ndtri  # slow to import, needed here only

    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - 0.5 * (counts - 1)  # from 1
    return ndtri((mean_rank[inverse] - 0.5) / len(values))


def _representative(y: FloatArray) -> IndexArray:
    """Places of the observations to model: all, or the best half of the most and others evenly by rank, in order."""
    if len(y) <= _MOST_MODELLED:
        return np.arange(len(y))
    best_first = np.argsort(-y, kind="stable")
    half = _MOST_MODELLED // 2
    others = half + np.arange(half) * (len(y) - half) // half
    return np.sort(best_first[np.concatenate([np.arange(half), others])])


# Acquisition functions: (rng, means (m,), variances of f (m,), noise, best score) -> (m,), higher is better.
Acquisition = Callable[[np.random.Generator, FloatArray, FloatArray, float, float], FloatArray]


def expected_improvement(
    _: np.random.Generator, mean: FloatArray, variance: FloatArray, noise: float, best: float
) -> FloatArray:
    """E[max(y - best, 0)] for a new score y ~ N(mean, variance + noise) (Mockus 1978)."""
    from scipy.special import ndtr

    deviation = np.sqrt(variance + noise)
    z = (mean - best) / deviation
    return deviation * (z * ndtr(z) + np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi))


def independent_thompson(
    rng: np.random.Generator, mean: FloatArray, variance: FloatArray, _: float, __: float
) -> FloatArray:
    """A draw from N(mean, variance) of each candidate on its own (White et al. 2021, section 4)."""
    return mean + np.sqrt(variance) * rng.standard_normal(len(mean))


ACQUISITIONS: dict[str, Acquisition] = {"ei": expected_improvement, "its": independent_thompson}
