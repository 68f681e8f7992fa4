"""Table 2 with the authors' searchers as published beside the corrected ones (NARes, section 5)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from experiments import published, summary
from experiments.labels import definitions, short_label
from experiments.run import Experiment
from nasbench_ar import METRICS

Column = Mapping[str, Experiment]  # name of the corrected searcher -> experiment

WHY = """Which published column is explained by what:

- Random search is the same algorithm in both; only the random numbers differ.
- Local search, published: two scores are compared by -1, 0 or 1 and the result is used as a truth value, so that it
  moves to worse neighbours as well as to better ones, and a move skips the check of the budget. A walk that moves
  anywhere is about as good as random search, which is what the published column shows{local}.
- Regularized evolution is sound in the published code; the corrected one differs in that its starts are all
  distinct{evolution}.
- BANANAS, published: five networks of 20 layers, trained from scratch on unscaled targets, fit what was observed worse
  than a constant does on average and rank the rest poorly (experiments.audit measures it), so that the ensemble adds
  little to what mutating the best already does; with predictors that rank what is unseen, it gains. The published
  search also spends proposals on repeats and checks its budget only between rounds{bananas}."""


def lines_of(corrected: Column, as_published: Column, names: list[str]) -> tuple[list[str], list[list[str]]]:
    """Header and lines: under each metric the corrected searchers, the published code here, and the paper.

    Every mean measured here is followed by its difference from the paper's, where the
    paper has one.
    """
    any_column = next(iter((*corrected.values(), *as_published.values())))
    header = ["Metric", "Optimum", *names]
    lines = []
    for position, row in enumerate(any_column.rows):
        label = short_label(any_column.oracle, row.metric) + (" (objective)" if row.is_objective else "")
        lines.append([label, summary.number(row.optimum), *([""] * len(names))])
        paper_row = METRICS[row.metric].table2 or ""
        for title, column in (("corrected", corrected), ("published code", as_published)):
            if column:
                cells = [_cell(column[name], position) if name in column else "–" for name in names]
                lines.append([f"  {title}", "", *cells])
        paper = [published.TABLE2[name].get(paper_row) for name in names]
        if _same_protocol(any_column, position):
            cells = ["–" if cell is None else summary.plus_minus(*cell) for cell in paper]
            lines.append(["  paper", summary.number(published.OPTIMAL[paper_row]), *cells])
    return header, lines


def legend(first: Experiment) -> list[str]:
    """What the signs in `lines_of` mean, and what is not in it, for the rows of one experiment."""
    out = [
        "Mean ± standard deviation over runs"
        + ("; in parentheses the difference from the paper's mean. " if _any_published(first) else ". ")
        + "[n]: runs whose reported architecture has a value in this table."
    ]
    if daggers := definitions(first.oracle, (row.metric for row in first.rows)):
        out.append(f"{daggers}.")
    if first.lacking:
        out.append(f"Not in this table: {', '.join(first.lacking)}.")
    return out


def _any_published(experiment: Experiment) -> bool:
    return any(row.published is not None for row in experiment.rows)


def _same_protocol(experiment: Experiment, row: int) -> bool:
    return experiment.rows[row].published is not None


def _cell(experiment: Experiment, position: int) -> str:
    row = experiment.rows[position]
    text = summary.plus_minus(row.mean, row.std)
    if row.published is not None and not np.isnan(row.mean):
        text += f" ({row.mean - row.published[0]:+.2f})"
    return text if row.known == len(row.values) else f"{text} [{row.known}]"


def explanation(corrected: Column, as_published: Column) -> str:
    """The paragraph on what explains what, with the objective as measured in these runs."""

    def measured(name: str) -> str:
        parts = []
        for title, column in (("published code", as_published), ("corrected", corrected)):
            if name in column:
                row = next(row for row in column[name].rows if row.is_objective)
                parts.append(f"{title} {summary.plus_minus(row.mean, row.std)}")
        if name in as_published:
            lengths = (as_published[name].runs.arch_index >= 0).sum(axis=1)
            if over := int((lengths > as_published[name].config.queries).sum()):
                parts.append(f"{over} of {len(lengths)} runs over budget, the longest with {lengths.max()} queries")
        return f" (here: {'; '.join(parts)})" if parts else ""

    return WHY.format(
        local=measured("local_search"),
        evolution=measured("regularized_evolution"),
        bananas=measured("bananas"),
    )


def as_text(corrected: Column, as_published: Column, names: list[str]) -> str:
    """The whole report, in Markdown."""
    first = next(iter((*corrected.values(), *as_published.values())))
    header, lines = lines_of(corrected, as_published, names)
    counts = []
    for title, column in (("corrected", corrected), ("published code", as_published)):
        if column:
            runs = ", ".join(f"{name} {len(column[name].runs.seeds)}" for name in names if name in column)
            counts.append(f"Runs, {title}: {runs}.")
    out = [
        f"Accuracy (%) of the best architecture found: runs of {first.config.queries} queries, "
        f"objective {first.objective}.",
        "",
        f"Table {first.oracle.name}: {first.oracle.title}",
        "",
        *counts,
        "",
        summary.as_markdown(header, lines),
        *legend(first),
    ]
    for column in (corrected, as_published):
        out += [f"{e.config.searcher_name}: {e.runs.early}" for e in column.values() if e.runs.early]
    out += ["", explanation(corrected, as_published)]
    return "\n".join(out) + "\n"
