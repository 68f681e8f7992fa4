"""Adversarially trained networks as an OptunaHub benchmark: their values are looked up in a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import optuna
import optunahub

import nasbench_ar


class Problem(optunahub.benchmarks.BaseProblem):
    """One architecture a trial: a categorical parameter for every entry, `D1`, `W1`, `D2`, ...

    Args:
        objectives: metrics of the table; None takes its default.
        table: a name, a folder, or None for the best table at hand.
        constraints: limits such as `macs<=10e9`; a trial is told by how much it breaks them.

    A trial whose architecture the table lacks is pruned.  No query is counted: the study has a number of trials.
    """

    def __init__(
        self, objectives: Sequence[str] | None = None, *, table: str | None = None, constraints: str | None = None
    ) -> None:
        self.oracle = nasbench_ar.load(table, quiet=True)
        names = [self.oracle.table.default_objective] if objectives is None else list(objectives)
        self.constraints = self.oracle.limits(constraints)
        catalogue, among = self.oracle.table.catalogue, self.oracle.metrics
        self.metric_names = [
            nasbench_ar.metrics.objective(name, catalogue=catalogue, among=among).name for name in names
        ]

    @property
    def search_space(self) -> dict[str, optuna.distributions.BaseDistribution]:
        space = self.oracle.space
        return {
            name: optuna.distributions.CategoricalDistribution(space.choices(k))
            for k, name in enumerate(space.entry_names)
        }

    @property
    def directions(self) -> list[optuna.study.StudyDirection]:
        up, down = optuna.study.StudyDirection.MAXIMIZE, optuna.study.StudyDirection.MINIMIZE
        return [up if self.oracle.metric(name).maximize else down for name in self.metric_names]

    def evaluate(self, params: dict[str, Any]) -> float | list[float]:
        """The values, in the metrics' units."""
        values = [self._value(params, name) for name in self.metric_names]
        return values if len(values) > 1 else values[0]

    def evaluate_constraints(self, params: dict[str, Any]) -> dict[str, float]:
        """Constraint -> by how much it is broken; 0 or less where it is kept."""
        beyond = {str(c): self._value(params, c.metric) - c.limit for c in self.constraints}
        return {str(c): beyond[str(c)] * (1 if c.relation == "<=" else -1) for c in self.constraints}

    def _value(self, params: dict[str, Any], metric: str) -> float:
        try:
            value: float = self.oracle.query(self.oracle.space.from_entries(params), metric)
        except nasbench_ar.MissingEntryError as error:
            raise optuna.TrialPruned(str(error)) from error
        return value
