"""What a comparison of searchers consists of: plain data, made by `experiments.compare`."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.races.noise import images_behind
from experiments.results.random_search import RandomSearch, exact
from experiments.results.read import SHARED, Stored, read_all, refuse_special, reported_after
from experiments.results.recommendation import Choice, choices
from experiments.results.standings import (
    Course,
    Pair,
    Profile,
    Ranking,
    Standing,
    course,
    pairs_at,
    profiles,
    ranking,
    regret_of_median,
    standing,
)
from experiments.results.targets import Ecdf, Reached, ecdfs, reached
from experiments.tables import interval, number, plus_minus
from nasbench_ar import ConfigError, MetricError
from nasbench_ar.arrays import FloatArray
from nasbench_ar.html_table import html_table

OBJECTIVE = "objective"


CLIQUES = ("wilcoxon", "nemenyi")


@dataclass(frozen=True, repr=False)
class Comparison:
    """Everything that is written and drawn; `experiments.results.standings` has its parts.

    Attributes:
        title: the table's line on what its numbers are.
        objective: what guided the searches.
        metric: what is compared.
        optimum: best value in the table.
        unit_of_area: regret of the median architecture.
        queries: budget of a run.
        budgets: compared at, ascending.
        difference: what the numbers of seeds are about; None for the observed one of each pair.
        courses: one per searcher, in the order of the folders, as `profiles`.
        standings: one per budget and searcher; `pairs` and `rankings` likewise.
        choices: what runs end with, by both rules, on the metrics of Table 2.
        targets: how long the searchers take to the best ranks of the table, within the last budget.
        ecdfs: the share of such ranks that they have reached after each query.
        random_search: its exact law.
        notes: what a reader has to know, one sentence each.
    """

    table: str
    title: str
    objective: str
    metric: str
    label: str
    unit: str
    maximize: bool
    optimum: float
    unit_of_area: float
    queries: int
    budgets: tuple[int, ...]
    difference: float | None
    courses: tuple[Course, ...]
    standings: tuple[Standing, ...]
    pairs: tuple[Pair, ...]
    rankings: tuple[Ranking, ...]
    profiles: tuple[Profile, ...]
    choices: tuple[Choice, ...]
    targets: tuple[Reached, ...]
    ecdfs: tuple[Ecdf, ...]
    random_search: RandomSearch
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        means = ", ".join(f"{found.name} {number(found.mean)}" for found in self._last())
        return f"Comparison({self._about()}: {means})"

    def _repr_html_(self) -> str:
        header = ("searcher", "runs", "mean ± std", "regret", "95 % interval", "optimum found")
        lines = [
            (
                found.name,
                found.runs if found.runs is not None else "exact",
                plus_minus(found.mean, found.std),
                number(found.regret, 3),
                interval(found.regret_interval),
                f"{100 * found.solved:.1f} %",
            )
            for found in self._last()
        ]
        return html_table(f"{self._about()}; best of the table {number(self.optimum)}", header, lines)

    def _last(self) -> list[Standing]:
        return [found for found in self.standings if found.budget == self.budgets[-1]]

    def _about(self) -> str:
        return f"{self.metric} on {self.table} after {self.budgets[-1]} queries"


def compare(
    folders: Sequence[str | os.PathLike[str]],
    *,
    metric: str = OBJECTIVE,
    at: Sequence[int] = (),
    difference: float | None = None,
    joined_by: str = CLIQUES[0],
    resamples: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compare the stored runs of several result folders.

    Args:
        folders: `<out>/<table>/<searcher>`, two or more.
        metric: `objective`, or a metric of the table that has a direction.
        at: budgets in queries; the whole one by default.
        difference: count the seeds for this positive difference, in the metric's unit, not for the observed one.
        joined_by: `wilcoxon` or `nemenyi`: the test behind the cliques.
        resamples: of the bootstrap.
        seed: of the bootstrap and of the simulated experiments.

    Raises:
        ResultsError: on folders without runs, or that differ in table, objective or budget.
        MetricError: on a metric that the table lacks or that has no direction.
        ConfigError: on other arguments out of range.
    """
    paths = [Path(folder) for folder in folders]
    if len(paths) < 2:
        raise ConfigError(f"{len(paths)} folder given: a comparison needs the result folders of two or more searchers")
    refuse_special(paths)
    contestants = read_all(paths, (*SHARED, "queries"))
    race, oracle = contestants[0].race, contestants[0].oracle
    name = race.objective if metric == OBJECTIVE else metric
    objective, guided_up = _column(contestants[0], race.objective)
    members = np.flatnonzero(~np.isnan(objective)).astype(np.int32)
    column, maximize = _column(contestants[0], name)
    column = np.where(np.isnan(objective), np.nan, column)  # nobody can choose what cannot be queried
    budgets = _budgets(at, race.queries)
    _check(difference, joined_by, resamples)
    optimum = float(np.nanmax(column) if maximize else np.nanmin(column))
    unit_of_area = regret_of_median(column, optimum)
    notes = _notes(contestants)
    courses = []
    for contestant in contestants:
        found = reported_after(contestant.runs, race.queries)
        courses.append(course(contestant.name, contestant.runs.seeds, column[found], optimum))
    notes += _missing(courses, budgets[-1])
    guided = name == race.objective
    if not guided:
        notes.append(
            f"The law of random search has no line in targets: {race.objective}, not {name}, decides what it reports."
        )
    beside = exact(
        objective, column, members, race.queries, budgets, unit_of_area, guided_up=guided_up, maximize=maximize
    )
    sign = 1.0 if maximize else -1.0
    pairs: list[Pair] = []
    rankings = []
    for budget in budgets:
        at_budget = pairs_at(courses, budget, sign, difference, resamples, seed)
        pairs += at_budget
        rankings.append(ranking(courses, budget, sign, at_budget, joined_by))
    return Comparison(
        table=oracle.name,
        title=oracle.title,
        objective=race.objective,
        metric=name,
        label=oracle.label(name),
        unit=oracle.metric(name).unit,
        maximize=maximize,
        optimum=optimum,
        unit_of_area=unit_of_area,
        queries=race.queries,
        budgets=budgets,
        difference=difference,
        courses=tuple(courses),
        standings=tuple(standing(c, budget, unit_of_area) for budget in budgets for c in courses),
        pairs=tuple(pairs),
        rankings=tuple(rankings),
        profiles=tuple(profiles(courses, budgets[-1])),
        choices=tuple(choices(contestants)),
        targets=tuple(
            reached(courses, column, budgets[-1], maximize=maximize, images=images_behind(oracle, name), guided=guided)
        ),
        ecdfs=tuple(ecdfs(courses, column, race.queries, maximize=maximize, guided=guided)),
        random_search=beside,
        notes=tuple(notes),
    )


def _column(contestant: Stored, name: str) -> tuple[FloatArray, bool]:
    oracle = contestant.oracle
    found = oracle.metric(name)
    directed = [m for m in oracle.metrics if oracle.metric(m).maximize is not None]
    if name not in directed:
        what = "has no better or worse" if name in oracle.metrics else f"is not in table {oracle.name}"
        raise MetricError(f"{name} {what}; metrics to compare on: objective, {', '.join(directed)}")
    return oracle.column(name, seed=contestant.race.table_seed), bool(found.maximize)


def _budgets(at: Sequence[int], queries: int) -> tuple[int, ...]:
    for budget in at:
        if not 1 <= budget <= queries:
            raise ConfigError(f"at={budget}: the runs have {queries} queries; give budgets from 1 to {queries}")
    return tuple(sorted(set(at))) or (queries,)


def _check(difference: float | None, joined_by: str, resamples: int) -> None:
    if difference is not None and not (math.isfinite(difference) and difference > 0):
        raise ConfigError(f"difference={difference}: expected a positive number in the metric's unit")
    if joined_by not in CLIQUES:
        raise ConfigError(f"cliques={joined_by!r}: expected {' or '.join(CLIQUES)}")
    if resamples < 1:
        raise ConfigError(f"resamples={resamples}: expected a positive number")


def _notes(contestants: Sequence[Stored]) -> list[str]:
    notes = []
    sets = {c.name: c.runs.seeds for c in contestants}
    common = set.intersection(*(set(seeds.tolist()) for seeds in sets.values()))
    if any(len(seeds) != len(common) for seeds in sets.values()):
        counts = ", ".join(f"{name} {len(seeds)}" for name, seeds in sets.items())
        notes.append(
            f"The searchers have different seeds ({counts}): each pair is compared on the seeds that both have, "
            f"ranks are over the {len(common)} seeds that all have, curves and profiles over all runs of each."
        )
    for c in contestants:
        spent = (c.runs.arch_index >= 0).sum(axis=1)
        if spent.max() > c.race.queries:
            over = int((spent > c.race.queries).sum())
            notes.append(
                f"{over} of {len(spent)} runs of {c.name} queried more than {c.race.queries} architectures; what they "
                "found after that does not count here."
            )
        if spent.min() < c.race.queries:
            short = int((spent < c.race.queries).sum())
            notes.append(f"{short} runs of {c.name} ended early and keep what they had found.")
    return notes


def _missing(courses: Sequence[Course], budget: int) -> list[str]:
    counts = [(c.name, int(np.isnan(c.values[:, budget - 1]).sum()), len(c.seeds)) for c in courses]
    lacking = ", ".join(f"{name} {missing} of {runs}" for name, missing, runs in counts if missing)
    if not lacking:
        return []
    return [
        f"The table has no value for what some runs report ({lacking}): means are over the others, tests over the "
        "seeds with a value of both, areas over the queries with a value."
    ]
