"""Several objectives at once: domination, fronts, crowding and hypervolume.

Every function takes `points`: (n, objectives) float64, **higher is better in every
column**; turn the sign of what is minimised.  One point dominates another if it is
nowhere worse and somewhere better; equal points do not dominate each other.

    >>> points = np.array([[3.0, 1.0], [1.0, 3.0], [1.0, 1.0]])
    >>> non_dominated(points).tolist()
    [True, True, False]
    >>> hypervolume(points, np.zeros(2))
    5.0
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.arrays import FloatArray
from nasbench_ar.system.extras import require


def non_dominated(points: FloatArray) -> NDArray[np.bool_]:
    """(n,) bool: which points no other point dominates.

    Each pass takes the lexicographically largest point left, which nothing left can dominate,
    and drops what it dominates.
    """
    rest = np.lexsort(-points.T[::-1])
    front = np.zeros(len(points), dtype=bool)
    while len(rest):
        leader, others = points[rest[0]], points[rest]
        front[rest[(others == leader).all(axis=1)]] = True
        rest = rest[(others > leader).any(axis=1)]
    return front


def non_dominated_ranks(points: FloatArray) -> NDArray[np.int64]:
    """(n,) int64: 0 for the front, 1 for the front of the rest, and so on (Deb et al. 2002, section III-A)."""
    if points.shape[1] == 2:
        return _ranks_of_two(points)
    ranks = np.empty(len(points), dtype=np.int64)
    rest = np.arange(len(points))
    rank = 0
    while len(rest):
        front = non_dominated(points[rest])
        ranks[rest[front]] = rank
        rest, rank = rest[~front], rank + 1
    return ranks


def _ranks_of_two(points: FloatArray) -> NDArray[np.int64]:
    losses, inverse = np.unique(-points, axis=0, return_inverse=True)
    # In this order an earlier point dominates a later one exactly if its second loss is
    # not higher. So a front takes a point if all its second losses are higher, and the
    # lowest of them ascend from front to front: the first fit is found by bisection.
    lowest: list[float] = []
    ranks = np.empty(len(losses), dtype=np.int64)
    for position, loss in enumerate(losses[:, 1].tolist()):
        rank = bisect_right(lowest, loss)
        ranks[position] = rank
        lowest[rank : rank + 1] = [loss]
    return ranks[inverse.ravel()]


def crowding_distance(points: FloatArray) -> FloatArray:
    """(n,) float64 distances within one front: infinite at the ends (Deb et al. 2002, section III-B).

    The sum over objectives of the gap between a point's two neighbours, as a share of the
    front's range; an objective without range adds nothing.
    """
    distance = np.zeros(len(points))
    for column in points.T:
        order = np.argsort(column, kind="stable")
        span = column[order[-1]] - column[order[0]] if len(order) else 0.0
        if len(order):
            distance[order[[0, -1]]] = np.inf
        if span > 0:
            distance[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / span
    return distance


def hypervolume(points: FloatArray, reference: FloatArray) -> float:
    """Volume of what the points dominate above the worst corner `reference`, (objectives,).

    Points not above it in every objective add nothing.  Two objectives are summed exactly by
    strips; three or more need the optional package `moocore`.

    Raises:
        ConfigError: for three or more objectives when `moocore` is not installed.
    """
    inside = points[(points > reference).all(axis=1)]
    if not len(inside):
        return 0.0
    if points.shape[1] == 1:
        return float(inside.max() - reference[0])
    if points.shape[1] == 2:
        first, second = (inside[np.lexsort((-inside[:, 1], -inside[:, 0]))] - reference).T
        height = np.maximum.accumulate(second)
        return float(first @ np.diff(height, prepend=0.0))
    moocore = require(f"the hypervolume of {points.shape[1]} objectives", "moocore")
    return float(moocore.hypervolume(inside, ref=reference, maximise=True))
