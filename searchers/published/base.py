"""What the published searchers share: the authors' generators, their own stop, their report.

The authors' code draws from two global generators, seeded by the run's seed.  Here each searcher has its own two,
which yield the same numbers.
"""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Iterator

import numpy as np

from nasbench_ar.architecture import Architecture
from nasbench_ar.errors import SearchError, SearchFinishedError
from nasbench_ar.grid import Grid
from searchers.base import Searcher, check_at_least


class PublishedSearcher(Searcher):
    """A searcher with the authors' random numbers, stopping rule and choice of the result.

    Args:
        seed: of both generators; below 2**32.
        queries: unique architectures after which to stop, as far as the algorithm checks.

    Attributes:
        python_rng: in place of the global `random`.
        numpy_rng: in place of the global `numpy.random`.
    """

    stops_itself = True

    def __init__(self, space: Grid, seed: int, *, queries: int = 500) -> None:
        super().__init__(space, seed)
        if self.seed >= 2**32:
            raise SearchError(f"seed={seed!r}: NumPy's legacy generator takes seeds below 2**32")
        self.queries = check_at_least("queries", queries, 1)
        self.python_rng = random.Random(self.seed)
        self.numpy_rng = np.random.RandomState(self.seed)

    @property
    def budget_spent(self) -> bool:
        return len(self.history) >= self.queries

    def best(self) -> tuple[Architecture, float]:
        """Last of the best architectures told so far, and its score; SearchError before anything was told."""
        _, score = super().best()
        return next(item for item in reversed(self.history.items()) if item[1] == score)

    def _finished(self) -> SearchFinishedError:
        return SearchFinishedError(f"the search has stopped after {len(self.history)} of {self.queries} queries")


class SequentialSearcher(PublishedSearcher):
    """A published searcher written as one loop, as the authors wrote theirs.

    Subclasses write the generator `_search`: it yields a proposal and then finds the score in `self.history`.
    A proposal that was not told yet is made again.
    """

    def __init__(self, space: Grid, seed: int, *, queries: int = 500) -> None:
        super().__init__(space, seed, queries=queries)
        self._proposals = self._search()
        self._proposal: Architecture | None = None

    @abstractmethod
    def _search(self) -> Iterator[Architecture]:
        """The algorithm."""

    def _ask(self) -> Architecture:
        if self._proposal is None or self._proposal in self.history:
            self._proposal = next(self._proposals, None)
            if self._proposal is None:
                raise self._finished()
        return self._proposal
