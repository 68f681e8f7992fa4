"""Regularized evolution as published (NARes, section 5; Real et al. 2019)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from nasbench_ar.architecture import Architecture
from nasbench_ar.grid import Grid
from searchers.base import check_at_least
from searchers.published.base import SequentialSearcher
from searchers.published.sampling import random_neighbour, sample


class PublishedRegularizedEvolution(SequentialSearcher):
    """Mutate the winner of a tournament; the child takes the slot of the oldest.

    The slots are overwritten in turn, and a tournament draws slots: a list that sheds its head and grows at its tail
    would give other winners.  Unlike `searchers.regularized_evolution` it draws from NumPy's legacy generator, and its
    starts may repeat.

    Args:
        queries: unique architectures after which to stop; repeats are free.
        population: architectures alive (30: published).
        tournament: members drawn, with replacement, per tournament (10: published).
    """

    def __init__(
        self, space: Grid, seed: int, *, queries: int = 500, population: int = 30, tournament: int = 10
    ) -> None:
        super().__init__(space, seed, queries=queries)
        self.population = check_at_least("population", population, 1)
        self.tournament = check_at_least("tournament", tournament, 1)

    def _search(self) -> Iterator[Architecture]:
        alive: list[Architecture] = []
        while len(alive) < self.population and not self.budget_spent:
            alive.append(sample(self.space, self.python_rng))
            yield alive[-1]
        for oldest in itertools.cycle(range(self.population)):
            if self.budget_spent:
                return
            drawn = self.numpy_rng.choice(self.population, self.tournament)
            parent = max((alive[k] for k in drawn), key=self.history.__getitem__)  # the first drawn, on ties
            self.python_rng.random()  # compared with a mutation rate of 1: the draw is all it does
            child = random_neighbour(self.space, self.python_rng, parent)
            yield child
            alive[oldest] = child
