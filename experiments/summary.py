"""Table 2 of one experiment: what the reported architectures score, mean and spread over runs."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments import published
from experiments.figures.looks import SEARCHER_NAMES, proper_name
from experiments.labels import short_label
from experiments.statistics import mean_interval
from nasbench_ar import METRICS, Constraint, Metric, MissingEntryError, Oracle
from nasbench_ar.metrics import TABLE2_ROWS

CSV_COLUMNS = ("metric", "label", "mean", "std", "ci_low", "ci_high", "optimum", "published")


@dataclass(frozen=True)
class Row:
    """One metric of the reported architectures.

    Attributes:
        metric: name in the catalogue.
        label: of the metric; says in full where the definition differs, and where values are missing.
        short: the same for a table, with a dagger where the definition differs.
        values: (runs,) float64 of each run's reported architecture, NaN where the table has none.
        mean: mean over the runs that have a value, NaN for none.
        std: sample standard deviation, NaN for fewer than two values.
        ci_low: lower end of the 95 % t interval of the mean.
        ci_high: upper end.
        optimum: best value in the whole table.
        published: printed (mean, std), where the paper has this cell.
        is_objective: whether this metric guided the search.
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

    A row takes the published metric where the table has it, otherwise one that
    stands in for it (`val_best_pgd_acc` for `val_pgd_acc`).  The objective is always
    shown, in its row or, if it fills none, on top.
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
    """Rows of Table 2 for the architectures that the runs reported.

    Args:
        oracle: the table.
        reported: (runs,) index of each run's reported architecture.
        objective: the metric that guided the search.
        queries: budget of a run; published values stand beside equal protocols only.
        searcher: its name in `searchers.ALL_SEARCHERS`, or None for a user's own.
        table_seed: training seed to look up, or `mean`.
        constraints: the optimum is the best among the architectures that keep them.

    Returns:
        The rows, and the labels of published rows that the table lacks.
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


def csv_text(header: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """A CSV file; a text that spreadsheets would take for a formula, such as a name `=1+1`, gets an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(map(_harmless, line) for line in lines)
    return out.getvalue()


def _harmless(cell: object) -> object:
    if not (isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t"))):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def number(value: float, digits: int = 2) -> str:
    """A number for people; a dash where there is none, large counts in scientific notation."""
    if math.isnan(value):
        return "–"
    return f"{value:.{digits}f}" if abs(value) < 1e5 else f"{value:.3e}"


def plus_minus(mean: float, std: float) -> str:
    """`38.18 ± 0.22`."""
    return number(mean) if math.isnan(std) else f"{number(mean)} ± {number(std)}"


HEADER = ("Metric", "Mean ± std", "95 % interval", "Table optimum", "Published")
LIMITED_HEADER = (*HEADER[:3], "Best within limits", HEADER[4])  # where constraints leave something out


def cells(row: Row) -> tuple[str, ...]:
    """One printed line, in the order of `HEADER`."""
    interval = "–" if math.isnan(row.ci_low) else f"{number(row.ci_low, 3)} to {number(row.ci_high, 3)}"
    printed = "–" if row.published is None else plus_minus(*row.published)
    label = row.short + (" (objective)" if row.is_objective else "")
    return label, plus_minus(row.mean, row.std), interval, number(row.optimum), printed


def as_markdown(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, columns aligned so that it reads well as plain text too."""
    widths = [max(len(line[k]) for line in (header, *lines)) for k in range(len(header))]

    def joined(line: Sequence[str]) -> str:
        padded = [
            text.ljust(width) if k == 0 else text.rjust(width)
            for k, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    ruler = [("-" if k == 0 else "") + "-" * (w - 1) + ("" if k == 0 else ":") for k, w in enumerate(widths)]
    return "\n".join([joined(header), f"| {' | '.join(ruler)} |", *map(joined, lines)]) + "\n"


def as_latex(header: Sequence[str], lines: Sequence[Sequence[str]], caption: str, label: str) -> str:
    r"""A `booktabs` table for `\input`, no wider than the line.

    `**bold**` cells become `\textbf`, a searcher's name its proper name, and what begins
    with two spaces is indented below the line above it.

    Args:
        header: one cell a column.
        lines: likewise.
        caption: plain text.
        label: what stands behind `tab:`; other characters than letters and digits become hyphens.
    """
    body: list[str] = []
    for k, line in enumerate(lines):
        if k and lines[k - 1][0].startswith("  ") and not line[0].startswith("  "):
            body.append(r"\addlinespace")
        body.append(" & ".join(map(_cell, line)) + r" \\")
    return "\n".join(
        [
            r"% needs \usepackage{booktabs,graphicx}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_latex(caption)}}}",
            rf"\label{{tab:{re.sub('[^A-Za-z0-9]+', '-', label)}}}",
            r"\smallskip",
            r"\small",
            r"\setlength{\tabcolsep}{4pt}",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{@{{}}l{'r' * (len(header) - 1)}@{{}}}}",
            r"\toprule",
            " & ".join(map(_cell, header)) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}}",
            r"\end{table}",
            "",
        ]
    )


_LATEX = {character: f"\\{character}" for character in "%_&#${}"}
_LATEX |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_LATEX |= {"±": r"$\pm$", "–": "--", "≈": r"$\approx$", "†": r"\textsuperscript{$\dagger$}", "×": r"$\times$"}
_LATEX |= {"<": "$<$", ">": "$>$", "≤": r"$\leq$", "≥": r"$\geq$", "|": r"\textbar{}", "\u00a0": "~"}
_MINUS = re.compile(r"(?<![\w.])-(?=\d)")
_POWER = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)e([+-]\d+)(?!\w)")  # 6.68e+09


def _cell(text: str) -> str:
    if text.startswith("**") and text.endswith("**") and len(text) > 4:
        return rf"\textbf{{{_cell(text[2:-2])}}}"
    if text.startswith("  "):
        return rf"\quad {_cell(text[2:])}"
    if text in SEARCHER_NAMES:
        text = proper_name(text)[0].upper() + proper_name(text)[1:]
    out = _MINUS.sub("$-$", _latex(text))
    out = _POWER.sub(lambda found: rf"${found[1]}\times10^{{{int(found[2])}}}$", out)
    return f"{{}}{out}" if out.startswith(("[", "*")) else out  # which would belong to the end of the line before


def _latex(text: str) -> str:
    text = text.replace(">=", "≥").replace("<=", "≤")
    return "".join(_LATEX.get(character, character) for character in text)
