"""Counted queries: the only way a searcher may see the table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence, Sized
from typing import Any, Generic, TypeVar

import numpy as np

from nasbench_ar.architecture import Architecture, ArchitectureLike
from nasbench_ar.arrays import FloatArray
from nasbench_ar.constraints import Constraint, ConstraintsLike, violation
from nasbench_ar.errors import BudgetExhaustedError, ConfigError, MetricError, MissingEntryError
from nasbench_ar.grid import is_int
from nasbench_ar.metrics import Metric
from nasbench_ar.metrics import objective as searchable_metric
from nasbench_ar.pareto import non_dominated
from nasbench_ar.values import SeedChoice, Values

Value = TypeVar("Value")
Observe = Callable[[int, float], float]


class CountedQueries(ABC, Generic[Value]):
    """A budget of unique architectures (NARes, section 5: 500); repeats are free.

    Attributes:
        objectives: the metrics that guide the search.
        budget: unique architectures that may be queried.
        space: the architectures that have all of these metrics and keep the limits on known costs.
        history: architecture -> answer of its query, in the order of first queries.
        repeats: queries for architectures already known.
        gpu_days: simulated cost of the history; None where a training time is unknown.

    Raises:
        MetricError: when an objective is unknown, not in the table or not allowed.
        ConfigError: when the budget is not a positive integer, a constraint cannot be read, or nothing keeps them.
        SpaceError: when a method is given an architecture outside the space.
    """

    def __init__(
        self,
        oracle: Values,
        objectives: Sequence[str],
        *,
        budget: int,
        seed: SeedChoice = "mean",
        allow_test_objective: bool = False,
        constraints: ConstraintsLike = (),
    ) -> None:
        self._check_names(objectives)
        self.objectives = tuple(_objective(oracle, name, allow_test_objective) for name in objectives)
        if not is_int(budget) or budget < 1:
            raise ConfigError(f"budget={budget!r}: expected a positive number of queries")
        self.budget = int(budget)
        self.constraints = oracle.limits(constraints)
        self.space = oracle.searchable_space(*objectives, seed=seed, constraints=self.constraints)
        self.history: dict[Architecture, Value] = {}
        self.repeats = 0
        self._oracle = oracle
        self._seed = seed
        self._signs = tuple(1.0 if found.maximize else -1.0 for found in self.objectives)
        self.gpu_days: float | None = 0.0 if "training_time_gpu_days" in oracle.metrics else None
        # How far each index is beyond the measured limits; None where nothing is to be measured.
        self._violation: FloatArray | None = None
        self._worst: tuple[tuple[float, float], ...] = ()
        if measured := [c for c in self.constraints if not c.known_cost]:
            self._prepare_constraints(measured)

    def __repr__(self) -> str:
        names = ", ".join(found.name for found in self.objectives)
        limits = f" where {', '.join(map(str, self.constraints))}" if self.constraints else ""
        so_far = f", {self._so_far()}" if self.history else ""
        return (
            f"{type(self).__name__}({names} of {self._oracle.name}{limits}: "
            f"{self.spent} of {self.budget} queries{so_far})"
        )

    @abstractmethod
    def _so_far(self) -> str:
        """What the queries have found, in a few words."""

    @classmethod
    def _check_names(cls, names: Sequence[str]) -> None:
        """Refuse a number of objectives that the subclass cannot use."""

    def _prepare_constraints(self, measured: Sequence[Constraint]) -> None:
        members = self.space.member_indices
        columns = [self._oracle.column(c.metric, seed=self._seed)[members] for c in measured]
        self._violation = np.full(self.space.product_size, np.nan)
        self._violation[members] = violation(measured, columns)
        if not (self._violation[members] == 0).any():
            raise ConfigError(
                f"no architecture of table {self._oracle.name} keeps {', '.join(map(str, self.constraints))} "
                "together; loosen a limit"
            )
        worst = []
        for found, sign in zip(self.objectives, self._signs, strict=True):
            scores = sign * self._oracle.column(found.name, seed=self._seed)[members]
            worst.append((float(scores.min()), float(scores.max() - scores.min()) or 1.0))
        self._worst = tuple(worst)

    def worst_losses(self) -> list[float]:
        """The worst score of the space by each objective, with its sign turned; not for a search to look at."""
        members = self.space.member_indices
        columns = [self._oracle.column(found.name, seed=self._seed)[members] for found in self.objectives]
        return [float((-sign * column).max()) for sign, column in zip(self._signs, columns, strict=True)]

    @property
    def spent(self) -> int:
        """Unique architectures queried so far."""
        return len(self.history)

    @property
    def remaining(self) -> int:
        """Unique architectures that may still be queried."""
        return self.budget - len(self.history)

    def feasible(self, architecture: ArchitectureLike) -> bool:
        """Whether a queried architecture keeps every constraint; `ConfigError` for one that was not queried."""
        found = self.space.parse(architecture)
        if found not in self.history:
            raise ConfigError(f"{found} was not queried yet, so that nothing is known of its constraints")
        return self._violation_of(found) == 0

    def query(self, architecture: ArchitectureLike) -> Value:
        """The objectives' values, each in its own unit; repeats are free.

        Raises:
            BudgetExhaustedError: for a new architecture when nothing remains.
        """
        found = self.space.parse(architecture)
        if found in self.history:
            self.repeats += 1
            return self.history[found]
        if len(self.history) >= self.budget:
            raise BudgetExhaustedError(f"the budget of {self.budget} queries is spent; {found} would be one more")
        value = self._look_up(found)
        if self.gpu_days is not None:
            try:
                self.gpu_days += self._oracle.gpu_days(found, seed=self._seed)
            except MissingEntryError:  # one unknown time makes the sum unknown
                self.gpu_days = None
        self.history[found] = value
        return value

    @abstractmethod
    def score(self, architecture: ArchitectureLike) -> Any:
        """As `query`, turned so that higher is better: what a searcher is told."""

    @abstractmethod
    def first_values(self) -> list[float]:
        """The first objective of everything queried, in its unit."""

    @abstractmethod
    def _look_up(self, found: Architecture) -> Value:
        """Read the table."""

    def _violation_of(self, found: Architecture) -> float:
        return 0.0 if self._violation is None else float(self._violation[self.space.index(found)])

    def _turned(self, found: Architecture, values: Sequence[float]) -> tuple[float, ...]:
        """Scores, higher is better; those of infeasible architectures are below all feasible ones.

        Deb's rule (2000), per objective: worst score of the space - violation * range.
        """
        beyond = self._violation_of(found)
        if beyond:
            return tuple(worst - beyond * width for worst, width in self._worst)
        return tuple(sign * value for sign, value in zip(self._signs, values, strict=True))


class Session(CountedQueries[float]):
    """Counted queries of one objective, `objective`; see `CountedQueries` for attributes and errors.

    session = oracle.session("val_best_pgd_acc", budget=500)
    while session.remaining:
        session.score(session.space.sample(rng))
    """

    def __init__(
        self,
        oracle: Values,
        objective: str | None = None,
        *,
        budget: int,
        seed: SeedChoice = "mean",
        allow_test_objective: bool = False,
        constraints: ConstraintsLike = (),
        observe: Observe | None = None,
    ) -> None:
        super().__init__(
            oracle,
            [objective or oracle.table.default_objective],
            budget=budget,
            seed=seed,
            allow_test_objective=allow_test_objective,
            constraints=constraints,
        )
        self.objective = self.objectives[0]
        self._column = oracle.column(self.objective.name, seed=seed)
        self._observe = observe
        if observe is not None and self._violation is not None:
            raise ConfigError(
                f"constraints={', '.join(map(str, self.constraints))} and observe= do not go together: what is "
                "observed may lie below the scores of architectures that break a measured limit; limit costs that are "
                "known before training, such as macs"
            )

    def _so_far(self) -> str:
        architecture, value = self.best()
        return f"best {value:.6g} by {architecture}"

    def _look_up(self, found: Architecture) -> float:
        index = self.space.index(found)
        value: float = self._column.item(index)  # a member has one
        return value if self._observe is None else self._observe(index, value)

    def score(self, architecture: ArchitectureLike) -> float:
        value = self.query(architecture)
        if self._violation is None:
            return self._signs[0] * value
        return self._turned(self.space.parse(architecture), [value])[0]

    def best(self) -> tuple[Architecture, float]:
        """First of the best queried architectures, feasible ones before others, and its value.

        Raises:
            BudgetExhaustedError: before the first query.
        """
        if not self.history:
            raise BudgetExhaustedError("nothing was queried yet, so there is no best")
        return max(self.history.items(), key=lambda item: self._turned(item[0], [item[1]]))

    def first_values(self) -> list[float]:
        return list(self.history.values())


class VectorSession(CountedQueries[tuple[float, ...]]):
    """Counted queries of several objectives at once; one query answers all of them.

        session = oracle.vector_session(["val_best_pgd_acc", "macs"], budget=500)
        session.query(architecture)   # (38.1, 6661790592.0), each in its unit
        session.score(architecture)   # (38.1, -6661790592.0), higher is better
        session.front()               # what no queried architecture dominates

    Raises:
        ConfigError: for fewer than two objectives, or one that is named twice.
    """

    @classmethod
    def _check_names(cls, names: Sequence[str]) -> None:
        if isinstance(names, str) or not isinstance(names, Sized) or not 1 < len(names) == len(set(names)):
            raise ConfigError(f"objectives={names!r}: expected two or more different metrics")

    def _so_far(self) -> str:
        return f"{len(self.front())} on the front"

    def _look_up(self, found: Architecture) -> tuple[float, ...]:
        return tuple(self._oracle.query(found, o.name, seed=self._seed) for o in self.objectives)

    def score(self, architecture: ArchitectureLike) -> tuple[float, ...]:
        values = self.query(architecture)
        return self._turned(self.space.parse(architecture), values)

    def front(self) -> list[Architecture]:
        """Queried feasible architectures that no other one dominates, in the order of their queries."""
        kept = [(a, self._turned(a, values)) for a, values in self.history.items() if self._violation_of(a) == 0]
        if not kept:
            return []
        on_front = non_dominated(np.array([score for _, score in kept]))
        return [architecture for (architecture, _), there in zip(kept, on_front, strict=True) if there]

    def first_values(self) -> list[float]:
        return [values[0] for values in self.history.values()]


def _objective(oracle: Values, name: str, allow_test: bool) -> Metric:
    found = searchable_metric(name, allow_test=allow_test, catalogue=oracle.table.catalogue, among=oracle.metrics)
    if found.name not in oracle.metrics:
        searchable = [m for m in oracle.metrics if oracle.metric(m).searchable]
        raise MetricError(f"table {oracle.name} has no {name}; objectives it has: {', '.join(searchable)}")
    return found
