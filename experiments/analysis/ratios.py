"""Depth-width ratios that were proposed as guides to robust networks, and how much they explain.

RobustResNet (Huang et al. 2023): r = sum(D) / (sum(D) + sum(W)).
RobustPrinciple (Peng et al. 2023): r = (C1 / D1 + C2 / D2) / 2, C being channels.

What each aims at stands in its authors' repository.  RobustResNet's README: depths to widths as 7 to 3 in sum, depths
by stage as 2 to 2 to 1, widths as 2 to 2.5 to 1.  RobustPrinciple's network for CIFAR: depths 30, 31, 10 and channels
216, 432, 864.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from experiments.analysis.figure import Figure, Numbers, architectures, foot, in_print_style, label
from experiments.analysis.table_data import TableData
from experiments.plots.style import COLOURS, PAGE, dots, panels
from nasbench_ar import MissingEntryError
from nasbench_ar.arrays import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


ROBUST_RESNET_AIM = 0.7
ROBUST_PRINCIPLE_AIM = (216 / 30 + 432 / 31) / 2  # 10.57
RULES = {  # depths and widths by stage, up to the scale of both
    "robust_resnet": ((2 * 7 / 5, 2 * 7 / 5, 1 * 7 / 5), (2 * 3 / 5.5, 2.5 * 3 / 5.5, 1 * 3 / 5.5)),
    "robust_principle": ((30.0, 31.0, 10.0), (216 / 16, 432 / 32, 864 / 64)),
}
RULE_TITLES = {"robust_resnet": "RobustResNet", "robust_principle": "RobustPrinciple"}


@dataclass(frozen=True)
class Fit:
    """A least-squares polynomial: coefficients by ascending power."""

    coefficients: tuple[float, ...]
    r2: float


def robust_resnet_ratio(vectors: NDArray[np.integer]) -> FloatArray:
    """(n,) depth's share in the sum of all entries of (n, entries) vectors D1, W1, D2, ..."""
    depth, width = vectors[:, 0::2].sum(axis=1), vectors[:, 1::2].sum(axis=1)
    return depth / (depth + width)


def robust_principle_ratio(vectors: NDArray[np.integer], unit_channels: int) -> FloatArray:
    """(n,) mean over stages 1 and 2 of channels per block; stage i has `unit_channels * 2^(i-1) * W_i`."""
    if vectors.shape[1] < 4:
        raise ValueError(f"the ratio needs two stages; the vectors have {vectors.shape[1] // 2}")
    first = unit_channels * vectors[:, 1] / vectors[:, 0]
    second = unit_channels * 2 * vectors[:, 3] / vectors[:, 2]
    return (first + second) / 2


def polynomial_fit(x: FloatArray, y: FloatArray, degree: int) -> Fit:
    fitted = np.polynomial.Polynomial.fit(x, y, degree)
    residual = y - fitted(x)
    spread = float(((y - y.mean()) ** 2).sum())
    r2 = 1 - float((residual**2).sum()) / spread if spread else 0.0
    coefficients = np.zeros(degree + 1)
    converted = fitted.convert().coef
    coefficients[: len(converted)] = converted
    return Fit(tuple(coefficients.tolist()), r2)


def _groups(x: FloatArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(n,) group of each ratio, and (groups,) their sizes; equal ratios may differ by the rounding of a division."""
    _, group, count = np.unique(np.round(x, 9), return_inverse=True, return_counts=True)
    return group, count


def explained_at_best(x: FloatArray, y: FloatArray) -> float:
    """Most that any function of x can explain of y's variance: epsilon squared between equal x, NaN without such."""
    group, count = _groups(x)
    if len(count) == len(y):
        return float("nan")
    within = float(((y - (np.bincount(group, y) / count)[group]) ** 2).sum()) / max(len(y) - len(count), 1)
    total = float(((y - y.mean()) ** 2).sum()) / max(len(y) - 1, 1)
    return max(0.0, 1 - within / total) if total else 0.0


def ranges_at_equal(x: FloatArray, y: FloatArray, least: int = 10) -> tuple[float, float, int]:
    """Median and largest range of y over the values of x that `least` points share, and the number of those values."""
    group, count = _groups(x)
    ranges = np.array([np.ptp(y[group == k]) for k in np.flatnonzero(count >= least)])
    if not len(ranges):
        return float("nan"), float("nan"), 0
    return float(np.median(ranges)), float(ranges.max()), len(ranges)


_LEAST_RATIOS = 4  # a parabola goes through three
NAMES = {
    "robust_resnet": "RobustResNet ratio ΣD / (ΣD + ΣW)",
    "robust_principle": "RobustPrinciple ratio (C1/D1 + C2/D2) / 2",
}


def numbers(data: TableData) -> Numbers:
    space = data.space
    ratios = {"robust_resnet": robust_resnet_ratio(data.vectors)}
    if space.stages > 1:
        ratios["robust_principle"] = robust_principle_ratio(data.vectors, space.unit_channels)
    import pandas as pd

    names = data.shown_accuracies()
    rows: list[dict[str, Any]] = []
    lines = []
    for ratio, every in ratios.items():
        for name in names:
            known = data.known(name)
            x, y = every[known], data.column(name)[known]
            if len(_groups(x)[1]) < _LEAST_RATIOS:
                continue
            fits = {degree: polynomial_fit(x, y, degree) for degree in (1, 2)}
            ceiling = explained_at_best(x, y)
            middle, widest, values = ranges_at_equal(x, y)
            row: dict[str, Any] = {"ratio": ratio, "metric": name, "n": len(known)}
            for degree, title in ((1, "linear"), (2, "quadratic")):
                row |= {f"{title}_c{k}": c for k, c in enumerate(fits[degree].coefficients)}
                row |= {f"{title}_r2": fits[degree].r2}
            row |= {"most_r2": ceiling, "median_range": middle, "largest_range": widest, "shared_values": values}
            rows.append(row)
            spread = (
                "" if np.isnan(middle) else f"; range at equal ratio {middle:.2f} in the median, up to {widest:.2f}"
            )
            most = "" if np.isnan(ceiling) else f", of the best function of it about {ceiling:.3f}"
            lines.append(
                f"{label(name, unit=False)} by {ratio}: R2 linear {fits[1].r2:.3f}, quadratic {fits[2].r2:.3f}"
                f"{most}{spread}"
            )
    if not rows:
        raise MissingEntryError(f"table {data.oracle.name} has fewer than {_LEAST_RATIOS} different ratios")
    anywhere = data.kept & np.any([~np.isnan(data.column(name)) for name in names], axis=0)
    points = architectures(data, np.flatnonzero(anywhere), *names)
    for ratio, every in ratios.items():
        points[ratio] = every[anywhere]
    return Numbers({"": points, "fits": pd.DataFrame(rows)}, tuple(lines), foot(data))


@in_print_style
def draw(numbers: Numbers) -> Drawing:
    points, fits = numbers.tables[""], numbers.tables["fits"]
    names, ratios = list(dict.fromkeys(fits["metric"])), list(dict.fromkeys(fits["ratio"]))
    figure, axes = panels(
        len(ratios), len(names), width=PAGE, height=0.9 + 1.6 * len(ratios), sharex="row", sharey="col"
    )
    for row, ratio in enumerate(ratios):
        for column, name in enumerate(names):
            ax = axes[row, column]
            fit = fits[(fits["ratio"] == ratio) & (fits["metric"] == name)].iloc[0]
            ax.scatter(points[ratio], points[name], **dots(len(points)))
            x = np.linspace(points[ratio].min(), points[ratio].max(), 100)
            for title, degree, colour, style in (("linear", 1, COLOURS[1], "-"), ("quadratic", 2, "black", "--")):
                y = sum(fit[f"{title}_c{k}"] * x**k for k in range(degree + 1))
                ax.plot(x, y, style, color=colour, label=f"{title}" if (row, column) == (0, 0) else None)
            shown = f"R² {fit['linear_r2']:.2f}, {fit['quadratic_r2']:.2f}"
            ax.set_title(f"{label(name)}\n{shown}" if row == 0 else shown)
        axes[row, len(names) // 2].set_xlabel(NAMES[ratio])
    figure.legend(loc="outside upper center", ncols=2)
    return figure


FIGURE = Figure("6", "accuracies against depth-width ratios", "an accuracy of ten architectures", numbers, draw)
