"""Running quantiles of a cloud of points: its lower and upper envelope along one axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis.figure import Figure, Numbers, architectures, foot, in_print_style, label
from experiments.analysis.table_data import TableData
from experiments.plots.style import MUTED, PAGE, dots, level_colours, panels, scaled
from nasbench_ar.arrays import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


@dataclass(frozen=True)
class Envelope:
    """(groups,) median x, and low, middle and high quantile of y, in groups of equal size along x."""

    x: FloatArray
    low: FloatArray
    middle: FloatArray
    high: FloatArray


def envelope(x: FloatArray, y: FloatArray, *, groups: int = 20, tail: float = 0.025) -> Envelope:
    """Cut points without NaN into groups along x, of five or more; `tail` is the share beyond either envelope."""
    order = np.argsort(x, kind="stable")
    parts = np.array_split(order, max(1, min(groups, len(x) // 5)))
    quantiles = np.array([np.quantile(y[part], (tail, 0.5, 1 - tail)) for part in parts])
    return Envelope(np.array([np.median(x[part]) for part in parts]), *quantiles.T)


def rise(x: FloatArray, values: FloatArray) -> tuple[float, float]:
    """Rise over the lower and the upper half of x, after a running mean of three groups against outliers."""
    padded = np.pad(values, 1, constant_values=np.nan)
    smooth = np.nanmean(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0)
    middle = float(np.interp((x[0] + x[-1]) / 2, x, smooth))
    return middle - float(smooth[0]), float(smooth[-1]) - middle


COSTS = {"params": "parameters", "macs": "MACs"}
_LEAST_GROUPS = 6  # of five architectures; fewer say nothing about halves of the range


def numbers(data: TableData) -> Numbers:
    import pandas as pd

    names = data.shown_accuracies()
    anywhere = data.kept & np.any([~np.isnan(data.column(name)) for name in names], axis=0)
    rows: list[dict[str, Any]] = []
    rises: list[dict[str, Any]] = []
    lines = []
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
            if len(found.x) < _LEAST_GROUPS:
                continue
            row: dict[str, Any] = {"metric": name, "cost": cost}
            for edge, values in (("low", found.low), ("high", found.high)):
                row[f"{edge}_first_half"], row[f"{edge}_second_half"] = rise(found.x, values)
            rises.append(row)
            lines.append(
                f"{label(name, unit=False)} along {cost}: upper envelope {row['high_first_half']:+.2f} points over the "
                f"lower half of the range, {row['high_second_half']:+.2f} over the upper half; lower envelope "
                f"{row['low_first_half']:+.2f} and {row['low_second_half']:+.2f}"
            )
    tables = {"": architectures(data, np.flatnonzero(anywhere), *COSTS, *names), "envelopes": pd.DataFrame(rows)}
    if rises:
        tables["rises"] = pd.DataFrame(rises)
    return Numbers(tables, tuple(lines), foot(data))


@in_print_style
def draw(numbers: Numbers) -> Drawing:
    points, envelopes = numbers.tables[""], numbers.tables["envelopes"]
    names = list(dict.fromkeys(envelopes["metric"]))
    points = points.sample(frac=1, random_state=0)  # so that no level lies on top of the others
    last = [column for column in points.columns if column.startswith("W")][-1]
    levels = sorted(set(points[last]))
    colours = dict(zip(levels, level_colours(len(levels)), strict=True))
    width = PAGE if len(names) > 2 else 0.5 * PAGE + 0.1
    figure, axes = panels(len(COSTS), len(names), width=width, height=4.2, sharex="row", sharey="col")
    for row, (cost, name_of_cost) in enumerate(COSTS.items()):
        unit, title = scaled(points[cost].to_numpy(), name_of_cost)
        for column, name in enumerate(names):
            ax = axes[row, column]
            ax.scatter(
                points[cost] / unit, points[name], **(dots(len(points)) | {"color": [colours[v] for v in points[last]]})
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


FIGURE = Figure(
    "2", "accuracies against params and MACs, with envelopes", "an accuracy of ten architectures", numbers, draw
)
