"""Table 2: searchers side by side, and beside what the paper prints (NARes, section 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from experiments.results import published, summary
from experiments.results.baselines import Baseline, no_search
from experiments.results.experiment import Experiment, notes_under
from experiments.statistics.significance import Sample, against_best, on_common_seeds
from experiments.tables import MARKS, as_markdown, csv_text, marked, mean_text, number, plus_minus, row_label
from nasbench_ar.arrays import FloatArray

PUBLISHED_LINE = "published"


def compare(experiments: Sequence[Experiment], row: int) -> tuple[int | None, list[float]]:
    """The best searcher of a row, and each one's p-value against it (`against_best`)."""
    metric = experiments[0].oracle.metric(experiments[0].rows[row].metric)
    return against_best([_sample(e, row) for e in experiments], maximize=bool(metric.maximize))


def _sample(experiment: Experiment, row: int) -> Sample:
    return experiment.runs.seeds, experiment.rows[row].values


def table_lines(experiments: Sequence[Experiment]) -> tuple[list[str], list[list[str]]]:
    """Header and lines: label, optimum, each searcher, the baseline; below each metric its published line."""
    baseline, column_of = _baseline(experiments[0])
    header = ["Metric", "Optimum", *(e.name for e in experiments), baseline.name]
    lines = []
    for position, row in enumerate(experiments[0].rows):
        best, p_values = compare(experiments, position)
        cells = [experiment.rows[position] for experiment in experiments]
        texts = marked([mean_text(cell.spread, len(cell.values)) for cell in cells], best, p_values)
        line = [_plain_label(experiments, position), number(row.optimum), *texts]
        lines.append([*line, mean_text(baseline.spread(column_of(row.metric)), baseline.candidates)])
        printed = [e.rows[position].published for e in experiments]
        if any(printed):
            optimal = published.OPTIMAL[experiments[0].oracle.metric(row.metric).table2 or ""]
            texts = ["–" if cell is None else plus_minus(*cell) for cell in printed]
            lines.append([f"  {PUBLISHED_LINE}", number(optimal), *texts, "–"])
    return header, lines


def _baseline(experiment: Experiment) -> tuple[Baseline, Callable[[str], FloatArray]]:
    """What needs no search in an experiment's race, and the race's columns."""
    oracle, race = experiment.oracle, experiment.race
    return no_search(oracle, race), lambda metric: oracle.column(metric, seed=race.table_seed)


def _plain_label(experiments: Sequence[Experiment], row: int) -> str:
    first = experiments[0]
    return row_label(first.oracle, first.rows[row].metric, first.race.objective)


def as_text(experiments: Sequence[Experiment]) -> str:
    first = experiments[0]
    header, lines = table_lines(experiments)
    out = [
        what_was_run(experiments, first.race.objective),
        "",
        f"Table {first.oracle.name}: {first.oracle.title}",
        "",
        as_markdown(header, lines),
        *legend(experiments),
    ]
    return "\n".join(out) + "\n"


def what_was_run(experiments: Sequence[Experiment], objective: str) -> str:
    runs = " or ".join(map(str, sorted({len(e.runs.seeds) for e in experiments})))
    first = experiments[0]
    return (
        f"Accuracy (%) of the best architecture found: {runs} runs of {first.race.queries} queries, "
        f"objective {objective}."
    )


def legend(experiments: Sequence[Experiment]) -> list[str]:
    out = [f"Mean ± standard deviation over runs. {MARKS}", no_search_legend(experiments[0])]
    if any(np.isnan(row.values).any() for e in experiments for row in e.rows):
        out.append("[n]: runs whose reported architecture has a value in this table; the mean is over those.")
    out += [f"{e.name}: {e.runs.early}" for e in experiments if e.runs.early]
    out += notes_under(experiments[0])
    if any(row.published for e in experiments for row in e.rows):
        out.append(f"{PUBLISHED_LINE}: the paper's Table 2, on the authors' own data (val metrics at the best epoch).")
    return out


def no_search_legend(first: Experiment) -> str:
    which = "networks of most MACs" if first.oracle.space.known_costs else "architectures that may be queried"
    return (
        f"{_baseline(first)[0].name}: no search; exact mean and standard deviation over the {which}; "
        "[n]: how many of them have a value."
    )


def as_csv(experiments: Sequence[Experiment]) -> str:
    """One line per searcher and metric: the columns of `summary.csv`, and the test against the best of the row."""
    lines = []
    baseline, column_of = _baseline(experiments[0])
    for position in range(len(experiments[0].rows)):
        best, p_values = compare(experiments, position)
        for k, experiment in enumerate(experiments):
            row, pairs = experiment.rows[position], None
            if best is not None and not np.isnan(p_values[k]):
                one, other = on_common_seeds(_sample(experiment, position), _sample(experiments[best], position))
                pairs = np.count_nonzero(~np.isnan(one - other))
            lines.append([experiment.name, *summary.csv_cells(row), row.spread.known, pairs, p_values[k]])
        row = experiments[0].rows[position]
        found = baseline.spread(column_of(row.metric))
        drawn = replace(row, label=experiments[0].oracle.label(row.metric), spread=found, published=None)
        lines.append([baseline.name, *summary.csv_cells(drawn), None, None, None])
    return csv_text(["searcher", *summary.CSV_COLUMNS, "runs", "pairs", "p_value"], lines)


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


def variant_lines(corrected: Column, as_published: Column, names: list[str]) -> tuple[list[str], list[list[str]]]:
    """Per metric: the corrected searchers and the published code, with differences from the paper, and the paper."""
    any_column = next(iter((*corrected.values(), *as_published.values())))
    baseline, column_of = _baseline(any_column)
    header = ["Metric", "Optimum", *names, baseline.name]
    lines = []
    for position, row in enumerate(any_column.rows):
        label = _plain_label([any_column], position)
        drawn = mean_text(baseline.spread(column_of(row.metric)), baseline.candidates)
        lines.append([label, number(row.optimum), *([""] * len(names)), drawn])
        paper_row = any_column.oracle.metric(row.metric).table2 or ""
        for title, column in (("corrected", corrected), ("published code", as_published)):
            if column:
                cells = [_cell(column[name], position) if name in column else "–" for name in names]
                lines.append([f"  {title}", "", *cells, ""])
        paper = [published.TABLE2.get(name, {}).get(paper_row) for name in names]
        if row.published:
            cells = ["–" if cell is None else plus_minus(*cell) for cell in paper]
            lines.append(["  paper", number(published.OPTIMAL[paper_row]), *cells, "–"])
    return header, lines


def variant_legend(first: Experiment) -> list[str]:
    out = [
        "Mean ± standard deviation over runs"
        + (
            "; in parentheses the difference from the paper's mean. "
            if any(row.published for row in first.rows)
            else ". "
        )
        + "[n]: runs whose reported architecture has a value in this table.",
        no_search_legend(first),
    ]
    return out + notes_under(first)


def _cell(experiment: Experiment, position: int) -> str:
    row = experiment.rows[position]
    difference = ""
    if row.published is not None and row.spread.known:
        difference = f" ({row.spread.mean - row.published[0]:+.2f})"
    return mean_text(row.spread, len(row.values), difference)


def explanation(corrected: Column, as_published: Column) -> str:
    def measured(name: str) -> str:
        parts = []
        for title, column in (("published code", as_published), ("corrected", corrected)):
            if name in column:
                row = next(row for row in column[name].rows if row.is_objective)
                parts.append(f"{title} {plus_minus(row.spread.mean, row.spread.std)}")
        if name in as_published:
            lengths = (as_published[name].runs.arch_index >= 0).sum(axis=1)
            if over := int((lengths > as_published[name].race.queries).sum()):
                parts.append(f"{over} of {len(lengths)} runs over budget, the longest with {lengths.max()} queries")
        return f" (here: {'; '.join(parts)})" if parts else ""

    return WHY.format(
        local=measured("local_search"), evolution=measured("regularized_evolution"), bananas=measured("bananas")
    )


def variant_text(corrected: Column, as_published: Column, names: list[str]) -> str:
    first = next(iter((*corrected.values(), *as_published.values())))
    header, lines = variant_lines(corrected, as_published, names)
    counts = []
    for title, column in (("corrected", corrected), ("published code", as_published)):
        if column:
            runs = ", ".join(f"{name} {len(column[name].runs.seeds)}" for name in names if name in column)
            counts.append(f"Runs, {title}: {runs}.")
    out = [
        f"Accuracy (%) of the best architecture found: runs of {first.race.queries} queries, "
        f"objective {first.race.objective}.",
        "",
        f"Table {first.oracle.name}: {first.oracle.title}",
        "",
        *counts,
        "",
        as_markdown(header, lines),
        *variant_legend(first),
    ]
    for column in (corrected, as_published):
        out += [f"{e.name}: {e.runs.early}" for e in column.values() if e.runs.early]
    out += ["", explanation(corrected, as_published)]
    return "\n".join(out) + "\n"
