"""What finitely many images do to measured accuracies: ties, ranks and regret."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.races.noise import IMAGES, accuracies, redraw, standard_error, tied_with_best
from experiments.results.incumbents import expected_best_of_n
from experiments.statistics.ranks import kendall
from experiments.tables import as_markdown, definitions, number, short_label
from nasbench_ar import Architecture, MetricError, Oracle
from nasbench_ar.arrays import FloatArray


@dataclass(frozen=True)
class Resampling:
    """What happens when the validation images are drawn anew.

    Attributes:
        same_winner: share of draws in which the table's optimum is best again.
        winners: different architectures that were best in some draw.
        mean_regret: by how many points the drawn winner's true value is behind the best, the mean.
    """

    draws: int
    same_winner: float
    winners: int
    mean_regret: float


def resample(
    percent: FloatArray, *, images: int = IMAGES, draws: int = 1000, seed: int = 0, maximize: bool = True
) -> Resampling:
    """Draw every accuracy anew, Binomial(images, rate), and see who wins; ties go to the first."""
    rng = np.random.default_rng(seed)
    sign = 1.0 if maximize else -1.0
    winners = np.array([(sign * redraw(percent, images, rng)).argmax() for _ in range(draws)])
    regret = (sign * percent).max() - sign * percent[winners]
    return Resampling(
        draws=draws,
        same_winner=float((regret == 0).mean()),
        winners=len(np.unique(winners)),
        mean_regret=float(regret.mean()),
    )


def selection_regret(oracle: Oracle, chooser: str, judge: str) -> tuple[Architecture, float, float]:
    """The best by `chooser` of the architectures with both, its value by `judge`, and how far that is from the best."""
    choose, values = oracle.column(chooser), oracle.column(judge)
    both = np.flatnonzero(~np.isnan(choose) & ~np.isnan(values))
    chosen = both[(choose[both] if oracle.metric(chooser).maximize else -choose[both]).argmax()]
    best = values[both].max() if oracle.metric(judge).maximize else values[both].min()
    return oracle.space.from_index(int(chosen)), float(values[chosen]), float(abs(best - values[chosen]))


def report(oracle: Oracle, objective: str, images: int, draws: int = 1000) -> str:
    if objective not in (vals := accuracies(oracle, "val")):
        raise MetricError(
            f"{objective} is no validation accuracy of table {oracle.name}; it has {', '.join(vals) or 'none'}"
        )
    column = oracle.column(objective)
    known = column[~np.isnan(column)]
    best, value = oracle.optimum(objective)
    maximize = bool(oracle.metric(objective).maximize)
    tied = int(tied_with_best(known, images, maximize=maximize).sum())
    drawn = resample(known, images=images, draws=draws, maximize=maximize)
    curve = expected_best_of_n(known, min(500, len(known)), maximize=maximize)
    below = "below" if maximize else "above"
    budgets = [n for n in (1, 10, 50, 100, 200, 500) if n <= len(curve)]
    tests = accuracies(oracle, "test")
    parts = [
        f"What the validation noise does: {objective}, {images} images",
        f"Table {oracle.name}: {oracle.title}",
        f"Optimum {best} at {value:.2f} %, standard error {float(standard_error(value, images)):.2f} points. "
        f"{tied} of {len(known)} architectures are not significantly {below} it (one-sided 5 %, unpaired z-test). "
        f"With the validation images drawn anew ({drawn.draws} draws) it would be best again in "
        f"{100 * drawn.same_winner:.1f} % of cases; {drawn.winners} architectures won at least once, "
        f"{drawn.mean_regret:.2f} points {below} it on average.",
        "Best of n by random search, exact expectation:",
        as_markdown(("n", *map(str, budgets)), [("expected best", *(number(curve[n - 1]) for n in budgets))]),
    ]
    if tests:
        regrets = []
        for judge in tests:
            chosen, reached, regret = selection_regret(oracle, objective, judge)
            regrets.append(
                (
                    short_label(oracle, judge),
                    str(chosen),
                    number(reached),
                    number(oracle.optimum(judge)[1]),
                    number(regret),
                )
            )
        header = ("Test metric", "Chosen by validation", "Value", "Table's best", "Regret")
        parts += [
            "Selection regret (among the architectures that have both values):",
            as_markdown(header, regrets),
            "Kendall's tau-b, validation against test:",
            as_markdown(
                ("", *(short_label(oracle, t) for t in tests)),
                [
                    (short_label(oracle, v), *(number(kendall(oracle.column(v), oracle.column(t))[0]) for t in tests))
                    for v in vals
                ],
            ),
        ]
        if daggers := definitions(oracle, (*vals, *tests)):
            parts.append(f"{daggers}.")
    return "\n\n".join(part.rstrip() for part in parts) + "\n"
