"""NSGA-II: evolution of a whole front, sorted by domination and by crowding (Deb et al. 2002)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.architecture import Architecture
from nasbench_ar.arrays import FloatArray
from nasbench_ar.errors import SearchError
from nasbench_ar.grid import Grid
from nasbench_ar.pareto import crowding_distance, non_dominated_ranks
from searchers.base import check_at_least, check_number
from searchers.vector import VectorSearcher


class NSGA2(VectorSearcher):
    """Binary tournaments choose parents; the best of parents and children live on.

    No architecture is proposed twice, so every proposal costs a query.

    Args:
        population: architectures that live on, and children per generation (100: Deb et al. 2002, who had
            25,000 evaluations; 20 is ours, for 500).
        crossover: probability that a child mixes two parents, each entry from either with equal chances
            (0.9: Deb et al. 2002).
        mutation: probability that a child then has one entry changed to another of its values (ours: 1; the
            paper changes each variable with probability 1/6).
        patience: children in a row that are known or outside the space, before a random unseen architecture joins.
    """

    def __init__(
        self,
        space: Grid,
        seed: int,
        *,
        population: int = 20,
        crossover: float = 0.9,
        mutation: float = 1.0,
        patience: int = 50,
    ) -> None:
        super().__init__(space, seed)
        self.population = check_at_least("population", population, 1)
        self.crossover = check_number("crossover", crossover, zero=True)
        self.mutation = check_number("mutation", mutation, zero=True)
        for name, value in (("crossover", self.crossover), ("mutation", self.mutation)):
            if value > 1:
                raise SearchError(f"{name}={value!r}: expected a probability, 0 to 1")
        self.patience = check_at_least("patience", patience, 1)
        self._alive: list[Architecture] = []
        self._newcomers: list[Architecture] = []

    def _ask(self) -> list[Architecture]:
        if len(self.history) < self.population:
            return self.sample_unseen_batch(self.population - len(self.history))
        pool = list(dict.fromkeys([*self._alive, *self._newcomers]))
        points = np.array([self.vectors[architecture] for architecture in pool])
        kept, place = survivors(points, self.population)
        self._alive, self._newcomers = [pool[k] for k in kept], []
        children: dict[Architecture, None] = {}
        wanted = min(self.population, self.space.size - len(self.history))
        while len(children) < wanted:
            children[self._child(place, children)] = None
        return list(children)

    def _tell(self, architecture: Architecture, score: float) -> None:
        self._newcomers.append(architecture)

    def _child(self, place: NDArray[np.int64], siblings: dict[Architecture, None]) -> Architecture:
        for _ in range(self.patience):
            first, second = self._alive[self._tournament(place)], self._alive[self._tournament(place)]
            child = first
            if self.rng.random() < self.crossover:
                from_second = self.rng.integers(2, size=len(first)).tolist()
                child = self.space.compose(
                    b if pick else a for a, b, pick in zip(first, second, from_second, strict=True)
                )
                if child not in self.space:
                    continue
            if self.rng.random() < self.mutation:
                child = self.random_neighbour(child)
            if child not in self.history and child not in siblings:
                return child
        for _ in range(self.patience):
            child = self.sample_unseen()
            if child not in siblings:
                return child
        unseen = [a for a in self.space if a not in self.history and a not in siblings]
        return unseen[int(self.rng.integers(len(unseen)))]

    def _tournament(self, place: NDArray[np.int64]) -> int:
        first, second = self.rng.integers(len(self._alive), size=2).tolist()
        return first if place[first] <= place[second] else second


def survivors(points: FloatArray, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """At most `count` rows of (n, objectives) points, best first, and their places: equal where nothing tells apart.

    Sorted by rank, within a rank by crowding distance, the larger the better (Deb et al. 2002, section III-C).
    """
    ranks = non_dominated_ranks(points)
    crowding = np.empty(len(points))
    for rank in range(int(ranks.max()) + 1):
        front = ranks == rank
        crowding[front] = crowding_distance(points[front])
    kept = np.lexsort((-crowding, ranks))[:count]
    differs = (np.diff(ranks[kept]) != 0) | (crowding[kept][1:] != crowding[kept][:-1])
    return kept, np.concatenate([[0], np.cumsum(differs)])
