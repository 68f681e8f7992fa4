"""BayBE as a searcher (Merck's Bayesian Back End); needs the optional package `baybe`.

python -m experiments.run searcher=baybe
"""

from __future__ import annotations

import warnings
from typing import Any

from nasbench_ar.architecture import Architecture
from nasbench_ar.entry import Entry
from nasbench_ar.errors import SearchError
from nasbench_ar.grid import Grid
from nasbench_ar.system.extras import require
from nasbench_ar.system.threads import single_threaded
from searchers.pool_search import IndexArray, PoolSearcher

_TARGET = "score"


class BaybeSearcher(PoolSearcher):
    """Ask BayBE's default recommender for the best of a discrete search space of all unseen members.

    `TwoPhaseMetaRecommender` begins with a random batch; then its Gaussian process, fitted anew each time, and the log
    expected improvement of a batch decide.  An entry with an order is a numerical parameter by rank; one without is
    categorical, one-hot.

    Args:
        batch: architectures proposed at once; BayBE takes longer for each, the more there are.
        pool: unseen members that are compared at most; in larger spaces, so many are drawn anew for every batch, and
            the neighbours of the best ten join.

    Raises:
        SearchError: when BayBE is not installed; later when it fails.
    """

    libraries = ("baybe", "botorch", "gpytorch", "linear_operator", "torch")

    def __init__(self, space: Grid, seed: int, *, batch: int = 1, pool: int = 16_384) -> None:
        super().__init__(space, seed, batch=batch, pool=pool)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # GPyTorch's, of PyTorch
            self._baybe = require("searcher=baybe", "baybe", SearchError)
            for module in ("recommenders", "parameters", "searchspace", "targets"):
                require("searcher=baybe", f"baybe.{module}", SearchError)
            from searchers.botorch_model import FAILURES  # BayBE imports BoTorch at the first fit, on all threads

        self._failures = FAILURES
        self._pandas = require("searcher=baybe", "pandas")  # BayBE takes and gives frames
        self._parameters = [self._parameter(k, entry) for k, entry in zip(self._free, self._free_entries, strict=True)]
        self._objective = self._baybe.targets.NumericalTarget(_TARGET).to_objective()
        self._recommender = self._baybe.recommenders.TwoPhaseMetaRecommender()

    def _parameter(self, position: int, entry: Entry) -> Any:
        kinds, name, digits = self._baybe.parameters, str(position), range(len(entry.choices))
        if entry.ordered:
            return kinds.NumericalDiscreteParameter(name, values=list(map(float, digits)))
        return kinds.CategoricalParameter(name, values=list(map(str, digits)))

    def _ask(self) -> list[Architecture]:
        told = self._told()
        unseen = self._unseen(told)
        if not len(unseen) or not self._free:  # BayBE knows no space of nothing to choose
            return self.sample_unseen_batch(self.batch)
        measured = self._frame(told).assign(**{_TARGET: list(self.history.values())})
        with single_threaded(), warnings.catch_warnings(), self._baybe.Settings(random_seed=self._draw_seed()):
            warnings.simplefilter("ignore")
            candidates = self._baybe.searchspace.SearchSpace.from_dataframe(self._frame(unseen), self._parameters)
            try:
                found = self._recommender.recommend(
                    min(self.batch, len(unseen)), candidates, self._objective, measured if len(told) else None
                )
            except self._failures as error:
                raise SearchError(f"BayBE failed: {' '.join(str(error).split())}") from error
        return [self.space.from_index(index) for index in found.index.tolist()]

    def _frame(self, indices: IndexArray) -> Any:
        """A row an architecture, by its index: ranks, as texts where levels have no order."""
        digits = self._free_digits(indices)
        columns = {
            str(k): digits[:, column].astype(float if entry.ordered else str)
            for column, (k, entry) in enumerate(zip(self._free, self._free_entries, strict=True))
        }
        return self._pandas.DataFrame(columns, index=indices)
