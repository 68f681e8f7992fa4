"""The suite in words and as CSV."""

from __future__ import annotations

import math
from collections.abc import Sequence

from experiments.results.baselines import RANDOM_SEARCH
from experiments.results.suite import TARGETS, SuiteScores, TaskScores
from experiments.tables import as_markdown, csv_text, number

LEGEND = (
    "Normalised regret area: mean regret over the queries up to the budget, 0 being the best and 1 the median "
    "architecture or worse; mean over runs, then tasks, then families. Brackets: 95 % intervals by bootstrap over "
    "seeds and tasks, paired over the searchers; too narrow for new tasks of these families, since there are few, and "
    "one alone adds no spread. Behind: distance from the lowest area at that budget. CPU s: "
    "processor seconds of a run, the mean over tasks."
)
REACHED = (
    "Queries of all runs over the number of those that reach an architecture among the best; – where none does. "
    "In the last column random search, exactly; not under noise, where it does not know what it has found."
)


def as_text(found: SuiteScores) -> str:
    tasks = [one.task.task for one in found.tasks]
    runs = sorted({len(one.seeds) for one in found.tasks})
    said = f"{runs[0]} run{'' if runs == [1] else 's'}" if len(runs) == 1 else f"{runs[0]} to {runs[-1]} runs"
    parts = [
        f"Suite, {found.use} tasks: {len(tasks)} of {len(found.families)} families, {said} of a searcher on each",
        _areas(found) + "\n" + LEGEND,
        _families(found),
    ]
    parts += [f"Expected queries to the {target}\n\n{_reached(found, target)}" for target in TARGETS]
    return "\n\n".join([*parts, REACHED]) + "\n"


def _ends(ends: Sequence[float]) -> str:
    return f"({ends[0]:.3f} to {ends[1]:.3f})" if ends[0] == ends[0] else "(–)"


def _areas(found: SuiteScores) -> str:
    apart = [b for b, n in enumerate(found.budgets) if n in (100, found.budgets[-1])]
    behind = [f"Behind, {found.budgets[b]}" for b in apart]
    header = ["Searcher", *(f"Area, {n}" for n in found.budgets), *behind, "CPU s"]
    lines = []
    for k, name in enumerate(found.names):
        cells = [f"{found.area[k, b]:.3f} {_ends(found.interval[k, b])}" for b in range(len(found.budgets))]
        cells += [
            "–" if found.behind[k, b] == 0 else f"{found.behind[k, b]:.3f} {_ends(found.behind_interval[k, b])}"
            for b in apart
        ]
        lines.append([name, *cells, number(found.cpu_seconds[k])])
    return as_markdown(header, lines)


def _families(found: SuiteScores) -> str:
    shown = [b for b, n in enumerate(found.budgets) if n in (100, found.budgets[-1])]
    header = ["Area by family", *(f"{family}, {found.budgets[b]}" for family in found.families for b in shown)]
    lines = [
        [name, *(f"{found.by_family[k, f, b]:.3f}" for f in range(len(found.families)) for b in shown)]
        for k, name in enumerate(found.names)
    ]
    return as_markdown(header, lines)


def _reached(found: SuiteScores, target: str) -> str:
    return as_markdown(
        ["Task", *found.names, "random"],
        [
            [one.task.task, *(_expected(one, target, name) for name in (*found.names, RANDOM_SEARCH))]
            for one in found.tasks
        ],
    )


def _expected(scores: TaskScores, target: str, name: str) -> str:
    one = next((r for r in scores.reached if r.target.name == target and r.searcher == name), None)
    return "–" if one is None or math.isinf(one.expected) else f"{one.expected:.0f}"


def as_csv(found: SuiteScores) -> str:
    """Every task, searcher and budget; then families and the whole, whose `task` is empty."""
    header = ["use", "family", "task", "searcher", "runs", "budget", "area", "low", "high", "behind", "cpu_seconds"]
    lines: list[list[object]] = []
    for one in found.tasks:
        means = one.areas.mean(axis=1)
        for k, name in enumerate(found.names):
            cpu = float(one.cpu_seconds[k])
            for b, budget in enumerate(found.budgets):
                known = [found.use, one.task.family, one.task.task, name, len(one.seeds), budget, float(means[k, b])]
                lines.append([*known, None, None, None, cpu])
    for k, name in enumerate(found.names):
        for b, budget in enumerate(found.budgets):
            for f, family in enumerate(found.families):
                lines.append([found.use, family, "", name, None, budget, float(found.by_family[k, f, b]), *[None] * 4])
            low, high = found.interval[k, b].tolist()
            whole = [float(found.area[k, b]), low, high, float(found.behind[k, b]), float(found.cpu_seconds[k])]
            lines.append([found.use, "", "", name, None, budget, *whole])
    return csv_text(header, lines)
