"""Noise of the training seed, where a table has several trainings of an architecture.

One-way random effects: value = architecture + training.  `within` is the standard deviation of trainings of one
architecture; it holds everything that differs from seed to seed, so not the evaluation images, which are the same.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from experiments.analysis.correlations import rank_correlations
from experiments.analysis.figure import Figure, Numbers, foot, in_print_style, label
from experiments.analysis.table_data import TableData
from experiments.plots.style import COLOURS, PAGE, letter, panels
from nasbench_ar import MissingEntryError
from nasbench_ar.arrays import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


@dataclass(frozen=True)
class SeedNoise:
    """Components of variance, over the architectures that have two trainings or more.

    Attributes:
        within: standard deviation between trainings of one architecture.
        between: standard deviation between architectures, noise taken out.
        intraclass: ICC(1), the architecture's share in the variance of a single training; below 0 is chance.
        spearman: mean rank correlation of two trainings, the ceiling for any predictor of another training.
        truth_pearson: sqrt(ICC), the correlation of one training with the expected value of its architecture.
    """

    architectures: int
    trainings: int
    within: float
    between: float
    intraclass: float
    spearman: float
    kendall: float
    truth_pearson: float


def seed_noise(index: NDArray[np.integer], seeds: NDArray[np.integer], values: FloatArray) -> SeedNoise:
    """From (rows,) values, NaN where missing; MissingEntryError if fewer than 3 architectures have two trainings."""
    known = ~np.isnan(values)
    index, seeds, values = index[known], seeds[known], values[known]
    present, group, count = np.unique(index, return_inverse=True, return_counts=True)
    repeated = count[group] > 1
    if (count > 1).sum() < 3:
        raise MissingEntryError(f"{int((count > 1).sum())} architectures have several trainings; at least 3 are needed")
    index, seeds, values = index[repeated], seeds[repeated], values[repeated]
    present, group, count = np.unique(index, return_inverse=True, return_counts=True)
    n, k = len(values), len(present)
    means = np.bincount(group, values) / count
    mean_square_within = float(((values - means[group]) ** 2).sum() / (n - k))
    mean_square_between = float((count * (means - values.mean()) ** 2).sum() / (k - 1))
    size = (n - (count**2).sum() / n) / (k - 1)  # the group size that unequal groups are worth
    between = (mean_square_between - mean_square_within) / size
    total = between + mean_square_within
    intraclass = between / total if total else 0.0
    rho, tau = _agreement(group, seeds, values)
    return SeedNoise(
        architectures=k,
        trainings=n,
        within=float(np.sqrt(mean_square_within)),
        between=float(np.sqrt(max(between, 0.0))),
        intraclass=float(intraclass),
        spearman=rho,
        kendall=tau,
        truth_pearson=float(np.sqrt(max(intraclass, 0.0))),
    )


def _agreement(group: NDArray[np.integer], seeds: NDArray[np.integer], values: FloatArray) -> tuple[float, float]:
    """Rank correlation of seeds, averaged over the pairs of seeds and weighted by what they share."""
    different = np.unique(seeds)
    wide = np.full((len(different), group.max() + 1), np.nan)
    wide[np.searchsorted(different, seeds), group] = values
    rho, tau, pairs = (found[np.triu_indices(len(different), 1)] for found in rank_correlations(list(wide)))
    known = ~np.isnan(rho)
    if not known.any():
        return float("nan"), float("nan")
    weights = pairs[known]
    return float(np.average(rho[known], weights=weights)), float(np.average(tau[known], weights=weights))


_MOST_IMAGES = 100_000
_LEAST_DIFFERENT = 10  # values; the steps of fewer may all be multiples of a larger one


def images_behind(percent: FloatArray) -> int | None:
    """The number of images n that shows in accuracies, multiples of 100 / n; None where they are not dense enough.

    `percent` holds single measurements, not means over seeds; NaN is skipped.
    """
    values = np.unique(np.round(percent[~np.isnan(percent)], 6))
    if len(values) < _LEAST_DIFFERENT:
        return None
    images = round(100 / float(np.diff(values).min()))
    counts = values * images / 100
    fits = 0 < images <= _MOST_IMAGES and np.abs(counts - np.round(counts)).max() < 1e-3
    return images if fits else None


def binomial_variance(percent: FloatArray, images: int) -> float:
    """Mean over the values of p (100 - p) / n, in squared points; NaN is skipped."""
    known = percent[~np.isnan(percent)]
    return float((known * (100 - known)).mean() / images)


def numbers(data: TableData) -> Numbers:
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
    import pandas as pd

    frame = pd.DataFrame({"index": index, "seed": seeds, "value": values}).dropna().sort_values(["index", "seed"])
    frame["training"] = frame.groupby("index").cumcount()
    wide = frame[frame["training"] < 2].pivot(index="index", columns="training", values="value").dropna()
    arch = [str(data.oracle.space.from_index(int(i))) for i in wide.index]
    return pd.DataFrame({"arch": arch, "first": wide[0].to_numpy(), "second": wide[1].to_numpy()})


@in_print_style
def draw(numbers: Numbers) -> Drawing:
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
