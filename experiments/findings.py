"""The published findings of NARes, as numbers of a table: what docs/findings.md quotes.

    python -m experiments.findings [table=nares-figures]

Every number is made twice where the table has flags to leave out: without the flagged
architectures, as `experiments.analyze` does by default, and with all of them.  Whether a
finding holds is for the reader to say: the command prints no verdict.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis import anova, correlations, costs, landscape, learning_curves, levels, pareto, ratios
from experiments.analysis.figure import Figure, Numbers, label
from experiments.analysis.table_data import DEFAULT_FLAGS, TableData
from experiments.races.noise import standard_error
from experiments.tables import as_markdown
from nasbench_ar import MissingEntryError, Oracle, load
from nasbench_ar.system.command import run_command
from nasbench_ar.system.key_values import parse_words

if TYPE_CHECKING:
    import pandas as pd

Lines = list[tuple[str, ...]]
_SHOWN = ("test_clean_acc", "test_pgd_acc", "test_cw_acc")


def samples(oracle: Oracle) -> dict[str, TableData]:
    """What every number is made for: `flagged out` and `all`, or `all` alone."""
    chosen = [flag for flag in DEFAULT_FLAGS if flag in oracle.table.flag_names]
    every = {"all": TableData.of(oracle, [])}
    return ({"flagged out": TableData.of(oracle, chosen)} if chosen else {}) | every


def _shown(frame: pd.DataFrame) -> pd.DataFrame:
    chosen = frame[frame["metric"].isin(_SHOWN)]
    return chosen if len(chosen) else frame


def costs_table(numbers: Numbers) -> tuple[tuple[str, ...], Lines]:
    header = ("Accuracy", "along", "upper, lower half", "upper, upper half", "lower, lower half", "lower, upper half")
    lines: Lines = []
    if "rises" not in numbers.tables:
        raise MissingEntryError("too few architectures for upper and lower edges along the costs")
    for row in _shown(numbers.tables["rises"]).to_dict("records"):
        halves = [f"{row[f'{edge}_{half}_half']:+.2f}" for edge in ("high", "low") for half in ("first", "second")]
        lines.append((label(row["metric"], unit=False), row["cost"], *halves))
    return header, lines


def steps_table(numbers: Numbers) -> tuple[tuple[str, ...], Lines]:
    steps = numbers.tables["steps"]
    steps = steps[steps["pairs"] > 1]
    names = list(dict.fromkeys(steps["entry"]))
    lines: Lines = []
    for metric, of_metric in _shown(steps).groupby("metric", sort=False):
        changes = []
        for name in names:
            chosen = of_metric[of_metric["entry"] == name]
            changes.append(f"{np.average(chosen['change'], weights=chosen['pairs']):+.3f}" if len(chosen) else "–")
        up, down = (int((sign * of_metric["change"] > 2 * of_metric["error"]).sum()) for sign in (1, -1))
        share = np.average(of_metric["up"], weights=of_metric["pairs"])
        lines.append((label(str(metric), unit=False), *changes, f"{up}/{down}", f"{100 * share:.0f}"))
    return ("Metric", *names, "steps up/down", "pairs up (%)"), lines


def diagnostics_table(numbers: Numbers) -> tuple[tuple[str, ...], Lines]:
    """The steps, and beside them how a diagnostic goes with the accuracy under its attack."""
    header, lines = steps_table(numbers)
    found = {label(row["metric"], unit=False): row for row in numbers.tables["correlations"].to_dict("records")}
    for place, line in enumerate(lines):
        row = found[line[0]]
        best = [f"{row[f'best_1_percent_{end}']:.3g}" for end in ("lowest", "highest")]
        lines[place] = (*line, f"{row['spearman']:.2f}", f"{row['median']:.3g}", " to ".join(best))
    return (*header, "ρ with accuracy", "median", "in the best 1 %"), lines


def ratios_table(numbers: Numbers) -> tuple[tuple[str, ...], Lines]:
    header = ("Ratio", "Accuracy", "R² linear", "R² quadratic", "R² best function", "median range at equal ratio")
    lines: Lines = []
    for row in _shown(numbers.tables["fits"]).to_dict("records"):
        values = [f"{row[key]:.3f}" for key in ("linear_r2", "quadratic_r2", "most_r2")]
        lines.append((row["ratio"], label(row["metric"], unit=False), *values, f"{row['median_range']:.2f}"))
    return header, lines


def pareto_table(numbers: Numbers) -> tuple[tuple[str, ...], Lines]:
    lines: Lines = []
    for row in numbers.tables["components"].to_dict("records"):
        loadings = ", ".join(f"{row[entry]:.3f}" for entry in row if entry[0] in "DW" and entry[1:].isdigit())
        beside = row.get("cosine_published", np.nan)
        lines.append(
            (
                f"{row['set']}, {row['component']}",
                str(row["architectures"]),
                loadings,
                f"{100 * row['explained']:.1f}",
                *("–" if np.isnan(value) else f"{value:.3f}" for value in (beside, row.get("cosine_equal", np.nan))),
                f"{row['spearman_accuracy']:.2f}",
            )
        )
    return (
        "Set, component",
        "n",
        "loadings",
        "variance (%)",
        "cosine with published",
        "of equal loadings",
        "ρ with accuracy",
    ), lines


def ranks_table(numbers: Numbers) -> tuple[tuple[str, ...], Lines]:
    if "validation_test" not in numbers.tables:
        raise MissingEntryError("no accuracy is known both of validation and of test images")
    rows = numbers.tables["validation_test"]
    tests = list(dict.fromkeys(rows["test"]))
    lines: Lines = []
    for name, of_val in rows.groupby("validation", sort=False):
        taus = of_val.set_index("test")
        cells = [f"{taus['kendall'][test]:.2f} ({taus['kendall_top'][test]:.2f})" for test in tests]
        lines.append((label(str(name), unit=False), *cells))
    return ("Kendall's τ (500 best)", *(label(test, unit=False) for test in tests)), lines


def anova_table(numbers: Numbers) -> tuple[tuple[str, ...], Lines]:
    header = ("Metric", "method", "additive (%)", "pairwise (%)", "of it noise, at most", "higher and noise (%)")
    lines: Lines = []
    for row in numbers.tables[""].to_dict("records"):
        shares = ("additive", "pairwise", "noise_at_most_in_pairwise", "higher")
        values = [f"{100 * row[share]:.1f}" for share in shares]
        lines.append((label(row["metric"], unit=False), row["method"], *values))
    return header, lines


def landscape_table(numbers: Numbers) -> tuple[tuple[str, ...], Lines]:
    facts: dict[str, Any] = dict(numbers.tables["summary"].itertuples(index=False))
    by_noise = "–"
    if "unstructured_optima_mean" in facts:
        by_noise = f"{facts['unstructured_optima_mean']:.0f} ± {facts['unstructured_optima_std']:.0f}"
    header = ("Objective", "local optima", "were the rest noise", "steepest reaches best (%)", "and on average")
    line = (
        label(facts["objective"], unit=False),
        str(facts["local_optima"]),
        by_noise,
        f"{100 * facts['steepest_reaches_best']:.2f}",
        f"{facts['steepest_mean_value']:.2f}",
        f"{100 * facts['walk_reaches_best']:.2f}",
        f"{facts['walk_mean_value']:.2f}",
    )
    return (*header, "adaptive walks (%)", "and on average"), [line]


Tabulate = Callable[[Numbers], tuple[tuple[str, ...], Lines]]
FINDINGS: dict[str, tuple[str, Figure, Tabulate]] = {
    "finding1": ("1. Accuracy along MACs and params", costs.FIGURE, costs_table),
    "finding2": ("2. One step of depth or width", levels.ENTRIES, steps_table),
    "finding3": ("3. Stable accuracy", levels.STABLE, diagnostics_table),
    "finding4": ("4. Empirical Lipschitz constant", levels.LIP, diagnostics_table),
    "finding5": ("5. Depth-width ratios", ratios.FIGURE, ratios_table),
    "finding6": ("6. Pareto ranks and principal components", pareto.FIGURE, pareto_table),
    "finding7": ("7. Validation and test ranks", correlations.FIGURE, ranks_table),
    "finding8": (
        "8. Learning curves",
        learning_curves.FIGURE,
        lambda numbers: (("Curve",), [(x,) for x in numbers.lines]),
    ),
    "variance": ("Beyond the paper: analysis of variance", anova.FIGURE, anova_table),
    "optima": ("Beyond the paper: the landscape of the objective", landscape.FIGURE, landscape_table),
}


def finding(name: str, data: dict[str, TableData]) -> str:
    """The Markdown of one finding: a table with a line per sample and metric, or why there is none."""
    _, figure, tabulate = FINDINGS[name]
    header: tuple[str, ...] = ()
    lines: Lines = []
    for sample, of_sample in data.items():
        try:
            header, rows = tabulate(figure.numbers(of_sample))
        except MissingEntryError as error:
            return f"Cannot be said: {error}.\n"
        lines += [(*row[:1], *([sample] if len(data) > 1 else []), *row[1:]) for row in rows]
    if len(data) > 1:
        header = (*header[:1], "architectures", *header[1:])
    extra = _standard_error(next(iter(data.values()))) if name == "finding7" else ""
    return as_markdown(header, lines) + extra


def _standard_error(data: TableData) -> str:
    from experiments.analysis.seed_noise import images_behind

    name = data.oracle.table.default_objective
    images = images_behind(np.asarray(data.oracle.table.scalar(name)))
    if images is None or data.oracle.metric(name).unit != "%":
        return ""
    best = data.oracle.optimum(name)[1]
    error = float(standard_error(best, images))
    return f"\nOne binomial standard error of {best:.2f} % on {images} images: {error:.2f} points.\n"


def main(arguments: Sequence[str]) -> None:
    given = parse_words(arguments, {"table": ""})
    oracle = load(given["table"] or None)
    data = samples(oracle)
    print(f"table {oracle.name}: {oracle.title}")
    for sample, of_sample in data.items():
        print(f"{sample}: {of_sample.note}")
    for name, (title, _, _) in FINDINGS.items():
        print(f"\n{title}\n\n{finding(name, data)}", end="", flush=True)


if __name__ == "__main__":
    sys.exit(run_command(main))
