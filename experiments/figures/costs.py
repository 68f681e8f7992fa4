"""Figure 2: accuracies against params and MACs, with running envelopes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from experiments.analysis.envelopes import envelope, rise
from experiments.analysis.table_data import TableData
from experiments.figures.base import Figure, Numbers, architectures, foot, label
from experiments.figures.style import MUTED, PAGE, POINTS, in_print_style, level_colours, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

COSTS = {"params": ("parameters (millions)", 1e6), "macs": ("MACs (billions)", 1e9)}


def numbers(data: TableData) -> Numbers:
    """Every architecture's costs and accuracies, and the envelopes along both costs."""
    import pandas as pd

    names = data.shown_accuracies()
    anywhere = data.kept & np.any([~np.isnan(data.column(name)) for name in names], axis=0)
    rows, lines = [], []
    for name in names:
        for cost in COSTS:
            known = data.known(name)
            found = envelope(data.column(cost)[known], data.column(name)[known])
            rows += [
                {"metric": name, "cost": cost, "group": group, "x": x, "low": low, "median": middle, "high": high}
                for group, (x, low, middle, high) in enumerate(
                    zip(found.x, found.low, found.middle, found.high, strict=True), 1
                )
            ]
            low, high = rise(found.low), rise(found.high)
            lines.append(
                f"{label(name, unit=False)} along {cost}: upper envelope {high[0]:+.2f} points in the first half of "
                f"the architectures, {high[1]:+.2f} in the second; lower envelope {low[0]:+.2f} and {low[1]:+.2f}"
            )
    tables = {"": architectures(data, np.flatnonzero(anywhere), *COSTS, *names), "envelopes": pd.DataFrame(rows)}
    return Numbers(tables, tuple(lines), foot(data))


@in_print_style
def draw(numbers: Numbers) -> Drawing:
    """One column of panels per accuracy; colour is the width of the last stage."""
    points, envelopes = numbers.tables[""], numbers.tables["envelopes"]
    names = list(dict.fromkeys(envelopes["metric"]))
    points = points.sample(frac=1, random_state=0)  # so that no level lies on top of the others
    last = [column for column in points.columns if column.startswith("W")][-1]
    levels = sorted(set(points[last]))
    colours = dict(zip(levels, level_colours(len(levels)), strict=True))
    width = PAGE if len(names) > 2 else 0.5 * PAGE + 0.1
    figure, axes = panels(len(COSTS), len(names), width=width, height=4.2, sharex="row", sharey="col")
    for row, (cost, (title, unit)) in enumerate(COSTS.items()):
        for column, name in enumerate(names):
            ax = axes[row, column]
            ax.scatter(
                points[cost] / unit, points[name], **(POINTS | {"s": 1, "color": [colours[v] for v in points[last]]})
            )
            line = envelopes[(envelopes["metric"] == name) & (envelopes["cost"] == cost)]
            for edge in ("low", "high"):
                ax.plot(line["x"] / unit, line[edge], color="white", linewidth=2.4)
                ax.plot(line["x"] / unit, line[edge], color="black", linewidth=1.1)
            if row == 0:
                ax.set_title(label(name))
        axes[row, len(names) // 2].set_xlabel(title)
    handles = [axes[0, 0].plot([], [], "o", markersize=3, color=colours[v], label=f"{last} = {v}")[0] for v in levels]
    handles += axes[0, 0].plot([], [], color="black", label="2.5 % and 97.5 %")
    figure.legend(handles=handles, loc="outside upper center", ncols=6, labelcolor=MUTED)
    return figure


FIGURE = Figure("2", "accuracies against params and MACs, with envelopes", "an accuracy", numbers, draw)
