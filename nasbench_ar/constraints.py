"""Limits on what a search may choose: `macs<=10e9`, `val_best_clean_acc>=77`.

A constraint on a cost that is known without training (`macs`, `params`) restricts the
space: architectures beyond it are never proposed and never charged.  Any other metric is
known only after a query: the query is charged, and an infeasible architecture scores
below every feasible one (see `Session`).

    >>> limit, = parse_constraints("macs<=10e9")
    >>> limit
    Constraint(metric='macs', relation='<=', limit=10000000000.0)
    >>> limit.excess(np.array([9e9, 10e9, 12e9]))
    array([0.e+00, 0.e+00, 2.e+09])
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from nasbench_ar.arrays import FloatArray
from nasbench_ar.errors import ConfigError, MetricError, shown
from nasbench_ar.metrics import METRICS, Metric, metric, objective

_FORM = re.compile(r"\s*([a-z_0-9]+)\s*(<=|>=)\s*([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)\s*")


@dataclass(frozen=True)
class Constraint:
    """One limit on a metric of the catalogue, in its unit; `relation` is `<=` or `>=`; ConfigError otherwise."""

    metric: str
    relation: str
    limit: float
    known_cost: bool = field(default=False, repr=False, compare=False)  # can be checked without a query

    def __post_init__(self) -> None:
        number = isinstance(self.limit, (int, float, np.number)) and not isinstance(self.limit, bool)
        if self.relation not in ("<=", ">=") or not number or not np.isfinite(self.limit):
            raise ConfigError(
                f"limit {self.metric} {shown(self.relation)} {shown(self.limit)}: expected <= or >= and a finite number"
            )

    def __str__(self) -> str:
        short = f"{self.limit:.12g}"
        return f"{self.metric}{self.relation}{short if float(short) == self.limit else repr(float(self.limit))}"

    def excess(self, values: FloatArray) -> FloatArray:
        """How far each value is beyond the limit, 0 where it is not; NaN stays NaN."""
        beyond = values - self.limit if self.relation == "<=" else self.limit - values
        return np.maximum(beyond, 0.0)


ConstraintsLike = str | Constraint | Sequence[str | Constraint] | None


def parse_constraints(
    text: ConstraintsLike, catalogue: Mapping[str, Metric] = METRICS, among: Collection[str] | None = None
) -> tuple[Constraint, ...]:
    """Read one constraint or several, separated by commas or as a sequence.

    Args:
        text: the constraints, as text or objects.
        catalogue: the metrics that may be limited.
        among: those to suggest instead of an unknown one; all by default.

    Raises:
        ConfigError: unless each is `metric<=number` or `metric>=number`.
        MetricError: on an unknown metric, one without a direction, or a test metric.
    """
    out = []
    for limit in read_limits(text):
        found = metric(limit.metric, catalogue, among)
        if found.split == "test":
            raise MetricError(
                f"{found.name} is a test metric and may not limit a search: what is chosen by the test set "
                "says nothing about unseen data. Use a validation metric or a cost"
            )
        if found.split != "cost":
            objective(found.name, catalogue=catalogue, among=among)  # refuses what has no direction
        out.append(replace(limit, known_cost=found.before_training))
    return tuple(out)


def read_limits(text: ConstraintsLike) -> list[Constraint]:
    """Constraints on metrics of any name; `ConfigError` unless each is `metric<=number` or `metric>=number`."""
    if isinstance(text, Constraint):
        return [text]
    if text is not None and not isinstance(text, (str, Iterable)):
        raise ConfigError(f"constraints={shown(text)}: expected text such as 'macs<=10e9', or a list of them")
    words = [] if text is None else text.split(",") if isinstance(text, str) else list(text)
    out = []
    for word in words:
        if isinstance(word, Constraint):
            out.append(word)
            continue
        match = _FORM.fullmatch(str(word))
        try:
            limit = float(match[3]) if match else np.nan
        except ValueError:  # such as 1.2.3
            limit = np.nan
        if match is None or not np.isfinite(limit):
            raise ConfigError(
                f"constraint={shown(word)}: expected metric<=number or metric>=number, several separated by commas"
            )
        out.append(Constraint(match[1], match[2], limit))
    return out


def violation(constraints: Sequence[Constraint], columns: Sequence[FloatArray]) -> FloatArray:
    """(n,) float64 in [0, 1], 0 for feasible: the mean excess, each as a share of its column's largest."""
    total = np.zeros(len(columns[0]))
    for constraint, column in zip(constraints, columns, strict=True):
        excess = constraint.excess(column)
        largest = excess.max(initial=0.0)
        if largest > 0:
            total += excess / largest
    return total / len(constraints)
