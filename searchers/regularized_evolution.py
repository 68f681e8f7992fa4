"""Regularized evolution: tournaments choose parents, the oldest die (Real et al. 2019; NARes, section 5)."""

from __future__ import annotations

from collections import deque
from operator import itemgetter

from nasbench_ar.architecture import Architecture
from nasbench_ar.grid import Grid
from searchers.base import Searcher, check_at_least


class RegularizedEvolution(Searcher):
    """Mutate the winner of a tournament; the child replaces the oldest.

    A child is a random neighbour: one entry gets another value (mutation rate 1).  Children known already are free and
    enter the population like any other.

    Args:
        population: architectures alive (30: NARes).
        tournament: members drawn, with replacement, per tournament (10: NARes).
        patience: known children in a row before a random unseen architecture joins instead, so that a small space
            can be searched to its end (ours; never reached within the published budget).
    """

    def __init__(
        self, space: Grid, seed: int, *, population: int = 30, tournament: int = 10, patience: int = 200
    ) -> None:
        super().__init__(space, seed)
        self.population = check_at_least("population", population, 1)
        self.tournament = check_at_least("tournament", tournament, 1)
        self.patience = check_at_least("patience", patience, 1)
        self._alive: deque[tuple[Architecture, float]] = deque(maxlen=self.population)
        self._known_in_a_row = 0

    def _ask(self) -> Architecture | list[Architecture]:
        if len(self._alive) < self.population:
            return self.sample_unseen_batch(self.population - len(self._alive))
        if self.space.size == 1 or self._known_in_a_row >= self.patience:
            self._known_in_a_row = 0
            return self.sample_unseen()
        drawn = self.rng.integers(len(self._alive), size=self.tournament).tolist()
        parent, _ = max(map(self._alive.__getitem__, drawn), key=itemgetter(1))
        child = self.random_neighbour(parent)
        self._known_in_a_row = self._known_in_a_row + 1 if child in self.history else 0
        return child

    def _tell(self, architecture: Architecture, score: float) -> None:
        self._alive.append((architecture, score))  # the oldest falls out on the left
