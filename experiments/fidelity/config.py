"""Keys of `python -m experiments.fidelity`: those of `experiments.run`, with a budget of training."""

from __future__ import annotations

import math
from dataclasses import dataclass

from experiments.races.config import CONDITIONS, Front, RunConfig
from nasbench_ar.errors import ConfigError, shown
from nasbench_ar.training_cost import UNITS
from searchers.fidelity import FIDELITY_SEARCHERS, FidelitySearcher

MOST_WORKERS = 10_000


@dataclass
class FidelityConfig(RunConfig):
    """What one experiment is; every field is a key of the command line.

    Attributes:
        budget: training per run, in units; null takes that of 50 whole trainings, or of half the space.
        unit: `epochs`, or `gpu_days` as measured or else estimated from MACs.
        workers: simulated machines that train at a time.
        objective: metric that guides the search, by its curve; null takes the table's default.
    """

    runs: int = 100
    budget: float | None = None
    unit: str = "epochs"
    workers: int = 1

    def check(self) -> None:
        """Refuse values that no experiment can have.

        Raises:
            ConfigError: naming the key, the value and what is allowed.
        """
        super().check()
        if self.objective and "," in self.objective:
            raise ConfigError(f"objective={shown(self.objective)}: epochs are bought for one metric; name one")
        if self.unit not in UNITS:
            raise ConfigError(f"unit={self.unit!r}: expected {' or '.join(UNITS)}")
        if self.budget is not None and not (math.isfinite(self.budget) and self.budget > 0):
            raise ConfigError(f"budget={self.budget}: expected a positive number of {self.unit}")
        if not 1 <= self.workers <= MOST_WORKERS:
            raise ConfigError(f"workers={self.workers}: expected an integer from 1 to {MOST_WORKERS}")


FRONT = Front(
    FidelityConfig,
    FIDELITY_SEARCHERS,
    FidelitySearcher,
    default="hyperband",
    hidden=("queries", "allow_test_objective", *CONDITIONS),
    curves=True,
)
