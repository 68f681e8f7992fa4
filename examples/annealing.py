"""A searcher of your own: simulated annealing, to copy and change.

cd examples
python -m experiments.run searcher._target_=annealing.SimulatedAnnealing searcher.cooling=0.99 runs=100
"""

import math

from nasbench_ar import Architecture, SearchSpace
from searchers import Searcher


class SimulatedAnnealing(Searcher):
    """Walk to random neighbours; accept a worse one with probability exp(loss / temperature)."""

    def __init__(self, space: SearchSpace, seed: int, *, temperature: float = 0.5, cooling: float = 0.99) -> None:
        super().__init__(space, seed)
        self.temperature, self.cooling = temperature, cooling
        self.current: Architecture | None = None

    def _ask(self) -> Architecture:
        if self.current is None or self.rng.random() < 0.05:  # now and then, jump
            return self.sample_unseen()
        return self.random_neighbour(self.current)

    def _tell(self, architecture: Architecture, score: float) -> None:
        loss = score - self.history[self.current] if self.current else math.inf
        if loss >= 0 or self.rng.random() < math.exp(loss / self.temperature):
            self.current = architecture
        self.temperature = max(self.temperature * self.cooling, 1e-6)
