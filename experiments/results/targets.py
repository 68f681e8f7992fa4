"""How long searchers take to reach targets: expected running times, in the sense of COCO.

A target is a rank: the best 0.01 %, 0.1 %, 1 % and 5 % of the table's architectures.  The expected running time to it
is the number of queries of all runs, until success or their end, over the number of successes (Hansen et al. 2021,
COCO); a run that ends early counts its whole budget.  The best alone is no target: which one it is may be chance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from experiments.results.baselines import RANDOM_SEARCH
from experiments.results.standings import Course
from experiments.tables import as_markdown, csv_text, number
from nasbench_ar.arrays import FloatArray

SHARES = (0.0001, 0.001, 0.01, 0.05)


@dataclass(frozen=True)
class Reached:
    """How one searcher reaches one target.

    Attributes:
        share: of the architectures that are as good as the target; `rank` is their number.
        value: of the metric that reaches it.
        runs: of the searcher; None for the exact law.
        successes: runs that reach it within the budget; their share for the exact law.
        expected: running time in queries; infinite without a success.
    """

    searcher: str
    share: float
    rank: int
    value: float
    runs: int | None
    successes: float
    expected: float


def reached(courses: Sequence[Course], column: FloatArray, queries: int, *, maximize: bool) -> list[Reached]:
    """Every target by every searcher within `queries`, and by random search in expectation.

    Args:
        courses: the searchers' runs.
        column: (n,) the metric of all architectures; NaN where the table has none.
    """
    sign = 1.0 if maximize else -1.0
    best_first = np.sort(-sign * column[~np.isnan(column)])
    out = []
    for share in SHARES:
        place = math.ceil(round(share * len(best_first), 9))
        if place < 2:  # the best alone
            continue
        level = best_first[place - 1]
        rank = int(np.searchsorted(best_first, level, side="right"))  # with those of equal value
        value = float(-sign * level)
        for course in courses:
            hit = sign * course.values[:, :queries] >= -level
            found = hit.any(axis=1)
            spent = np.where(found, hit.argmax(axis=1) + 1, hit.shape[1])
            successes = int(found.sum())
            expected = float(spent.sum()) / successes if successes else math.inf
            out.append(Reached(course.name, share, rank, value, len(hit), successes, expected))
        out.append(Reached(RANDOM_SEARCH, share, rank, value, None, *_random_search(len(best_first), rank, queries)))
    return out


def _random_search(size: int, rank: int, queries: int) -> tuple[float, float]:
    """Share of successes and expected running time of draws without replacement, `rank` of `size` being a success."""
    left = np.arange(min(queries, size), dtype=np.float64)
    alive = np.cumprod(np.maximum(size - rank - left, 0) / (size - left))  # no success in 1, 2, ... draws
    success = 1 - float(alive[-1])
    return success, (1 + float(alive[:-1].sum())) / success


def table_lines(found: Sequence[Reached]) -> tuple[list[str], list[list[str]]]:
    """Header and lines: expected running times, a column per target, with the share of successes."""
    header = ["Queries to reach", *(f"best {100 * share:g} %" for share in dict.fromkeys(r.share for r in found))]
    lines = []
    for searcher in dict.fromkeys(r.searcher for r in found):
        cells = []
        for r in (r for r in found if r.searcher == searcher):
            share = r.successes if r.runs is None else r.successes / r.runs
            cells.append(f"{number(r.expected, 0) if share else '–'} ({100 * share:.0f} %)")
        lines.append([searcher, *cells])
    return header, lines


LEGEND = (
    "Queries to reach: expected running time, the queries of all runs until they reach an architecture among the best "
    "of the table, or end, over the number of runs that do (their share in brackets)."
)


def as_text(found: Sequence[Reached]) -> str:
    if not found:
        return "The table is too small for targets by rank.\n"
    return as_markdown(*table_lines(found)) + LEGEND + "\n"


def as_csv(found: Sequence[Reached]) -> str:
    lines = [
        [r.searcher, r.share, r.rank, r.value, r.runs, r.successes, r.expected if r.successes else None] for r in found
    ]
    return csv_text(["searcher", "share", "rank", "value", "runs", "successes", "expected_queries"], lines)
