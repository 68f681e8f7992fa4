"""The outcome of a track in Markdown and CSV."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from experiments.races.track import HYPERVOLUME, RULES
from experiments.results.recommendation import Choice
from experiments.results.track import Outcome, Reference
from experiments.statistics.intervals import spread
from experiments.statistics.significance import SIGNIFICANCE, Sample
from experiments.tables import (
    as_markdown,
    csv_text,
    definitions,
    difference_text,
    interval,
    mean_text,
    number,
    plus_minus,
    share_text,
)
from nasbench_ar.arrays import FloatArray

CSV = (
    *("track", "entry", "kind", "rank", "judge", "runs", "known", "share_known", "mean", "std"),
    *("ci_low", "ci_high", "better"),
)
RANKS = (
    "Rank: 1 + the number of entries that are better and told apart (Wilcoxon signed-rank, paired by seed, "
    f"Holm-adjusted over all pairs, p < {SIGNIFICANCE})."
)
KNOWN = (
    "[n]: runs whose recommended architecture has a value in this table, where not all have; each of the others counts "
    "by the best scored of its queries that has one; fewer than half have no rank. [n %]: the same of a line, whose "
    "mean is over these."
)
LINES = {
    "best": "the best of all architectures that may be chosen",
    "guided": "what a search that sees all scores recommends",
    "ceiling": (
        "the expectation of that on validation images drawn anew, by the best of three rules (observed: the best "
        "score, model: the best by an additive model of all scores, effects: the best by its effects alone); what a "
        "search has above it may be the luck of the very images in the table"
    ),
    "largest": "drawn from the networks of most MACs that may be chosen, without any search",
    "drawn": "drawn from all architectures that may be chosen, without any search",
    "only": "the only network that may be chosen",
    "random": "its exact law",
}


def title_of(outcome: Outcome) -> str:
    track = outcome.track
    judged = "the hypervolume" if outcome.judge == HYPERVOLUME else judge_label(outcome)
    spent = f"{track.queries} queries"
    if track.fidelity:
        spent = track.unit if track.budget is None else f"{track.budget:.6g} {track.unit}"
    said = [spent, f"objective {outcome.objective}"]
    said += [track.constraint] if track.constraint else []
    said += [f"noise {track.noise}"] if track.noise != "none" else []
    return f"Track {track.name}: {', '.join(said)}; judged by {judged}, recommended: {track.recommend}"


def judge_label(outcome: Outcome) -> str:
    if outcome.judge == HYPERVOLUME:
        return "Hypervolume, share of the exact front's"
    return outcome.oracle.label(outcome.judge)


def table_lines(outcome: Outcome) -> tuple[list[str], list[list[str]]]:
    lines = []
    for place in outcome.places:
        found, runs = place.entrant.spread, len(place.entrant.values)
        rank = "–" if place.rank is None else str(place.rank)
        text, ends = mean_text(found, runs, digits=outcome.digits), interval(found.interval, outcome.digits + 1)
        lines.append([place.entrant.name, rank, str(runs), text, ends])
    for reference in outcome.references:
        worth = plus_minus(reference.mean, reference.std, outcome.digits) + share_text(reference.share)
        lines.append([f"({reference.name})", "", "", worth, ""])
    return ["Entry", "Rank", "Runs", outcome.heading, "95 % interval"], lines


def legend(outcomes: Sequence[Outcome]) -> str:
    """What the lines of reference are."""
    found: dict[str, str] = {}
    for one in (reference for outcome in outcomes for reference in outcome.references):
        found.setdefault(one.kind, f"{one.name}, {LINES[one.kind]}")
    return f"Lines in brackets: {'; '.join(found.values())}." if found else ""


def as_text(outcome: Outcome) -> str:
    out = [
        title_of(outcome),
        "",
        outcome.track.about,
        "",
        f"Table {outcome.oracle.name}: {outcome.oracle.title}",
        "",
        as_markdown(*table_lines(outcome)),
        f"{outcome.told_apart} of {outcome.pairs} pairs are told apart. {RANKS} {KNOWN}",
    ]
    if text := legend([outcome]):
        out.append(text)
    if outcome.judge != HYPERVOLUME and (daggers := definitions(outcome.oracle, [outcome.judge])):
        out.append(f"{daggers}.")
    out += [f"{place.entrant.name}: {place.entrant.early}" for place in outcome.places if place.entrant.early]
    return "\n".join(out) + "\n"


def as_csv(outcomes: Sequence[Outcome]) -> str:
    """A line per entry and per line of reference, full precision."""
    lines: list[list[object]] = []
    for outcome in outcomes:
        for place in outcome.places:
            found, runs = place.entrant.spread, len(place.entrant.values)
            lines.append(
                [
                    *(outcome.track.name, place.entrant.name, "entry", place.rank, outcome.judge),
                    *(runs, found.known, found.known / runs, found.mean, found.std, *found.interval),
                    " ".join(place.better),
                ]
            )
        for reference in outcome.references:
            numbers = (None, None, reference.share, reference.mean, reference.std, None, None)
            lines.append([outcome.track.name, reference.name, "line", None, outcome.judge, *numbers, None])
    return csv_text(CSV, lines)


OVERVIEW = ("Track", "Judge", "Rank 1", "Best mean", "Best possible", "Noise ceiling", "50 largest", "Told apart")


def overview(outcomes: Sequence[Outcome]) -> str:
    """All tracks in one table."""
    return as_markdown(OVERVIEW, overview_lines(outcomes))


def overview_lines(outcomes: Sequence[Outcome]) -> list[list[str]]:
    lines = []
    for outcome in outcomes:
        first = [place.entrant.name for place in outcome.places if place.rank == 1]
        beside = [_line(outcome, *kinds) for kinds in (("best",), ("ceiling",), ("largest", "drawn", "only"))]
        cells = [number(line.mean, outcome.digits) + share_text(line.share) if line else "–" for line in beside]
        best = number(outcome.places[0].entrant.spread.mean, outcome.digits)
        judge = "hypervolume" if outcome.judge == HYPERVOLUME else outcome.heading
        told = f"{outcome.told_apart} of {outcome.pairs}"
        lines.append([outcome.track.name, judge, ", ".join(first) or "–", best, *cells, told])
    return lines


def _line(outcome: Outcome, *kinds: str) -> Reference | None:
    return next((reference for reference in outcome.references if reference.kind in kinds), None)


def rules_study(found: Sequence[tuple[Outcome, Sequence[Choice]]]) -> str:
    """Which rule recommends best on test metrics: differences from `observed`, a seed's mean over the searchers."""
    lines: list[list[str]] = []
    sums: dict[tuple[str, str], list[Sample]] = {}
    every = [(outcome.oracle, choice) for outcome, choices in found for choice in choices]
    metrics = {c.metric: c for oracle, c in every if oracle.metric(c.metric).split == "test"}
    for outcome, choices in found:
        for rule in RULES[1:]:
            cells = []
            for metric, one in metrics.items():
                gaps = [(c.seeds, c.chosen - c.observed) for c in choices if (c.metric, c.rule) == (metric, rule)]
                by_seed = _mean_over(gaps)
                sums.setdefault((rule, metric), []).append(by_seed)
                cells.append(_gap(by_seed[1], one.unit))
            lines.append([f"{outcome.track.name}, {rule}", *cells])
    lines += [
        [f"all tracks, {rule}", *(_gap(_mean_over(sums[rule, m])[1], one.unit) for m, one in metrics.items())]
        for rule in RULES[1:]
    ]
    header = ["Rule, against observed", *(one.label for one in metrics.values())]
    return as_markdown(header, lines)


def _mean_over(samples: Sequence[Sample]) -> Sample:
    """Seeds, and the mean of each over the samples that know it; NaN for none."""
    seeds = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *(one for one, _ in samples)]))
    total, count = np.zeros(len(seeds)), np.zeros(len(seeds))
    for own, values in samples:
        known = ~np.isnan(values)
        at = np.searchsorted(seeds, own[known])
        total[at] += values[known]
        count[at] += 1
    return seeds, np.divide(total, count, out=np.full(len(seeds), np.nan), where=count > 0)


def _gap(values: FloatArray, unit: str) -> str:
    found = spread(values)
    low, high = found.interval
    return difference_text(found, told=low > 0 or high < 0, unit=unit)
