"""No search: the largest networks first, by a cost that is known without training."""

from __future__ import annotations

import itertools

import numpy as np

from nasbench_ar.architecture import Architecture
from nasbench_ar.errors import SearchError
from nasbench_ar.grid import Grid
from nasbench_ar.space import wide_resnets
from searchers.base import Searcher


class Largest(Searcher):
    """Asks for the networks of most MACs first and recommends the largest, whatever the scores are.

    What any search has to beat before it is worth its queries.  Networks of equal cost come in random order.

    Args:
        by: the cost, `macs` or `params`.

    Raises:
        SearchError: on another cost.
        SpaceError: in a space that knows no costs.
    """

    def __init__(self, space: Grid, seed: int, by: str = "macs") -> None:
        super().__init__(space, seed)
        known = wide_resnets(space, "searcher=largest").known_costs
        if by not in known:
            raise SearchError(f"by={by!r}: expected one of {', '.join(known)}")
        self.by = by
        members = space.member_indices
        cost = space.known_cost(by, members)
        shuffled = self.rng.permutation(len(members))
        self._largest_first = members[shuffled[np.argsort(-cost[shuffled], kind="stable")]]
        self._rank = {index: rank for rank, index in enumerate(self._largest_first.tolist())}
        self._next = itertools.cycle(self._largest_first.tolist())
        self._largest_told = len(members)

    def _ask(self) -> Architecture:
        proposals = map(self.space.from_index, self._next)
        return next(architecture for architecture in proposals if architecture not in self.history)

    def _tell(self, architecture: Architecture, score: float) -> None:
        self._largest_told = min(self._largest_told, self._rank[self.space.index(architecture)])

    def recommend(self) -> Architecture:
        if not self.history:
            return super().recommend()
        return self.space.from_index(int(self._largest_first[self._largest_told]))
