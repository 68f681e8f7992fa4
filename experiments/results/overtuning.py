"""Whether more search hurts: the incumbent's regret by what the search sees, and by a test metric, query by query.

The words are those of Schneider, Bischl and Feurer, "Overtuning in Hyperparameter Optimization" (AutoML 2025,
arXiv 2506.19540), definitions 3.1 and 3.2.  With v_t the test value of the incumbent after t queries, higher better,

    test regret           the table's best test value - v_t       (their oracle test regret)
    overtuning            max(v_1, ..., v_t) - v_t                 over incumbents, not over all that was queried
    relative overtuning   overtuning / (max(v_1, ..., v_t) - v_1)  what share of the gain was lost again

Values are the table's, whatever noise the search saw.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.results.baselines import Baseline, no_search, random_search_laws
from experiments.results.read import SHARED, Stored, read_all, reported_after
from experiments.results.standings import Course, course
from experiments.statistics.intervals import Spread, binomial_band, spread
from nasbench_ar import ConfigError, MetricError, Oracle, ResultsError
from nasbench_ar.arrays import FloatArray

DEFAULT_METRIC = "test_pgd_acc"
LEAST_SHARE = 0.5  # of the runs that must have a test value for a mean to count
ALIKE = 1e-9  # runs whose standard deviation is below it: copies of one run, as of `largest`, are no sample
LEAST_GAIN = 0.001  # of test metrics on the scale from 0 to 1, for relative overtuning (the paper's section 5)


@dataclass(frozen=True)
class Turn:
    """The query after which more search hurt on average, if any.

    Every other run takes part in choosing the query of the best mean test value; the rest measure what is lost from
    there to the end.  Measured on the runs that chose it, the best of many means loses in pure noise too.

    Attributes:
        query: None where too few runs have a test value.
        loss: of test value, over the measuring runs with a value of both; no interval where all runs are alike.
    """

    query: int | None
    loss: Spread

    @property
    def harm(self) -> bool:
        return self.loss.interval[0] > 0


@dataclass(frozen=True)
class Ledger:
    """One searcher's runs.

    Attributes:
        ends: (runs,) index of the last incumbents.
        validation: regret by the objective.
        test: regret by the test metric; NaN where the table has no value.
        overtuning: (runs, queries), over the incumbents that have a test value; NaN where the last has none.
        worse: (queries,) share of the runs with overtuning, of those that have a test value; NaN for none.
        worse_band: (queries, 2) its exact 95 % interval; NaN where all runs are copies of one.
        relative: (runs,) in the end; NaN where test values are missing, or the gain is too small to divide by.
    """

    name: str
    ends: NDArray[np.int32]
    validation: Course
    test: Course
    overtuning: FloatArray
    worse: FloatArray
    worse_band: FloatArray
    relative: FloatArray
    turn: Turn

    @property
    def counts(self) -> NDArray[np.bool_]:
        """(queries,) whether enough runs have a test value."""
        return self.test.known >= LEAST_SHARE * len(self.test.seeds)


@dataclass(frozen=True)
class Ledgers:
    """Everything that is written and drawn.

    Attributes:
        optimum: best test value of the table, within the limits.
        random: (queries,) exact mean regrets of random search, validation and test; None under noise.
        largest: name of what needs no search, and its mean regrets, validation and test.
    """

    oracle: Oracle
    objective: str
    metric: str
    queries: int
    optimum: float
    ledgers: tuple[Ledger, ...]
    random: tuple[FloatArray, FloatArray] | None
    largest: tuple[str, float, float]
    notes: tuple[str, ...]


def overtuning(folders: Sequence[str | os.PathLike[str]], metric: str = DEFAULT_METRIC) -> Ledgers:
    """The ledgers of the stored runs of several result folders; `metric` is a test metric that did not guide them."""
    paths = [Path(folder) for folder in folders]
    if not paths:
        raise ConfigError("expected result folders, <out>/<table>/<searcher>; --help has an example")
    stored = read_all(paths, (*SHARED, "queries"))
    race, oracle = stored[0].race, stored[0].oracle
    _check(stored[0], metric)
    members = race.members(oracle)
    columns = [oracle.column(name, seed=race.table_seed) for name in (race.objective, metric)]
    signs = [1.0 if oracle.metric(name).maximize else -1.0 for name in (race.objective, metric)]
    if np.isnan(columns[1][members]).all():
        raise MetricError(f"table {oracle.name} has no value of {metric} for what may be queried; give another metric=")
    best = [float(sign * np.nanmax(sign * column[members])) for sign, column in zip(signs, columns, strict=True)]
    ledgers = []
    for one in stored:
        found = reported_after(one.runs, race.queries)
        seen, tested = (course(one.name, one.runs.seeds, c[found], b) for c, b in zip(columns, best, strict=True))
        ledgers.append(ledger(found[:, -1], seen, tested, maximize=signs[1] > 0, unit=oracle.metric(metric).unit))
    random = None
    if race.noise == "none":
        laws = random_search_laws(columns[0], members, race.queries, maximize=signs[0] > 0)
        means = np.array([[law.spread(column).mean for column in columns] for law in laws])
        means = np.pad(means, ((0, race.queries - len(means)), (0, 0)), mode="edge")
        random = np.abs(means[:, 0] - best[0]), np.abs(means[:, 1] - best[1])
    baseline = no_search(oracle, race)
    largest = [abs(baseline.spread(column).mean - b) for column, b in zip(columns, best, strict=True)]
    return Ledgers(
        oracle=oracle,
        objective=race.objective,
        metric=metric,
        queries=race.queries,
        optimum=best[1],
        ledgers=tuple(ledgers),
        random=random,
        largest=(baseline.name, largest[0], largest[1]),
        notes=tuple(_notes(stored[0], ledgers, metric, columns[1], members, baseline)),
    )


def ledger(ends: NDArray[np.int32], validation: Course, test: Course, *, maximize: bool, unit: str = "") -> Ledger:
    """One searcher's numbers from the courses of its runs; `maximize` and `unit` are the test metric's."""
    value = test.values if maximize else -test.values
    best = np.fmax.accumulate(value, axis=1)
    overtuning = best - value
    worsened = (overtuning > 0).sum(axis=0)
    alike = np.array_equal(value, np.broadcast_to(value[0], value.shape), equal_nan=True)
    gain = best[:, -1] - value[:, 0]
    enough = gain >= LEAST_GAIN * (100 if unit == "%" else 1)
    relative = np.divide(overtuning[:, -1], gain, out=np.full(len(gain), np.nan), where=enough)
    return Ledger(
        name=validation.name,
        ends=ends,
        validation=validation,
        test=test,
        overtuning=overtuning,
        worse=np.divide(worsened, test.known, out=np.full(len(worsened), np.nan), where=test.known > 0),
        worse_band=np.full((len(worsened), 2), np.nan) if alike else binomial_band(worsened, test.known),
        relative=relative,
        turn=turn(value),
    )


def turn(value: FloatArray) -> Turn:
    """From (runs, queries) test values of the incumbents, higher being better; NaN where there are none."""
    nothing = Turn(None, spread(np.empty(0)))
    choosing, measuring = value[::2], value[1::2]
    known = ~np.isnan(choosing)
    enough = known.sum(axis=0) >= LEAST_SHARE * len(choosing)
    if not len(measuring) or not enough[-1]:
        return nothing
    mean = np.where(known, choosing, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    query = int(np.argmax(np.where(enough, mean, -np.inf)))
    loss = spread(measuring[:, query] - measuring[:, -1])
    if loss.known < max(1, LEAST_SHARE * len(measuring)):
        return nothing
    if loss.std < ALIKE:
        loss = Spread(loss.known, loss.mean, loss.std, (np.nan, np.nan))
    return Turn(query + 1, loss)


def _check(stored: Stored, metric: str) -> None:
    race, oracle = stored.race, stored.oracle
    if len(race.objectives) > 1:
        raise ResultsError(
            f"{stored.folder}: searched with the objectives {race.objective}, where no single architecture is the "
            "incumbent; give runs with one objective"
        )
    if measured := ", ".join(str(limit) for limit in oracle.limits(race.constraints) if not limit.known_cost):
        raise ResultsError(f"{stored.folder}: limited by {measured}, which only a query tells; give runs without it")
    fitting = [m for m in oracle.metrics if oracle.metric(m).split == "test" and oracle.metric(m).maximize is not None]
    if race.objective in fitting:
        raise ResultsError(
            f"{stored.folder}: {race.objective}, which guided the search, is a test metric itself; "
            "give runs guided by another one"
        )
    if metric not in fitting:
        raise MetricError(
            f"metric={metric}: expected a test metric of table {oracle.name}: {', '.join(fitting) or 'it has none'}"
        )


def _notes(
    stored: Stored,
    ledgers: Sequence[Ledger],
    metric: str,
    column: FloatArray,
    members: NDArray[np.int32],
    baseline: Baseline,
) -> list[str]:
    notes, tested = list[str](), column[members]
    if stored.race.noise != "none":
        notes.append(
            f"The searchers saw draws on {stored.race.images} images (noise={stored.race.noise}); regrets are of the "
            "table's values, and the mean of random search is not known exactly."
        )
    if missing := int(np.isnan(tested).sum()):
        counts = ", ".join(
            f"{one.name} {int((len(one.test.seeds) - one.test.known).max())} and "
            f"{len(one.test.seeds) - one.test.known[-1]} of {len(one.test.seeds)}"
            for one in ledgers
        )
        notes.append(
            f"The table has no test value for {missing:,} of {len(tested):,} architectures. Runs without one, at most "
            f"and in the end: {counts}. Means are over the others, and are left out where fewer than half have one."
        )
    if (known := baseline.spread(column).known) < baseline.candidates:
        notes.append(f"{baseline.name.capitalize()}: {known} of {baseline.candidates} have a test value.")
    counts = ", ".join(f"{one.name} {len(np.unique(one.ends))}" for one in ledgers)
    notes.append(
        f"Networks that the runs end on: {counts}. An error of a network's test value is common to all runs that end "
        "on it, and no interval over runs knows of it."
    )
    if (mark := f"{metric}_agree") in stored.oracle.table.flag_names:
        agree, valued = stored.oracle.flag(mark), ~np.isnan(column)  # recoveries agree on what has no value, too
        ends = {one.name: one.ends[valued[one.ends]] for one in ledgers}
        shares = (
            ", ".join(f"{name} {100 * agree[i].mean():.0f} %" for name, i in ends.items() if len(i)) or "none has one"
        )
        notes.append(f"Runs that end with a test value on which independent recoveries agree: {shares}.")
    return notes
