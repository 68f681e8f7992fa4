"""A searcher of your own: simulated annealing, to copy and change.

PYTHONPATH=examples python -m experiments.run searcher._target_=annealing.SimulatedAnnealing searcher.cooling=0.995
"""

import math

from nasbench_ar import Architecture, SearchSpace
from searchers import Searcher


class SimulatedAnnealing(Searcher):
    """Walk to new neighbours; accept a worse one with probability exp(gain / temperature)."""

    def __init__(self, space: SearchSpace, seed: int, *, temperature: float = 0.5, cooling: float = 0.99) -> None:
        super().__init__(space, seed)
        self.temperature, self.cooling = temperature, cooling
        self.current: Architecture | None = None

    def _ask(self) -> Architecture:
        near = self.space.neighbours(self.current) if self.current else []
        new = [neighbour for neighbour in near if neighbour not in self.history]
        return new[self.rng.integers(len(new))] if new else self.sample_unseen()

    def _tell(self, architecture: Architecture, score: float) -> None:
        gain = score - self.history[self.current] if self.current else 0.0
        if gain >= 0 or self.rng.random() < math.exp(gain / self.temperature):
            self.current = architecture
        self.temperature = max(self.temperature * self.cooling, 1e-6)
