"""The picture of a race with several objectives: fronts over the cloud of all architectures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from experiments.plots.looks import looks, wrapped_name
from experiments.plots.style import canvas, plain_text, scaled, tidy
from experiments.plots.trajectories import LEGEND_CHARACTERS, draw_trajectories
from experiments.results.fronts import Fronts
from experiments.results.incumbents import Curve
from experiments.tables import objective_axis
from nasbench_ar import Oracle

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@plain_text()
def draw_front(fronts: Fronts, oracle: Oracle) -> Axes:
    """Every other objective against the first, one panel each; returns the first panel.

    Grey: all architectures that may be chosen.  Black: the exact front.  Coloured: the front of the run with the median
    hypervolume.
    """
    cloud = fronts.cloud
    others = range(1, len(cloud.objectives))
    panels = canvas(1.2 + 5.2 * len(others), 4.2).subplots(1, len(others), squeeze=False)
    order = np.argsort(fronts.volumes[:, -1], kind="stable")
    median = order[(len(order) - 1) // 2]
    found = fronts.runs.arch_index[median][fronts.on_front[median]]
    known = np.flatnonzero(~np.isnan(cloud.points).any(axis=1))
    scales = [_axis(oracle, name, cloud.values[:, k]) for k, name in enumerate(cloud.objectives)]
    values, labels = zip(*scales, strict=True)
    for axes, other in zip(panels[0], others, strict=True):
        x, y = values[other], values[0]
        axes.scatter(x[known], y[known], s=3, color="0.8", linewidths=0, rasterized=True, label="all architectures")
        # What is reached with at most this cost, or at least that value: the line holds to one side.
        steps = "steps-pre" if oracle.metric(cloud.objectives[other]).maximize else "steps-post"
        look = {"drawstyle": steps, "linewidth": 1.2, "markersize": 4}
        _mark(axes, x, y, cloud.front, color="black", marker="o", label=f"exact front ({len(cloud.front)})", **look)
        label = f"front of the median run ({len(found)})"
        own = looks([fronts.name])[0]
        _mark(axes, x, y, found, color=own.colour, marker=own.marker, label=label, **look)
        axes.set_xlabel(labels[other])
        axes.set_ylabel(labels[0])
        tidy(axes, "0.92")
    corner = "lower right" if oracle.metric(cloud.objectives[0]).maximize else "upper right"
    runs = len(fronts.runs.seeds)
    title = f"{wrapped_name(fronts.name, LEGEND_CHARACTERS)}, {runs} run{'s' if runs != 1 else ''}"
    panels[0][0].legend(frameon=True, framealpha=0.9, edgecolor="none", fontsize=9, loc=corner, title=title)
    return panels[0][0]


def _mark(
    axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], members: NDArray[np.integer], **look: Any
) -> None:
    """Points, and, where they are a line, that is for two objectives, the line through them."""
    order = members[np.argsort(x[members], kind="stable")]
    steps = np.diff(y[order])
    monotone = bool((steps >= 0).all() or (steps <= 0).all())
    axes.plot(x[order], y[order], linestyle="-" if monotone else "none", **look)


def _axis(oracle: Oracle, objective: str, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], str]:
    if oracle.metric(objective).unit not in ("MACs", "parameters"):
        return values, objective_axis(oracle, objective)
    factor, unit = scaled(values, oracle.metric(objective).unit)
    return values / factor, unit


def draw_volumes(several: Sequence[Fronts]) -> Any:
    curves = [Curve(fronts.name, fronts.volumes) for fronts in several]
    axes = draw_trajectories(curves, ylabel="hypervolume, share of the exact front's")
    lowest = axes.get_ylim()[0]
    axes.set_ylim(max(lowest, 0), 1.0)
    return axes
