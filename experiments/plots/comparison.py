"""Pictures of a comparison, a column of a paper (3.3 inches) wide: numbers in, axes out.

A searcher looks as `experiments.plots.looks` says, the same in every picture.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.plots.looks import looks, wrapped_name
from experiments.plots.style import PLAIN, canvas, tidy, with_settings
from experiments.plots.trajectories import marker_spots
from experiments.results.baselines import RANDOM_SEARCH
from experiments.results.comparison import Comparison
from experiments.tables import proper_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 3.3  # inches: one of two columns
LABEL_CHARACTERS = 13
LEGEND_CHARACTERS = 23
STYLE: dict[Any, Any] = PLAIN | {
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
}


EXACT: dict[str, Any] = {"color": "0.35", "linestyle": ":", "linewidth": 1.2, "label": RANDOM_SEARCH, "zorder": 2.5}


column_style = partial(with_settings, STYLE)


def note(comparison: Comparison) -> str:
    return f"table {comparison.table}: {comparison.title}"


def regret_label(unit: str) -> str:
    return "regret" + (f" ({'points' if unit == '%' else unit})" if unit else "")


@column_style()
def draw_anytime(comparison: Comparison) -> Figure:
    """Regret against queries: above the mean and its interval, below the median and the middle half."""
    figure = canvas(WIDTH, 4.6 + _legend_room(comparison))
    above, below = figure.subplots(2, 1, sharex=True, sharey=True)
    draw_regret(comparison, "mean", axes=above)
    draw_regret(comparison, "median", axes=below)
    above.set_xlabel("")
    _legend(above)
    return figure


@column_style()
def draw_regret(comparison: Comparison, kind: str, *, axes: Axes | None = None) -> Axes:
    """One panel of `draw_anytime`; `kind` is `mean` (95 % t interval) or `median` (middle half of the runs)."""
    alone = axes is None
    axes = axes or _new_axes(2.9 + _legend_room(comparison))
    most = max(len(course.seeds) for course in comparison.courses)
    x = np.arange(1, comparison.queries + 1)
    alpha = _band_alpha(comparison)
    count = len(comparison.courses)
    for k, (course, look) in enumerate(zip(comparison.courses, _line_styles(comparison), strict=True)):
        line, band = (course.mean, course.mean_band) if kind == "mean" else (course.median, course.median_band)
        runs = len(course.seeds)
        label = wrapped_name(course.name, LEGEND_CHARACTERS) + ("" if runs == most else f" ({runs}\u00a0runs)")
        axes.plot(x, line, **look, markevery=marker_spots(comparison.queries, k, count), label=label, zorder=3)
        axes.fill_between(x, *np.maximum(band, 0).T, color=look["color"], alpha=alpha, linewidth=0, zorder=2)
    law = comparison.random_search
    axes.plot(x, law.mean if kind == "mean" else law.median, **EXACT)
    _regret_axis(axes, comparison)
    axes.set_xlim(1, max(comparison.queries, 2))
    axes.set_xlabel("architectures queried")
    axes.set_ylabel(regret_label(comparison.unit))
    title = "mean and its 95 % interval" if kind == "mean" else "median and the middle half"
    axes.set_title(f"{title}, {most} run{'s' if most > 1 else ''}", loc="left")
    tidy(axes, linewidth=0.6)
    if alone:
        _legend(axes)
    return axes


def _regret_axis(axes: Axes, comparison: Comparison) -> None:
    """Logarithmic; where a line reaches 0, linear below the smallest other value; the first queries may be cut off."""
    from matplotlib.ticker import FuncFormatter

    start = min(9, comparison.queries - 1)
    law = comparison.random_search
    lines = np.concatenate([[c.mean[start:], c.median[start:]] for c in comparison.courses], axis=None)
    lines = np.concatenate([lines, law.mean[start:], law.median[start:]])
    tops = np.concatenate([c.median_band[start:, 1] for c in comparison.courses])
    drawn = lines[~np.isnan(lines)]
    positive = drawn[drawn > 0]
    if not len(positive):
        axes.set_ylim(0, 1)
        return
    top = 1.15 * float(max(np.nanmax(tops), positive.max()))
    if len(positive) == len(drawn):
        axes.set_yscale("log")
        axes.set_ylim(0.7 * positive.min(), top)
        digits = "23579" if top / positive.min() < 5 else "25"
        axes.yaxis.set_minor_formatter(
            FuncFormatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in digits else "")
        )
    else:
        threshold = 10.0 ** math.floor(math.log10(positive.min()))
        axes.set_yscale("symlog", linthresh=threshold, linscale=0.4)
        axes.set_ylim(-0.1 * threshold, top)  # a line at 0 is not cut
    axes.tick_params(which="minor", labelsize=7, width=0.4)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


@column_style()
def draw_ecdf(comparison: Comparison, *, axes: Axes | None = None) -> Axes:
    """Share of the pairs of a run and a target that are reached, with its 95 % t interval over runs."""
    alone = axes is None
    axes = axes or _new_axes(2.9 + _legend_room(comparison))
    x = np.arange(1, comparison.queries + 1)
    spots = np.unique(np.geomspace(1, comparison.queries, 9).astype(int) - 1).tolist()
    courses = [found for found in comparison.ecdfs if found.name != RANDOM_SEARCH]
    for found, look in zip(courses, _line_styles(comparison), strict=False):  # none where the table is too small
        axes.plot(x, found.share, **look, markevery=spots, label=wrapped_name(found.name, LEGEND_CHARACTERS), zorder=3)
        low, high = found.band.T
        axes.fill_between(x, low, high, color=look["color"], alpha=_band_alpha(comparison), linewidth=0, zorder=2)
    for found in comparison.ecdfs[len(courses) :]:
        axes.plot(x, found.share, **EXACT)
    if not courses:
        axes.text(0.5, 0.5, "too few architectures", ha="center", transform=axes.transAxes)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlim(1, max(comparison.queries, 2))
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("architectures queried")
    axes.set_ylabel("share of runs and targets")
    tidy(axes, linewidth=0.6)
    if alone:
        _legend(axes)
    return axes


@column_style()
def draw_profile(comparison: Comparison, *, axes: Axes | None = None) -> Axes:
    """Share of the runs that end within a regret of the optimum, with exact binomial bands.

    A run-score distribution in the sense of Agarwal et al. (2021), not Dolan and More's ratio to the best solver: there
    is one problem here, and many runs.
    """
    alone = axes is None
    axes = axes or _new_axes(2.9 + _legend_room(comparison))
    alpha = _band_alpha(comparison)
    count = len(comparison.profiles)
    for k, (profile, look) in enumerate(zip(comparison.profiles, _line_styles(comparison), strict=True)):
        name, spots = wrapped_name(profile.name, LEGEND_CHARACTERS), (0.12 * (k + 1) / (count + 1), 0.12)
        axes.step(profile.tau, profile.share, where="post", **look, markevery=spots, label=name, zorder=3)
        low, high = profile.band.T
        axes.fill_between(profile.tau, low, high, step="post", color=look["color"], alpha=alpha, linewidth=0, zorder=2)
    law = comparison.random_search.profile
    axes.step(law.tau, law.share, where="post", **EXACT)
    end = max((profile.tau[-1] for profile in comparison.profiles), default=1.0)
    axes.set_xlim(0, end or 1.0)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel(f"{regret_label(comparison.unit)} at most, after {comparison.budgets[-1]} queries")
    axes.set_ylabel("share of runs")
    tidy(axes, linewidth=0.6)
    if alone:
        _legend(axes)
    return axes


@column_style()
def draw_ranks(comparison: Comparison, *, axes: Axes | None = None) -> Axes:
    """Critical-difference diagram (Demsar 2006) at the largest budget: mean ranks, bars over what no test tells apart.

    The better half stands on the left.  Nemenyi's critical difference is drawn where its test makes the bars.
    """
    ranking = comparison.rankings[-1]
    names = sorted(ranking.average, key=lambda name: ranking.average[name])
    ranks = ranking.average
    labels = {name: wrapped_name(f"{proper_name(name)} {ranks[name]:.2f}", LABEL_CHARACTERS) for name in names}
    count, rows = len(names), math.ceil(len(names) / 2)
    row = 0.15 + 0.11 * max(label.count("\n") for label in labels.values())
    margin = 0.12 + 0.055 * max(len(line) for label in labels.values() for line in label.split("\n"))
    nemenyi = ranking.joined_by == "nemenyi"
    top = 0.58 if nemenyi else 0.4
    first_row = -0.2 - 0.1 * len(ranking.cliques)
    bottom = first_row - row * rows
    axes = axes or _new_axes(top - bottom + 0.5)  # half an inch for the foot
    axes.set_axis_off()
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(bottom, top)
    if not ranking.seeds:
        axes.text(WIDTH / 2, 0, "no seed that all searchers share", ha="center", fontsize=8)
        return axes
    inset = margin + 0.12
    inch = (WIDTH - 2 * inset) / max(count - 1, 1)

    def at(rank: float) -> float:
        return inset + (rank - 1) * inch

    axes.plot([at(1), at(count)], [0, 0], color="black", linewidth=0.8)
    for tick in range(1, count + 1):
        axes.plot([at(tick)] * 2, [0, 0.05], color="black", linewidth=0.8)
        axes.text(at(tick), 0.07, str(tick), ha="center", va="bottom", fontsize=7)
    axes.text(WIDTH / 2, 0.24, f"mean rank over {ranking.seeds} seeds", ha="center", va="bottom", fontsize=7)
    own = dict(zip(_names(comparison), looks(_names(comparison)), strict=True))
    for position, name in enumerate(names):
        left = position < rows
        height = first_row - row * (position if left else count - 1 - position)
        rank, edge = ranking.average[name], margin if left else WIDTH - margin
        axes.plot([at(rank), at(rank), edge], [0, height, height], color=own[name].colour, linewidth=0.9)
        axes.plot([at(rank)], [0], marker=own[name].marker, markersize=4, color=own[name].colour, zorder=4)
        outside = edge - 0.05 if left else edge + 0.05
        axes.text(outside, height, labels[name], ha="right" if left else "left", va="center", fontsize=7)
    for position, clique in enumerate(ranking.cliques):
        ends = [at(ranking.average[name]) for name in clique]
        height = -0.09 - 0.1 * position
        axes.plot([min(ends) - 0.04, max(ends) + 0.04], [height] * 2, color="0.25", linewidth=2.5)
    if nemenyi:
        ends = [at(1), at(1 + ranking.critical_difference)]
        axes.plot(ends, [0.46] * 2, color="black", linewidth=1, marker="|", markersize=5)
        axes.text(ends[1] + 0.06, 0.46, f"CD {ranking.critical_difference:.2f}", va="center", fontsize=7)
    return axes


def _names(comparison: Comparison) -> Sequence[str]:
    return [course.name for course in comparison.courses]


def _line_styles(comparison: Comparison) -> list[dict[str, Any]]:
    return [look.line | {"linewidth": 1.3, "markersize": 3} for look in looks(_names(comparison))]


def _band_alpha(comparison: Comparison) -> float:
    return 0.2 if len(comparison.courses) < 5 else 0.1


def _new_axes(height: float) -> Axes:
    axes: Axes = canvas(WIDTH, height).subplots()
    return axes


def _legend_room(comparison: Comparison) -> float:
    """Inches that a legend of more than four names, random search included, takes from the panels below it."""
    return 0.18 * max(0, math.ceil((len(comparison.courses) + 1) / 2) - 2)


def _legend(axes: Axes) -> None:
    figure = axes.get_figure(root=True)
    assert figure is not None
    handles, names = axes.get_legend_handles_labels()
    labels = ["\n".join(textwrap.wrap(name, LEGEND_CHARACTERS)) for name in names]
    figure.legend(
        handles,
        labels,
        loc="outside upper center",
        ncols=2,
        frameon=False,
        fontsize=7,
        handlelength=2.8,
        columnspacing=1,
    )
