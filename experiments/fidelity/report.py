"""Tables, CSV and pictures of multi-fidelity races; every cost says what it is."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.plots.looks import looks, wrapped_name
from experiments.plots.style import canvas, plain_text, save_figure, tidy
from experiments.plots.trajectories import LEGEND_CHARACTERS, MOST_INSIDE, marker_spots, place_legend
from experiments.results.traces import Results, compared
from experiments.statistics.intervals import mean_band
from experiments.tables import MARKS, as_markdown, csv_text, marked, mean_text, number, objective_axis, origin

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GPU_TIMES = [(1.0, "GPU-days"), (24.0, "GPU-hours"), (1440.0, "GPU-minutes"), (86400.0, "GPU-seconds")]
SHARES = (0.25, 0.5, 1.0)
TABLE_CSV = ("searcher", "workers", "runs", "budget", "unit", "share", "mean", "std", "ci_low", "ci_high", "p_value")
CURVE_CSV = ("searcher", "workers", "axis", "unit", "x", "mean", "ci_low", "ci_high")


def as_text(results: Sequence[Results]) -> str:
    """The comparison in Markdown, with its rules."""
    first = results[0]
    cost, objective = first.told["cost"], first.oracle.label(first.race.objective)
    runs = " or ".join(str(n) for n in sorted({len(r.traces) for r in results}))
    header = ("Searcher", *(f"{100 * share:.0f} % of budget" for share in SHARES), "Started", "Trained whole", "Clock")
    rule = f"{objective} of the incumbent, as its finished training scores: {runs} runs of {first.budget:.6g} {cost}."
    size, whole = first.told["architectures"], first.oracle.space.size
    extent = f"{size} architectures" if size == whole else f"{size} of {whole} architectures, the others have no curve"
    origin = f"Table {first.oracle.name}: {first.oracle.title}; {extent}"
    out = [rule, "", origin, "", as_markdown(header, _lines(results))]
    out.append(
        f"Mean ± standard deviation over runs; the table's best is {number(first.optimum)}. Searchers see the curve of "
        f"{first.told['curve']} up to the epochs they pay for, of {first.told['epochs']}; the incumbent has the "
        "best value seen. Started: architectures trained at all. Clock: simulated time, in the unit of the budget."
    )
    if len(results) > 1:
        out.append(MARKS)
    for r in results:
        early = [trace for trace in r.traces if trace.why]
        if early:
            out.append(f"{r.name}: {len(early)} runs ended early; the first, seed {early[0].seed}: {early[0].why}.")
    return "\n".join(out) + "\n"


def _lines(results: Sequence[Results]) -> list[list[str]]:
    columns = []
    for share in SHARES:
        cells, best = compared(results, share)
        texts = [mean_text(cell.spread, len(cell.values)) for cell in cells]
        columns.append(marked(texts, best, [cell.p_value for cell in cells]))
    lines = []
    for k, r in enumerate(results):
        line = [label(results, r), *(column[k] for column in columns)]
        counts = (number(r.started().mean(), 1), number(r.finished().mean(), 1), f"{r.clock().mean():.4g}")
        lines.append([*line, *counts])
    return lines


def label(results: Sequence[Results], r: Results) -> str:
    """A searcher's name; with its number of machines, if any searcher has several."""
    several = {other.race.workers for other in results} != {1}
    return f"{r.name} ({r.race.workers} worker{'s' if r.race.workers > 1 else ''})" if several else r.name


def table_csv(results: Sequence[Results]) -> str:
    """One line per searcher and share of the budget."""
    rows = []
    for share in SHARES:
        for r, cell in zip(results, compared(results, share)[0], strict=True):
            numbers = (cell.spread.mean, cell.spread.std, *cell.spread.interval, cell.p_value)
            rows.append([r.name, r.race.workers, len(r.traces), r.budget, r.told["cost"], share, *numbers])
    return csv_text(TABLE_CSV, rows)


def curves_csv(results: Sequence[Results]) -> str:
    """The incumbents' mean true score against cost spent and against simulated time."""
    rows = []
    for r in results:
        for axis, name in (("spent", "spent"), ("ended", "clock")):
            grid, values = r.curve(axis)
            points = zip(grid, values.mean(axis=0), *mean_band(values), strict=True)
            rows += [[r.name, r.race.workers, name, r.told["cost"], *point] for point in points]
    return csv_text(CURVE_CSV, rows)


@plain_text()
def draw(results: Sequence[Results], path: Path, *, foot: bool) -> None:
    """Incumbents against the cost spent and, where machines work side by side, against simulated time."""
    first = results[0]
    factor, unit = _readable_unit(results)
    panels = [("spent", f"training spent ({unit})")]
    if any(r.race.workers > 1 for r in results):
        panels.append(("ended", f"simulated time ({unit})"))
    size = (6.4, 4.2) if len(panels) == 1 else (10.4, 4.4)
    if len(results) > MOST_INSIDE:
        size = (size[0] + 2, size[1])
    axes = canvas(*size).subplots(1, len(panels), sharey=True, squeeze=False)
    for panel, (axis, text) in zip(axes[0], panels, strict=True):
        _draw_panel(panel, results, axis, factor)
        panel.set_xlabel(text)
    name = f"{objective_axis(first.oracle, first.race.objective)}, finished training of the incumbent"
    axes[0, 0].set_ylabel("\n".join(textwrap.wrap(name, 55)), fontsize=9)
    few = len(results) <= MOST_INSIDE
    place_legend(axes[0, 0 if few else -1], len(results), "mean, and its 95 % interval")
    _focus(axes[0, 0], results)
    save_figure(axes[0, 0], path, note=origin(first.oracle, first.race.objective) if foot else "")


def _readable_unit(results: Sequence[Results]) -> tuple[float, str]:
    first = results[0]
    if first.race.unit == "epochs":
        return 1.0, "epochs"
    fitting = [(factor, unit) for factor, unit in GPU_TIMES if first.budget * factor >= 1] or GPU_TIMES[-1:]
    estimated = "; cost: estimated from MACs" if "estimated" in first.told["cost"] else ", measured"
    return fitting[0][0], f"{fitting[0][1]}{estimated}"


def _draw_panel(axes: Axes, results: Sequence[Results], axis: str, factor: float) -> None:
    for k, (r, look) in enumerate(zip(results, looks([r.name for r in results]), strict=True)):
        grid, values = r.curve(axis)
        grid = grid * factor
        mean = values.mean(axis=0)
        name = label(results, r).replace(r.name, wrapped_name(r.name, LEGEND_CHARACTERS), 1)
        drawn: dict[str, Any] = {"linewidth": 1.8, "zorder": 3, "drawstyle": "steps-post", "markersize": 4.5}
        axes.plot(grid, mean, **look.line, **drawn, markevery=marker_spots(len(grid), k, len(results)), label=name)
        if len(values) > 1:
            band: dict[str, Any] = {"color": look.colour, "alpha": 0.2, "linewidth": 0, "zorder": 2, "step": "post"}
            axes.fill_between(grid, *mean_band(values), **band)
    optimum = results[0].optimum
    axes.axhline(optimum, color="0.35", linewidth=1.0, label=f"optimum of the table ({number(optimum)})")
    axes.set_xlim(left=0)
    tidy(axes)


def _focus(axes: Axes, results: Sequence[Results]) -> None:
    """The first tenth of the budget spans a range of its own, and would flatten the rest."""
    shown = [values.mean(axis=0)[grid >= 0.1 * r.budget] for r in results for grid, values in [r.curve("spent")]]
    ends = [r.optimum for r in results] + [
        float(v) for means in shown if len(means) for v in (means.min(), means.max())
    ]
    margin = 0.05 * (max(ends) - min(ends)) or 0.5
    low, high = min(ends) - margin, max(ends) + margin
    axes.set_ylim((low, high) if results[0].oracle.metric(results[0].race.objective).maximize else (high, low))
