"""Searchers compared on proper statistics, from stored runs.

    python -m experiments.compare results/nares-figures/bananas results/nares-figures/local_search
    python -m experiments.compare FOLDER FOLDER ... [key=value ...]
    python -m experiments.compare results/nares-figures/*       # what is no experiment is left out

keys and defaults:
  metric=objective             what is compared: the objective, or any metric of the table at the architecture
                               that a run would report
  at=                          budgets to compare at, as at=100,250,500; the whole budget by default
  difference=                  count the seeds that are needed to see this difference, as difference=0.1; by
                               default the observed one of each pair
  cliques=wilcoxon             what joins searchers in the picture of ranks: wilcoxon (Holm-adjusted) or nemenyi
  resamples=2000               of the bootstrap
  seed=0                       of the bootstrap and of the simulated experiments
  out=                         folder to write to; <results>/<table>/comparison by default, and
                               comparison-<metric> for another metric

Writes comparison.md, .csv and .tex, pairs.csv, and anytime, profile and ranks as .png,
.pdf and .csv.  From Python, `compare` gives the numbers and `compare_figures` draws them.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments import compare_figures, compare_text, plot
from experiments.compare_parts import course, pairs_at, profiles, ranking, standing
from experiments.comparison import Comparison, Course, Pair
from experiments.config import MOST, main_with_errors, parse_words
from experiments.contestants import BUDGET, SHARED, Contest, experiments_among, found_after, read_contest
from experiments.store import write_file
from nasbench_ar import METRICS, ConfigError, MetricError
from nasbench_ar.command import docstring
from nasbench_ar.errors import WriteError
from nasbench_ar.metrics import metric as metric_of

FloatArray = NDArray[np.float64]
OBJECTIVE = "objective"
CLIQUES = ("wilcoxon", "nemenyi")


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
        at: budgets; the whole one by default.
        difference: positive, in the metric's unit: count the seeds that this takes
            instead of the observed difference.
        joined_by: `wilcoxon` or `nemenyi`: the test behind the cliques.
        resamples: of the bootstrap.
        seed: of the bootstrap and of the simulated experiments.

    Raises:
        ResultsError: on folders without runs, or that differ in table, objective or budget.
        MetricError: on a metric that the table lacks or that has no direction.
        ConfigError: on other arguments that cannot be.
    """
    paths = [Path(folder) for folder in folders]
    if len(paths) < 2:
        raise ConfigError(f"{len(paths)} folder given: a comparison needs the result folders of two or more searchers")
    contest = read_contest(paths, (*SHARED, BUDGET))
    queries = contest.contestants[0].queries
    name = contest.objective if metric == OBJECTIVE else metric
    column, maximize = _column(contest, name)
    budgets = _budgets(at, queries)
    _check(difference, joined_by, resamples)
    optimum = float(np.nanmax(column) if maximize else np.nanmin(column))
    notes = _notes(contest)
    courses = []
    for contestant in contest.contestants:
        found, rule = found_after(contestant.runs, queries, maximize=contest.maximize)
        courses.append(course(contestant.name, contestant.runs.seeds, column[found], optimum))
        if rule == "own":
            notes.append(
                f"{contestant.name} reports an architecture of its own choice; before the end of a run its best by "
                "the objective stands for it."
            )
    notes += _missing(courses, budgets[-1])
    sign = 1.0 if maximize else -1.0
    pairs: list[Pair] = []
    rankings = []
    for budget in budgets:
        at_budget = pairs_at(courses, budget, sign, difference, resamples, seed)
        pairs += at_budget
        rankings.append(ranking(courses, budget, sign, at_budget, joined_by))
    return Comparison(
        table=contest.oracle.name,
        title=contest.oracle.title,
        objective=contest.objective,
        metric=name,
        label=contest.oracle.label(name),
        unit=METRICS[name].unit,
        maximize=maximize,
        optimum=optimum,
        queries=queries,
        budgets=budgets,
        difference=difference,
        courses=tuple(courses),
        standings=tuple(standing(c, budget) for budget in budgets for c in courses),
        pairs=tuple(pairs),
        rankings=tuple(rankings),
        profiles=tuple(profiles(courses, budgets[-1])),
        notes=tuple(notes),
    )


def _column(contest: Contest, name: str) -> tuple[FloatArray, bool]:
    oracle = contest.oracle
    found = metric_of(name, oracle.metrics)
    directed = [m for m in oracle.metrics if METRICS[m].maximize is not None]
    if name not in directed:
        what = "has no better or worse" if name in oracle.metrics else f"is not in table {oracle.name}"
        raise MetricError(f"{name} {what}; metrics to compare on: objective, {', '.join(directed)}")
    return oracle.column(name, seed=contest.table_seed), bool(found.maximize)


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


def _notes(contest: Contest) -> list[str]:
    """Sentences on runs that are not alike."""
    notes = []
    sets = {c.name: c.runs.seeds for c in contest.contestants}
    common = set.intersection(*(set(seeds.tolist()) for seeds in sets.values()))
    if any(len(seeds) != len(common) for seeds in sets.values()):
        counts = ", ".join(f"{name} {len(seeds)}" for name, seeds in sets.items())
        notes.append(
            f"The searchers have different seeds ({counts}): each pair is compared on the seeds that both have, "
            f"ranks are over the {len(common)} seeds that all have, curves and profiles over all runs of each."
        )
    for c in contest.contestants:
        spent = (c.runs.arch_index >= 0).sum(axis=1)
        if spent.max() > c.queries:
            over = int((spent > c.queries).sum())
            notes.append(
                f"{over} of {len(spent)} runs of {c.name} queried more than {c.queries} architectures; what they "
                "found after that does not count here."
            )
        if spent.min() < c.queries:
            short = int((spent < c.queries).sum())
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


DEFAULTS: dict[str, str | int] = {
    "metric": OBJECTIVE,
    "at": "",
    "difference": "",
    "cliques": CLIQUES[0],
    "resamples": 2000,
    "seed": 0,
    "out": "",
}


def write_comparison(comparison: Comparison, folder: Path) -> list[str]:
    """Write every table and picture; returns the names of the files.

    Raises:
        WriteError: when the folder cannot be written.
    """
    files = {
        "comparison.md": compare_text.as_report(comparison),
        "comparison.csv": compare_text.standings_csv(comparison),
        "comparison.tex": compare_text.as_tex(comparison),
        "pairs.csv": compare_text.pairs_csv(comparison),
        "anytime.csv": compare_text.anytime_csv(comparison),
        "profile.csv": compare_text.profile_csv(comparison),
        "ranks.csv": compare_text.ranks_csv(comparison),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"cannot write {folder}: {error.strerror or error}; choose another out=") from error
    for name, text in files.items():
        write_file(folder / name, text.encode())
    pictures = {
        "anytime": compare_figures.draw_anytime(comparison).axes[0],
        "profile": compare_figures.draw_profile(comparison),
        "ranks": compare_figures.draw_ranks(comparison),
    }
    for name, axes in pictures.items():
        for kind in ("png", "pdf"):
            plot.save_figure(axes, folder / f"{name}.{kind}", note=compare_figures.note(comparison))
    return [*files, *(f"{name}.{kind}" for name in pictures for kind in ("png", "pdf"))]


def _folder(given: str, folders: Sequence[str], comparison: Comparison) -> Path:
    """Where to write: beside the first of the result folders, unless `out=` says otherwise."""
    if given:
        return Path(given)
    name = "comparison" if comparison.metric == comparison.objective else f"comparison-{comparison.metric}"
    return Path(folders[0]).resolve().parent / name


def _number(key: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"{key}={text!r}: expected a number, as {key}=0.1") from None


def _whole_numbers(key: str, text: str) -> list[int]:
    words = text.split(",")
    if not all(word.isascii() and word.isdigit() and len(word) < 9 for word in words):
        raise ConfigError(f"{key}={text!r}: expected whole numbers, as {key}=100,250,500")
    return [int(word) for word in words]


def main(arguments: Sequence[str]) -> None:
    """The command."""
    if {"-h", "--help"} & set(arguments):
        print(docstring(__name__).strip())
        return
    words = [word for word in arguments if "=" in word and not os.path.isdir(word)]
    folders = experiments_among([word for word in arguments if word not in words])
    given = parse_words(words, DEFAULTS, {"resamples": (1, MOST)})
    comparison = compare(
        folders,
        metric=given["metric"],
        at=_whole_numbers("at", given["at"]) if given["at"] else (),
        difference=_number("difference", given["difference"]) if given["difference"] else None,
        joined_by=given["cliques"],
        resamples=given["resamples"],
        seed=given["seed"],
    )
    folder = _folder(given["out"], folders, comparison)
    print(compare_text.as_text(comparison))  # first, since the folder may be read-only
    names = write_comparison(comparison, folder)
    print(f"{folder}: {' '.join(names)}")


if __name__ == "__main__":
    sys.exit(main_with_errors(main))
