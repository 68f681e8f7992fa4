"""Searchers for several objectives: told a vector of scores, or a single one, higher being better in each.

searcher = NSGA2(session.space, seed=0)
while session.remaining:
    architecture = searcher.ask()
    searcher.tell(architecture, session.score(architecture))
searcher.front()
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nasbench_ar.architecture import Architecture, ArchitectureLike
from nasbench_ar.errors import SearchError
from nasbench_ar.grid import Grid
from nasbench_ar.pareto import non_dominated
from searchers.base import Searcher
from searchers.random_search import RandomSearch


class VectorSearcher(Searcher):
    """Base class; subclasses write `_ask` and read `self.vectors`.

    Attributes:
        vectors: architecture -> all its scores, in the order they were first told; `history` has the first of each.
    """

    def __init__(self, space: Grid, seed: int) -> None:
        super().__init__(space, seed)
        self.vectors: dict[Architecture, tuple[float, ...]] = {}

    def _so_far(self) -> str:
        return f"{len(self.vectors)} told, {len(self.front())} on the front"

    def tell(self, architecture: ArchitectureLike, score: float | Sequence[float]) -> None:
        """Report the scores of one architecture.

        Raises:
            SpaceError: when the architecture is not in the space.
            SearchError: when a score is not a finite number, or their count changes.
        """
        told = self.space.parse(architecture)
        scores = tuple(score) if isinstance(score, (Sequence, np.ndarray)) and not isinstance(score, str) else (score,)
        try:
            values = tuple(float(value) for value in scores)
        except (TypeError, ValueError):
            values = ()
        if not values or not np.isfinite(values).all():
            raise SearchError(f"scores of {told} are {score!r}: expected finite numbers, higher being better")
        known = next(iter(self.vectors.values()), values)
        if len(values) != len(known):
            raise SearchError(f"{told} has {len(values)} scores, architectures told before have {len(known)}")
        self.vectors[told] = values
        super().tell(told, values[0])

    def front(self) -> list[Architecture]:
        """Architectures that no other one told so far dominates, in the order they were told."""
        if not self.vectors:
            return []
        on_front = non_dominated(np.array(list(self.vectors.values())))
        return [architecture for architecture, there in zip(self.vectors, on_front, strict=True) if there]


class VectorRandomSearch(VectorSearcher, RandomSearch):
    """Random search for several objectives: the baseline; proposes what `RandomSearch` does."""
