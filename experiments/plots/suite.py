"""The picture of a suite: regret area against processor time, all searchers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.plots.looks import looks, wrapped_name
from experiments.plots.style import canvas, plain_text, tidy
from experiments.plots.trajectories import LEGEND_CHARACTERS
from experiments.results.suite import SuiteScores

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@plain_text()
def draw_suite(found: SuiteScores) -> Axes:
    """Area at the largest budget with its interval, over CPU seconds of a run; best first in the legend."""
    axes = canvas(7.2, 4.6).subplots()
    last = len(found.budgets) - 1
    for k, (name, look) in enumerate(zip(found.names, looks(found.names), strict=True)):
        seconds = found.cpu_seconds[k]
        if np.isnan(seconds):
            continue
        low, high = found.interval[k, last]
        axes.plot([seconds, seconds], [low, high], color=look.colour, linewidth=1.8)
        marker: dict[str, Any] = {"color": look.colour, "marker": look.marker, "markersize": 7, "linestyle": "none"}
        axes.plot(seconds, found.area[k, last], **marker, label=wrapped_name(name, LEGEND_CHARACTERS))
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda seconds, _: f"{seconds:g}")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("processor seconds of a run")
    axes.set_ylabel(f"normalised regret area, {found.budgets[last]} queries")
    tidy(axes)
    axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0, frameon=False)
    return axes
