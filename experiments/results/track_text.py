"""The outcome of a track in Markdown and CSV."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from experiments.races.track import HYPERVOLUME, RULES
from experiments.results.recommendation import Choice
from experiments.results.track import Outcome, Reference
from experiments.statistics.intervals import Spread, spread
from experiments.statistics.significance import SIGNIFICANCE, Sample
from experiments.tables import as_markdown, csv_text, definitions, interval, number, share_text, short_label
from nasbench_ar import METRICS
from nasbench_ar.arrays import FloatArray

CSV = (
    *("track", "entry", "kind", "rank", "judge", "runs", "known", "share_known", "mean", "std"),
    *("ci_low", "ci_high", "better"),
)
RANKS = (
    "Rank: 1 + the number of entries that are better and told apart (Wilcoxon signed-rank, paired by seed, "
    f"Holm-adjusted over all pairs, p < {SIGNIFICANCE}). [n]: runs whose recommended architecture has a value in this "
    "table, where not all have; no rank where fewer than half have. [n %]: the same of a line; its mean is over these."
)
LARGEST_LINE = ("one of the", "the largest")
LINES = {
    "best possible": "the best of all architectures that may be chosen",
    "best by the objective": "what a search that sees all scores recommends",
    "noise ceiling": (
        "the expectation of that on validation images drawn anew, by the better of two rules (observed: the best "
        "score, model: the best by an additive model of all scores); what a search has above it, it owes to the luck "
        "of the very images in the table"
    ),
    "one of the": "drawn from the networks of most MACs that may be chosen, without any search",
    "the largest": "the only network that may be chosen",
    "random search": "its exact law",
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


def as_text(outcome: Outcome) -> str:
    digits = 4 if outcome.judge == HYPERVOLUME else 2
    lines = []
    for place in outcome.places:
        found, runs = place.entrant.spread, len(place.entrant.values)
        few = f" [{found.known}]" if found.known < runs else ""
        rank = "–" if place.rank is None else str(place.rank)
        ends = interval(found.interval, digits + 1)
        lines.append([place.entrant.name, rank, str(runs), _mean(found, digits) + few, ends])
    for reference in outcome.references:
        found = Spread(0, reference.mean, reference.std, (math.nan, math.nan))
        lines.append([f"*{reference.name}*", "", "", _mean(found, digits) + share_text(reference.share), ""])
    judge = "Hypervolume" if outcome.judge == HYPERVOLUME else short_label(outcome.oracle, outcome.judge)
    shown = [LINES[key] for reference in outcome.references for key in LINES if reference.name.startswith(key)]
    names = [reference.name for reference in outcome.references]
    out = [
        title_of(outcome),
        "",
        outcome.track.about,
        "",
        f"Table {outcome.oracle.name}: {outcome.oracle.title}",
        "",
        as_markdown(["Entry", "Rank", "Runs", judge, "95 % interval"], lines),
        f"{outcome.told_apart} of {outcome.pairs} pairs are told apart. {RANKS}",
    ]
    if shown:
        out.append("Lines: " + "; ".join(f"{name}, {text}" for name, text in zip(names, shown, strict=True)) + ".")
    if outcome.judge in METRICS and (daggers := definitions(outcome.oracle, [outcome.judge])):
        out.append(f"{daggers}.")
    out += [f"{place.entrant.name}: {place.entrant.early}" for place in outcome.places if place.entrant.early]
    return "\n".join(out) + "\n"


def _mean(found: Spread, digits: int) -> str:
    std = "" if math.isnan(found.std) else f" ± {number(found.std, digits)}"
    return number(found.mean, digits) + std


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


def overview(outcomes: Sequence[Outcome]) -> str:
    """All tracks in one table."""
    lines = []
    for outcome in outcomes:
        digits = 4 if outcome.judge == HYPERVOLUME else 2
        first = [place.entrant.name for place in outcome.places if place.rank == 1]
        beside = [_line(outcome, *starts) for starts in (["best possible"], ["noise ceiling"], LARGEST_LINE)]
        means = [reference.mean if reference else math.nan for reference in beside]
        shares = ["", *(share_text(reference.share) if reference else "" for reference in beside)]
        numbers = [outcome.places[0].entrant.spread.mean, *means]
        judge = "hypervolume" if outcome.judge == HYPERVOLUME else short_label(outcome.oracle, outcome.judge)
        cells = [number(n, digits) + share for n, share in zip(numbers, shares, strict=True)]
        told = f"{outcome.told_apart} of {outcome.pairs}"
        lines.append([outcome.track.name, judge, ", ".join(first) or "–", *cells, told])
    header = ["Track", "Judge", "Rank 1", "Best mean", "Best possible", "Noise ceiling", "50 largest", "Told apart"]
    return as_markdown(header, lines)


def _line(outcome: Outcome, *starts: str) -> Reference | None:
    return next((reference for reference in outcome.references if reference.name.startswith(starts)), None)


def rules_study(found: Sequence[tuple[Outcome, Sequence[Choice]]]) -> str:
    """Which rule recommends best on test metrics: differences from `observed`, a seed's mean over the searchers."""
    lines: list[list[str]] = []
    sums: dict[tuple[str, str], list[Sample]] = {}
    metrics = dict.fromkeys(c.metric for _, choices in found for c in choices if METRICS[c.metric].split == "test")
    for outcome, choices in found:
        for rule in RULES[1:]:
            cells = []
            for metric in metrics:
                gaps = [(c.seeds, c.chosen - c.observed) for c in choices if (c.metric, c.rule) == (metric, rule)]
                by_seed = _mean_over(gaps)
                sums.setdefault((rule, metric), []).append(by_seed)
                cells.append(_gap(by_seed[1]))
            lines.append([f"{outcome.track.name}, {rule}", *cells])
    lines += [
        [f"all tracks, {rule}", *(_gap(_mean_over(sums[rule, metric])[1]) for metric in metrics)] for rule in RULES[1:]
    ]
    header = ["Rule, against observed", *(METRICS[metric].label for metric in metrics)]
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


def _gap(values: FloatArray) -> str:
    found = spread(values)
    if not found.known:
        return "–"
    text = f"{found.mean:+.2f}" + ("" if math.isnan(found.interval[0]) else f" ({interval(found.interval, 2)})")
    low, high = found.interval
    return f"**{text}**" if low > 0 or high < 0 else text
