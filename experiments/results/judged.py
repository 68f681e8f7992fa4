"""What runs are worth when the searcher saw noise, or when not everything was allowed.

A run's incumbent is what it would have reported.  It is worth its true value in the table; what the searcher saw of it
is the *observed* incumbent.  Regret is against the best feasible architecture.  An incumbent that breaks the limits
counts as the worst feasible value of the table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.races.race import Race
from experiments.races.store import Runs
from experiments.results.incumbents import Curve, expected_best_of_n
from experiments.statistics.intervals import mean_interval
from experiments.tables import csv_text, interval, number
from nasbench_ar import Oracle
from nasbench_ar.arrays import FloatArray


@dataclass(frozen=True)
class Judged:
    """Incumbents of all runs, in the objective's unit.

    Attributes:
        true: (runs, queries) true value of the incumbent.
        observed: (runs, queries) what the searcher saw of it.
        feasible: (runs, queries) whether a feasible architecture was found yet.
        counted: (product_size,) what every architecture counts for, NaN for what may not be queried.
        true_scores: (runs, queries) true value of every query, NaN after a run's end.
    """

    true: FloatArray
    observed: FloatArray
    feasible: NDArray[np.bool_]
    counted: FloatArray
    optimum: float
    maximize: bool
    noise: str
    images: int
    constraints: tuple[str, ...]
    true_scores: FloatArray

    @property
    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Further arrays of `trajectories.npz`."""
        return {
            "true_scores": self.true_scores,
            "true_incumbent": self.true,
            "observed_incumbent": self.observed,
            "feasible_found": self.feasible,
        }

    def curves(self, searcher: str) -> list[Curve]:
        if self.noise == "none":
            return [Curve(searcher, self.true, "feasible incumbent")]
        seen = Curve(searcher, self.observed, "incumbent as observed")
        return [Curve(searcher, self.true, "incumbent, true value"), seen]

    def reference_lines(self, queries: int) -> dict[str, object]:
        """What differs from a plain race; the random expectation knows no noise."""
        lines: dict[str, object] = {"optimum": self.optimum, "random_expectation": None}
        if self.constraints:
            lines["optimum_name"] = "best that keeps the limits"
        if self.noise == "none":
            lines["random_expectation"] = expected_best_of_n(
                self.counted[~np.isnan(self.counted)], queries, maximize=self.maximize
            )
        return lines

    def regrets(self) -> dict[str, FloatArray]:
        """(runs,) final distances from the optimum; observed ones may be negative: the searcher overrates its find."""
        sign = 1.0 if self.maximize else -1.0
        out = {"true": sign * (self.optimum - self.true[:, -1])}
        if self.noise != "none":
            out["observed"] = sign * (self.optimum - self.observed[:, -1])
        return out

    def lines(self) -> list[str]:
        out = []
        if self.constraints:
            found = int(self.feasible[:, -1].sum())
            out.append(
                f"Constraint {', '.join(self.constraints)}: best feasible value {self.optimum:.6g}; "
                f"{found} of {len(self.feasible)} runs found a feasible architecture."
            )
        if self.noise != "none":
            out.append(
                f"Noise {self.noise}: the searcher saw Binomial({self.images}, rate) draws; "
                "the lines above are true values of what it reported."
            )
        for name, values in self.regrets().items():
            ends = mean_interval(values)
            around = "" if math.isnan(ends[0]) else f" (95 % interval {interval(ends)})"
            out.append(f"Regret of the incumbent, {name} value: {number(values.mean(), 3)}{around}.")
        return out

    def as_csv(self) -> str:
        sign = 1.0 if self.maximize else -1.0
        lines = []
        true, observed, feasible = (a.mean(axis=0) for a in (self.true, self.observed, self.feasible))
        for n in range(len(true)):
            numbers = true[n], observed[n], sign * (self.optimum - true[n]), sign * (self.optimum - observed[n])
            lines.append([n + 1, *numbers, feasible[n]])
        return csv_text(["queries", "true", "observed", "true_regret", "observed_regret", "feasible"], lines)


def judge(oracle: Oracle, race: Race, runs: Runs) -> Judged:
    limits = oracle.limits(race.constraints)
    maximize = bool(oracle.metric(race.objective).maximize)
    sign = 1.0 if maximize else -1.0
    column = sign * oracle.column(race.objective, seed=race.table_seed)
    allowed = oracle.feasible(limits, seed=race.table_seed)
    members = race.members(oracle)
    known = column[members][allowed[members]]
    worst = known.min()
    counted = np.full(len(column), np.nan)
    counted[members] = np.where(allowed, column, worst)[members]

    queried = runs.arch_index >= 0
    seen = np.full(runs.scores.shape, np.nan)
    for row, (index, scores) in enumerate(zip(runs.arch_index, runs.scores, strict=True)):
        by_architecture = np.full(len(column), np.nan)
        by_architecture[index[index >= 0]] = scores[index >= 0]
        seen[row] = by_architecture[runs.incumbent[row]]
    feasible = allowed[runs.incumbent]
    return Judged(
        true=sign * counted[runs.incumbent],
        observed=np.where(feasible, seen, sign * worst),
        feasible=feasible,
        counted=sign * counted,
        optimum=float(sign * known.max()),
        maximize=maximize,
        noise=race.noise,
        images=race.images,
        constraints=race.constraints,
        true_scores=np.where(queried, sign * column[np.where(queried, runs.arch_index, 0)], np.nan),
    )
