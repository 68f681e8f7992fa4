"""What searchers are worth over the tasks of a suite.

The score of a run is its normalised regret area at a budget: the mean over the queries up to it of the regret, with the
regret of the table's median architecture as the unit, and nothing above it counted: 0 is the best, 1 the median or
worse.  Without that limit a single diverged training of a regression table would outweigh all the rest.  A task is
the mean over its runs, a family the mean over its tasks, and the suite the mean over its families.

Intervals are bootstrapped, 95 %: seeds are drawn anew within every task and tasks within every family, the same for all
searchers, so that differences between them are paired.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.races.store import RunStore
from experiments.races.suite import Task
from experiments.results.read import Stored, entries_in, reported_after, searched
from experiments.results.standings import course, regret_of_median
from experiments.results.targets import Reached, reached
from nasbench_ar import ResultsError
from nasbench_ar.arrays import FloatArray

BUDGETS = (50, 100, 200, 500)
RESAMPLES = 2000
TARGETS = ("best 0.1 %", "best 1 %")


@dataclass(frozen=True)
class TaskScores:
    """One task.

    Attributes:
        seeds: (runs,) that all searchers have.
        areas: (searchers, runs, budgets).
        cpu_seconds: (searchers,) processor time of a run, the mean; NaN where none was measured.
    """

    task: Task
    seeds: NDArray[np.int64]
    areas: FloatArray
    reached: tuple[Reached, ...]
    cpu_seconds: FloatArray


@dataclass(frozen=True)
class SuiteScores:
    """All tasks of one use.

    Attributes:
        names: of the searchers, by ascending area at the largest budget.
        area: (searchers, budgets); `interval` has (searchers, budgets, 2).
        by_family: (searchers, families, budgets).
        behind: (searchers, budgets) area minus that of the best searcher at that budget; `behind_interval` likewise.
        cpu_seconds: (searchers,) of a run, the mean over tasks.
    """

    use: str
    names: tuple[str, ...]
    budgets: tuple[int, ...]
    families: tuple[str, ...]
    tasks: tuple[TaskScores, ...]
    area: FloatArray
    interval: FloatArray
    by_family: FloatArray
    behind: FloatArray
    behind_interval: FloatArray
    cpu_seconds: FloatArray


def capped_areas(regret: FloatArray, unit: float, budgets: Sequence[int]) -> FloatArray:
    """(runs, budgets) of (runs, queries) regrets; `unit` is the regret of the median architecture.

    A table whose better half is all equal has no unit: there a regret counts 0 or 1.
    """
    scaled = np.minimum(regret / unit, 1.0) if unit > 0 else (regret > 0).astype(np.float64)
    sums = np.cumsum(scaled, axis=1)
    return np.stack([sums[:, budget - 1] / budget for budget in budgets], axis=1)


def task_scores(task: Task, stored: Sequence[Stored], budgets: Sequence[int]) -> TaskScores:
    """One task, from the runs of all searchers on the seeds that they have in common."""
    oracle, race = stored[0].oracle, stored[0].race
    if race.queries < max(budgets):
        raise ResultsError(f"{stored[0].folder}: runs of {race.queries} queries; the largest budget is {max(budgets)}")
    column, best = searched(stored[0])
    maximize = bool(oracle.metric(race.objective).maximize)
    unit = regret_of_median(column, best)
    common = set.intersection(*(set(one.runs.seeds.tolist()) for one in stored))
    if not common:
        raise ResultsError(f"task {task.task}: {', '.join(one.name for one in stored)} have no seed in common")
    seeds = np.array(sorted(common), dtype=np.int64)
    areas, courses = [], []
    for one in stored:
        kept = np.isin(one.runs.seeds, seeds)
        values = column[reported_after(one.runs, race.queries)[kept]]
        courses.append(course(one.name, seeds, values, best))
        areas.append(capped_areas(courses[-1].regret, unit, budgets))
    found = reached(courses, column, max(budgets), maximize=maximize, guided=race.noise == "none")
    times = [RunStore(one.folder).cpu_seconds(seeds.tolist()) for one in stored]
    cpu = np.array([float(np.nanmean(t)) if not np.isnan(t).all() else math.nan for t in times])
    wanted = tuple(entry for entry in found if entry.target.name in TARGETS)
    return TaskScores(task, seeds, np.stack(areas), wanted, cpu)


def suite_scores(
    use: str, names: Sequence[str], tasks: Sequence[TaskScores], budgets: Sequence[int] = BUDGETS, *, seed: int = 0
) -> SuiteScores:
    """The suite, from its tasks; `names` are the searchers, in the order of the tasks' arrays."""
    families = tuple(dict.fromkeys(one.task.family for one in tasks))
    member = np.array([families.index(one.task.family) for one in tasks])
    means = np.stack([one.areas.mean(axis=1) for one in tasks])  # (tasks, searchers, budgets)
    by_family = np.stack([(means[member == k]).mean(axis=0) for k in range(len(families))], axis=1)
    area = by_family.mean(axis=1)
    drawn = _resampled(tasks, member, np.random.default_rng(seed))
    best = area.argmin(axis=0)
    every = np.arange(len(budgets))
    behind = area - area[best, every]
    apart = drawn - drawn[:, best, every][:, None, :]
    order = np.argsort(area[:, -1], kind="stable")
    cpu = np.stack([one.cpu_seconds for one in tasks]).mean(axis=0)

    def ends(values: FloatArray) -> FloatArray:
        return np.moveaxis(np.quantile(values, (0.025, 0.975), axis=0), 0, -1)[order]

    return SuiteScores(
        use=use,
        names=tuple(names[k] for k in order),
        budgets=tuple(budgets),
        families=families,
        tasks=tuple(
            TaskScores(one.task, one.seeds, one.areas[order], one.reached, one.cpu_seconds[order]) for one in tasks
        ),
        area=area[order],
        interval=ends(drawn),
        by_family=by_family[order],
        behind=behind[order],
        behind_interval=ends(apart),
        cpu_seconds=cpu[order],
    )


def _resampled(tasks: Sequence[TaskScores], member: NDArray[np.int64], rng: np.random.Generator) -> FloatArray:
    """(resamples, searchers, budgets) areas of the suite, `member` being the family of every task.

    NaN where a task has fewer than two seeds: nothing is known of their spread then.
    """
    families = int(member.max()) + 1
    shares = np.empty((RESAMPLES, len(tasks)))
    for k in range(families):
        within = np.flatnonzero(member == k)
        shares[:, within] = _counts(rng, len(within)) / len(within)
    few = any(len(one.seeds) < 2 for one in tasks)
    total = np.full((RESAMPLES, *tasks[0].areas.shape[::2]), np.nan if few else 0.0)
    for place, one in enumerate(tasks):
        counts = _counts(rng, len(one.seeds)) / len(one.seeds)
        total += shares[:, place, None, None] * np.einsum("br,srk->bsk", counts, one.areas)
    return total / families


def _counts(rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    """(resamples, n) how often each of n is drawn in n draws with replacement."""
    return rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES)


def entries_of(folders: Sequence[Path]) -> tuple[list[str], list[str]]:
    """Names of the searchers that have runs of every task, and of those that lack some."""
    found = [{path.name for path in entries_in(folder)} for folder in folders]
    everywhere = set.intersection(*found)
    return sorted(everywhere), sorted(set.union(*found) - everywhere)
