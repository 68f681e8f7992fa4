"""Table 2: all searchers on one table, beside the published values (NARes, section 5).

    python -m experiments.table2 runs=400
    python -m experiments.table2 runs=100 queries=200 table=mytable
    python -m experiments.table2 runs=400 variant=both published_bananas_runs=20

Takes the keys of `experiments.run` but `searcher` and `name`, and two of its own:
`variant` is `corrected` (the default), `published` (the authors' searchers as they
behave) or `both`; `published_bananas_runs` (20) is the number of runs of the published
BANANAS, which takes CPU hours for what the others do in seconds.  Each searcher's
results are those of `experiments.run`, in the same folders; the whole table and a
picture of all trajectories go to `<out>/<table>/`.
"""

from __future__ import annotations

import contextlib
import csv
import io
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments import noise, plot, published, summary, variants
from experiments.config import (
    CONDITIONS,
    RunConfig,
    help_text,
    main_with_errors,
    parse_command_line,
    parse_words,
    target_of,
)
from experiments.labels import definitions, short_label
from experiments.run import Experiment, run_experiment
from experiments.statistics import holm, paired_wilcoxon
from experiments.store import write_file
from nasbench_ar import METRICS, ConfigError, MetricError, Oracle, load
from searchers import ALL_SEARCHERS, SEARCHERS, hyperparameters

FloatArray = NDArray[np.float64]
SIGNIFICANCE = 0.05
PUBLISHED_LINE = "published"
PREFIX = "published_"
VARIANTS = ("corrected", "published", "both")


def run_all(config: RunConfig, oracle: Oracle, names: Sequence[str] = tuple(SEARCHERS)) -> list[Experiment]:
    """Run, or complete, one experiment per searcher with its default arguments."""
    experiments = []
    for name in names:
        cls = ALL_SEARCHERS[name]
        searcher = {"_target_": target_of(cls), **hyperparameters(cls)}
        experiments.append(run_experiment(replace(config, searcher=searcher), oracle))
    return experiments


def run_published(config: RunConfig, oracle: Oracle, bananas_runs: int) -> dict[str, Experiment]:
    """The authors' searchers as they behave, by the names of their corrected forms."""
    names = [f"{PREFIX}{name}" for name in SEARCHERS if name != "bananas" or bananas_runs]
    experiments = run_all(config, oracle, [name for name in names if name != f"{PREFIX}bananas"])
    if bananas_runs:
        fewer = replace(config, runs=min(bananas_runs, config.runs))
        experiments += run_all(fewer, oracle, [f"{PREFIX}bananas"])
    return {name.removeprefix(PREFIX): e for name, e in zip(names, experiments, strict=True)}


def compare(experiments: Sequence[Experiment], row: int) -> tuple[int | None, list[float]]:
    """The best searcher of a row by its mean, and each one's p-value against it.

    Paired by seed (equal seeds start from the same random numbers), two-sided
    Wilcoxon signed-rank, Holm-adjusted over the comparisons of the row; NaN for the
    best itself.  None where for some searcher the table has values for fewer than half
    of the runs: such means are over different, few runs and are not ranked.
    """
    rows = [experiment.rows[row] for experiment in experiments]
    better = 1.0 if METRICS[rows[0].metric].maximize else -1.0
    if any(np.isnan(r.values).mean() > 0.5 for r in rows):
        return None, [np.nan] * len(rows)
    best = int(np.argmax([better * r.mean for r in rows]))
    p_values = [np.nan if k == best else paired_wilcoxon(*pairs(experiments, row, k, best)) for k in range(len(rows))]
    return best, holm(p_values)


def pairs(experiments: Sequence[Experiment], row: int, first: int, second: int) -> tuple[FloatArray, FloatArray]:
    """A row's values of two experiments over the seeds that both have, (pairs,) each, NaN where missing."""
    seeds = [experiments[k].runs.seeds for k in (first, second)]
    values = [experiments[k].rows[row].values for k in (first, second)]
    common = np.intersect1d(seeds[0], seeds[1])
    return values[0][np.isin(seeds[0], common)], values[1][np.isin(seeds[1], common)]


def table_lines(experiments: Sequence[Experiment]) -> tuple[list[str], list[list[str]]]:
    """Header and lines: label, optimum, each searcher; below each metric its published line.

    The best mean of a row stands in `**`; `≈` marks what is not significantly
    different from it; `[n]` counts the values where some are missing.
    """
    header = ["Metric", "Optimum", *(e.config.searcher_name for e in experiments)]
    lines = []
    for position, row in enumerate(experiments[0].rows):
        best, p_values = compare(experiments, position)
        line = [_plain_label(experiments, position), summary.number(row.optimum)]
        for k, experiment in enumerate(experiments):
            cell = experiment.rows[position]
            text = summary.plus_minus(cell.mean, cell.std)
            if cell.known < len(cell.values):
                text += f" [{cell.known}]"
            line.append(f"**{text}**" if k == best else f"≈ {text}" if p_values[k] >= SIGNIFICANCE else text)
        lines.append(line)
        printed = [e.rows[position].published for e in experiments]
        if any(printed):
            optimal = published.OPTIMAL[METRICS[row.metric].table2 or ""]
            texts = ["–" if cell is None else summary.plus_minus(*cell) for cell in printed]
            lines.append([f"  {PUBLISHED_LINE}", summary.number(optimal), *texts])
    return header, lines


def _plain_label(experiments: Sequence[Experiment], row: int) -> str:
    first = experiments[0].rows[row]
    return short_label(experiments[0].oracle, first.metric) + (" (objective)" if first.is_objective else "")


def as_text(experiments: Sequence[Experiment]) -> str:
    """The table with its legend, in Markdown."""
    first = experiments[0]
    header, lines = table_lines(experiments)
    out = [
        what_was_run(experiments, first.objective),
        "",
        f"Table {first.oracle.name}: {first.oracle.title}",
        "",
        summary.as_markdown(header, lines),
        *legend(experiments),
    ]
    return "\n".join(out) + "\n"


def what_was_run(experiments: Sequence[Experiment], objective: str) -> str:
    """One sentence on what the table shows."""
    runs = " or ".join(map(str, sorted({len(e.runs.seeds) for e in experiments})))
    first = experiments[0]
    return (
        f"Accuracy (%) of the best architecture found: {runs} runs of {first.config.queries} queries, "
        f"objective {objective}."
    )


def legend(experiments: Sequence[Experiment]) -> list[str]:
    """What the signs in `table_lines` mean, and what is not in it."""
    out = [
        "Mean ± standard deviation over runs. Bold: best mean of the row; ≈: not significantly different from it "
        f"(Wilcoxon signed-rank, paired by seed, Holm-adjusted, p >= {SIGNIFICANCE}). "
        "Rows for which a searcher has values in fewer than half of its runs are not ranked.",
    ]
    if any(np.isnan(row.values).any() for e in experiments for row in e.rows):
        out.append("[n]: runs whose reported architecture has a value in this table; the mean is over those.")
    out += [f"{e.config.searcher_name}: {e.runs.early}" for e in experiments if e.runs.early]
    if daggers := definitions(experiments[0].oracle, (row.metric for row in experiments[0].rows)):
        out.append(f"{daggers}.")
    if experiments[0].lacking:
        out.append(f"Not in this table: {', '.join(experiments[0].lacking)}.")
    if any(row.published for e in experiments for row in e.rows):
        out.append(f"{PUBLISHED_LINE}: the paper's Table 2, on the authors' own data (val metrics at the best epoch).")
    return out


def as_csv(experiments: Sequence[Experiment]) -> str:
    """One line per searcher and metric.

    `searcher`, the columns of `summary.csv`, `runs` that have a value, and against the
    best of the row: `pairs` of seeds and `p_value`.
    """
    lines = []
    single = [list(csv.reader(io.StringIO(summary.as_csv(e.rows))))[1:] for e in experiments]
    for position in range(len(experiments[0].rows)):
        best, p_values = compare(experiments, position)
        for k, experiment in enumerate(experiments):
            known = experiment.rows[position].known
            compared = ["", ""]
            if best is not None and not np.isnan(p_values[k]):
                difference = np.subtract(*pairs(experiments, position, k, best))
                compared = [str(int((~np.isnan(difference)).sum())), repr(p_values[k])]
            lines.append([experiment.config.searcher_name, *single[k][position], known, *compared])
    return summary.csv_text(["searcher", *summary.CSV_COLUMNS, "runs", "pairs", "p_value"], lines)


def write_report(experiments: Sequence[Experiment], folder: Path) -> None:
    """Print the table; write `table2.md`, `table2.csv`, `.tex`, `.png` and `.pdf`."""
    text = as_text(experiments)
    print(text)  # first, since the folder may be read-only
    _write(folder, "table2", text, experiments, *table_lines(experiments), legend(experiments))


def write_variants(
    corrected: Mapping[str, Experiment], as_published: Mapping[str, Experiment], folder: Path, variant: str
) -> None:
    """As `write_report`, of `table2-<variant>`, with what the noise of the objective does where it is known."""
    experiments = [*corrected.values(), *as_published.values()]
    names = [name for name in SEARCHERS if name in corrected or name in as_published]
    text = variants.as_text(corrected, as_published, names)
    with contextlib.suppress(MetricError):  # the objective is no accuracy of a validation set
        text += "\n" + noise.report(experiments[0].oracle, experiments[0].objective)
    print(text)
    table = variants.lines_of(corrected, as_published, names)
    _write(folder, f"table2-{variant}", text, experiments, *table, variants.legend(experiments[0]))


def _write(
    folder: Path,
    stem: str,
    text: str,
    experiments: Sequence[Experiment],
    header: Sequence[str],
    lines: Sequence[Sequence[str]],
    signs: Sequence[str],
) -> None:
    first = experiments[0]
    run = what_was_run(experiments, short_label(first.oracle, first.objective))
    caption = " ".join([run, *signs, f"Table {first.oracle.name}: {first.oracle.title}."])
    narrow = [[line[0].replace(", max over epochs", " (max)"), *line[1:]] for line in lines]
    if narrow != lines:
        caption += " (max): maximum over the epochs."
    write_file(folder / f"{stem}.md", text.encode())
    write_file(folder / f"{stem}.csv", as_csv(experiments).encode())
    write_file(folder / f"{stem}.tex", summary.as_latex(header, narrow, caption, stem).encode())
    axes = plot.draw_trajectories(
        [e.curve for e in experiments],
        ylabel=plot.objective_axis(first.oracle, first.objective),
        **plot.reference_lines(first.oracle, first.objective, first.config.queries, first.config.table_seed),  # type: ignore[arg-type]
    )
    plot.save_figure(axes, folder / f"{stem}.png", note=plot.origin(first.oracle, first.objective))


def _own_keys(arguments: Sequence[str]) -> tuple[list[str], str, int]:
    """Take `variant` and `published_bananas_runs` out of the words."""
    defaults: dict[str, str | int] = {"variant": "corrected", "published_bananas_runs": 20}
    rest = []
    for word in arguments:
        key = word.partition("=")[0]
        if key.lstrip("+~").split(".")[0] in ("searcher", "name"):
            raise ConfigError(f"{word!r}: table2 runs every searcher; for one alone use python -m experiments.run")
        if key.lstrip("+~") in CONDITIONS:
            raise ConfigError(
                f"{word!r}: table2 is the published comparison, without limits and noise; use python -m "
                "experiments.run for each searcher, and experiments.plot"
            )
        if key not in defaults:
            rest.append(word)
    own = parse_words([word for word in arguments if word not in rest], defaults)
    if own["variant"] not in VARIANTS:
        raise ConfigError(f"variant={own['variant']!r}: expected one of {', '.join(VARIANTS)}")
    return rest, own["variant"], own["published_bananas_runs"]


def main(arguments: Sequence[str]) -> None:
    """The command."""
    if {"-h", "--help"} & set(arguments):
        more = f"  variant={VARIANTS[0]:20} one of {', '.join(VARIANTS)}\n"
        more += "  published_bananas_runs=20    runs of the published BANANAS\n"
        hidden = ("searcher", "name", *CONDITIONS)
        print(
            help_text("python -m experiments.table2", __name__, "docs/experiments.md", hidden=hidden, more=more),
            end="",
        )
        return
    words, variant, bananas_runs = _own_keys(arguments)
    config = parse_command_line(words)
    oracle = load(config.table)
    folder = Path(config.out) / oracle.name
    corrected: dict[str, Experiment] = {}
    if variant != "published":
        corrected = dict(zip(SEARCHERS, run_all(config, oracle), strict=True))
    if variant == "corrected":
        write_report(list(corrected.values()), folder)
    else:
        write_variants(corrected, run_published(config, oracle, bananas_runs), folder, variant)
    stem = "table2" if variant == "corrected" else f"table2-{variant}"
    print(f"{folder}: {stem}.md .csv .tex .png .pdf; each searcher's results in a folder beside them")


if __name__ == "__main__":
    sys.exit(main_with_errors(main, runs=True))
