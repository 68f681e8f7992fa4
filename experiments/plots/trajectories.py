"""Trajectories: mean incumbents against queries, with a band."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from experiments.plots.looks import looks, wrapped_name
from experiments.plots.style import canvas, plain_text, tidy
from experiments.races.race import Race
from experiments.results.baselines import no_search
from experiments.results.incumbents import Curve, expected_best_of_n
from experiments.results.judged import Judged
from experiments.statistics.intervals import mean_band
from experiments.tables import number
from nasbench_ar import Oracle

if TYPE_CHECKING:
    from matplotlib.axes import Axes


LEGEND_CHARACTERS = 26


MOST_INSIDE = 4  # curves; the legend of more stands beside the picture


@plain_text()
def draw_trajectories(
    curves: Sequence[Curve],
    *,
    ylabel: str,
    optimum: float | None = None,
    optimum_name: str = "optimum of the table",
    random_expectation: NDArray[np.float64] | None = None,
    no_search: tuple[str, float] | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Mean incumbent against queries, with a band.

    The band of a curve on its own holds the middle 80 % of the runs; of several, it is the 95 % interval of the mean.
    The axis ends with the (queries,) random expectation, where runs have gone on beyond their budget.
    """
    inside = len(curves) <= MOST_INSIDE
    if axes is None:
        axes = canvas(6.4 if inside else 8.4, 4.2).subplots()
    longest = max(curve.best.shape[1] for curve in curves)
    end = longest if random_expectation is None else len(random_expectation)
    several = len({curve.name for curve in curves}) > 1
    for k, (curve, look) in enumerate(zip(curves, looks([curve.name for curve in curves]), strict=True)):
        runs, queries = curve.best.shape
        x = np.arange(1, queries + 1)
        mean = curve.best.mean(axis=0)
        name = curve.label or wrapped_name(curve.name, LEGEND_CHARACTERS)
        label = f"{name} ({runs}\u00a0run{'s' if runs != 1 else ''})"
        spots = marker_spots(end, k, len(curves))
        axes.plot(x, mean, **look.line, markevery=spots, markersize=4.5, linewidth=1.8, label=label, zorder=3)
        if runs > 1:
            low, high = _band(curve, alone=not several)
            alpha = 0.2 if inside else 0.1
            axes.fill_between(x, low, high, color=look.colour, alpha=alpha, linewidth=0, zorder=2)
    if random_expectation is not None:
        x = np.arange(1, len(random_expectation) + 1)
        axes.plot(x, random_expectation, color="0.35", linestyle=":", linewidth=1.5, label="random search, exact mean")
    if no_search is not None:
        name, mean = no_search
        label = f"no search: {name}, mean ({number(mean)})"
        axes.axhline(mean, color="0.35", linestyle="-.", linewidth=1.0, label=label)
    if optimum is not None:
        axes.axhline(optimum, color="0.35", linewidth=1.0, label=f"{optimum_name} ({number(optimum)})")
    axes.set_xlim(1, max(end, 2))
    lines = [value for value in (optimum, no_search and no_search[1]) if value is not None]
    _focus(axes, [Curve(curve.name, curve.best[:, :end]) for curve in curves], lines, alone=not several)
    axes.set_xlabel("architectures queried")
    axes.set_ylabel(ylabel)
    tidy(axes)
    title = "mean, and its 95 % interval" if several else "mean, and the middle 80 % of the runs"
    place_legend(axes, len(curves), title)
    return axes


def place_legend(axes: Axes, curves: int, title: str) -> None:
    """Inside for few curves; for many to the right of the axes, where it hides none of them."""
    place: dict[str, Any] = {"loc": "best"}
    if curves > MOST_INSIDE:
        place = {"loc": "upper left", "bbox_to_anchor": (1.02, 1.0), "borderaxespad": 0}
    look: dict[str, Any] = {
        "framealpha": 0.9,
        "edgecolor": "none",
        "fontsize": 9,
        "title_fontsize": 9,
        "handlelength": 3.4,
    }
    axes.legend(title=title, **look, **place)


def marker_spots(points: int, k: int, curves: int) -> tuple[int, int]:
    """First point and step of the markers of curve k, so that those of several curves do not overlap."""
    step = max(1, points // 8)
    return (k + 1) * step // (curves + 1), step


def _band(curve: Curve, *, alone: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if alone:
        low, high = np.quantile(curve.best, (0.1, 0.9), axis=0)
        return low, high
    return mean_band(curve.best)


def _focus(axes: Axes, curves: Sequence[Curve], lines: Sequence[float], *, alone: bool) -> None:
    """Leave the first few queries, which span a range of their own, partly out of view."""
    start = min(9, min(curve.best.shape[1] for curve in curves) - 1)
    edges = list(lines)
    for curve in curves:
        low, high = _band(curve, alone=alone) if len(curve.best) > 1 else (curve.best[0], curve.best[0])
        edges += [low[start:].min(), high[start:].max()]
    if known := [edge for edge in edges if not np.isnan(edge)]:  # a front may have no hypervolume
        low, high = min(known), max(known)
        margin = 0.05 * (high - low) or 0.5
        axes.set_ylim(low - margin, high + margin)


def lines_of(oracle: Oracle, race: Race, judged: Judged | None, queries: int) -> dict[str, object]:
    """The reference lines of a race, for `draw_trajectories`, over what the table holds."""
    column = oracle.column(race.objective, seed=race.table_seed)
    maximize = bool(oracle.metric(race.objective).maximize)
    known = column[~np.isnan(column)]
    lines: dict[str, object] = {
        "optimum": float(known.max() if maximize else known.min()),
        "random_expectation": expected_best_of_n(known, queries, maximize=maximize),
    }
    if oracle.space.known_costs and oracle.metric(race.objective).split != "cost":  # by which the largest are worst
        baseline = no_search(oracle, race)
        counted = column if judged is None else judged.counted
        lines["no_search"] = baseline.name, baseline.spread(counted).mean
    return lines | ({} if judged is None else judged.reference_lines(queries))
