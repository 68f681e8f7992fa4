"""What a run should end with: the best it observed, or what a model of all it observed holds to be best.

A searcher's score is one measurement on finitely many images; the best of 500 such scores is among the luckiest.  The
model `fit_additive` sees all scores at once.  What it expects of an architecture that was scored y, with fit f, is

    f + w (y - f),    w = 1 - measurement variance / residual variance, at least 0

where the measurement variance is p (1 - p) / images for an accuracy p, and the residual variance is that of the core
alone (`AdditiveFit.residual_variance`), without failed trainings.

A metric that is no accuracy on a known number of images counts as exact: w is 1, and the model recommends what was
observed to be best.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.races.noise import images_behind
from experiments.races.race import Race
from experiments.races.store import Runs
from experiments.races.track import LEAST, RULES
from experiments.results.experiment import Experiment
from experiments.results.read import Stored
from experiments.results.summary import table2_metrics
from experiments.statistics.additive import fit_additive
from experiments.statistics.intervals import Spread, spread
from experiments.statistics.significance import SIGNIFICANCE, p_of_better
from experiments.tables import as_markdown, csv_text, difference_text, mean_text, short_label
from nasbench_ar import Oracle
from nasbench_ar.arrays import FloatArray
from nasbench_ar.system.threads import single_threaded


def recommended(oracle: Oracle, race: Race, runs: Runs) -> dict[str, NDArray[np.int32]]:
    """(runs,) indices that each of `RULES` recommends when the budget is spent.

    `observed` is what the searcher recommends, by default its best score; `model` the best expectation among what was
    queried; `space` the best among all that may be queried, whose expectation is the fit alone where no score is known.
    """
    sign = 1.0 if oracle.metric(race.objective).maximize else -1.0
    allowed = oracle.feasible(race.constraints, seed=race.table_seed)
    members = race.members(oracle)
    one_hot = oracle.space.one_hot(indices=members).astype(np.float64)
    place = np.full(oracle.space.product_size, -1)
    place[members] = np.arange(len(members))
    images = images_behind(oracle, race.objective, race.images if race.noise != "none" else None)
    observed = runs.incumbent[:, race.queries - 1]
    out = {rule: observed.copy() for rule in RULES}
    within = slice(race.queries)
    for row, (queried, scores) in enumerate(zip(runs.arch_index[:, within], runs.scores[:, within], strict=True)):
        seen = (queried >= 0) & allowed[queried]
        index, values = queried[seen], scores[seen].astype(np.float64)
        if len(index) < LEAST:
            continue
        at = place[index]
        expected = expectation(one_hot, at, values, images)
        out["model"][row] = index[np.argmax(sign * expected[at])]
        out["space"][row] = members[np.argmax(np.where(allowed[members], sign * expected, -np.inf))]
    return out


def expectation(one_hot: FloatArray, at: NDArray[np.int64], values: FloatArray, images: int | None) -> FloatArray:
    """(n,) what the model expects of (n, p) architectures, of which those `at` (k,) places scored (k,) values."""
    return effects_and_expectation(one_hot, at, values, images)[1]


def effects_and_expectation(
    one_hot: FloatArray, at: NDArray[np.int64], values: FloatArray, images: int | None
) -> tuple[FloatArray, FloatArray]:
    """(n,) by the additive effects alone, and with the part of each score beyond them that noise leaves."""
    with single_threaded():
        fit = fit_additive(one_hot[at], values)
        effects = fit.predict(one_hot)
    expected = effects.copy()
    expected[at] += _trust(fit.residual_variance, effects[at], images) * (values - effects[at])
    return effects, expected


def _trust(residual_variance: float, expected: FloatArray, images: int | None) -> float:
    """The weight w of what a score says beyond the fit."""
    if images is None or residual_variance == 0:
        return 1.0
    rate = np.clip(expected / 100, 0, 1)
    return max(0.0, 1 - float(np.mean(1e4 * rate * (1 - rate) / images)) / residual_variance)


@dataclass(frozen=True)
class Choice:
    """One metric of what one searcher's runs end with, under another rule than `observed`.

    Attributes:
        seeds: (runs,) int64, ascending.
        observed: (runs,) of what the searcher recommended, NaN where the table has no value; `chosen` likewise, of what
            the rule recommends.
        difference: chosen minus observed, over the runs that have both.
        p_value: of the paired Wilcoxon test; NaN where all differences are equal.
    """

    searcher: str
    metric: str
    label: str
    unit: str
    rule: str
    seeds: NDArray[np.int64]
    observed: FloatArray
    chosen: FloatArray
    difference: Spread
    p_value: float


def choices(contestants: Sequence[Experiment | Stored], metrics: Sequence[str] | None = None) -> list[Choice]:
    """Metrics of what every searcher's runs end with, under each rule; those of Table 2 by default."""
    out = []
    for one in contestants:
        found = recommended(one.oracle, one.race, one.runs)
        for name in metrics or [metric.name for metric in table2_metrics(one.oracle, one.race.objective)[0]]:
            column = one.oracle.column(name, seed=one.race.table_seed)
            observed = column[found["observed"]]
            about = name, short_label(one.oracle, name), one.oracle.metric(name).unit
            for rule in RULES[1:]:
                chosen = column[found[rule]]
                difference = spread(chosen - observed)
                alike = difference.std < 1e-9  # copies of one run, as of `largest`, are no sample
                p_value = math.nan if alike else p_of_better(chosen, observed)
                out.append(Choice(one.name, *about, rule, one.runs.seeds, observed, chosen, difference, p_value))
    return out


def table_lines(found: Sequence[Choice]) -> tuple[list[str], list[list[str]]]:
    """Header and lines: each rule and its difference by searcher, a column per metric."""
    lines = []
    for searcher in dict.fromkeys(choice.searcher for choice in found):
        own = [choice for choice in found if choice.searcher == searcher]
        row = [choice for choice in own if choice.rule == RULES[1]]
        runs = len(row[0].observed)
        lines.append([searcher, *[""] * len(row)])
        lines.append(["  observed", *(mean_text(spread(choice.observed), runs) for choice in row)])
        for rule in RULES[1:]:
            row = [choice for choice in own if choice.rule == rule]
            lines.append([f"  {rule}", *(mean_text(spread(choice.chosen), runs) for choice in row)])
            told = [
                difference_text(choice.difference, told=choice.p_value < SIGNIFICANCE, unit=choice.unit)
                for choice in row
            ]
            lines.append(["  difference", *told])
    return ["What runs end with", *dict.fromkeys(choice.label for choice in found)], lines


def as_text(found: Sequence[Choice]) -> str:
    return f"{as_markdown(*table_lines(found))}\n{LEGEND}\n"


LEGEND = (
    "observed: the architecture that the searcher recommends, by default the best it observed; model: the best by a "
    "robust additive model of all scores of the run, shrunk by the noise of the validation images; space: the best by "
    f"that model of all architectures, queried or not; with fewer than {LEAST} scores a run has no model, "
    "and every rule is observed. Mean ± standard deviation over runs; difference from observed: paired by run, with "
    f"its 95 % interval, in bold where Wilcoxon's test says p < {SIGNIFICANCE}."
)


def as_csv(found: Sequence[Choice]) -> str:
    lines: list[list[Any]] = []
    for choice in found:
        observed, chosen, gap = spread(choice.observed), spread(choice.chosen), choice.difference
        numbers = (observed.mean, observed.std, chosen.mean, chosen.std, gap.known, gap.mean, *gap.interval)
        lines.append([choice.searcher, choice.metric, choice.rule, *numbers, choice.p_value])
    return csv_text(CSV, lines)


CSV = (
    *("searcher", "metric", "rule", "observed_mean", "observed_std", "mean", "std"),
    *("pairs", "difference", "ci_low", "ci_high", "p_value"),
)
