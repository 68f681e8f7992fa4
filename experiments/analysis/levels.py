"""Distributions of a metric by the level of each entry: the numbers and panels that figures 3, 4 and 5 share."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from experiments.analysis.correlations import rank_correlations
from experiments.analysis.figure import Figure, Numbers, architectures, foot, in_print_style, label
from experiments.analysis.table_data import TableData
from experiments.plots.style import COLOURS, PAGE, canvas, dots, panels
from nasbench_ar.arrays import FloatArray

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_GRID = 80


def by_level(data: TableData, names: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Parts `levels`, `density` and `steps` for some metrics."""
    import pandas as pd

    levels: list[dict[str, Any]] = []
    shapes: list[pd.DataFrame] = []
    steps: list[dict[str, Any]] = []
    digits = data.oracle.space.digits(indices=np.arange(len(data.kept)))
    for name in names:
        values = data.column(name)
        low, high = np.nanquantile(values, (0.001, 0.999))
        grid = np.linspace(low, high, _GRID)
        for position, entry in enumerate(data.entries):
            for digit, level in enumerate(data.levels[position]):
                key = {"metric": name, "entry": entry, "level": level}
                chosen = values[(digits[:, position] == digit) & ~np.isnan(values)]
                if not len(chosen):
                    continue
                spread = float(chosen.std(ddof=1)) if len(chosen) > 1 else np.nan
                quantiles = {f"q{100 * q:02.0f}": float(np.quantile(chosen, q)) for q in QUANTILES}
                levels.append(key | {"n": len(chosen), "mean": chosen.mean(), "std": spread} | quantiles)
                shapes.append(pd.DataFrame(key | {"value": grid, "density": density(chosen, grid)}))
            for digit, (lower, upper) in enumerate(pairwise(data.levels[position])):
                key = {"metric": name, "entry": entry, "from": lower, "to": upper}
                steps.append(key | step_effect(values, digits, position, digit))
    columns = ["metric", "entry", "from", "to", "pairs", "change", "error", "up"]
    return {"levels": pd.DataFrame(levels), "density": pd.concat(shapes), "steps": pd.DataFrame(steps, columns=columns)}


def step_lines(steps: pd.DataFrame) -> list[str]:
    lines = []
    for name, of_metric in steps.groupby("metric", sort=False):
        known = of_metric[of_metric["pairs"] > 1]
        if not len(known):
            continue
        parts = []
        for entry, of_entry in known.groupby("entry", sort=False):
            mean = float(np.average(of_entry["change"], weights=of_entry["pairs"]))
            parts.append(f"{entry} {mean:+.3f}")
        clear_up = int((known["change"] > 2 * known["error"]).sum())
        clear_down = int((known["change"] < -2 * known["error"]).sum())
        lines.append(
            f"{label(str(name), unit=False)}, mean change per step, all else equal: {', '.join(parts)}; "
            f"of {len(known)} steps that pairs show, {clear_up} go up and {clear_down} down by more than two standard "
            "errors"
        )
    return lines


def draw_violins(
    axes: Sequence[Axes], levels: pd.DataFrame, shapes: pd.DataFrame, metric: str, *, names: bool = True
) -> None:
    """One panel per entry: density, quartiles, the middle 90 %, and the mean."""
    levels, shapes = levels[levels["metric"] == metric], shapes[shapes["metric"] == metric]
    for ax, (entry, of_entry) in zip(axes, levels.groupby("entry", sort=False), strict=False):
        colour = COLOURS[0] if str(entry).startswith("D") else COLOURS[1]
        of_shape = shapes[shapes["entry"] == entry]
        top = of_shape["density"].max() or 1.0
        for x, (_, row) in enumerate(of_entry.iterrows()):
            shape = of_shape[of_shape["level"] == row["level"]]
            half = 0.42 * shape["density"] / top
            ax.fill_betweenx(shape["value"], x - half, x + half, color=colour, alpha=0.3, linewidth=0)
            ax.vlines(x, row["q05"], row["q95"], color=colour, linewidth=0.7)
            ax.vlines(x, row["q25"], row["q75"], color=colour, linewidth=2.4)
        ax.plot(range(len(of_entry)), of_entry["mean"], "o-", color="black", markersize=2, linewidth=0.8)
        ax.set_xticks(range(len(of_entry)), [str(level) for level in of_entry["level"]])
        ax.grid(visible=False, axis="x")
        if names:
            ax.set_xlabel(str(entry))


QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def step_effect(values: FloatArray, digits: NDArray[np.integer], entry: int, level: int) -> dict[str, float]:
    """Compare level + 1 with level of one entry over all pairs of (product,) values that are both known.

    `error` is the standard error of the mean change, no architecture being in two pairs; `up` the share that rises.
    """
    low = np.flatnonzero(digits[:, entry] == level)
    stride = int(np.flatnonzero(digits[:, entry] == 1)[0])  # lexicographic: first index with this digit at 1
    difference = values[low + stride] - values[low]
    difference = difference[~np.isnan(difference)]
    n = len(difference)
    if n == 0:
        return {"pairs": 0} | dict.fromkeys(("change", "error", "up"), np.nan)
    error = float(difference.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan
    return {"pairs": n, "change": float(difference.mean()), "error": error, "up": float((difference > 0).mean())}


def density(values: FloatArray, grid: FloatArray) -> FloatArray:
    """(grid,) Gaussian kernel density, Scott's bandwidth; zero everywhere for fewer than three different values."""
    from scipy.stats import gaussian_kde

    if len(np.unique(values)) < 3:
        return np.zeros(len(grid))
    return gaussian_kde(values)(grid)


def entry_numbers(data: TableData) -> Numbers:
    parts = by_level(data, data.shown_accuracies())
    tables = {"": parts["levels"], "density": parts["density"], "steps": parts["steps"]}
    return Numbers(tables, tuple(step_lines(parts["steps"])), foot(data))


@in_print_style
def draw_entries(numbers: Numbers) -> Drawing:
    levels = numbers.tables[""]
    names = list(dict.fromkeys(levels["metric"]))
    entries = len(set(levels["entry"]))
    figure, axes = panels(len(names), entries, width=PAGE, height=0.9 + 1.15 * len(names), sharey="row", sharex="col")
    for row, name in zip(axes, names, strict=True):
        draw_violins(row, levels, numbers.tables["density"], name, names=name == names[-1])
        row[0].set_ylabel(label(name).replace(" (%)", "\n(%)"))
    return figure


ENTRIES = Figure(
    "3", "distributions of accuracies by each D and W", "an accuracy of ten architectures", entry_numbers, draw_entries
)


_ATTACKS = ("pgd", "cw", "fgsm")
_WORDS = {"stable": "stable accuracy", "lip": "empirical Lipschitz constant"}
_BEST_SHARE = 0.01


def pairs(data: TableData, kind: str) -> list[tuple[str, str]]:
    """(diagnostic, accuracy under the same attack) that enough architectures have; test before validation."""
    possible = [(f"{s}_{attack}_{kind}", f"{s}_{attack}_acc") for s in ("test", "val") for attack in _ATTACKS]
    found = data.enough(possible, _WORDS[kind])
    split = data.oracle.metric(found[0][0]).split
    return [(name, accuracy) for name, accuracy in found if data.oracle.metric(name).split == split]


def _numbers(data: TableData, kind: str) -> Numbers:
    import pandas as pd

    lines, rows = [], []
    found = pairs(data, kind)
    for name, accuracy in found:
        known = data.known(name, accuracy)
        values, robust = data.column(name)[known], data.column(accuracy)[known]
        rho, tau, _ = rank_correlations([values, robust])
        best = values[np.argsort(-robust, kind="stable")[: max(1, round(_BEST_SHARE * len(known)))]]
        rows.append(
            {
                "metric": name,
                "accuracy": accuracy,
                "n": len(known),
                "spearman": rho[0, 1],
                "kendall": tau[0, 1],
                "median": np.median(values),
                "best_1_percent_lowest": best.min(),
                "best_1_percent_median": np.median(best),
                "best_1_percent_highest": best.max(),
                "share_up_to_highest": (values <= best.max()).mean(),
            }
        )
        lines.append(
            f"{label(name, unit=False)} with {label(accuracy, unit=False)}: Spearman {rho[0, 1]:.3f}, Kendall "
            f"{tau[0, 1]:.3f} ({len(known)} architectures); the best {len(best)} by accuracy have "
            f"{best.min():.3g} to {best.max():.3g}, the median of all is {np.median(values):.3g}"
        )
    names = [name for name, _ in found]
    parts = by_level(data, names)
    columns = [*names, *(accuracy for _, accuracy in found)]
    indices = np.flatnonzero(data.kept & np.any([~np.isnan(data.column(name)) for name in names], axis=0))
    tables = {"": architectures(data, indices, *columns), "correlations": pd.DataFrame(rows), **parts}
    return Numbers(tables, (*lines, *step_lines(parts["steps"])), foot(data))


@in_print_style
def draw_pairs(numbers: Numbers) -> Drawing:
    points, found = numbers.tables[""], numbers.tables["correlations"]
    levels, shapes = numbers.tables["levels"], numbers.tables["density"]
    entries = len(set(levels["entry"]))
    figure = canvas(PAGE, 2.4 + 1.2 * len(found))
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=[1.9, 1.15 * len(found) + 0.2])[:, 0]
    scatters = above.subplots(1, len(found), squeeze=False)[0]
    for ax, (_, row) in zip(scatters, found.iterrows(), strict=True):
        ax.grid(True)
        ax.scatter(points[row["metric"]], points[row["accuracy"]], **dots(len(points)))
        ax.set_xlabel(label(row["metric"]))
        ax.set_ylabel(label(row["accuracy"]))
        ax.set_title(f"Spearman {row['spearman']:.2f}, Kendall {row['kendall']:.2f}", loc="left")
    violins = below.subplots(len(found), entries, squeeze=False, sharey="row", sharex="col")
    for axes, name in zip(violins, found["metric"], strict=True):
        draw_violins(axes, levels, shapes, name, names=name == found["metric"].iloc[-1])
        axes[0].set_ylabel(label(name).replace(" stable", "\nstable").replace(" lip", "\nLIP"))
    return figure


STABLE = Figure(
    "4",
    "stable accuracy",
    "a stable accuracy and its accuracy under attack of ten architectures",
    partial(_numbers, kind="stable"),
    draw_pairs,
)
LIP = Figure(
    "5",
    "empirical Lipschitz constant",
    "a Lipschitz constant and its accuracy of ten architectures",
    partial(_numbers, kind="lip"),
    draw_pairs,
)
