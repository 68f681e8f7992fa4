"""Functional analysis of variance: which share of a value is additive, pairwise, or of higher order.

A function on a full factorial, every combination of levels once, has exactly one decomposition into orthogonal effects

    f(x) = m + sum_i f_i(x_i) + sum_{i<j} f_ij(x_i, x_j) + ...

in which every effect averages to zero over each of its entries.  Its variance over the factorial is the sum of the
variances of the effects.  With one orthonormal basis of polynomials per entry (constant, linear, quadratic, ..., mean
square 1 over the levels), the products of basis functions are an orthonormal basis of the whole, and the variance of
an effect is the sum of the squares of its coefficients.

On a partial table the coefficients of orders 0 to 2 are estimated by least squares on the same basis; the rest of the
variance, higher orders and noise together, is the residual mean square.  Weights are then those of the full
factorial, not of the entries there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis.figure import Figure, Numbers, foot, in_print_style, label
from experiments.analysis.seed_noise import binomial_variance, images_behind, seed_noise
from experiments.analysis.table_data import TableData
from experiments.plots.style import COLOURS, MUTED, PAGE, SMALLEST_FONT, panels
from experiments.statistics.factorial import contrasts, design
from nasbench_ar import MissingEntryError
from nasbench_ar.arrays import FloatArray

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

Effect = tuple[int, ...]
_WORST_CONDITION = 1e4  # of the Gram matrix: beyond, some effects can hardly be told apart
_ENTRIES_PER_COEFFICIENT = 2


@dataclass(frozen=True)
class Anova:
    """Variance of a function on a factorial, by effect: the entries that it joins, one or two.

    Attributes:
        gain: effect -> what independent noise of variance 1 in each value adds to its variance, on average.
        higher: variance of all higher orders (and of noise, on a partial table); `higher_gain` likewise.
        main: entry -> (levels,) effect of each level.
        linear: entry -> variance of its linear part.
        exact: whether the factorial was complete.
    """

    mean: float
    variance: dict[Effect, float]
    df: dict[Effect, int]
    gain: dict[Effect, float]
    higher: float
    higher_gain: float
    main: dict[int, FloatArray]
    linear: dict[int, float]
    exact: bool
    n: int

    @property
    def total(self) -> float:
        return sum(self.variance.values()) + self.higher

    def of_order(self, order: int) -> float:
        return sum(value for effect, value in self.variance.items() if len(effect) == order)

    @property
    def noise_room(self) -> float:
        """The largest variance of independent noise in one value: all that the higher orders hold; NaN without any."""
        return self.higher / self.higher_gain if self.higher_gain > 0 else np.nan

    def noise_share(self, noise: float, order: int) -> float:
        """What noise of this variance in each value adds to all effects of an order; order 3: all higher ones."""
        gains = [gain for effect, gain in self.gain.items() if len(effect) == order]
        return noise * (sum(gains) if order < 3 else self.higher_gain)


def decompose(values: FloatArray, levels: Sequence[Sequence[float]]) -> Anova:
    """Analyse (product,) values in lexicographic order; MissingEntryError if those known cannot tell effects apart."""
    bases = [contrasts(level) for level in levels]
    complete = not np.isnan(values).any()
    coefficients, unit, rest = _transform(values, bases) if complete else _least_squares(values, bases)
    squares = coefficients**2
    variance: dict[Effect, float] = {}
    df: dict[Effect, int] = {}
    gain: dict[Effect, float] = {}
    for order in (1, 2):
        for effect in combinations(range(len(levels)), order):
            part = _part(squares, effect)
            variance[effect], df[effect] = float(part.sum()), part.size
            gain[effect] = float(_part(unit, effect).sum())
    main = {k: bases[k][:, 1:] @ _part(coefficients, (k,)) for k in range(len(levels))}
    linear = {k: float(_part(squares, (k,))[:1].sum()) for k in range(len(levels))}
    return Anova(
        mean=float(coefficients.flat[0]),
        variance=variance,
        df=df,
        gain=gain,
        higher=rest,
        higher_gain=(len(values) - 1 - sum(df.values())) / len(values) if complete else 1.0,
        main=main,
        linear=linear,
        exact=complete,
        n=int((~np.isnan(values)).sum()),
    )


def _part(array: FloatArray, effect: Effect) -> FloatArray:
    """The coefficients that belong to exactly these entries."""
    return array[tuple(slice(1, None) if k in effect else 0 for k in range(array.ndim))]


def _transform(values: FloatArray, bases: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray, float]:
    """Coefficients, their variances under noise of variance 1 in each value, and the variance of orders above 2."""
    out = values.reshape([len(basis) for basis in bases])
    for axis, basis in enumerate(bases):
        out = np.moveaxis(np.tensordot(basis.T / len(basis), out, axes=(1, axis)), 0, axis)
    order = np.sum(np.meshgrid(*[np.arange(len(basis)) > 0 for basis in bases], indexing="ij"), axis=0)
    return out, np.full(out.shape, 1 / values.size), float((out[order > 2] ** 2).sum())


def _least_squares(values: FloatArray, bases: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray, float]:
    known = np.flatnonzero(~np.isnan(values))
    x, degrees = design(known, bases)
    n, columns = x.shape
    needed = _ENTRIES_PER_COEFFICIENT * columns
    if n < needed:
        raise MissingEntryError(
            f"{n} of {len(values)} values are too few for {columns} coefficients of main effects and pairs; "
            f"at least {needed} are needed"
        )
    gram = x.T @ x / n
    if np.linalg.cond(gram) > _WORST_CONDITION:
        raise MissingEntryError(
            f"the {n} of {len(values)} values leave whole combinations of levels out, so that main effects and "
            "pairs cannot be told apart"
        )
    solution = np.linalg.solve(gram, x.T @ values[known] / n)
    residual = values[known] - x @ solution
    coefficients, unit = np.zeros((2, *(len(basis) for basis in bases)))
    for degree, value, variance in zip(degrees, solution, np.diag(np.linalg.inv(gram)) / n, strict=True):
        coefficients[degree], unit[degree] = value, variance
    return coefficients, unit, float(residual @ residual / (n - columns))


def additive_prediction(values: FloatArray, levels: Sequence[Sequence[float]]) -> FloatArray:
    """(product,) values of the mean and the main effects alone, everywhere on the factorial."""
    found = decompose(values, levels)
    shape = [len(level) for level in levels]
    out = np.full(shape, found.mean)
    for k, effect in found.main.items():
        out = out + effect.reshape([-1 if axis == k else 1 for axis in range(len(shape))])
    return out.ravel()


_HATCH: dict[str, Any] = {"fill": False, "edgecolor": "0.4", "linewidth": 0}


def measured(data: TableData) -> list[str]:
    shown = [data.oracle.table.default_objective, *data.shown_accuracies(least=1)]
    shown += [m.name for m in data.metrics(split="test") if m.name.endswith(("_stable", "_lip"))]
    return [name for name in dict.fromkeys(shown) if data.has(name)]


def noise_variance(data: TableData, name: str) -> tuple[float, str]:
    """Variance of the noise in one architecture's value, and its source; NaN where unknown.

    With repeated trainings: their variance within an architecture over their harmonic mean number.  Otherwise, for an
    accuracy: binomial, by the number of evaluation images that the user gave or that the steps of the values show.
    """
    table = data.oracle.table
    rows = np.asarray(table.scalar(name))
    kept = data.kept[table.arch_index] & ~np.isnan(rows)
    try:
        found = seed_noise(table.arch_index[kept], table.seeds[kept], rows[kept])
    except MissingEntryError:
        pass
    else:
        trainings = np.bincount(table.arch_index[kept])
        return found.within**2 * float((1 / trainings[trainings > 0]).mean()), "seeds"
    metric = data.oracle.metric(name)
    images = data.images.get(metric.split) or (images_behind(rows[kept]) if metric.unit == "%" else None)
    if metric.unit != "%" or metric.split not in ("val", "test") or images is None:
        return float("nan"), "unknown"
    return binomial_variance(rows[kept], images), f"binomial, {images} images"


def numbers(data: TableData) -> Numbers:
    import pandas as pd

    totals: list[dict[str, Any]] = []
    effects: list[dict[str, Any]] = []
    main: list[dict[str, Any]] = []
    lines, reasons = [], []
    for name in measured(data):
        if not data.varies(name):
            continue
        try:
            found = decompose(data.column(name), data.levels)
        except MissingEntryError as error:
            reasons.append(f"{label(name, unit=False)}: {error}")
            continue
        noise, source = noise_variance(data, name)
        most = float(np.fmin(noise, found.noise_room))
        totals.append(_total(name, found, noise, most) | {"noise_source": source})
        for effect, variance in found.variance.items():
            title = " x ".join(data.entries[k] for k in effect)
            key = {"metric": name, "effect": title, "order": len(effect), "df": found.df[effect]}
            shares = {"share": variance / found.total, "noise_at_most": most * found.gain[effect] / found.total}
            effects.append(key | {"variance": variance} | shares)
        for k, effect_of in found.main.items():
            linear = found.linear[k] / found.variance[k,] if found.variance[k,] else np.nan
            key = {"metric": name, "entry": data.entries[k], "linear_share": linear}
            main += [key | {"level": v, "effect": e} for v, e in zip(data.levels[k], effect_of, strict=True)]
        lines += _lines(name, found, totals[-1], data.entries)
    if not totals:
        raise MissingEntryError(reasons[0] if reasons else "no metric varies")
    tables = {"": pd.DataFrame(totals), "effects": pd.DataFrame(effects), "main": pd.DataFrame(main)}
    return Numbers(tables, (*lines, *(f"left out, {reason}" for reason in reasons)), foot(data))


def _total(name: str, found: Anova, noise: float, most: float) -> dict[str, Any]:
    """Independent noise falls on all orders by degrees of freedom, so the higher orders bound it."""
    total = found.total
    out = {"metric": name, "n": found.n, "method": "exact" if found.exact else "least squares", "std": np.sqrt(total)}
    out |= {"additive": found.of_order(1) / total, "pairwise": found.of_order(2) / total}
    out |= {"higher": found.higher / total, "noise": noise / total, "noise_at_most": most / total}
    for order, title in ((1, "additive"), (2, "pairwise"), (3, "higher")):
        out[f"noise_at_most_in_{title}"] = found.noise_share(most, order) / total
    return out


def _lines(name: str, found: Anova, total: dict[str, Any], entries: tuple[str, ...]) -> list[str]:
    percent = {key: f"{100 * value:.1f} %" for key, value in total.items() if isinstance(value, float)}
    how = "exact" if found.exact else f"least squares on {found.n} values"
    noise = "noise of unknown size"
    if not np.isnan(total["noise_at_most"]):
        noise += f", at most {percent['noise_at_most']}"
    if total["noise_source"] != "unknown":
        noise = f"noise ({total['noise_source']}) would be {percent['noise']}"
        if total["noise"] > total["noise_at_most"]:
            noise += (
                f" if it were independent between architectures; no more than {percent['noise_at_most']} can be, "
                "the rest must be common to them"
            )
    ordered = sorted(found.variance.items(), key=lambda item: -item[1])
    largest = [
        f"{' x '.join(entries[k] for k in effect)} {100 * variance / found.total:.1f} %"
        for order, count in ((1, len(entries)), (2, 3))
        for effect, variance in [item for item in ordered if len(item[0]) == order][:count]
    ]
    shown, by_noise = label(name, unit=False), ""
    if not np.isnan(total["noise_at_most_in_pairwise"]):
        by_noise = f" (of which noise can make {100 * total['noise_at_most_in_pairwise']:.1f})"
    return [
        f"{shown} ({how}; standard deviation {total['std']:.3f}): additive {percent['additive']}, pairwise "
        f"{percent['pairwise']}{by_noise}, higher orders and noise {percent['higher']}; {noise}",
        f"{shown}, effects: {', '.join(largest)}",
    ]


@in_print_style
def draw(numbers: Numbers) -> Drawing:
    totals, effects, main = (numbers.tables[part] for part in ("", "effects", "main"))
    figure, axes = panels(1, 3, width=PAGE, height=2.5 + 0.12 * len(totals), width_ratios=[1.5, 1.1, 1.1])
    _draw_shares(axes[0, 0], totals)
    name = totals["metric"].iloc[0]
    _draw_main(axes[0, 1], main[main["metric"] == name])
    axes[0, 1].set_title(f"main effects,\n{label(name)}", loc="left")
    _draw_pairs(axes[0, 2], effects[effects["metric"] == name])
    axes[0, 2].set_title("main effects and pairs,\n% of variance", loc="left")
    return figure


def _draw_shares(ax: Axes, totals: pd.DataFrame) -> None:
    y = np.arange(len(totals))
    left = np.zeros(len(totals))
    for title, text, colour in (
        ("additive", "additive", COLOURS[0]),
        ("pairwise", "pairwise", COLOURS[4]),
        ("higher", "higher and noise", "0.8"),
    ):
        ax.barh(y, 100 * totals[title], left=left, color=colour, height=0.7, label=text)
        left = left + 100 * totals[title].to_numpy()
    known = (totals["noise_source"] != "unknown").to_numpy()
    if known.any():
        most = 100 * totals["noise_at_most_in_higher"][known]
        ax.barh(y[known], most, left=100 - most, height=0.7, hatch="////", label="noise, at most", **_HATCH)
    ax.set_yticks(y, [label(name, unit=False) for name in totals["metric"]])
    ax.invert_yaxis()
    ax.set_xlim(0, 100)
    ax.set_xlabel("% of variance")
    ax.grid(visible=False, axis="y")
    ax.legend(loc="lower center", bbox_to_anchor=(0.3, 1.0), ncols=2)


def _draw_main(ax: Axes, main: pd.DataFrame) -> None:
    for entry, of_entry in main.groupby("entry", sort=False):
        stage = int(str(entry)[1:]) - 1
        style, marker = ("-", "o") if str(entry).startswith("D") else ("--", "s")
        ax.plot(
            range(len(of_entry)),
            of_entry["effect"],
            style,
            marker=marker,
            markersize=3,
            color=COLOURS[stage % len(COLOURS)],
            label=str(entry),
        )
    ax.axhline(0, color=MUTED, linewidth=0.6)
    ax.set_xticks(range(main.groupby("entry").size().max()))
    ax.set_xlabel("level, from the smallest")
    ax.set_ylim(top=1.6 * ax.get_ylim()[1])
    ax.legend(ncols=3, loc="upper left", columnspacing=0.8)


def _draw_pairs(ax: Axes, effects: pd.DataFrame) -> None:
    entries = list(effects[effects["order"] == 1]["effect"])
    shares = effects.set_index("effect")["share"]
    values = np.full((len(entries), len(entries)), np.nan)
    for i, j in combinations(range(len(entries)), 2):
        values[j, i] = 100 * shares[f"{entries[i]} x {entries[j]}"]
    ax.imshow(values, cmap="Blues", vmin=0)
    top = np.nanmax(values)
    for i in range(len(entries)):
        for j in range(i + 1):
            value = 100 * shares[entries[i]] if i == j else values[i, j]
            text = f"{value:.1f}" if value < 9.95 else f"{value:.0f}"
            shade = "white" if i != j and value > 0.6 * top else "black"
            weight = "bold" if i == j else "normal"
            ax.text(j, i, text, ha="center", va="center", fontsize=SMALLEST_FONT, color=shade, fontweight=weight)
    ax.set_xticks(range(len(entries)), entries)
    ax.set_yticks(range(len(entries)), entries)
    ax.tick_params(length=0)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)


FIGURE = Figure(
    "anova", "functional analysis of variance", "an accuracy of a whole factorial, or of most of it", numbers, draw
)
