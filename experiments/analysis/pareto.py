"""Pareto ranks of accuracy against cost, and principal components of who is best (NARes, section 4).

The paper sorts by (test PGD20 up, MACs down), calls ranks below 16 best, and those of the inverted problem worst.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from experiments.analysis.figure import Figure, Numbers, architectures, foot, in_print_style, label
from experiments.analysis.table_data import TableData
from experiments.plots.style import COLOURS, MUTED, PAGE, dots, letter, panels, scaled
from experiments.results.published import LOADINGS
from nasbench_ar.arrays import FloatArray
from nasbench_ar.pareto import non_dominated_ranks
from nasbench_ar.space import NARES

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

RANKS = 16


def pareto_ranks(gain: FloatArray, cost: FloatArray) -> NDArray[np.int64]:
    """(n,) ranks of non-dominated sorting, 0 the front; equal points share a rank."""
    return non_dominated_ranks(np.stack([-cost, gain], axis=1))


@dataclass(frozen=True)
class Components:
    """Loadings (components, entries) of length 1, shares of the variance (components,), scores (n, components)."""

    loadings: FloatArray
    explained: FloatArray
    scores: FloatArray


def principal_components(vectors: NDArray[Any], count: int = 2, *, reference: FloatArray | None = None) -> Components:
    """PCA of (n, entries) vectors, centred and not scaled.

    The sign of a component is free: the first follows `reference` where one is given; others have a positive sum.
    """
    centred = np.asarray(vectors, dtype=np.float64)
    centred = centred - centred.mean(axis=0)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    loadings = axes[:count]
    directions = np.ones_like(loadings)
    if reference is not None:
        directions[0] = reference
    loadings = loadings * np.where((loadings * directions).sum(axis=1) < 0, -1.0, 1.0)[:, None]
    return Components(
        loadings=loadings,
        explained=singular[:count] ** 2 / (singular**2).sum(),
        scores=centred @ loadings.T,
    )


def cosine(first: FloatArray, second: FloatArray) -> float:
    return float(first @ second / np.sqrt((first @ first) * (second @ second)))


_LEAST = 4
_ALIKE = 1e-9  # shares of the variance; where the first two are, the axes are arbitrary


def numbers(data: TableData) -> Numbers:
    import pandas as pd
    from scipy.stats import spearmanr

    name = data.robust_accuracy()
    known = data.known(name)
    accuracy, macs = data.column(name)[known], data.column("macs")[known]
    points = architectures(data, known, "macs", name)
    ranks = {"best": pareto_ranks(accuracy, macs), "worst": pareto_ranks(-accuracy, -macs)}
    printed = LOADINGS if data.oracle.space == NARES else {}
    rows: list[dict[str, Any]] = []
    lines = []
    for title, rank in ranks.items():
        points[f"rank_{title}"] = rank
        chosen = rank < RANKS
        reference = np.array(printed[title]) if title in printed else None
        vectors = data.vectors[known][chosen]
        if len(vectors) < _LEAST or not vectors.std():
            continue
        found = principal_components(vectors, 2, reference=reference)
        if found.explained[0] - found.explained[-1] < _ALIKE:
            lines.append(f"{title} set: no component, since all directions vary alike")
            continue
        for k in range(2):
            points.loc[chosen, f"{title}_pc{k + 1}"] = found.scores[:, k]
            rho = float(spearmanr(found.scores[:, k], accuracy[chosen]).statistic)
            row: dict[str, Any] = {"set": title, "component": k + 1, "architectures": int(chosen.sum())}
            row |= {"explained": found.explained[k], "spearman_accuracy": rho}
            row |= dict(zip(data.entries, found.loadings[k], strict=True))
            if k == 0 and reference is not None:
                row |= {f"published_{entry}": value for entry, value in zip(data.entries, reference, strict=True)}
                row["cosine_published"] = cosine(found.loadings[0], reference)
                row["cosine_equal"] = cosine(np.ones(len(reference)), reference)
            rows.append(row)
            loadings = ", ".join(f"{value:.3f}" for value in found.loadings[k])
            beside = ""
            if "cosine_published" in row:
                beside = f"; cosine with the published one {row['cosine_published']:.3f}, equal loadings have "
                beside += f"{row['cosine_equal']:.3f}"
            lines.append(
                f"{title} set ({int(chosen.sum())} architectures of rank below {RANKS}), component {k + 1}: "
                f"[{loadings}], {100 * found.explained[k]:.1f} % of the variance, Spearman with "
                f"{label(name, unit=False)} {rho:.2f}{beside}"
            )
    front = points[points["rank_best"] == 0]
    lines.insert(0, f"{len(front)} architectures on the Pareto front by ({label(name, unit=False)} up, MACs down)")
    both = int(((ranks["best"] < RANKS) & (ranks["worst"] < RANKS)).sum())
    if both:
        lines.append(f"{both} architectures are in both sets: the table is small for {RANKS} ranks from either side")
    return Numbers({"": points, "components": pd.DataFrame(rows)}, tuple(lines), foot(data))


@in_print_style
def draw(numbers: Numbers) -> Drawing:
    points, components = numbers.tables[""], numbers.tables["components"]
    name = points.columns[points.columns.get_loc("macs") + 1]
    figure, axes = panels(2, 2, width=PAGE, height=5.0)
    ax = axes[0, 0]
    unit, axis = scaled(points["macs"].to_numpy(), "MACs")
    ax.scatter(points["macs"] / unit, points[name], **(dots(len(points)) | {"color": "0.6"}))
    for title, colour in (("best", COLOURS[0]), ("worst", COLOURS[1])):
        chosen = points[points[f"rank_{title}"] < RANKS]
        ax.scatter(
            chosen["macs"] / unit, chosen[name], s=3, color=colour, linewidths=0, label=f"{title}, rank < {RANKS}"
        )
    front = points[points["rank_best"] == 0].sort_values("macs")
    ax.step(front["macs"] / unit, front[name], where="post", color="black", linewidth=0.8, label="front")
    ax.set_xlabel(axis)
    ax.set_ylabel(label(name))
    ax.legend(loc="lower right", markerscale=2)
    letter(ax, "sets")
    for ax, title in ((axes[0, 1], "best"), (axes[1, 0], "worst")):
        of_set = components[components["set"] == title]
        letter(ax, f"{title} set, principal components")
        if not len(of_set):
            ax.text(0.5, 0.5, "too few architectures", ha="center", transform=ax.transAxes, color=MUTED)
            continue
        chosen = points[points[f"rank_{title}"] < RANKS]
        shown = ax.scatter(
            chosen[f"{title}_pc1"], chosen[f"{title}_pc2"], c=chosen[name], s=5, linewidths=0, cmap="viridis"
        )
        figure.colorbar(shown, ax=ax, label=label(name))
        for k, setter in ((0, ax.set_xlabel), (1, ax.set_ylabel)):
            row = of_set.iloc[k]
            setter(f"component {k + 1} ({100 * row['explained']:.0f} %), ρ = {row['spearman_accuracy']:.2f}")
    _loadings(axes[1, 1], components)
    return figure


def _loadings(ax: Any, components: Any) -> None:
    first = components[components["component"] == 1]
    entries = [column for column in first.columns if column[0] in "DW" and column[1:].isdigit()]
    x = np.arange(len(entries))
    for k, (title, colour) in enumerate((("best", COLOURS[0]), ("worst", COLOURS[1]))):
        row = first[first["set"] == title]
        if not len(row):
            continue
        ax.bar(x + 0.4 * k - 0.2, row[entries].iloc[0], width=0.36, color=colour, label=f"{title}, this table")
        printed = [f"published_{entry}" for entry in entries]
        if set(printed) <= set(first.columns):
            ax.plot(
                x + 0.4 * k - 0.2,
                row[printed].iloc[0],
                "D",
                color="black",
                markersize=3,
                mfc="white",
                label="published",
            )
    ax.set_xticks(x, entries)
    ax.set_ylabel("loading")
    letter(ax, "first component")
    handles, labels = ax.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    ax.set_ylim(top=1.35 * ax.get_ylim()[1])
    ax.legend(once.values(), once.keys(), loc="upper left", ncols=2)


FIGURE = Figure(
    "7", "Pareto ranks and their principal components", "an accuracy under attack of ten architectures", numbers, draw
)
