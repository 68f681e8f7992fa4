"""The picture of overtuning: what search gains by validation, what by test, and how many runs got worse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from experiments.plots.looks import looks, wrapped_name
from experiments.plots.style import canvas, plain_text, tidy
from experiments.plots.trajectories import LEGEND_CHARACTERS, marker_spots
from experiments.results.overtuning import Ledger, Ledgers
from experiments.tables import proper_name, short_label
from nasbench_ar.arrays import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@plain_text()
def draw_overtuning(found: Ledgers) -> Axes:
    """Three panels over the queries, means with 95 % intervals; a star where more search began to hurt."""
    figure = canvas(10.2, 4.3)
    panels = figure.subplots(1, 3)
    x = np.arange(1, found.queries + 1)
    styles = looks([ledger.name for ledger in found.ledgers])
    for k, (ledger, look) in enumerate(zip(found.ledgers, styles, strict=True)):
        line = look.line | {"markevery": marker_spots(found.queries, k, len(styles)), "markersize": 4, "linewidth": 1.6}
        for axes, (mean, band) in zip(panels, _lines(ledger), strict=True):
            axes.plot(x, mean, **line, label=wrapped_name(ledger.name, LEGEND_CHARACTERS), zorder=3)
            axes.fill_between(x, band[:, 0], band[:, 1], color=look.colour, alpha=0.15, linewidth=0, zorder=2)
        if ledger.turn.harm and ledger.turn.query is not None:
            spot = ledger.turn.query, ledger.test.mean[ledger.turn.query - 1]
            star = {"marker": "*", "markersize": 13, "markeredgecolor": "black", "linestyle": "none"}
            label = f"{proper_name(ledger.name)}: from here, more hurt"
            panels[1].plot(*spot, color=look.colour, **star, label=label, zorder=5)
    for k, axes in enumerate(panels[:2]):
        if found.random is not None:
            axes.plot(x, found.random[k], color="0.35", linestyle=":", linewidth=1.5, label="random search, exact mean")
        axes.axhline(found.largest[1 + k], color="0.35", linestyle="-.", linewidth=1.0, label=found.largest[0])
        _focus(axes, found, k)
    units = [found.oracle.metric(name).unit for name in (found.objective, found.metric)]
    labels = [short_label(found.oracle, name) for name in (found.objective, found.metric)]
    for axes, label, unit in zip(panels, labels, units, strict=False):
        axes.set_ylabel("regret" + (f" ({'points' if unit == '%' else unit})" if unit else ""))
        axes.set_title(label, loc="left", fontsize=10)
    panels[2].set_title("runs that got worse by test", loc="left", fontsize=10)
    panels[2].set_ylabel("share of runs")
    panels[2].set_ylim(0, 1)
    for axes in panels:
        axes.set_xlim(1, max(found.queries, 2))
        axes.set_xlabel("architectures queried")
        tidy(axes)
    handles, names = panels[1].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=4, frameon=False, fontsize=9, handlelength=3.4)
    return panels[0]


def _lines(ledger: Ledger) -> list[tuple[FloatArray, FloatArray]]:
    """Mean and (queries, 2) band of each panel; NaN where too few runs have a test value."""
    test, counts = ledger.test, ledger.counts
    by_test = [
        (np.where(counts, mean, np.nan), np.where(counts[:, None], band, np.nan))
        for mean, band in ((test.mean, test.mean_band), (ledger.worse, ledger.worse_band))
    ]
    return [(ledger.validation.mean, ledger.validation.mean_band), *by_test]


def _focus(axes: Axes, found: Ledgers, panel: int) -> None:
    """Leave the first few queries, which span a range of their own, partly out of view."""
    start = min(9, found.queries - 1)
    drawn: Sequence[FloatArray] = [_lines(ledger)[panel][0][start:] for ledger in found.ledgers]
    edges = np.concatenate([*drawn, [found.largest[1 + panel]]])
    low, high = np.nanmin(edges), np.nanmax(edges)
    margin = 0.07 * (high - low) or 0.5
    axes.set_ylim(max(low - margin, -margin / 2), high + margin)
