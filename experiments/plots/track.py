"""The picture of a track: what every entry is worth to the judge, beside what no search needs to be worth."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING

from experiments.plots.looks import looks, wrapped_name
from experiments.plots.style import MUTED, canvas, plain_text
from experiments.plots.trajectories import LEGEND_CHARACTERS
from experiments.races.track import HYPERVOLUME
from experiments.results.track import Outcome
from experiments.results.track_text import judge_label
from experiments.tables import number, objective_axis, share_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LINES = ("-", "--", ":", "-.", (0, (10, 3)))


@plain_text()
def draw_outcome(outcome: Outcome) -> Axes:
    """Means with their 95 % intervals, the best on top, the middle 80 % of the runs in a lighter line; NaN left out."""
    import numpy as np

    shown = [place for place in outcome.places if place.entrant.spread.known]
    axes = canvas(7.6, 1.6 + 0.36 * max(len(shown), 4)).subplots()
    styles = looks([place.entrant.name for place in shown])
    for height, (place, look) in enumerate(zip(shown, styles, strict=True)):
        found = place.entrant.spread
        low, high = np.nanquantile(place.entrant.values, (0.1, 0.9))
        axes.plot([low, high], [-height, -height], color=look.colour, alpha=0.3, linewidth=4, solid_capstyle="butt")
        if not math.isnan(found.interval[0]):
            axes.plot(found.interval, [-height, -height], color=look.colour, linewidth=1.8)
        axes.plot(found.mean, -height, color=look.colour, marker=look.marker, markersize=6)
    for line, reference in zip(_LINES, outcome.references, strict=False):
        label = f"{reference.name} ({number(reference.mean, outcome.digits)}){share_text(reference.share)}"
        axes.axvline(reference.mean, color=MUTED, linewidth=1.2, linestyle=line, zorder=1, label=label)
    names = [wrapped_name(place.entrant.name, LEGEND_CHARACTERS) for place in shown]
    ranks = ["" if place.rank is None else f"{place.rank}. " for place in shown]
    axes.set_yticks(range(0, -len(shown), -1), [rank + name for rank, name in zip(ranks, names, strict=True)])
    axes.set_ylim(0.6 - max(len(shown), 1), 0.6)
    hypervolume = outcome.judge == HYPERVOLUME
    label = judge_label(outcome) if hypervolume else objective_axis(outcome.oracle, outcome.judge)
    axes.set_xlabel("\n".join(textwrap.wrap(f"{label}, of what runs recommend", 80)))
    if not outcome.maximize:
        axes.invert_xaxis()
    axes.grid(axis="x", color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    if outcome.references:
        axes.legend(
            loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0, fontsize=8, frameon=False, handlelength=3
        )
    return axes
