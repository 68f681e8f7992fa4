"""What one training of each architecture tells of the best one, under several noises of a training.

Networks share their evaluation images: what these do to all alike changes no order.  So the noise of a training is here
all that differs from training to training on the same images: the seed, and a network's own part of the evaluation.
Repeats measure it.  Without repeats it cannot be told from an architecture's own deviation, and is a range.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from experiments.analysis.measured import Measured
from experiments.plots.style import COLOURS, PAGE, letter, panels
from experiments.statistics.hierarchical import LEAST, Posterior, fit
from experiments.statistics.intervals import quantile_interval
from experiments.statistics.optimum import Optimum, optimum
from experiments.tables import as_markdown, interval, number
from nasbench_ar import ConfigError, MissingEntryError
from nasbench_ar.arrays import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)  # of the variance beside the effects
_NODES = 11  # noises that repeats leave possible
_WELL_KNOWN = 1000  # degrees of freedom, from which on they leave one: its standard deviation is known to 5 %
_LISTED = 10


@dataclass(frozen=True, eq=False)
class Setting:
    """A noise of one training that is given, or equally likely ones.

    Attributes:
        deviation: its standard deviation at the best value.
        words: where it is from.
        noises: of each, (product_size,) variances of what was measured.
    """

    deviation: float
    words: str
    noises: Sequence[FloatArray]


@dataclass(frozen=True, eq=False)
class Known:
    """What a table tells under a setting: a posterior for each noise, and how likely that noise is."""

    data: Measured
    noises: Sequence[FloatArray]
    posteriors: Sequence[Posterior]
    weights: FloatArray

    @classmethod
    def of(cls, data: Measured, setting: Setting) -> Known:
        known = data.known
        parts = [fit(data.columns[known], data.values[known], noise[known]) for noise in setting.noises]
        evidence = np.array([part.evidence for part in parts])
        weights = np.exp(evidence - evidence.max())
        return cls(data, setting.noises, parts, weights / weights.sum())

    def conditional(self, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """As `Posterior.conditional`, of the whole grid."""
        k = int(rng.choice(len(self.weights), p=self.weights))
        return self.posteriors[k].conditional(self.data.columns, self.data.values, self.noises[k], rng)

    def mean(self, name: Callable[[Posterior], FloatArray]) -> FloatArray:
        """Of something that each posterior has at its nodes, along the first axis."""
        means = [part.weights @ name(part) for part in self.posteriors]
        return np.tensordot(self.weights, means, axes=1)


def settings(data: Measured, deviation: float = 0.0, images: int = 0) -> list[Setting]:
    """One training's noise as given, else as repeats tell it, else shares of all that is beside the effects.

    `images` that each network has for itself add binomial noise to what is not from repeats.
    """
    if images and data.oracle.metric(data.metric).unit != "%":
        raise ConfigError(f"images={images}: {data.metric} is no share of images; leave images= out")
    best = data.best
    trainings = np.maximum(data.trainings, 1)
    extra = data.binomial(images) if images else np.zeros(len(trainings))

    def one(deviation: float, words: str) -> Setting:
        variance = deviation**2 + extra
        return Setting(float(np.sqrt(variance[best])), words, [variance / trainings])

    if deviation:
        return [one(deviation, "given")]
    if int(data.repeated.sum()) >= LEAST:
        from scipy.stats import chi2

        variance, freedom = data.within()
        if not variance.all():
            raise MissingEntryError(f"table {data.oracle.name}: trainings agree on {data.metric}, which has no noise")
        count = _NODES if freedom < _WELL_KNOWN else 1
        factors = freedom / chi2.ppf((np.arange(count) + 0.5) / count, freedom)
        middle = float(np.sqrt(variance[best]))
        ends = middle * np.sqrt(freedom / chi2.ppf((0.975, 0.025), freedom))
        return [Setting(middle, interval((ends[0], ends[1]), 2), [f * variance / trainings for f in factors])]
    exact = Known.of(data, Setting(0.0, "", [extra / trainings]))
    whole = float(exact.mean(lambda part: part.deviations[:, 2] ** 2))
    return [one(float(np.sqrt(share * whole)), f"{100 * share:.0f} % of the rest") for share in SHARES]


@dataclass(frozen=True, eq=False)
class Line:
    """What follows from one noise of a training."""

    setting: Setting
    known: Known
    found: Optimum
    chosen: NDArray[np.int64]

    @classmethod
    def of(cls, data: Measured, setting: Setting, seed: int) -> Line:
        known = Known.of(data, setting)
        found = optimum(known.conditional, data.columns, np.random.default_rng(seed))
        return cls(setting, known, found, found.credible_set())


def study(data: Measured, chosen: Sequence[Setting], seed: int = 0) -> list[Line]:
    return [Line.of(data, setting, seed) for setting in chosen]


def as_text(data: Measured, lines: Sequence[Line]) -> str:
    oracle, best = data.oracle, data.best
    return "\n\n".join(
        [
            f"What trainings tell of the best: {oracle.metric(data.metric).label}\nTable {oracle.name}: {oracle.title}",
            _conditions(data),
            f"Best in the table: {oracle.space.from_index(best)} at {number(data.shown[best])}.",
            tables(data, lines),
            _check(data, lines[len(lines) // 2]),
        ]
    )


def _check(data: Measured, line: Line) -> str:
    from scipy.stats import kurtosis, skew

    fitted = data.columns.all @ line.known.mean(lambda part: part.means)
    rest = (data.values - fitted)[data.known]
    return (
        f"Values beside their effects: skewness {skew(rest):.1f}, excess kurtosis {kurtosis(rest):.1f}; the model "
        "takes them for normal, with 0 and 0."
    )


def tables(data: Measured, lines: Sequence[Line]) -> str:
    """Two tables: what follows from each noise, and the likeliest architectures."""
    header = ["One training", "Main effects", "Pairs", "The rest", "Best value", "Table's best is best (%)"]
    header += ["95 % set", "Its regret", "Least regret", "`images=`"]
    return f"{as_markdown(header, [_cells(data, line) for line in lines])}\n{_likeliest(data, lines)}".strip()


def _cells(data: Measured, line: Line) -> list[str]:
    found, best = line.found, data.best
    spreads = [_with_interval(column) for column in found.spreads.T]
    chance = f"{100 * found.chances[best]:.1f} ± {100 * found.errors[best]:.1f}"
    value = float(data.shown[best])
    return [
        f"{number(line.setting.deviation)} ({line.setting.words})",
        *spreads,
        _with_interval(data.sign * found.best),
        chance,
        f"{len(line.chosen):,}",
        number(float(found.regrets[best])),
        number(float(found.regrets.min())),
        f"{value * (100 - value) / line.setting.deviation**2:,.0f}" if data.images else "–",
    ]


def _with_interval(values: FloatArray) -> str:
    return f"{number(float(values.mean()))} ({interval(quantile_interval(values, 0.95), 2)})"


def _likeliest(data: Measured, lines: Sequence[Line]) -> str:
    chances = np.stack([line.found.chances for line in lines])
    listed = np.argsort(-chances.mean(axis=0), kind="stable")[:_LISTED]
    rows = [
        [
            str(data.oracle.space.from_index(int(k))),
            number(data.shown[k]),
            *(f"{100 * chance:.1f}" for chance in chances[:, k]),
        ]
        for k in listed
    ]
    return as_markdown(["P(best), %", "in the table", *(number(line.setting.deviation) for line in lines)], rows)


def _conditions(data: Measured) -> str:
    flags = " and ".join(f"{flag} ({count:,})" for flag, count in data.left_out.items())
    known, size = int(data.known.sum()), len(data.values)
    said = [f"{known:,} of {size:,} architectures count as measured" + (f"; left out: {flags}" if flags else "")]
    if known < size:
        said.append("The others are predicted from effects, and may be the best too")
    repeated = int(data.repeated.sum())
    few = ", too few to tell the noise of one from an architecture's own deviation" if repeated < LEAST else ""
    said.append(f"{repeated:,} have several trainings{few}")
    if data.images:
        value = float(np.nanmean(data.shown))
        own = np.sqrt(value * (100 - value) / data.images)
        said.append(f"Independent draws of {data.images:,} images for each network would scatter by {own:.2f} points")
    return ". ".join(said) + "."


def draw(data: Measured, lines: Sequence[Line]) -> Drawing:
    """Size of the credible set, P(best) and expected regret of the table's best, along the noise of a training."""
    best = data.best
    x = [line.setting.deviation for line in lines]
    chance = [100 * line.found.chances[best] for line in lines]
    regrets = [[line.found.regrets[best] for line in lines], [line.found.regrets.min() for line in lines]]
    figure, axes = panels(1, 3, width=PAGE, height=2.2)
    left, middle, right = axes[0]
    left.plot(x, [len(line.chosen) for line in lines], "o-", color=COLOURS[0], markersize=3)
    left.set(ylabel="architectures", ylim=(0, None))
    letter(left, "a  95 % credible set of the best")
    middle.errorbar(x, chance, [200 * line.found.errors[best] for line in lines], fmt="o-", color=COLOURS[0], ms=3)
    middle.set(ylabel="%", ylim=(0, None))
    letter(middle, "b  P(table's best is best)")
    for values, colour, name in zip(regrets, COLOURS, ("table's best", "least expected"), strict=False):
        right.plot(x, values, "o-", color=colour, markersize=3, label=name)
    right.set(ylabel="points" if data.images else data.oracle.metric(data.metric).label, ylim=(0, None))
    right.legend(loc="lower right")
    letter(right, "c  expected regret")
    for ax in axes[0]:
        ax.set_xlabel("deviation of one training")
    return figure
