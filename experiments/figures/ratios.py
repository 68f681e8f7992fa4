"""Figure 6: accuracies against two depth-width ratios, with polynomial fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis.ratios import (
    explained_at_best,
    polynomial_fit,
    ranges_at_equal,
    robust_principle_ratio,
    robust_resnet_ratio,
)
from experiments.analysis.table_data import TableData
from experiments.figures.base import Figure, Numbers, architectures, foot, label
from experiments.figures.style import COLOURS, PAGE, dots, in_print_style, panels
from nasbench_ar import MissingEntryError

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

_LEAST_RATIOS = 4  # a parabola goes through three
NAMES = {
    "robust_resnet": "RobustResNet ratio ΣD / (ΣD + ΣW)",
    "robust_principle": "RobustPrinciple ratio (C1/D1 + C2/D2) / 2",
}


def numbers(data: TableData) -> Numbers:
    """Both ratios of every architecture, and how much of each accuracy they explain."""
    space = data.oracle.space
    ratios = {"robust_resnet": robust_resnet_ratio(data.vectors)}
    if space.stages > 1:
        ratios["robust_principle"] = robust_principle_ratio(data.vectors, space.unit_channels)
    import pandas as pd

    names = data.shown_accuracies()
    rows: list[dict[str, Any]] = []
    lines = []
    for ratio, every in ratios.items():
        for name in names:
            known = data.known(name)
            x, y = every[known], data.column(name)[known]
            if len(np.unique(x)) < _LEAST_RATIOS:
                continue
            fits = {degree: polynomial_fit(x, y, degree) for degree in (1, 2)}
            ceiling = explained_at_best(x, y)
            middle, widest, values = ranges_at_equal(x, y)
            row: dict[str, Any] = {"ratio": ratio, "metric": name, "n": len(known)}
            for degree, title in ((1, "linear"), (2, "quadratic")):
                row |= {f"{title}_c{k}": c for k, c in enumerate(fits[degree].coefficients)}
                row |= {f"{title}_r2": fits[degree].r2}
            row |= {"most_r2": ceiling, "median_range": middle, "largest_range": widest, "shared_values": values}
            rows.append(row)
            spread = (
                "" if np.isnan(middle) else f"; range at equal ratio {middle:.2f} in the median, up to {widest:.2f}"
            )
            most = "" if np.isnan(ceiling) else f", of the best function of it about {ceiling:.3f}"
            lines.append(
                f"{label(name, unit=False)} by {ratio}: R2 linear {fits[1].r2:.3f}, quadratic {fits[2].r2:.3f}"
                f"{most}{spread}"
            )
    if not rows:
        raise MissingEntryError(f"table {data.oracle.name} has fewer than {_LEAST_RATIOS} different ratios")
    anywhere = data.kept & np.any([~np.isnan(data.column(name)) for name in names], axis=0)
    points = architectures(data, np.flatnonzero(anywhere), *names)
    for ratio, every in ratios.items():
        points[ratio] = every[anywhere]
    return Numbers({"": points, "fits": pd.DataFrame(rows)}, tuple(lines), foot(data))


@in_print_style
def draw(numbers: Numbers) -> Drawing:
    """One row per ratio, one column per accuracy."""
    points, fits = numbers.tables[""], numbers.tables["fits"]
    names, ratios = list(dict.fromkeys(fits["metric"])), list(dict.fromkeys(fits["ratio"]))
    figure, axes = panels(
        len(ratios), len(names), width=PAGE, height=0.9 + 1.6 * len(ratios), sharex="row", sharey="col"
    )
    for row, ratio in enumerate(ratios):
        for column, name in enumerate(names):
            ax = axes[row, column]
            fit = fits[(fits["ratio"] == ratio) & (fits["metric"] == name)].iloc[0]
            ax.scatter(points[ratio], points[name], **dots(len(points)))
            x = np.linspace(points[ratio].min(), points[ratio].max(), 100)
            for title, degree, colour, style in (("linear", 1, COLOURS[1], "-"), ("quadratic", 2, "black", "--")):
                y = sum(fit[f"{title}_c{k}"] * x**k for k in range(degree + 1))
                ax.plot(x, y, style, color=colour, label=f"{title}" if (row, column) == (0, 0) else None)
            shown = f"R² {fit['linear_r2']:.2f}, {fit['quadratic_r2']:.2f}"
            ax.set_title(f"{label(name)}\n{shown}" if row == 0 else shown)
        axes[row, len(names) // 2].set_xlabel(NAMES[ratio])
    figure.legend(loc="outside upper center", ncols=2)
    return figure


FIGURE = Figure("6", "accuracies against depth-width ratios", "an accuracy of ten architectures", numbers, draw)
