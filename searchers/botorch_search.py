"""BoTorch as a searcher (Balandat et al. 2020); needs the optional package `botorch`.

python -m experiments.run searcher=botorch
"""

from __future__ import annotations

import warnings

import numpy as np

from nasbench_ar.architecture import Architecture
from nasbench_ar.arrays import FloatArray
from nasbench_ar.errors import SearchError
from nasbench_ar.grid import Grid
from nasbench_ar.system.extras import require
from nasbench_ar.system.threads import single_threaded
from searchers.base import check_at_least
from searchers.pool_search import IndexArray, PoolSearcher

_TRIES = 8  # points of the Sobol sequence for each start


class BotorchSearcher(PoolSearcher):
    """A Gaussian process with learned noise, and noisy expected improvement maximised over all unseen members.

    Model and acquisition are BoTorch's with its defaults, as Ax takes them: `SingleTaskGP` on ranks scaled to [0, 1],
    or `MixedSingleTaskGP` where some entries have no order, scores standardised, noise inferred, and
    `qLogNoisyExpectedImprovement` (Ament et al. 2023), for which the best of what was observed is itself uncertain.
    Hyperparameters are fitted anew when a tenth more was told, and after ten more at the latest.

    Args:
        starts: architectures to begin with, from a scrambled Sobol sequence.
        batch: architectures proposed at once.
        samples: of the posterior, quasi-random, in an expected improvement; BoTorch's own default is 512.
        pool: unseen members that are compared at most; in larger spaces, so many are drawn anew for every batch, and
            the neighbours of the best ten join.

    Raises:
        SearchError: when BoTorch is not installed; later when it cannot fit its model.
    """

    libraries = ("botorch", "gpytorch", "linear_operator", "torch")

    def __init__(
        self, space: Grid, seed: int, *, starts: int = 10, batch: int = 1, samples: int = 128, pool: int = 65_536
    ) -> None:
        super().__init__(space, seed, batch=batch, pool=pool)
        self.starts = check_at_least("starts", starts, 1)
        self.samples = check_at_least("samples", samples, 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # GPyTorch's, of PyTorch
            require("searcher=botorch", "botorch", SearchError)
            from searchers.botorch_model import Model

        categorical = [column for column, entry in enumerate(self._free_entries) if not entry.ordered]
        self._model = Model(categorical, self.samples)

    def _ask(self) -> list[Architecture]:
        if len(self.history) < self.starts:
            return self._start(self.starts - len(self.history))
        told = self._told()
        unseen = self._unseen(told)
        if not len(unseen):
            return self.sample_unseen_batch(self.batch)
        y = np.fromiter(self.history.values(), dtype=np.float64)
        with single_threaded():
            rows = self._model.propose(
                self._encoded(told), y, self._encoded(unseen), min(self.batch, len(unseen)), self._draw_seed()
            )
        return [self.space.from_index(index) for index in unseen[rows].tolist()]

    def _start(self, count: int) -> list[Architecture]:
        """Unseen members on a Sobol sequence, and random ones where too few of its points lie in a restricted space."""
        from searchers.botorch_model import sobol

        levels = np.array([len(entry.choices) for entry in self.space.entries])
        points = (sobol(len(levels), _TRIES * count, self._draw_seed()) * levels).astype(np.int64)
        vectors = (self.space.compose(e.choices[d] for e, d in zip(self.space.entries, p, strict=True)) for p in points)
        found = dict.fromkeys(v for v in vectors if v in self.space and v not in self.history)
        others = self.sample_unseen_batch(count) if len(found) < count else []
        return list(dict.fromkeys([*found, *others]))[:count]

    def _encoded(self, indices: IndexArray) -> FloatArray:
        """(n, entries with something to choose): ranks scaled to [0, 1], codes where levels have no order."""
        scales = [len(entry.choices) - 1 if entry.ordered else 1 for entry in self._free_entries]
        return self._free_digits(indices) / np.array(scales, dtype=np.float64)
