"""Figures 4 and 5: stable accuracy and the empirical Lipschitz constant, beside accuracy under the same attack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from experiments.analysis.correlations import rank_correlations
from experiments.analysis.table_data import TableData
from experiments.figures.base import Figure, Numbers, architectures, foot, label
from experiments.figures.style import PAGE, canvas, dots, in_print_style
from experiments.figures.violins import by_level, draw_violins, step_lines
from nasbench_ar import METRICS

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

_ATTACKS = ("pgd", "cw", "fgsm")
_WORDS = {"stable": "stable accuracy", "lip": "empirical Lipschitz constant"}
_BEST_SHARE = 0.01


def pairs(data: TableData, kind: str) -> list[tuple[str, str]]:
    """(diagnostic, accuracy under the same attack) that enough architectures have; test before validation.

    Raises:
        MissingEntryError: when there is none.
    """
    possible = [(f"{s}_{attack}_{kind}", f"{s}_{attack}_acc") for s in ("test", "val") for attack in _ATTACKS]
    found = data.enough(possible, _WORDS[kind])
    split = METRICS[found[0][0]].split
    return [(name, accuracy) for name, accuracy in found if METRICS[name].split == split]


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


def stable_numbers(data: TableData) -> Numbers:
    """Figure 4: the share of predictions that an attack leaves unchanged."""
    return _numbers(data, "stable")


def lip_numbers(data: TableData) -> Numbers:
    """Figure 5: the empirical Lipschitz constant of the logits."""
    return _numbers(data, "lip")


@in_print_style
def draw(numbers: Numbers) -> Drawing:
    """Above, each diagnostic against its accuracy; below, its distributions by entry."""
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
    "4", "stable accuracy", "a stable accuracy and its accuracy under attack of ten architectures", stable_numbers, draw
)
LIP = Figure(
    "5", "empirical Lipschitz constant", "a Lipschitz constant and its accuracy of ten architectures", lip_numbers, draw
)
