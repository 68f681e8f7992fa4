"""Table 2 of one experiment: what the reported architectures score, mean and spread over runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.results import published
from experiments.statistics.intervals import mean_interval
from experiments.tables import csv_text, number, plus_minus, short_label
from nasbench_ar import METRICS, Constraint, Metric, MissingEntryError, Oracle
from nasbench_ar.metrics import TABLE2_ROWS

CSV_COLUMNS = ("metric", "label", "mean", "std", "ci_low", "ci_high", "optimum", "published")


@dataclass(frozen=True)
class Row:
    """One metric of the reported architectures.

    Attributes:
        label: of the metric; says in full where the definition differs, and where values are missing.
        short: the same for a table, with a dagger where the definition differs.
        values: (runs,) of each run's reported architecture, NaN where the table has none.
        mean: over the runs that have a value; `std` is the sample standard deviation, `ci_*` the 95 % t interval.
        optimum: best value in the whole table.
        published: printed (mean, std), where the paper has this cell.
    """

    metric: str
    label: str
    short: str
    values: NDArray[np.float64]
    mean: float
    std: float
    ci_low: float
    ci_high: float
    optimum: float
    published: tuple[float, float] | None
    is_objective: bool

    @property
    def known(self) -> int:
        """Runs whose reported architecture has a value."""
        return int((~np.isnan(self.values)).sum())


def table2_metrics(oracle: Oracle, objective: str) -> tuple[list[Metric], list[str]]:
    """The metrics that fill Table 2's rows in this table, and the rows nothing fills.

    A row takes the published metric or else one that stands in for it (`val_best_pgd_acc` for `val_pgd_acc`).  The
    objective is always shown, in its row or, if it fills none, on top.
    """
    chosen: list[Metric] = []
    lacking: list[str] = []
    for row in TABLE2_ROWS:
        fitting = [METRICS[name] for name in oracle.metrics if METRICS[name].table2 == row]
        fitting = [m for m in fitting if m.name == objective] or fitting[:1]
        chosen += fitting
        if not fitting:
            lacking.append(row)
    if objective not in [m.name for m in chosen]:
        chosen.insert(0, METRICS[objective])
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

    Published values stand beside equal protocols only; the optimum is the best that keeps the constraints.
    """
    metrics, lacking = table2_metrics(oracle, objective)
    printed = published.published_column(
        searcher, space=oracle.space, objective_row=METRICS[objective].table2, queries=queries
    )
    rows = []
    for metric in metrics:
        values = oracle.column(metric.name, seed=table_seed)[reported]
        known = values[~np.isnan(values)]
        low, high = mean_interval(known)
        counted = f" ({len(known)} of {len(values)} runs)" if len(known) < len(values) else ""
        rows.append(
            Row(
                metric=metric.name,
                label=oracle.label(metric.name) + counted,
                short=short_label(oracle, metric.name) + counted,
                values=values,
                mean=float(known.mean()) if len(known) else math.nan,
                std=float(known.std(ddof=1)) if len(known) > 1 else math.nan,
                ci_low=low,
                ci_high=high,
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
    """`CSV_COLUMNS` with full precision; the published column is its mean; empty where unknown."""
    lines = []
    for row in rows:
        numbers = (row.mean, row.std, row.ci_low, row.ci_high, row.optimum)
        cells = ["" if math.isnan(x) else repr(round(x, 10)) for x in numbers]
        lines.append([row.metric, row.label, *cells, "" if row.published is None else row.published[0]])
    return csv_text(CSV_COLUMNS, lines)


HEADER = ("Metric", "Mean ± std", "95 % interval", "Table optimum", "Published")
LIMITED_HEADER = (*HEADER[:3], "Best within limits", HEADER[4])  # where constraints leave something out


def cells(row: Row) -> tuple[str, ...]:
    interval = "–" if math.isnan(row.ci_low) else f"{number(row.ci_low, 3)} to {number(row.ci_high, 3)}"
    printed = "–" if row.published is None else plus_minus(*row.published)
    label = row.short + (" (objective)" if row.is_objective else "")
    return label, plus_minus(row.mean, row.std), interval, number(row.optimum), printed
