"""Search on one metric, judge by another: how good is each objective as a proxy?

    python -m experiments.proxy searcher=regularized_evolution runs=50
    python -m experiments.proxy searcher=bananas runs=50 queries=200 search_on=val_best_pgd_acc,macs

For every metric that may guide a search (rows), the reported architectures are scored on
every metric of the table with a direction (columns): the mean regret, in the column's
unit, against the best of the table, and the mean percentile, the share of the table
that is worse (ties count half).  Intervals are Student's t, 95 %, over the runs.  With
limits (`constraint=`), best and share are of the architectures that keep them, and a run
that reports none of those does not count.

Writes `matrix.csv`, `.md`, `.png` and `.pdf` to `<out>/<table>/proxy/<searcher>/`,
and the runs of each row to a folder below; the same command goes on where it stopped.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from experiments.plots.style import canvas, plain_text, save_figure
from experiments.races.checks import load_runs
from experiments.races.complete import complete
from experiments.races.config import KEPT, RunConfig, help_text, parse_command_line
from experiments.statistics.intervals import spread
from experiments.tables import as_markdown, csv_text, number, origin
from nasbench_ar import ConfigError, Constraint, Oracle, load
from nasbench_ar.arrays import FloatArray
from nasbench_ar.constraints import read_limits
from nasbench_ar.errors import shown
from nasbench_ar.metrics import metric as looked_up
from nasbench_ar.system.command import run_command
from nasbench_ar.system.files import write_file
from nasbench_ar.system.key_values import paragraph, take_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Cell:
    """Runs that searched on one metric, scored on another.

    Attributes:
        regrets: (runs,) distance of the reported architecture from the best that keeps the
            limits; NaN where the table has no value, or where it breaks a limit.
        percentiles: (runs,) percent of the architectures within the limits that are worse, NaN likewise.
    """

    search_on: str
    score_on: str
    regrets: FloatArray
    percentiles: FloatArray

    @property
    def runs(self) -> int:
        """Runs whose reported architecture has a value."""
        return int((~np.isnan(self.regrets)).sum())


def percentile_of(values: FloatArray, column: FloatArray) -> FloatArray:
    """Percent of `column` (no NaN, higher is better) that is below each value; ties count half."""
    ordered = np.sort(column)
    below = np.searchsorted(ordered, values, side="left") + np.searchsorted(ordered, values, side="right")
    return np.where(np.isnan(values), np.nan, 50.0 * below / len(ordered))


def score(
    oracle: Oracle,
    reported: NDArray[np.int32],
    search_on: str,
    score_on: str,
    seed: Any = "mean",
    limits: Sequence[Constraint] = (),
) -> Cell:
    """One cell of the matrix; `reported` has the index of each run's reported architecture."""
    sign = 1.0 if oracle.metric(score_on).maximize else -1.0
    column = np.where(oracle.feasible(limits, seed=seed), sign * oracle.column(score_on, seed=seed), np.nan)
    known = column[~np.isnan(column)]
    if not len(known):
        nothing = np.full(len(reported), np.nan)
        return Cell(search_on, score_on, nothing, nothing)
    return Cell(search_on, score_on, known.max() - column[reported], percentile_of(column[reported], known))


def proxy_matrix(config: RunConfig, oracle: Oracle, search_on: Sequence[str]) -> list[list[Cell]]:
    """Run what is missing and score it: a row per objective, a column per judge."""
    judges = [name for name in oracle.metrics if oracle.metric(name).maximize is not None]
    folder, limits = _folder(config, oracle), oracle.limits(config.constraint)
    rows = []
    for objective in search_on:
        one = replace(config, objective=objective, name=objective)
        with complete(one, oracle, folder) as (race, store):
            reported = load_runs(store, race, one.seeds, race.queries, oracle).reported
        rows.append([score(oracle, reported, objective, judge, config.table_seed, limits) for judge in judges])
    return rows


def searchable(oracle: Oracle) -> list[str]:
    """The validation and cost metrics of a table that may guide a search."""
    return [m for m in oracle.metrics if oracle.metric(m).searchable and oracle.metric(m).split in ("val", "cost")]


def as_csv(rows: Sequence[Sequence[Cell]]) -> str:
    """One line per cell."""
    lines = []
    measures = ("regret", "percentile")
    columns = [f"{measure}_{part}" for measure in measures for part in ("mean", "ci_low", "ci_high")]
    for cell in (cell for row in rows for cell in row):
        numbers: list[float] = []
        for values in (cell.regrets, cell.percentiles):
            found = spread(values)
            numbers += [found.mean, *found.interval]
        lines.append([cell.search_on, cell.score_on, cell.runs, *numbers])
    return csv_text(["search_on", "score_on", "runs", *columns], lines)


def as_text(rows: Sequence[Sequence[Cell]], config: RunConfig, oracle: Oracle) -> str:
    """The report, stored as `matrix.md`: mean regret, and the half width of its interval."""
    lines = []
    for row in rows:
        cells = [row[0].search_on]
        for cell in row:
            found = spread(cell.regrets)
            text, (low, high) = number(found.mean), found.interval
            cells.append(text if math.isnan(low) else f"{text} ± {number((high - low) / 2)}")
        lines.append(cells)
    header = ["searched on", *(cell.score_on for cell in rows[0])]
    return "\n".join(
        [
            f"{config.searcher_name}: {config.runs} runs of {config.queries} queries per row; mean regret ± half of "
            "the 95 % interval, in the unit of the column's metric",
            "",
            *_conditions(config),
            f"Table {oracle.name}: {oracle.title}",
            "",
            as_markdown(header, lines),
        ]
    )


def _conditions(config: RunConfig) -> list[str]:
    out = []
    if config.constraint:
        limits = ", ".join(map(str, read_limits(config.constraint)))
        out += [f"Constraint {limits}: regret is from the best that keeps it; runs that found none do not count.", ""]
    if config.noise != "none":
        out += [
            f"Noise {config.noise}: the searchers saw draws of {config.images} images; regret is of true values.",
            "",
        ]
    return out


@plain_text()
def draw_matrix(rows: Sequence[Sequence[Cell]], among: str = "in the table") -> Axes:
    """A heat map of mean percentiles, with the mean regret in each cell; `among` says what the percentiles are of."""
    shape = (len(rows), len(rows[0]))
    colours = np.full(shape, np.nan)
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            if cell.runs:
                colours[i, j] = np.nanmean(cell.percentiles)
    size = (2.6 + 0.62 * shape[1], 1.9 + 0.42 * shape[0])
    figure = canvas(*size)
    axes: Axes = figure.subplots()
    image = axes.imshow(colours, cmap="cividis", vmin=0, vmax=100, aspect="auto")
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            if cell.runs:
                regret = float(np.nanmean(cell.regrets))
                text = number(regret) if regret < 1e5 else f"{regret:.1e}".replace("e+0", "e").replace("e+", "e")
                shade = "black" if colours[i, j] > 55 else "white"
                axes.text(j, i, text, ha="center", va="center", fontsize=7, color=shade)
    axes.set_xticks(range(shape[1]), [cell.score_on for cell in rows[0]], rotation=40, ha="right", fontsize=8)
    axes.set_yticks(range(shape[0]), [row[0].search_on for row in rows], fontsize=8)
    axes.set_xlabel("scored on")
    axes.set_ylabel("searched on")
    bar = figure.colorbar(image, ax=axes, fraction=0.05, pad=0.02)
    bar.set_label(f"mean percentile {among}", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    axes.set_title("in the cells: mean regret, in the unit of the metric scored on", fontsize=8, loc="left")
    return axes


def _folder(config: RunConfig, oracle: Oracle) -> Path:
    return Path(config.out) / oracle.name / "proxy" / config.searcher_name


def _rows(chosen: str, oracle: Oracle) -> list[str]:
    possible = [m for m in oracle.metrics if oracle.metric(m).searchable]
    names = [name.strip() for name in chosen.split(",")]
    for k, name in enumerate(names):
        if not looked_up(name, oracle.table.catalogue, possible).searchable:
            raise ConfigError(f"search_on={shown(chosen)}: {name} may not guide a search; rows: {', '.join(possible)}")
        if name not in possible:
            raise ConfigError(f"table {oracle.name} has no {name}; rows: {', '.join(possible)}")
        if name in names[:k]:
            raise ConfigError(f"search_on={shown(chosen)}: {name} is there twice")
    return names


def usage() -> str:
    more = paragraph("search_on=METRIC,...", "the rows; all allowed validation and cost metrics by default")
    hidden = ("objective", "allow_test_objective")
    return help_text("python -m experiments.proxy", __name__, "docs/objectives.md", hidden=hidden, more=more)


def main(arguments: Sequence[str]) -> None:
    why = "proxy searches on every allowed metric; choose some by search_on=a,b"
    own, words = take_words(arguments, {"search_on": None}, ("objective", "allow_test_objective"), why)
    config = parse_command_line(words)
    oracle = load(config.table, quiet=config.quiet)
    search_on = searchable(oracle) if own["search_on"] is None else _rows(own["search_on"], oracle)
    rows = proxy_matrix(config, oracle, search_on)
    folder = _folder(config, oracle)
    text = as_text(rows, config, oracle)
    write_file(folder / "matrix.csv", as_csv(rows).encode())
    write_file(folder / "matrix.md", text.encode())
    axes = draw_matrix(rows, "within the limits" if config.constraint else "in the table")
    save_figure(axes, folder / "matrix.png", note=origin(oracle) if config.foot else "")
    print(text)
    print(f"{folder}: matrix.csv matrix.md matrix.png matrix.pdf; the runs of each row in a folder beside them")


if __name__ == "__main__":
    sys.exit(run_command(main, kept=KEPT))
