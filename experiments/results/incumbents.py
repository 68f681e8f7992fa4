"""What runs would report as they go on, and its exact expectation for random search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.arrays import FloatArray

NOTHING = 1e-30  # a probability that no sum of doubles sees


def expected_best_of_n(values: FloatArray, queries: int, *, maximize: bool = True) -> FloatArray:
    """(queries,) exact expectation of the best of n draws without replacement from all (N,) values, n = 1..queries.

    With the values sorted so that v_1 is worst, the best of n draws is among the i worst with probability
    C(i, n) / C(N, n), hence E_n = sum_i v_i (C(i, n) - C(i-1, n)) / C(N, n).  Beyond N the optimum is certain.
    """
    worst_first = np.sort(np.asarray(values, dtype=np.float64))
    if not worst_first.size or np.isnan(worst_first).any():
        raise ValueError("the expectation needs a complete column: values are missing")
    if not maximize:
        worst_first = worst_first[::-1]
    total = worst_first.size
    rank = np.arange(1, total + 1, dtype=np.float64)
    within = np.ones(total)  # C(i, n) / C(N, n) for i = 1..N
    out = np.full(queries, worst_first[-1])
    for n in range(1, min(queries, total) + 1):
        within *= np.maximum(rank - n + 1, 0.0) / (total - n + 1)
        out[n - 1] = (np.diff(within, prepend=0.0) * worst_first).sum()
        gone = int(np.searchsorted(within, NOTHING))  # the worst are as good as never the best of so many
        within, rank, worst_first = within[gone:], rank[gone:], worst_first[gone:]
    return out


@dataclass(frozen=True)
class Curve:
    """One searcher's trajectories: (runs, queries) incumbents in the objective's unit; `label` is the legend's."""

    name: str
    best: NDArray[np.float64]
    label: str = ""
