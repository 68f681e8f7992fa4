"""Table 2 of one experiment: what the reported architectures score, mean and spread over runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.results import published
from experiments.statistics.intervals import Spread, spread
from experiments.tables import csv_text, interval, number, plus_minus, short_label
from nasbench_ar import Constraint, Metric, MissingEntryError, Oracle
from nasbench_ar.metrics import TABLE2_ROWS

CSV_COLUMNS = ("metric", "label", "mean", "std", "ci_low", "ci_high", "optimum", "published")


@dataclass(frozen=True)
class Row:
    """One metric of the reported architectures.

    Attributes:
        label: of the metric; says in full where the definition differs, and where values are missing.
        short: the same for a table, with a dagger where the definition differs.
        values: (runs,) of each run's reported architecture, NaN where the table has none or it breaks a limit.
        published: printed (mean, std), where the paper has this cell.
    """

    metric: str
    label: str
    short: str
    values: NDArray[np.float64]
    spread: Spread
    optimum: float
    published: tuple[float, float] | None
    is_objective: bool


def table2_metrics(oracle: Oracle, objective: str) -> tuple[list[Metric], list[str]]:
    """The metrics that fill Table 2's rows in this table, and the rows nothing fills.

    A row takes the published metric or else one that stands in for it (`val_best_pgd_acc` for `val_pgd_acc`).  The
    objective is always shown, in its row or, if it fills none, on top.  A table that fills no row at all shows what it
    has instead, costs left out.
    """
    chosen: list[Metric] = []
    lacking: list[str] = []
    for row in TABLE2_ROWS:
        fitting = [oracle.metric(name) for name in oracle.metrics if oracle.metric(name).table2 == row]
        fitting = [m for m in fitting if m.name == objective] or fitting[:1]
        chosen += fitting
        if not fitting:
            lacking.append(row)
    if not chosen:  # a table of another benchmark
        chosen = [m for m in map(oracle.metric, oracle.metrics) if m.split != "cost" and m.maximize is not None]
        chosen.sort(key=lambda m: m.name != objective)
        lacking = []
    if objective not in [m.name for m in chosen]:
        chosen.insert(0, oracle.metric(objective))
    return chosen, lacking


def summarise(
    oracle: Oracle,
    reported: NDArray[np.int32],
    *,
    objective: str,
    queries: int,
    searcher: str | None,
    table_seed: Any = "mean",
    constraints: Sequence[Constraint] = (),
) -> tuple[list[Row], list[str]]:
    """Rows of Table 2 for the (runs,) reported architectures, and the published rows that the table lacks.

    Published values stand beside equal protocols only; what breaks the constraints has no part in a row.
    """
    metrics, lacking = table2_metrics(oracle, objective)
    printed = published.published_column(
        searcher, space=oracle.space, objective_row=oracle.metric(objective).table2, queries=queries
    )
    kept = oracle.feasible(constraints, seed=table_seed)[reported]
    rows = []
    for metric in metrics:
        values = np.where(kept, oracle.column(metric.name, seed=table_seed)[reported], np.nan)
        found = spread(values)
        counted = f" ({found.known} of {len(values)} runs)" if found.known < len(values) else ""
        rows.append(
            Row(
                metric=metric.name,
                label=oracle.label(metric.name) + counted,
                short=short_label(oracle, metric.name) + counted,
                values=values,
                spread=found,
                optimum=_optimum(oracle, metric.name, table_seed, constraints),
                published=printed.get(metric.table2 or ""),
                is_objective=metric.name == objective,
            )
        )
    return rows, lacking


def _optimum(oracle: Oracle, name: str, table_seed: Any, constraints: Sequence[Constraint]) -> float:
    try:
        return oracle.optimum(name, seed=table_seed, constraints=constraints)[1]
    except MissingEntryError:
        if constraints:  # nothing feasible was measured by this metric
            return math.nan
        raise


def as_csv(rows: Sequence[Row]) -> str:
    """`CSV_COLUMNS`; the published column is its mean."""
    return csv_text(CSV_COLUMNS, map(csv_cells, rows))


def csv_cells(row: Row) -> list[object]:
    found = row.spread
    printed = None if row.published is None else row.published[0]
    return [row.metric, row.label, found.mean, found.std, *found.interval, row.optimum, printed]


HEADER = ("Metric", "Mean ± std", "95 % interval", "Table optimum", "Published")
LIMITED_HEADER = (*HEADER[:3], "Best within limits", HEADER[4])  # where constraints leave something out


def cells(row: Row) -> tuple[str, ...]:
    printed = "–" if row.published is None else plus_minus(*row.published)
    label = row.short + (" (objective)" if row.is_objective else "")
    ends = interval(row.spread.interval)
    return label, plus_minus(row.spread.mean, row.spread.std), ends, number(row.optimum), printed
