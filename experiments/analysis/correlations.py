"""Rank correlations between the columns of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from experiments.analysis.figure import Figure, Numbers, foot, in_print_style, label
from experiments.analysis.table_data import LEAST, TableData
from experiments.plots.style import PAGE, SMALLEST_FONT, panels
from nasbench_ar import MissingEntryError
from nasbench_ar.arrays import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

LEAST_PAIRS = 3


def rank_correlations(columns: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray, NDArray[np.int64]]:
    """(k, k) Spearman's rho, Kendall's tau-b and number of common entries; NaN for constants and fewer than three."""
    from scipy.stats import kendalltau, spearmanr

    size = len(columns)
    rho, tau = np.full((size, size), np.nan), np.full((size, size), np.nan)
    pairs = np.zeros((size, size), dtype=np.int64)
    for i in range(size):
        for j in range(i, size):
            both = ~np.isnan(columns[i]) & ~np.isnan(columns[j])
            first, second = columns[i][both], columns[j][both]
            pairs[i, j] = pairs[j, i] = len(first)
            if len(first) < LEAST_PAIRS or np.ptp(first) == 0 or np.ptp(second) == 0:
                continue
            rho[i, j] = rho[j, i] = spearmanr(first, second).statistic
            tau[i, j] = tau[j, i] = kendalltau(first, second).statistic
    return rho, tau, pairs


_NUMBERED = 16  # more metrics than this, and numbers no longer fit into the cells
TOP = 500


def numbers(data: TableData) -> Numbers:
    import pandas as pd

    names = [metric.name for metric in data.metrics() if data.varies(metric.name)]
    measured = [(name,) for name in names if data.oracle.metric(name).split != "cost"]
    data.enough(measured, "measured metric that varies")
    names = [name for name in names if len(data.known(name)) >= LEAST]
    columns = [data.column(name) for name in names]
    rho, tau, pairs = rank_correlations(columns)
    rows = [
        {"first": names[i], "second": names[j], "n": pairs[i, j], "spearman": rho[i, j], "kendall": tau[i, j]}
        for i in range(len(names))
        for j in range(i + 1, len(names))
        if pairs[i, j] >= LEAST
    ]
    if not rows:
        raise MissingEntryError(f"no two metrics of table {data.oracle.name} vary over {LEAST} architectures")
    tables = {"": pd.DataFrame(rows)}
    lines, top = _validation_against_test(data, names)
    if top:
        tables["validation_test"] = pd.DataFrame(top)
    return Numbers(tables, tuple(lines), foot(data))


def _validation_against_test(data: TableData, names: list[str]) -> tuple[list[str], list[dict[str, object]]]:
    val, test = ([name for name in data.accuracies(split) if name in names] for split in ("val", "test"))
    rows: list[dict[str, object]] = []
    lines = []
    for first in val:
        for second in test:
            known = data.known(first, second)
            if len(known) < LEAST:
                continue
            x, y = data.column(first)[known], data.column(second)[known]
            best = x >= np.sort(x)[-min(TOP, len(x))]  # all that are as good as the last of them
            rho, tau, pairs = rank_correlations([x, y])
            rho_top, tau_top, pairs_top = rank_correlations([x[best], y[best]])
            row = {"validation": first, "test": second, "n": pairs[0, 1], "spearman": rho[0, 1], "kendall": tau[0, 1]}
            row |= {"n_top": pairs_top[0, 1], "spearman_top": rho_top[0, 1], "kendall_top": tau_top[0, 1]}
            rows.append(row)
            among_the_best = ""
            if len(known) > TOP:
                among_the_best = (
                    f"; among the {pairs_top[0, 1]} best by validation Spearman {rho_top[0, 1]:.2f}, "
                    f"Kendall {tau_top[0, 1]:.2f}"
                )
            if data.oracle.metric(first).name.split("_")[-2] == data.oracle.metric(second).name.split("_")[-2]:
                lines.append(
                    f"{label(first, unit=False)} with {label(second, unit=False)}: Spearman {rho[0, 1]:.2f}, Kendall "
                    f"{tau[0, 1]:.2f} ({pairs[0, 1]} architectures){among_the_best}"
                )
    return lines, rows


@in_print_style
def draw(numbers: Numbers) -> Drawing:
    rows = numbers.tables[""]
    names = list(dict.fromkeys([*rows["first"], *rows["second"]]))
    size = len(names)
    values = np.full((size, size), np.nan)
    position = {name: k for k, name in enumerate(names)}
    for row in rows.itertuples():
        i, j = position[row.first], position[row.second]
        values[i, j], values[j, i] = row.spearman, row.kendall
    figure, axes = panels(1, 1, width=PAGE, height=min(1.6 + 0.33 * size, 8.0))
    ax = axes[0, 0]
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    image = ax.imshow(values, cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
    if size <= _NUMBERED:
        for i, j in np.argwhere(~np.isnan(values)):
            shade = "white" if abs(values[i, j]) > 0.6 else "black"
            ax.text(j, i, f"{values[i, j]:.2f}", ha="center", va="center", color=shade, fontsize=SMALLEST_FONT)
    shown = [label(name, unit=False) for name in names]
    ax.set_xticks(
        range(size), shown, rotation=40 if size <= _NUMBERED else 90, ha="right" if size <= _NUMBERED else "center"
    )
    ax.set_yticks(range(size), shown)
    ax.tick_params(length=0)
    figure.colorbar(image, ax=ax, label="Spearman above, Kendall below the diagonal", fraction=0.04)
    return figure


FIGURE = Figure(
    "correlations", "rank correlations between all metrics", "a metric of ten architectures that varies", numbers, draw
)
