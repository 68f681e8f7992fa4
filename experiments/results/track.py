"""What runs are worth to the judge of a track, who is told apart, and what no search needs to be worth."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.races.noise import images_behind, redraw
from experiments.races.race import Race
from experiments.races.store import Runs, RunStore
from experiments.races.track import HYPERVOLUME, OBJECTIVE, Track
from experiments.results import traces
from experiments.results.baselines import random_search, without_search
from experiments.results.fronts import Cloud, measure
from experiments.results.read import SHARED, Stored, entries_in, read_all
from experiments.results.recommendation import effects_and_expectation, recommended
from experiments.results.traces import Results, check_comparable, read_results
from experiments.statistics.intervals import Spread, spread
from experiments.statistics.significance import SIGNIFICANCE, holm, on_common_seeds, p_of_better
from experiments.tables import short_label
from nasbench_ar import MetricError, Oracle, SearchSpace
from nasbench_ar.arrays import FloatArray
from nasbench_ar.system.files import note

PREFIX = "track-"  # of its result folder, <out>/<table>/track-<name>
DRAWS = 100  # of the validation images, for the noise ceiling


@dataclass(frozen=True)
class Entrant:
    """One searcher in a track.

    Attributes:
        seeds: (runs,) int64, ascending.
        values: (runs,) the judge's value of what each run recommends; NaN where the table has none.
        known: how many runs recommend an architecture of which the judge has a value, where the others are judged by
            another; None where none is.
        early: how many runs ended early, and why the first did; empty for none.
    """

    name: str
    seeds: NDArray[np.int64]
    values: FloatArray
    early: str = ""
    known: int | None = None

    @property
    def spread(self) -> Spread:
        found = spread(self.values)
        return found if self.known is None else replace(found, known=self.known)


@dataclass(frozen=True)
class Place:
    """An entrant's rank: 1 + the number of entrants that are told apart from it and better.

    `rank` is None where the judge has no value of more than half of the runs.
    """

    entrant: Entrant
    rank: int | None
    better: tuple[str, ...]


@dataclass(frozen=True)
class Reference:
    """A value that stands beside the entrants', with its standard deviation; NaN for a value without any.

    `kind` is one of `track_text.LINES`; `share` says how often the judge has a value of what it is the mean of.
    """

    kind: str
    name: str
    mean: float
    std: float = math.nan
    share: float = 1.0


@dataclass(frozen=True)
class Outcome:
    """A track, run.

    Attributes:
        told_apart: pairs of entrants that differ significantly, of `pairs` that were compared.
    """

    track: Track
    oracle: Oracle
    objective: str
    judge: str
    maximize: bool
    places: tuple[Place, ...]
    told_apart: int
    pairs: int
    references: tuple[Reference, ...]

    @property
    def digits(self) -> int:
        """Of the judge's values, for people."""
        return 4 if self.judge == HYPERVOLUME else 2

    @property
    def heading(self) -> str:
        """Of the judge's values in a table."""
        return "Hypervolume" if self.judge == HYPERVOLUME else short_label(self.oracle, self.judge)


def judge_of(track: Track, oracle: Oracle) -> str:
    """The metric that decides, or `hypervolume`; MetricError where the table lacks it."""
    if track.judge == HYPERVOLUME:
        return HYPERVOLUME
    name = track.objective or oracle.table.default_objective if track.judge == OBJECTIVE else track.judge
    found = oracle.metric(name)
    if found.maximize is None or name not in oracle.metrics:
        what = "has no better or worse" if found.maximize is None else f"is not in table {oracle.name}"
        raise MetricError(f"track {track.name} is judged by {name}, which {what}")
    return name


def entrant(track: Track, name: str, oracle: Oracle, race: Race, runs: Runs) -> Entrant:
    """What the runs of one searcher are worth; not for multi-fidelity races."""
    judge = judge_of(track, oracle)
    if judge == HYPERVOLUME:
        cloud = Cloud.of(oracle, race.objectives, race.constraints, race.table_seed)
        within = measure(name, cloud, runs).volumes[:, : race.queries]
        return Entrant(name, runs.seeds, within[:, -1], runs.early)
    if track.recommend == "observed":
        chosen = runs.incumbent[:, race.queries - 1]
    else:
        chosen = recommended(oracle, race, runs)[track.recommend]
    column = oracle.column(judge, seed=race.table_seed)
    values = column[chosen]
    known = ~np.isnan(values)
    if known.all() or 2 * known.sum() < len(known):  # too few for a rank
        return Entrant(name, runs.seeds, values, runs.early)
    maximize = bool(oracle.metric(race.objective).maximize)
    allowed = oracle.feasible(race.constraints, seed=race.table_seed)
    best = best_judged(runs, np.where(allowed, column, np.nan), race.queries, maximize=maximize)
    return Entrant(name, runs.seeds, np.where(known, values, best), runs.early, int(known.sum()))


def best_judged(runs: Runs, column: FloatArray, queries: int, *, maximize: bool) -> FloatArray:
    """(runs,) the judge's value of the first of the best queries that have one; NaN in a run without any."""
    index, scores = runs.arch_index[:, :queries], runs.scores[:, :queries].astype(np.float64)
    values = np.where(index >= 0, column[index], np.nan)
    worth = np.where(np.isnan(values), -np.inf, scores if maximize else -scores)
    return values[np.arange(len(values)), np.argmax(worth, axis=1)]


def entrant_of_traces(track: Track, results: Results) -> Entrant:
    """What multi-fidelity runs are worth."""
    column = results.oracle.column(judge_of(track, results.oracle), seed=results.race.table_seed)
    return Entrant(results.name, results.seeds, column[results.reported])


def outcome(track: Track, oracle: Oracle, entrants: Sequence[Entrant], *, level: float = SIGNIFICANCE) -> Outcome:
    judge = judge_of(track, oracle)
    maximize = judge == HYPERVOLUME or bool(oracle.metric(judge).maximize)
    found, told_apart, pairs = places(entrants, maximize=maximize, level=level)
    objective = track.objective or oracle.table.default_objective
    beside = () if judge == HYPERVOLUME else references(track, oracle, objective, judge)
    return Outcome(track, oracle, objective, judge, maximize, tuple(found), told_apart, pairs, tuple(beside))


def outcome_of(track: Track, folder: Path) -> tuple[Outcome, list[Stored]]:
    """What all entries in a track's folder are worth; the stored runs too, unless they are multi-fidelity."""
    every = entries_in(folder)
    paths = [path for path in every if RunStore(path).stored()] or every
    if others := [path.name for path in every if path not in paths]:
        note(f"{folder}: left out, without a finished run: {', '.join(others)}")
    if track.fidelity:
        results = [read_results(path) for path in paths]
        check_comparable(results, (*traces.SHARED, "workers"))
        return outcome(track, results[0].oracle, [entrant_of_traces(track, one) for one in results]), []
    stored = read_all(paths, (*SHARED, "queries"))
    entrants = [entrant(track, one.name, one.oracle, one.race, one.runs) for one in stored]
    return outcome(track, stored[0].oracle, entrants), stored


def places(entrants: Sequence[Entrant], *, maximize: bool, level: float = SIGNIFICANCE) -> tuple[list[Place], int, int]:
    """Entrants from the best mean to the worst with their ranks, and how many pairs are told apart, of how many.

    Every pair with values of at least half of the runs is tested by Wilcoxon on equal seeds; p-values are
    Holm-adjusted over all pairs.
    """
    sign = 1.0 if maximize else -1.0
    known = [2 * one.spread.known >= len(one.values) > 0 for one in entrants]
    pairs = [(a, b) for a, b in itertools.combinations(range(len(entrants)), 2) if known[a] and known[b]]
    samples = [(one.seeds, one.values) for one in entrants]
    p_values, gaps = [], []
    for a, b in pairs:
        one, other = on_common_seeds(samples[a], samples[b])
        p_values.append(p_of_better(one, other))
        gaps.append(sign * float(np.nanmean(one - other)) if not math.isnan(p_values[-1]) else math.nan)
    better: list[list[str]] = [[] for _ in entrants]
    told_apart = 0
    for (a, b), p, gap in zip(pairs, holm(p_values), gaps, strict=True):
        if p < level:
            told_apart += 1
            winner, loser = (a, b) if gap > 0 else (b, a)
            better[loser].append(entrants[winner].name)
    out = [
        Place(one, 1 + len(names) if known[k] else None, tuple(names))
        for k, (one, names) in enumerate(zip(entrants, better, strict=True))
    ]
    out.sort(key=lambda place: (place.rank is None, -sign * place.entrant.spread.mean))
    return out, told_apart, len(pairs)


def references(track: Track, oracle: Oracle, objective: str, judge: str) -> list[Reference]:
    """What the best and what no search are worth to the judge, within the track's limits."""
    members = oracle.searchable_space(objective, constraints=track.constraint).member_indices
    column, guide = oracle.column(judge), oracle.column(objective)
    sign = 1.0 if oracle.metric(judge).maximize else -1.0
    guided = 1.0 if oracle.metric(objective).maximize else -1.0
    if np.isnan(column[members]).all():
        raise MetricError(f"track {track.name} is judged by {judge}, of which the table has no value within the limits")
    out = [Reference("best", "best possible", float(sign * np.nanmax(sign * column[members])))]
    if judge != objective:
        best = guided * guide[members] == np.max(guided * guide[members])
        found = spread(column[members[best]])  # several may tie
        out.append(Reference("guided", "best by the objective", found.mean, found.std, found.known / best.sum()))
    if judge != objective or track.noise != "none":  # otherwise searches see what decides
        anew = scored_anew(oracle, objective, members, column, track.images)
        if anew:
            rule = max(anew, key=lambda rule: (anew[rule].known > 0, sign * anew[rule].mean))
            found = anew[rule]
            out.append(Reference("ceiling", f"noise ceiling ({rule})", found.mean, found.std, found.known / DRAWS))
    drawn = "largest" if isinstance(oracle.space, SearchSpace) else "drawn"
    laws = {"only" if len(members) == 1 else drawn: without_search(oracle.space, members)}
    if not track.fidelity and track.noise == "none" and track.recommend == "observed":
        laws["random"] = random_search(guide, members, track.queries, maximize=guided > 0)
    for kind, law in laws.items():
        found = law.spread(column)
        out.append(Reference(kind, law.name, found.mean, found.std, law.share_known(column)))
    return out


def scored_anew(
    oracle: Oracle, objective: str, members: NDArray[np.int32], judged: FloatArray, images: int | None = None
) -> dict[str, Spread]:
    """What each rule chooses when every member is scored, on images drawn anew; the best one is the noise ceiling.

    The table's values are taken for the true rates. Empty where the objective is no validation accuracy on a known
    number of images.
    """
    count = images_behind(oracle, objective, images)
    if count is None:
        return {}
    rng, sign = np.random.default_rng(0), 1.0 if oracle.metric(objective).maximize else -1.0
    rates, one_hot = oracle.column(objective)[members], oracle.space.one_hot(indices=members).astype(np.float64)
    everyone = np.arange(len(members))
    chosen: dict[str, list[int]] = {"observed": [], "model": [], "effects": []}
    for _ in range(DRAWS):
        scores = redraw(rates, count, rng)
        chosen["observed"].append(members[np.argmax(sign * scores)])
        effects, expected = effects_and_expectation(one_hot, everyone, scores, count)
        chosen["model"].append(members[np.argmax(sign * expected)])
        chosen["effects"].append(members[np.argmax(sign * effects)])
    return {rule: spread(judged[indices]) for rule, indices in chosen.items()}
