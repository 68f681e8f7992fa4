"""Trajectories and finds of stored runs, as numbers for the page's pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.page.columns import pack, present
from experiments.page.stored import Race
from experiments.plots.looks import COLOURS, looks
from experiments.plots.trajectories import lines_of
from experiments.results.baselines import RANDOM_SEARCH
from experiments.results.experiment import Experiment
from experiments.statistics.intervals import mean_band
from experiments.tables import PUBLISHED, number, objective_axis
from nasbench_ar.arrays import FloatArray

QUANTILES = (0.1, 0.5, 0.9)
SYMBOLS = {  # matplotlib's marker -> plotly's
    "o": "circle",
    "s": "square",
    "^": "triangle-up",
    "D": "diamond",
    "v": "triangle-down",
    "P": "cross",
    "X": "x",
    "*": "star",
    "<": "triangle-left",
    ">": "triangle-right",
    "d": "diamond-tall",
    "p": "pentagon",
    "h": "hexagon",
    "H": "hexagon2",
    "8": "octagon",
}
MARKS = (1, 10, 25, 50, 100, 250, 500, 1000)  # queries at which the page's table reads the curves


def bands(best: FloatArray, optimum: float) -> dict[str, FloatArray]:
    """(queries,) mean with its 95 % t interval, and median with the middle 80 %, of (runs, queries) incumbents.

    Where every run has the optimum, the mean is the optimum to the last bit: its regret is 0.
    """
    beyond = best - optimum
    mean = optimum + beyond.mean(axis=0)
    mean_low, mean_high = (optimum + edge for edge in mean_band(beyond)) if len(best) > 1 else (mean, mean)
    low, median, high = np.quantile(best, QUANTILES, axis=0)
    return {
        "mean": mean,
        "mean_low": mean_low,
        "mean_high": mean_high,
        "median": median,
        "run_low": low,
        "run_high": high,
    }


def finds(experiment: Experiment, positions: NDArray[np.int32]) -> dict[str, Any]:
    """Positions on the page (among ascending `positions`) of the reported architectures, and how many runs each."""
    found, runs = np.unique(experiment.runs.reported, return_counts=True)
    return {"at": np.searchsorted(positions, found).tolist(), "runs": runs.tolist()}


def signs(names: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "colour": COLOURS.index(look.colour),
            "dashes": list(look.dashes),
            "symbol": SYMBOLS[look.marker],
            "published": name.startswith(PUBLISHED),
        }
        for name, look in zip(names, looks(names), strict=True)
    ]


def race_data(race: Race, signs: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """What the page's scripts need of a race, as plain data for JSON; `signs` by searcher."""
    first = race.experiments[0]
    metric = first.oracle.metric(race.objective)
    curves = [e.curve for e in race.experiments]
    lines = lines_of(first.oracle, first.race, None, race.queries)
    optimum: float = lines["optimum"]  # type: ignore[assignment]
    positions = present(first.oracle)
    return {
        "objective": race.objective,
        "label": objective_axis(first.oracle, race.objective),
        "queries": race.queries,
        "maximize": bool(metric.maximize),
        "optimum": optimum,
        "random": _packed(lines["random_expectation"]),  # type: ignore[arg-type]
        "noSearch": lines.get("no_search"),
        "searchers": [
            {
                "name": experiment.name,
                "runs": len(experiment.runs.seeds),
                **signs[experiment.name],
                "finds": finds(experiment, positions),
                "bands": {name: _packed(values) for name, values in bands(curve.best, optimum).items()},
            }
            for experiment, curve in zip(race.experiments, curves, strict=True)
        ],
    }


def _packed(values: FloatArray) -> dict[str, Any]:
    return pack(np.asarray(values, dtype=np.float64), exact=True)


def curve_lines(race: Race) -> tuple[list[str], list[list[str]]]:
    """Header and lines of mean incumbents after some numbers of queries: the picture in words."""
    marks = [n for n in MARKS if n < race.queries] + [race.queries]
    first = race.experiments[0]
    means = {experiment.name: experiment.curve.best.mean(axis=0) for experiment in race.experiments}
    means[RANDOM_SEARCH] = lines_of(first.oracle, first.race, None, race.queries)["random_expectation"]
    lines = [[name, *(number(best[min(n, len(best)) - 1], 3) for n in marks)] for name, best in means.items()]
    return ["Mean incumbent after", *(f"{n} {'query' if n == 1 else 'queries'}" for n in marks)], lines
