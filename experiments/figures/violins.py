"""Distributions of a metric by the level of each entry: the numbers and panels that figures 3, 4 and 5 share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis.distributions import QUANTILES, density, step_effect
from experiments.analysis.table_data import TableData
from experiments.figures.base import label
from experiments.figures.style import COLOURS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

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
                step = step_effect(values, digits, position, digit)
                key = {"metric": name, "entry": entry, "from": lower, "to": upper}
                steps.append(key | {"pairs": step.pairs, "change": step.change, "error": step.error, "up": step.up})
    columns = ["metric", "entry", "from", "to", "pairs", "change", "error", "up"]
    return {"levels": pd.DataFrame(levels), "density": pd.concat(shapes), "steps": pd.DataFrame(steps, columns=columns)}


def step_lines(steps: pd.DataFrame) -> list[str]:
    """Per metric: the mean change of one step of each entry, and which steps go down."""
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
