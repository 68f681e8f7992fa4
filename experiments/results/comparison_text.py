"""The tables of a comparison: for reading, for a paper, and as CSV with full precision."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

from experiments.results import recommendation, targets
from experiments.results.comparison import Comparison
from experiments.results.standings import Pair, Standing
from experiments.statistics.power import MOST_PAIRS, MOST_SIMULATED
from experiments.tables import as_latex, as_markdown, csv_text, interval, number, plus_minus

STANDING_HEADER = ("Searcher", "Runs", "Mean ± std", "Regret", "95 % interval", "Optimum found", "Area", "Mean rank")
PAIR_HEADER = ("Better", "Worse", "By", "95 % interval", "p", "A", "Seeds")
FULL_PAIR_HEADER = (
    *("Better", "Worse", "Pairs", "By", "95 % interval", "p (Holm)", "A", "95 % interval", "A, paired"),
    *("Cliff's delta", "Cohen's d", "95 % interval", "Correlation", "Seeds, t", "Seeds, Wilcoxon"),
)
STANDING_LEGEND = (
    "Regret: distance from the table's best; Area: its mean over the queries, 0 being the best and 1 the median "
    "architecture."
)
DEFINITIONS = """Regret: distance from the table's best value. Area: mean regret over all queries of a run, then over
runs, over the regret of the median architecture ({unit}): 0 is the best, 1 the median. Intervals of means are
Student's t. Optimum found: share of the runs that reach the table's best value. The last line is the exact law of
uniform draws without replacement, of which the best by {objective} is reported.

By: mean advantage of the better searcher over the seeds that both have. p: two-sided Wilcoxon signed-rank test,
paired by seed (Pratt's zeros), Holm-adjusted over all pairs of this budget; 1 where signed ranks and means disagree on
which is better. A (Vargha and Delaney): how often a run of the better one beats a run of the other, ties counted half,
over all pairs of runs, interval by bootstrap over seeds;
Cliff's delta is 2 A − 1. A, paired: the same within equal seeds. Cohen's d is the mean of the paired differences over
their standard deviation. Correlation of the two over the seeds: pairing helps as far as it is above 0.

Seeds: how many pairs give 80 % power at 5 %, to see {target}; by the closed form of the t test under normal
differences, and for Wilcoxon's test by drawing from the stored differences{shift}, with an error of a few per cent."""


def as_text(comparison: Comparison) -> str:
    budget = comparison.budgets[-1]
    parts = [
        _heading(comparison),
        as_markdown(STANDING_HEADER, standing_lines(comparison, budget)),
        as_markdown(PAIR_HEADER, pair_lines(comparison, budget)),
        ranking_text(comparison, budget),
        targets.as_text(comparison.targets),
        *comparison.notes,
        legend(comparison),
    ]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def legend(comparison: Comparison) -> str:
    return f"{STANDING_LEGEND}\n{_pair_legend(comparison)}"


def _pair_legend(comparison: Comparison) -> str:
    return (
        "By: mean advantage over common seeds; p: Wilcoxon, Holm-adjusted; A: how often a run of the better one beats "
        f"a run of the other; Seeds: pairs for 80 % power of Wilcoxon's test to see {_target(comparison)}."
    )


def as_report(comparison: Comparison) -> str:
    """`comparison.md`: every budget, every number, what they mean."""
    parts = [_heading(comparison)]
    for budget in comparison.budgets:
        if len(comparison.budgets) > 1:
            parts.append(f"## After {budget} queries")
        parts += [
            as_markdown(STANDING_HEADER, standing_lines(comparison, budget)),
            as_markdown(FULL_PAIR_HEADER, [_full(p) for p in _pairs(comparison, budget)]),
            ranking_text(comparison, budget),
        ]
    shifted = comparison.difference is not None
    definitions = DEFINITIONS.format(
        unit=number(comparison.unit_of_area, 3),
        objective=comparison.objective,
        target=_target(comparison),
        shift=", shifted to that mean" if shifted else "",
    )
    if len(comparison.budgets) > 1:
        parts.append(f"## Within {comparison.budgets[-1]} queries")
    parts += [
        targets.as_text(comparison.targets),
        recommendation.as_text(comparison.choices),
        *comparison.notes,
        definitions,
    ]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def as_tex(comparison: Comparison) -> str:
    budget = comparison.budgets[-1]
    what = f"{comparison.label} after {budget} queries"
    origin = f"Table {comparison.table}: {comparison.title}."
    standings = f"Searchers compared on {what}. {STANDING_LEGEND} {origin}"
    pairs = f"Pairs of searchers on {what}. {_pair_legend(comparison)} {origin}"
    return "\n".join(
        [
            as_latex(STANDING_HEADER, standing_lines(comparison, budget), standings, f"standings {comparison.metric}"),
            as_latex(PAIR_HEADER, pair_lines(comparison, budget), pairs, f"pairs {comparison.metric}"),
        ]
    )


def _heading(comparison: Comparison) -> str:
    unit = f" ({comparison.unit})" if comparison.unit else ""
    way = (
        "" if comparison.metric == comparison.objective else f" at the architectures that {comparison.objective} chose"
    )
    return (
        f"{len(comparison.courses)} searchers compared on {comparison.label}{unit}{way}, "
        f"{comparison.queries} queries a run; best of the table {number(comparison.optimum)}\n\n"
        f"Table {comparison.table}: {comparison.title}"
    )


def _target(comparison: Comparison) -> str:
    if comparison.difference is None:
        return "the observed difference"
    return f"a difference of {comparison.difference:g}" + (" points" if comparison.unit == "%" else "")


def standing_lines(comparison: Comparison, budget: int) -> list[tuple[str, ...]]:
    """One line per searcher in the order of `STANDING_HEADER`, least regret first, and one of random search."""
    average = next(r.average for r in comparison.rankings if r.budget == budget)
    standings = [s for s in comparison.standings if s.budget == budget]
    standings.sort(key=lambda s: (math.isnan(s.regret), s.regret))
    standings += [s for s in comparison.random_search.standings if s.budget == budget]
    return [_standing(s, average.get(s.name, math.nan)) for s in standings]


def _standing(standing: Standing, rank: float) -> tuple[str, ...]:
    return (
        standing.name,
        "–" if standing.runs is None else str(standing.runs),
        plus_minus(standing.mean, standing.std),
        number(standing.regret, 3),
        interval(standing.regret_interval, 3),
        "–" if math.isnan(standing.solved) else f"{100 * standing.solved:.1f} %",
        number(standing.area, 3),
        number(rank),
    )


def _pairs(comparison: Comparison, budget: int) -> list[Pair]:
    return [p for p in comparison.pairs if p.budget == budget]


def pair_lines(comparison: Comparison, budget: int) -> list[tuple[str, ...]]:
    return [_short(p) for p in _pairs(comparison, budget)]


def _short(pair: Pair) -> tuple[str, ...]:
    return (
        pair.first,
        pair.second,
        number(pair.advantage, 3),
        interval(pair.interval, 3),
        _p(pair.p_holm),
        number(pair.superiority),
        _seeds(pair, pair.seeds_wilcoxon, MOST_SIMULATED),
    )


def _full(pair: Pair) -> tuple[str, ...]:
    return (
        pair.first,
        pair.second,
        str(pair.pairs),
        number(pair.advantage, 3),
        interval(pair.interval, 3),
        _p(pair.p_holm),
        number(pair.superiority),
        interval(pair.superiority_interval, 2),
        number(pair.paired_superiority),
        number(pair.cliffs_delta),
        number(pair.cohens_d),
        interval(pair.cohens_d_interval, 2),
        number(pair.correlation),
        _seeds(pair, pair.seeds_t, MOST_PAIRS),
        _seeds(pair, pair.seeds_wilcoxon, MOST_SIMULATED),
    )


def _seeds(pair: Pair, count: int | None, most: int) -> str:
    if count is not None:
        return str(count)
    if pair.pairs < 2:
        return "–"
    return "never" if not round(pair.target, 9) else f"> {most}"


def _p(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2g}"


def ranking_text(comparison: Comparison, budget: int) -> str:
    ranking = next(r for r in comparison.rankings if r.budget == budget)
    if not ranking.seeds:
        return "No seed has a value of every searcher: there are no mean ranks."
    test = ""
    if not math.isnan(ranking.p_value):
        test = f" Friedman's chi-squared {ranking.chi_squared:.1f}, p {_p(ranking.p_value)}."
    by = "Wilcoxon's test, Holm-adjusted" if ranking.joined_by == "wilcoxon" else "Nemenyi's test"
    groups = "; ".join(", ".join(group) for group in ranking.cliques) or "none"
    return (
        f"Ranks over {ranking.seeds} seeds.{test} "
        f"Nemenyi's critical difference {number(ranking.critical_difference, 3)}. "
        f"Not told apart by {by}: {groups}."
    )


def standings_csv(comparison: Comparison) -> str:
    """`comparison.csv`: one line per budget and searcher, then random search."""
    average = {r.budget: r.average for r in comparison.rankings}
    standings = [*comparison.standings, *comparison.random_search.standings]
    lines = [[*_cells(s), average[s.budget].get(s.name)] for s in standings]
    return csv_text([*_columns(Standing), "mean_rank"], lines)


def pairs_csv(comparison: Comparison) -> str:
    return csv_text(_columns(Pair), map(_cells, comparison.pairs))


def anytime_csv(comparison: Comparison) -> str:
    """Numbers behind `anytime`: regrets, one line per searcher and query."""
    header = ["searcher", "queries", "runs", *_ends("mean"), *_ends("median")]
    lines = []
    for c in comparison.courses:
        columns = zip(c.known, c.mean, c.mean_band, c.median, c.median_band, strict=True)
        for query, (runs, mean, mean_band, median, median_band) in enumerate(columns, start=1):
            lines.append([c.name, query, int(runs), mean, *mean_band, median, *median_band])
    law = comparison.random_search
    for query, (mean, median) in enumerate(zip(law.mean, law.median, strict=True), start=1):
        lines.append([law.profile.name, query, None, mean, None, None, median, None, None])
    return csv_text(header, lines)


def profile_csv(comparison: Comparison) -> str:
    """Numbers behind `profile`: one line per searcher and regret that occurs."""
    lines = [
        [p.name, tau, share, *band]
        for p in (*comparison.profiles, comparison.random_search.profile)
        for tau, share, band in zip(p.tau, p.share, p.band, strict=True)
    ]
    return csv_text(["searcher", "regret", *_ends("share")], lines)


def ranks_csv(comparison: Comparison) -> str:
    """Numbers behind `ranks`: `clique` counts the groups that a searcher is in, from 1, as `1 2`."""
    lines = []
    for r in comparison.rankings:
        for name, rank in sorted(r.average.items(), key=lambda item: item[1]):
            groups = " ".join(str(k) for k, group in enumerate(r.cliques, start=1) if name in group)
            lines.append([r.budget, name, rank, r.seeds, r.chi_squared, r.p_value, r.critical_difference, groups])
    header = ["budget", "searcher", "mean_rank", "seeds", "chi_squared", "p_value", "critical_difference", "clique"]
    return csv_text(header, lines)


def _ends(name: str) -> list[str]:
    return [name, f"{name}_low", f"{name}_high"]


def _is_interval(field: Any) -> bool:
    return field.type == "Interval"


def _columns(kind: type) -> list[str]:
    """Names of a dataclass's fields; an interval takes two."""
    out: list[str] = []
    for field in fields(kind):
        stem = "mean" if field.name == "interval" and kind is Standing else field.name
        stem = "advantage" if stem == "interval" else stem.removesuffix("_interval")
        out += _ends(stem)[1:] if _is_interval(field) else [field.name]
    return out


def _cells(record: Standing | Pair) -> list[Any]:
    out: list[Any] = []
    for field in fields(record):
        value = getattr(record, field.name)
        out += list(value) if _is_interval(field) else [value]
    return out
