"""Counted queries: the only way a searcher may see the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasbench_ar.architecture import Architecture, ArchitectureLike
from nasbench_ar.errors import BudgetExhaustedError, ConfigError, MetricError, MissingEntryError
from nasbench_ar.metrics import METRICS
from nasbench_ar.metrics import objective as searchable_metric

if TYPE_CHECKING:
    from nasbench_ar.oracle import Oracle, SeedChoice


class Session:
    """A budget of unique architectures (NARes, section 5: 500); repeats are free.

        session = oracle.session("val_best_pgd_acc", budget=500)
        while session.remaining:
            session.score(session.space.sample(rng))

    Attributes:
        objective: the metric that guides the search.
        budget: unique architectures that may be queried.
        space: the architectures that have the objective in this table.
        history: architecture -> value, in the order of first queries.
        repeats: queries for architectures already known.
        gpu_days: simulated cost of the history; None where a training time is unknown.

    Raises:
        MetricError: when the objective is unknown, not in the table or not allowed.
        ConfigError: when the budget is not a positive integer.
    """

    def __init__(
        self,
        oracle: Oracle,
        objective: str | None = None,
        *,
        budget: int,
        seed: SeedChoice = "mean",
        allow_test_objective: bool = False,
    ) -> None:
        name = objective or oracle.table.default_objective
        self.objective = searchable_metric(name, allow_test=allow_test_objective)
        if self.objective.name not in oracle.metrics:
            searchable = [m for m in oracle.metrics if METRICS[m].searchable]
            raise MetricError(f"table {oracle.name} has no {name}; objectives it has: {', '.join(searchable)}")
        if isinstance(budget, bool) or not isinstance(budget, int) or budget < 1:
            raise ConfigError(f"budget={budget!r}: expected a positive number of queries")
        self.budget = budget
        self.space = oracle.searchable_space(name, seed=seed)
        self.history: dict[Architecture, float] = {}
        self.repeats = 0
        self._oracle = oracle
        self._seed = seed
        self._sign = 1.0 if self.objective.maximize else -1.0
        self.gpu_days: float | None = 0.0 if "training_time_gpu_days" in oracle.metrics else None

    @property
    def spent(self) -> int:
        """Unique architectures queried so far."""
        return len(self.history)

    @property
    def remaining(self) -> int:
        """Unique architectures that may still be queried."""
        return self.budget - len(self.history)

    def query(self, architecture: ArchitectureLike) -> float:
        """The objective's value, in its own unit; counted unless it was asked before.

        Raises:
            BudgetExhaustedError: for a new architecture when nothing remains.
            SpaceError, MissingEntryError: as `Oracle.query`.
        """
        found = self.space.parse(architecture)
        if found in self.history:
            self.repeats += 1
            return self.history[found]
        if len(self.history) >= self.budget:
            raise BudgetExhaustedError(f"the budget of {self.budget} queries is spent; {found} would be one more")
        value: float = self._oracle.query(found, self.objective.name, seed=self._seed)
        if self.gpu_days is not None:
            try:
                self.gpu_days += self._oracle.gpu_days(found, seed=self._seed)
            except MissingEntryError:  # one unknown time makes the sum unknown
                self.gpu_days = None
        self.history[found] = value
        return value

    def score(self, architecture: ArchitectureLike) -> float:
        """As `query`, turned so that higher is better: what a searcher is told."""
        return self._sign * self.query(architecture)

    def best(self) -> tuple[Architecture, float]:
        """First of the best architectures queried so far, and its value.

        Raises:
            BudgetExhaustedError: before the first query.
        """
        if not self.history:
            raise BudgetExhaustedError("nothing was queried yet, so there is no best")
        return max(self.history.items(), key=lambda item: self._sign * item[1])
