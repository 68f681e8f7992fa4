"""Stored multi-fidelity runs as numbers: what the incumbents are worth, and when they were found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.races.checks import stored_race
from experiments.races.machines import Trace
from experiments.races.race import Race, open_fidelity_session, told_by
from experiments.races.trace_store import TraceStore
from experiments.results.read import names_of, refuse_repeated, table_of
from experiments.statistics.intervals import Spread, spread
from experiments.statistics.significance import against_best
from nasbench_ar import NasbenchError, Oracle, ResultsError
from nasbench_ar.arrays import FloatArray
from nasbench_ar.errors import shown

SHARED = ("table", "table_hash", "objective", "budget", "unit", "table_seed")  # what compared runs have in common
POINTS = 200  # of a curve


@dataclass(frozen=True)
class Results:
    """The stored runs of one searcher; `told` is what their table says of the race."""

    name: str
    race: Race
    told: Mapping[str, Any]
    oracle: Oracle
    traces: Sequence[Trace]

    @property
    def budget(self) -> float:
        return float(self.race.budget or 0)

    @property
    def seeds(self) -> NDArray[np.int64]:
        return np.array([trace.seed for trace in self.traces], dtype=np.int64)

    @property
    def reported(self) -> NDArray[np.int32]:
        """(runs,) int32 the incumbent at the end of each run."""
        return np.array([trace.incumbent[-1] for trace in self.traces], dtype=np.int32)

    @cached_property
    def _worth(self) -> FloatArray:
        return self.oracle.column(self.race.objective, seed=self.race.table_seed)

    @cached_property
    def optimum(self) -> float:
        return self.oracle.optimum(self.race.objective, seed=self.race.table_seed)[1]

    def true_scores(self, axis: str, at: FloatArray) -> FloatArray:
        """(runs, len(at)) true value of the incumbents along `spent` or `ended`; NaN before the first training ends."""
        out = np.full((len(self.traces), len(at)), np.nan)
        for row, trace in zip(out, self.traces, strict=True):
            # A sum of costs may fall short of the budget it exhausts by a rounding error.
            position = np.searchsorted(getattr(trace, axis), at * (1 + 1e-9), side="right") - 1
            row[position >= 0] = self._worth[trace.incumbent[position[position >= 0]]]
        return out

    def curve(self, axis: str) -> tuple[FloatArray, FloatArray]:
        """Grid and (runs, points) true scores, from where every run has an incumbent to where the last run ends."""
        first = max(getattr(trace, axis)[0] for trace in self.traces)
        last = max(getattr(trace, axis)[-1] for trace in self.traces)
        grid = np.linspace(first, last, POINTS)
        return grid, self.true_scores(axis, grid)

    def started(self) -> FloatArray:
        """(runs,) architectures that were trained at all."""
        return np.array([len(np.unique(trace.arch_index)) for trace in self.traces], dtype=np.float64)

    def finished(self) -> FloatArray:
        """(runs,) architectures that were trained to the last epoch."""
        last = int(self.told["epochs"]) - 1
        return np.array([(trace.epoch == last).sum() for trace in self.traces], dtype=np.float64)

    def clock(self) -> FloatArray:
        """(runs,) simulated time at the end."""
        return np.array([trace.ended[-1] for trace in self.traces])


@dataclass(frozen=True)
class Cell:
    """True scores of one searcher after one share of the budget, and its p-value against the best (`against_best`).

    `values` are (runs,), NaN where a run had no incumbent.
    """

    values: FloatArray
    spread: Spread
    p_value: float


def compared(results: Sequence[Results], share: float) -> tuple[list[Cell], int | None]:
    """One cell per searcher, at a share of the budget, and which one is the best."""
    values = [r.true_scores("spent", np.array([share * r.budget]))[:, 0] for r in results]
    samples = [(r.seeds, column) for r, column in zip(results, values, strict=True)]
    best, p_values = against_best(samples, maximize=bool(results[0].oracle.metric(results[0].race.objective).maximize))
    return [Cell(column, spread(column), p) for column, p in zip(values, p_values, strict=True)], best


def read_results(folder: Path, seeds: Sequence[int] | None = None, oracle: Oracle | None = None) -> Results:
    store = TraceStore(folder)
    race, config = stored_race(folder, fidelity=True)
    traces = store.traces(store.stored() if seeds is None else seeds)
    if not traces:
        raise ResultsError(f"{folder} holds no finished run")
    oracle = oracle or Oracle(table_of(folder, race))
    try:
        told = told_by(open_fidelity_session(race, oracle))
    except NasbenchError as error:
        raise ResultsError(f"{folder} holds a race that table {oracle.name} does not allow: {error}") from error
    _check_traces(folder, config, told, traces, oracle)
    return Results(names_of([folder])[0], race, told, oracle, traces)


def read_all_results(folders: Sequence[Path]) -> list[Results]:
    """Several result folders that can be compared, by names that tell them apart; each once."""
    refuse_repeated(folders)
    named = zip(folders, names_of(folders), strict=True)
    results = [replace(read_results(folder), name=name) for folder, name in named]
    check_comparable(results)
    return results


def _check_traces(
    folder: Path, config: Mapping[str, Any], told: Mapping[str, Any], traces: Sequence[Trace], oracle: Oracle
) -> None:
    for key, value in told.items():
        if config.get(key) != value:
            raise ResultsError(
                f"{folder} says that {key} is {shown(config.get(key))}, table {oracle.name} that it is {value!r}; "
                f"remove the folder {folder}, or use another out="
            )
    size, epochs = oracle.space.product_size, told["epochs"]
    for trace in traces:
        if trace.arch_index.max() >= size or trace.epoch.max() >= epochs:
            raise ResultsError(
                f"the run of seed {trace.seed} in {folder} has trainings that table {oracle.name} has not; "
                "remove it and run the command again"
            )


def check_comparable(results: Sequence[Results], shared: Sequence[str] = SHARED) -> None:
    first = results[0].race.fingerprint
    for other in results[1:]:
        mark = other.race.fingerprint
        if differs := [f"{key} {mark[key]!r} against {first[key]!r}" for key in shared if mark[key] != first[key]]:
            raise ResultsError(f"{other.name} and {results[0].name} cannot be compared: {', '.join(differs)}")
