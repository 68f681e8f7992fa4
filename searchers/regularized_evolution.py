"""Regularized evolution: tournaments choose parents, the oldest die (Real et al. 2019; NARes, section 5)."""

from __future__ import annotations

from collections import deque
from operator import itemgetter

import numpy as np

from nasbench_ar.architecture import Architecture
from nasbench_ar.grid import Grid
from searchers.additive_guess import AdditiveGuess
from searchers.base import Searcher, check_at_least


class RegularizedEvolution(Searcher):
    """Mutate the winner of a tournament; the child replaces the oldest.

    A child is a random neighbour: one entry gets another value (mutation rate 1).  Children known already are free and
    enter the population like any other.

    Args:
        population: architectures alive (30: NARes).
        tournament: members drawn, with replacement, per tournament (10: NARes).
        children: unseen children of as many tournaments of which the one that an additive model of all scores ranks
            highest is proposed (pre-selection: Jin 2011, "Surrogate-assisted evolutionary computation"); at 1 there is
            no model, and known children are proposed too.
        patience: known children in a row before a random unseen architecture joins instead, so that a small space
            can be searched to its end (ours; never reached within the published budget).
    """

    def __init__(
        self,
        space: Grid,
        seed: int,
        *,
        population: int = 30,
        tournament: int = 10,
        children: int = 1,
        patience: int = 200,
    ) -> None:
        super().__init__(space, seed)
        self.population = check_at_least("population", population, 1)
        self.tournament = check_at_least("tournament", tournament, 1)
        self.children = check_at_least("children", children, 1)
        self.patience = check_at_least("patience", patience, 1)
        self._guess = AdditiveGuess(space)
        self._alive: deque[tuple[Architecture, float]] = deque(maxlen=self.population)
        self._known_in_a_row = 0

    def _ask(self) -> Architecture | list[Architecture]:
        if len(self._alive) < self.population:
            return self.sample_unseen_batch(self.population - len(self._alive))
        unseen: dict[Architecture, None] = {}
        while self.space.size > 1 and self._known_in_a_row < self.patience:
            drawn = self.rng.integers(len(self._alive), size=self.tournament).tolist()
            parent, _ = max(map(self._alive.__getitem__, drawn), key=itemgetter(1))
            child = self.random_neighbour(parent)
            known = child in self.history or child in unseen
            self._known_in_a_row = self._known_in_a_row + 1 if known else 0
            if self.children == 1:
                return child
            if not known:
                unseen[child] = None
                if len(unseen) == self.children:
                    break
        self._known_in_a_row = 0
        if not unseen:
            return self.sample_unseen()
        candidates = list(unseen)
        return candidates[int(np.argmax(self._guess(self.history, candidates)))]

    def _tell(self, architecture: Architecture, score: float) -> None:
        self._alive.append((architecture, score))  # the oldest falls out on the left
