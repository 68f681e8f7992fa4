"""Noise of the training seed: spread within and between architectures, and the ceiling it sets."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis.replicates import seed_noise
from experiments.analysis.table_data import TableData
from experiments.figures.base import Figure, Numbers, foot, label
from experiments.figures.style import COLOURS, PAGE, in_print_style, letter, panels
from nasbench_ar import MissingEntryError

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


def numbers(data: TableData) -> Numbers:
    """Components of variance of every measured metric, and the objective's trainings in pairs."""
    import pandas as pd

    table = data.oracle.table
    kept = data.kept[table.arch_index]
    index, seeds = table.arch_index[kept], table.seeds[kept]
    rows: list[dict[str, Any]] = []
    lines = []
    reason = ""
    told = {table.default_objective, *data.shown_accuracies(least=1)}
    for metric in data.metrics():
        if metric.name not in table.scalar_names:
            continue
        values = np.asarray(table.scalar(metric.name))[kept]
        try:
            found = seed_noise(index, seeds, values)
        except MissingEntryError as error:
            reason = reason or str(error)
            continue
        rows.append({"metric": metric.name, **asdict(found)})
        if metric.name not in told:
            continue
        lines.append(
            f"{label(metric.name, unit=False)}: standard deviation within an architecture {found.within:.3g}, between "
            f"{found.between:.3g}; intraclass correlation {found.intraclass:.2f}; two trainings agree with Spearman "
            f"{found.spearman:.2f}, Kendall {found.kendall:.2f} ({found.architectures} architectures)"
        )
    if not rows:
        raise MissingEntryError(f"table {table.name}: {reason or 'no measured metric'}")
    name = next(n for n in (table.default_objective, rows[0]["metric"]) if n in [row["metric"] for row in rows])
    pairs = _pairs(data, index, seeds, np.asarray(table.scalar(name))[kept])
    return Numbers({"": pd.DataFrame(rows), "pairs": pairs.assign(metric=name)}, tuple(lines), foot(data))


def _pairs(data: TableData, index: Any, seeds: Any, values: Any) -> Any:
    """First and second training of each architecture that has two, by ascending seed."""
    import pandas as pd

    frame = pd.DataFrame({"index": index, "seed": seeds, "value": values}).dropna().sort_values(["index", "seed"])
    frame["training"] = frame.groupby("index").cumcount()
    wide = frame[frame["training"] < 2].pivot(index="index", columns="training", values="value").dropna()
    arch = [str(data.oracle.space.from_index(int(i))) for i in wide.index]
    return pd.DataFrame({"arch": arch, "first": wide[0].to_numpy(), "second": wide[1].to_numpy()})


@in_print_style
def draw(numbers: Numbers) -> Drawing:
    """Intraclass correlation and rank agreement by metric; the objective's trainings against each other."""
    rows, pairs = numbers.tables[""], numbers.tables["pairs"]
    figure, axes = panels(1, 2, width=PAGE, height=max(2.6, 0.8 + 0.16 * len(rows)))
    ax = axes[0, 0]
    y = np.arange(len(rows))
    ax.barh(y, rows["intraclass"].clip(lower=0), color=COLOURS[0], height=0.7, label="intraclass correlation")
    ax.plot(rows["kendall"], y, "D", color="black", markersize=3, mfc="white", label="Kendall, two trainings")
    ax.set_yticks(y, [label(name, unit=False) for name in rows["metric"]])
    ax.invert_yaxis()
    ax.set_xlim(min(0, rows["kendall"].min() - 0.05), 1)
    ax.grid(visible=False, axis="y")
    ax.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=2)
    ax = axes[0, 1]
    name = pairs["metric"].iloc[0]
    ax.scatter(pairs["first"], pairs["second"], s=8, color=COLOURS[0], linewidths=0, alpha=0.7)
    ends = [pairs[["first", "second"]].min().min(), pairs[["first", "second"]].max().max()]
    ax.plot(ends, ends, color="0.5", linewidth=0.8)
    ax.set(xlabel=f"{label(name)}, first training", ylabel="second training")
    letter(ax, f"{len(pairs)} architectures trained twice")
    return figure


FIGURE = Figure("noise", "noise of the training seed", "several trainings of some architectures", numbers, draw)
