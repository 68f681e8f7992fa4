"""What somebody should know who was only sent the page: its result, and what it is, in two sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from experiments.page.columns import present
from experiments.page.stored import Race
from experiments.plots.trajectories import lines_of
from experiments.results.experiment import Experiment
from experiments.tables import number, proper_name
from nasbench_ar import Metric, Oracle
from searchers import BASELINES


def headline(oracle: Oracle, races: Sequence[Race]) -> str:
    """The result: how near the best searcher comes to the best of the table, or which that is."""
    return _of_race(races[0]) if races else _of_table(oracle)


def introduction(oracle: Oracle, races: Sequence[Race]) -> str:
    """What the page is, for a reader who does not know the toolkit."""
    names = {name for race in races for name in race.names} - set(BASELINES)
    told = f"what {len(present(oracle)):,} architectures of neural networks score"
    if names:
        algorithms = "a search algorithm" if len(names) == 1 else f"{len(names)} search algorithms"
        told += f", and how near {algorithms}, trying them one by one, come to the best"
    return f"This one file says {told}. It opens without a network, and its pictures answer when they are pointed at."


def _of_table(oracle: Oracle) -> str:
    objective = oracle.table.default_objective
    best, value = oracle.optimum(objective)
    known = int(oracle.available(objective).sum())
    metric = oracle.metric(objective)
    return (
        f"The best of {known:,} architectures by {_called(metric)} is {best}, with {number(value)}{_percent(metric)}."
    )


def _of_race(race: Race) -> str:
    first = race.experiments[0]
    oracle, metric = first.oracle, first.oracle.metric(race.objective)
    sign = 1 if metric.maximize else -1
    best = max(race.parts[0], key=lambda experiment: sign * _end(experiment))
    runs = len(best.runs.seeds)
    lines = lines_of(oracle, first.race, None, race.queries)
    optimum, by_chance = lines["optimum"], lines["random_expectation"][-1]  # type: ignore[index]
    known = int(oracle.available(race.objective, seed=race.table_seed).sum())

    def behind(value: float) -> str:
        points = " points" if metric.unit == "%" else ""
        return f"{number(abs(optimum - value))}{points} {'below' if metric.maximize else 'above'}"  # type: ignore[operator]

    name, end = proper_name(best.name), _end(best)
    return (
        f"{name[0].upper()}{name[1:]} ends {behind(end)} the best of {known:,} architectures by {_called(metric)} "
        f"after {race.queries:,} queries, at {number(end)}{_percent(metric)} in the mean of {runs:,} "
        f"run{'s' if runs > 1 else ''}; random search ends {behind(by_chance)} it."
    )


def _end(experiment: Experiment) -> float:
    best = experiment.curve.best
    return float(np.nanmean(best[:, min(experiment.race.queries, best.shape[1]) - 1]))


def _percent(metric: Metric) -> str:
    return " %" if metric.unit == "%" else ""


def _called(metric: Metric) -> str:
    """Its label, without a comma that would cut the sentence."""
    name, _, rest = metric.label.partition(", ")
    return f"{name} ({rest})" if rest else name
