"""Local optima, their basins and uphill walks, where neighbours differ in one entry.

Arrays over the factorial in lexicographic order, higher being better; NaN marks missing neighbours, which do not exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from experiments.analysis.anova import additive_prediction
from experiments.analysis.figure import Figure, Numbers, architectures, foot, in_print_style, label
from experiments.analysis.table_data import TableData
from experiments.plots.style import COLOURS, PAGE, letter, panels
from nasbench_ar import MissingEntryError
from nasbench_ar.arrays import FloatArray, IntArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


@dataclass(frozen=True)
class Landscape:
    """Where steepest ascent leads from everywhere.

    Attributes:
        values: (product,) the landscape.
        target: (product,) index of the optimum reached from each index; -1 where missing.
        steps: (product,) number of moves to it.
        optima: (optima,) indices without a strictly better neighbour, best first.
        basins: (optima,) number of indices that lead there, itself included.
        flat: (optima,) whether a neighbour is exactly as good.
    """

    values: FloatArray
    target: IntArray
    steps: IntArray
    optima: IntArray
    basins: IntArray
    flat: NDArray[np.bool_]

    @property
    def size(self) -> int:
        return int((self.target >= 0).sum())

    @property
    def best(self) -> NDArray[np.bool_]:
        """(optima,) which optima have the best value of all."""
        return self.values[self.optima] == np.nanmax(self.values)

    @property
    def reach_best(self) -> float:
        """Share of the landscape from which steepest ascent ends at a global optimum."""
        return float(self.basins[self.best].sum() / self.size)


def neighbour_table(shape: Sequence[int]) -> IntArray:
    """(product, neighbours) int64 indices that differ in one entry, by entry and then by level."""
    size = int(np.prod(shape))
    index = np.arange(size)
    digits = np.unravel_index(index, shape)
    columns = []
    stride = size
    for digit, levels in zip(digits, shape, strict=True):
        stride //= levels
        # Level 0, 1, ... without the current one: the k-th other level is k, or k + 1 from the current one on.
        columns += [index + (k + (k >= digit) - digit) * stride for k in range(levels - 1)]
    return np.stack(columns, axis=1) if columns else np.empty((size, 0), dtype=np.int64)


def ascend(values: FloatArray, shape: Sequence[int]) -> Landscape:
    """Steepest ascent from each of the (product,) values; among equally good neighbours to the first."""
    near = neighbour_table(shape)
    around = np.where(np.isnan(values), -np.inf, values)[near]
    known = ~np.isnan(values)
    index = np.arange(len(values))
    own = np.where(known, values, np.inf)
    highest = around.max(axis=1, initial=-np.inf)
    first = around.argmax(axis=1) if near.shape[1] else np.zeros(len(values), dtype=np.int64)
    follow = np.where(highest > own, near[index, first] if near.shape[1] else index, index)
    target, steps = follow, (follow != index).astype(np.int64)
    while (follow[target] != target).any():
        steps = steps + (follow[target] != target)
        target = follow[target]
    target = np.where(known, target, -1)
    optima, basins = np.unique(target[known], return_counts=True)
    order = np.argsort(-values[optima], kind="stable")
    optima, basins = optima[order], basins[order]
    return Landscape(values, target, np.where(known, steps, 0), optima, basins, highest[optima] == values[optima])


def uphill_walks(values: FloatArray, shape: Sequence[int]) -> FloatArray:
    """(3, product) chance of the best, expected moves and end of walks to random better neighbours, from every start.

    From the best value down: each expectation is the mean over better neighbours, which are already known.
    """
    near = neighbour_table(shape)
    comparable = np.where(np.isnan(values), -np.inf, values)
    out = np.full((len(values), 3), np.nan)
    top = comparable.max()
    for index in np.argsort(-comparable, kind="stable")[: int((~np.isnan(values)).sum())]:
        better = near[index][comparable[near[index]] > comparable[index]]
        if len(better):
            out[index] = out[better].mean(axis=0)
            out[index, 1] += 1
        else:
            out[index] = (comparable[index] == top, 0, comparable[index])
    return out.T


def neighbour_correlation(values: FloatArray, shape: Sequence[int]) -> float:
    """Pearson correlation of the values of neighbours: 1 is smooth, 0 is rugged."""
    near = neighbour_table(shape)
    first = np.repeat(values, near.shape[1])
    second = values[near].ravel()
    both = ~np.isnan(first) & ~np.isnan(second)
    return float(np.corrcoef(first[both], second[both])[0, 1])


DRAWS = 20
LEAST_SHARE = 0.5


def numbers(data: TableData) -> Numbers:
    import pandas as pd
    from scipy.stats import spearmanr

    name = data.oracle.table.default_objective
    if not data.has(name):
        raise MissingEntryError(f"table {data.oracle.name} has no value of {name}")
    count = len(data.known(name))
    if count < len(data.kept) * LEAST_SHARE:
        raise MissingEntryError(
            f"{count} of {len(data.kept)} architectures have {name}; where most neighbours are missing, nearly "
            "everything is a local optimum"
        )
    sign = 1.0 if data.oracle.metric(name).maximize else -1.0
    values = sign * data.column(name)
    shape = [len(level) for level in data.levels]
    found = ascend(values, shape)
    reach_best, length, final = uphill_walks(values, shape)
    known = np.flatnonzero(found.target >= 0)
    best = found.optima[found.best]
    distance = (data.vectors[:, None] != data.vectors[best]).sum(axis=-1).min(axis=1)
    optima = architectures(data, found.optima, name)
    optima["basin"] = found.basins
    optima["basin_share"] = found.basins / found.size
    optima["equal_neighbour"] = found.flat
    optima["distance_to_best"] = distance[found.optima]
    starts = architectures(data, known, name)
    starts["steepest_value"] = sign * values[found.target[known]]
    starts["steepest_moves"] = found.steps[known]
    starts["walk_value"] = sign * final[known]
    starts["walk_moves"] = length[known]
    starts["walk_reaches_best"] = reach_best[known]
    starts["distance_to_best"] = distance[known]
    facts: dict[str, Any] = {
        "objective": name,
        "architectures": found.size,
        "local_optima": len(found.optima),
        "of_them_with_an_equal_neighbour": int(found.flat.sum()),
        "global_optima": int(found.best.sum()),
        "global_value": sign * float(np.nanmax(values)),
        "steepest_reaches_best": found.reach_best,
        "steepest_mean_value": float(starts["steepest_value"].mean()),
        "steepest_mean_moves": float(starts["steepest_moves"].mean()),
        "walk_reaches_best": float(starts["walk_reaches_best"].mean()),
        "walk_mean_value": float(starts["walk_value"].mean()),
        "walk_mean_moves": float(starts["walk_moves"].mean()),
        "largest_basin_share": float(optima["basin_share"].max()),
        "median_basin": float(np.median(found.basins)),
        "optima_mean_value": float(optima[name].mean()),
        "optima_mean_distance": float(optima["distance_to_best"].mean()),
        "fitness_distance_spearman": float(spearmanr(starts["distance_to_best"], sign * values[known]).statistic),
        "neighbour_correlation": neighbour_correlation(values, shape),
    }
    lines = _lines(facts, name)
    control, line = _noise_control(data, values, shape)
    summary = pd.DataFrame({"fact": [*facts, *control], "value": [*facts.values(), *control.values()]})
    return Numbers({"": optima, "starts": starts, "summary": summary}, (*lines, line), foot(data))


def _lines(facts: dict[str, Any], name: str) -> list[str]:
    return [
        f"{label(name, unit=False)}: {facts['local_optima']} local optima among {facts['architectures']} "
        f"architectures ({facts['of_them_with_an_equal_neighbour']} have an equally good neighbour); best "
        f"{facts['global_value']:.2f}, optima {facts['optima_mean_value']:.2f} on average, "
        f"{facts['optima_mean_distance']:.2f} entries from the best",
        f"steepest ascent reaches the best from {100 * facts['steepest_reaches_best']:.2f} % of all starts and "
        f"{facts['steepest_mean_value']:.2f} on average, in {facts['steepest_mean_moves']:.2f} moves; median basin "
        f"{facts['median_basin']:.0f}, largest {100 * facts['largest_basin_share']:.2f} % of the space",
        f"adaptive walks (a random better neighbour) reach the best with probability "
        f"{100 * facts['walk_reaches_best']:.2f} % and {facts['walk_mean_value']:.2f} on average, in "
        f"{facts['walk_mean_moves']:.2f} moves",
        f"correlation of neighbours {facts['neighbour_correlation']:.3f}, of value with distance to the best "
        f"{facts['fitness_distance_spearman']:.3f} (Spearman)",
    ]


def _noise_control(data: TableData, values: Any, shape: list[int]) -> tuple[dict[str, float], str]:
    """Local optima of the additive model, which has one, plus normal noise as large as what the model leaves.

    Ties make optima, so that the sum is rounded to the steps of the values.
    """
    try:
        smooth = additive_prediction(values, data.levels)
    except MissingEntryError as error:
        return {}, f"how many optima noise alone would make cannot be said: {error}"
    spread = float(np.nanstd(values - smooth))
    rng = np.random.default_rng(0)
    absent, step = np.where(np.isnan(values), np.nan, 0.0), _step(values[~np.isnan(values)])
    counts = []
    for _ in range(DRAWS):
        noisy = smooth + rng.normal(0, spread, len(smooth)) + absent
        counts.append(len(ascend(np.round(noisy / step) * step, shape).optima))
    mean, std = float(np.mean(counts)), float(np.std(counts, ddof=1))
    facts = {"unstructured_std": spread, "unstructured_optima_mean": mean, "unstructured_optima_std": std}
    return facts, (
        f"were all that is not additive unstructured noise (standard deviation {spread:.2f}), there would be "
        f"{mean:.0f} ± {std:.0f} local optima ({DRAWS} draws, seed 0)"
    )


@in_print_style
def draw(numbers: Numbers) -> Drawing:
    optima, starts = numbers.tables[""], numbers.tables["starts"]
    name = starts.columns[starts.columns.get_loc("steepest_value") - 1]
    figure, axes = panels(2, 2, width=PAGE, height=4.4)
    ax = axes[0, 0]
    bins = _bins(starts[name].to_numpy())
    ax.hist(starts[name], bins, density=True, color="0.75", label="all architectures")
    ax.hist(optima[name], bins, density=True, histtype="step", color=COLOURS[1], linewidth=1.2, label="local optima")
    ax.set(xlabel=label(name), ylabel="density")
    ax.legend(loc="upper left")
    letter(ax, f"{len(optima)} local optima")
    ax = axes[0, 1]
    ax.scatter(optima[name], optima["basin"], s=5, color=COLOURS[0], linewidths=0, alpha=0.6, rasterized=True)
    ax.set(xlabel=label(name), ylabel="basin (architectures)", yscale="log")
    for formatter in (ax.yaxis.set_major_formatter, ax.yaxis.set_minor_formatter):
        formatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "125" else "")
    letter(ax, "basins of steepest ascent")
    ax = axes[1, 0]
    groups = [optima[name][optima["distance_to_best"] == d] for d in range(int(optima["distance_to_best"].max()) + 1)]
    shown = [d for d, group in enumerate(groups) if len(group)]
    looks: dict[str, Any] = {"flierprops": {"markersize": 1.5}, "medianprops": {"color": COLOURS[1]}}
    ax.boxplot([groups[d] for d in shown], positions=shown, widths=0.6, **looks)
    ax.set_xticks(shown, [f"{d}\n({len(groups[d])})" for d in shown])
    ax.set(xlabel="entries that differ from the best (number of optima)", ylabel=label(name))
    letter(ax, "optima by distance from the best")
    ax = axes[1, 1]
    for column, text, colour in (
        (name, "start", "0.5"),
        ("walk_value", "adaptive walk, expected end", COLOURS[2]),
        ("steepest_value", "steepest ascent, end", COLOURS[0]),
    ):
        ordered = np.sort(starts[column])
        ax.plot(ordered, np.linspace(0, 100, len(ordered)), color=colour, label=text)
    ax.set(xlabel=label(name), ylabel="% of starts at or below")
    ax.legend(loc="upper left")
    letter(ax, "what is reached from every start")
    return figure


def _bins(values: FloatArray) -> FloatArray:
    """Edges of some 40 bins that are whole multiples of the values' smallest step wide."""
    step, low, high = _step(values), values.min(), values.max()
    width = step * max(1, round((high - low) / 40 / step))
    return np.arange(low - step / 2, high + width, width)


def _step(values: FloatArray) -> float:
    """The smallest difference of two values; 1 where all are alike."""
    different = np.unique(np.round(values, 9))
    return float(np.diff(different).min()) if len(different) > 1 else 1.0


FIGURE = Figure(
    "landscape",
    "local optima, basins and uphill walks of the objective",
    "its objective for at least half of the space",
    numbers,
    draw,
)
