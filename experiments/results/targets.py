"""How long searchers take to reach targets, in the sense of COCO and IOHprofiler.

A target is a rank: an architecture among the best 0.01 %, 0.1 %, 1 % or 5 % of the table's.  The best alone is no
target: which one it is may be chance.  Where the number of validation images is known, "tied with the best" is one
more: all that a two-proportion z-test does not call worse than the best (one-sided 5 %, as in `experiments.noise`).

The expected running time to a target is the number of queries of all runs, until success or their end, over the number
of successes (Hansen et al. 2021, COCO); a run that ends early counts its whole budget.  The empirical cumulative
distribution is the share of pairs of a run and a target that are reached after n queries; its targets are 51 ranks
from the best 0.01 % to the better half of the table in equal steps of the logarithm, equal ones counted once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from experiments.races.noise import tied_with_best
from experiments.results.baselines import RANDOM_SEARCH
from experiments.results.standings import Course
from experiments.statistics.intervals import mean_band
from experiments.tables import as_markdown, csv_text, number
from nasbench_ar.arrays import FloatArray

SHARES = (0.0001, 0.001, 0.01, 0.05)
ECDF_SHARES = np.geomspace(SHARES[0], 0.5, 51)
TIED = "tied with the best"


@dataclass(frozen=True)
class Target:
    """The `rank` best architectures, a `share` of the table's; `value` of the metric reaches it."""

    name: str
    share: float
    rank: int
    value: float


@dataclass(frozen=True)
class Reached:
    """How one searcher reaches one target.

    Attributes:
        runs: of the searcher; None for the exact law.
        successes: runs that reach it within the budget; their share for the exact law.
        expected: running time in queries; infinite without a success.
    """

    searcher: str
    target: Target
    runs: int | None
    successes: float
    expected: float


@dataclass(frozen=True)
class Ecdf:
    """(queries,) share of the pairs of a run and a target that one searcher has reached.

    `band` is (queries, 2) the 95 % t interval over runs; NaN for the exact law.
    """

    name: str
    share: FloatArray
    band: FloatArray


def targets_of(column: FloatArray, *, maximize: bool, images: int | None = None) -> list[Target]:
    """Ranks of a (n,) metric, hardest first; then, where the number of `images` is known, what ties the best."""
    best_first = _best_first(column, maximize=maximize)
    found = [
        _target(f"best {100 * share:g} %", share, place, best_first, maximize=maximize)
        for share in SHARES
        if (place := _place(share, len(best_first))) > 1  # not the best alone
    ]
    if images is not None:
        rank = int(tied_with_best(column, images, maximize=maximize).sum())
        found.append(_target(TIED, rank / len(best_first), rank, best_first, maximize=maximize))
    return found


def _best_first(column: FloatArray, *, maximize: bool) -> FloatArray:
    """(known,) values as losses, ascending."""
    return np.sort((-1.0 if maximize else 1.0) * column[~np.isnan(column)])


def _place(share: float, size: int) -> int:
    return math.ceil(round(share * size, 9))


def _target(name: str, share: float, place: int, best_first: FloatArray, *, maximize: bool) -> Target:
    level = best_first[place - 1]
    rank = int(np.searchsorted(best_first, level, side="right"))  # with those of equal value
    return Target(name, share, rank, float(-level if maximize else level))


def reached(
    courses: Sequence[Course],
    column: FloatArray,
    queries: int,
    *,
    maximize: bool,
    images: int | None = None,
    guided: bool = True,
) -> list[Reached]:
    """Every target by every searcher within `queries`; by random search unless another metric `guided` the runs."""
    size = int((~np.isnan(column)).sum())
    out = []
    for target in targets_of(column, maximize=maximize, images=images):
        for course in courses:
            values = course.values[:, :queries]
            hit = values >= target.value if maximize else values <= target.value
            found = hit.any(axis=1)
            spent = np.where(found, hit.argmax(axis=1) + 1, hit.shape[1])
            successes = int(found.sum())
            expected = float(spent.sum()) / successes if successes else math.inf
            out.append(Reached(course.name, target, len(hit), successes, expected))
        if guided:
            out.append(Reached(RANDOM_SEARCH, target, None, *_random_search(size, target.rank, queries)))
    return out


def _missed(size: int, rank: int, queries: int) -> FloatArray:
    """(queries,) probability that 1, 2, ... draws without replacement meet none of `rank` of `size`."""
    left = np.arange(min(queries, size), dtype=np.float64)
    missed = np.cumprod(np.maximum(size - rank - left, 0) / (size - left))
    return np.pad(missed, (0, queries - len(missed)))


def _random_search(size: int, rank: int, queries: int) -> tuple[float, float]:
    """Share of successes and expected running time."""
    missed = _missed(size, rank, min(queries, size))
    success = 1 - float(missed[-1])
    return success, (1 + float(missed[:-1].sum())) / success


def ecdfs(
    courses: Sequence[Course], column: FloatArray, queries: int, *, maximize: bool, guided: bool = True
) -> list[Ecdf]:
    """One per searcher, and the exact one of random search; arguments as for `reached`.

    None for a table of two architectures or fewer.
    """
    best_first = _best_first(column, maximize=maximize)
    places = {place for share in ECDF_SHARES.tolist() if (place := _place(share, len(best_first))) > 1}
    ranks = np.unique(np.searchsorted(best_first, best_first[[place - 1 for place in places]], side="right"))
    if not len(ranks):
        return []
    levels = best_first[ranks - 1]
    out = []
    for course in courses:
        losses = np.where(np.isnan(course.values), np.inf, (-1.0 if maximize else 1.0) * course.values)[:, :queries]
        best = np.minimum.accumulate(losses, axis=1)
        share = 1 - np.searchsorted(levels, best, side="left") / len(levels)  # levels ascend: those at or above
        out.append(Ecdf(course.name, share.mean(axis=0), np.column_stack(mean_band(share))))
    if guided:
        missed = np.mean([_missed(len(best_first), int(rank), queries) for rank in ranks], axis=0)
        out.append(Ecdf(RANDOM_SEARCH, 1 - missed, np.full((queries, 2), np.nan)))
    return out


def table_lines(found: Sequence[Reached]) -> tuple[list[str], list[list[str]]]:
    """Header and lines: expected running times, a column per target, with the share of successes."""
    header = ["Queries to reach", *dict.fromkeys(r.target.name for r in found)]
    lines = []
    for searcher in dict.fromkeys(r.searcher for r in found):
        cells = []
        for r in (r for r in found if r.searcher == searcher):
            share = r.successes if r.runs is None else r.successes / r.runs
            cells.append(f"{number(r.expected, 0) if share else '–'} ({100 * share:.0f} %)")
        lines.append([searcher, *cells])
    return header, lines


def legend(found: Sequence[Reached]) -> str:
    text = (
        "Queries to reach: expected running time, the queries of all runs until they reach an architecture among the "
        "best that may be chosen, or end, over the number of runs that do (their share in brackets)."
    )
    tied = next((r.target for r in found if r.target.name == TIED), None)
    if tied is None:
        return text
    return (
        f"{text} {TIED.capitalize()}: the {tied.rank} architectures ({100 * tied.share:.2g} % of all that may be "
        "chosen) that the validation images do not tell from the best of them "
        "(one-sided 5 %, unpaired two-proportion z-test)."
    )


def as_text(found: Sequence[Reached]) -> str:
    if not found:
        return "The table is too small for targets by rank.\n"
    return f"{as_markdown(*table_lines(found))}\n{legend(found)}\n"


def as_csv(found: Sequence[Reached]) -> str:
    lines = [
        [
            *(r.searcher, r.target.name, r.target.share, r.target.rank, r.target.value),
            *(r.runs, r.successes, r.expected if r.successes else None),
        ]
        for r in found
    ]
    header = ["searcher", "target", "share", "rank", "value", "runs", "successes", "expected_queries"]
    return csv_text(header, lines)


def ecdf_csv(found: Sequence[Ecdf]) -> str:
    """Numbers behind `ecdf`: one line per searcher and query."""
    lines = [
        [e.name, query, share, *band]
        for e in found
        for query, (share, band) in enumerate(zip(e.share, e.band, strict=True), start=1)
    ]
    return csv_text(["searcher", "queries", "share", "share_low", "share_high"], lines)
