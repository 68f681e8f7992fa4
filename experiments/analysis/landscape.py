"""Local optima, their basins and uphill walks, where neighbours differ in one entry.

Arrays over the factorial in lexicographic order; NaN marks what is not part of the
landscape: neighbours that are missing do not exist.  Higher is better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Landscape:
    """Where steepest ascent leads from everywhere.

    Attributes:
        values: (product,) the landscape.
        target: (product,) index of the optimum reached from each index; -1 where missing.
        steps: (product,) number of moves to it.
        optima: (optima,) indices without a strictly better neighbour, best first.
        basins: (optima,) number of indices that lead there, itself included.
        flat: (optima,) whether a neighbour is exactly as good.
    """

    values: FloatArray
    target: IntArray
    steps: IntArray
    optima: IntArray
    basins: IntArray
    flat: NDArray[np.bool_]

    @property
    def size(self) -> int:
        """Number of indices that are part of the landscape."""
        return int((self.target >= 0).sum())

    @property
    def best(self) -> NDArray[np.bool_]:
        """(optima,) which optima have the best value of all."""
        return self.values[self.optima] == np.nanmax(self.values)

    @property
    def reach_best(self) -> float:
        """Share of the landscape from which steepest ascent ends at a global optimum."""
        return float(self.basins[self.best].sum() / self.size)


@dataclass(frozen=True)
class UphillWalks:
    """Exact expectations over adaptive walks: each move goes to a random better neighbour.

    Attributes:
        reach_best: (product,) probability of ending at a global optimum; NaN where missing.
        length: (product,) expected number of moves.
        final: (product,) expected value at the end.
    """

    reach_best: FloatArray
    length: FloatArray
    final: FloatArray


def neighbour_table(shape: Sequence[int]) -> IntArray:
    """(product, neighbours) int64 indices that differ in one entry, by entry and then by level."""
    size = int(np.prod(shape))
    index = np.arange(size)
    digits = np.unravel_index(index, shape)
    columns = []
    stride = size
    for digit, levels in zip(digits, shape, strict=True):
        stride //= levels
        # Level 0, 1, ... without the current one: the k-th other level is k, or k + 1 from the current one on.
        columns += [index + (k + (k >= digit) - digit) * stride for k in range(levels - 1)]
    return np.stack(columns, axis=1) if columns else np.empty((size, 0), dtype=np.int64)


def ascend(values: FloatArray, shape: Sequence[int]) -> Landscape:
    """Steepest ascent from everywhere; equally good neighbours: the first.

    Args:
        values: (product,), NaN where missing, at least one known.
        shape: number of levels of each entry.
    """
    near = neighbour_table(shape)
    around = np.where(np.isnan(values), -np.inf, values)[near]
    known = ~np.isnan(values)
    index = np.arange(len(values))
    own = np.where(known, values, np.inf)
    highest = around.max(axis=1, initial=-np.inf)
    first = around.argmax(axis=1) if near.shape[1] else np.zeros(len(values), dtype=np.int64)
    follow = np.where(highest > own, near[index, first] if near.shape[1] else index, index)
    target, steps = follow, (follow != index).astype(np.int64)
    while (follow[target] != target).any():
        steps = steps + (follow[target] != target)
        target = follow[target]
    target = np.where(known, target, -1)
    optima, basins = np.unique(target[known], return_counts=True)
    order = np.argsort(-values[optima], kind="stable")
    optima, basins = optima[order], basins[order]
    return Landscape(values, target, np.where(known, steps, 0), optima, basins, highest[optima] == values[optima])


def uphill_walks(values: FloatArray, shape: Sequence[int]) -> UphillWalks:
    """What adaptive walks from every start do in expectation, without simulation.

    From the best value down: the expectation at a point is the mean over its better
    neighbours, which are already known.
    """
    near = neighbour_table(shape)
    comparable = np.where(np.isnan(values), -np.inf, values)
    out = np.full((len(values), 3), np.nan)
    top = comparable.max()
    for index in np.argsort(-comparable, kind="stable")[: int((~np.isnan(values)).sum())]:
        better = near[index][comparable[near[index]] > comparable[index]]
        if len(better):
            out[index] = out[better].mean(axis=0)
            out[index, 1] += 1
        else:
            out[index] = (comparable[index] == top, 0, comparable[index])
    return UphillWalks(*out.T)


def neighbour_correlation(values: FloatArray, shape: Sequence[int]) -> float:
    """Pearson correlation of the values of neighbours: 1 is smooth, 0 is rugged."""
    near = neighbour_table(shape)
    first = np.repeat(values, near.shape[1])
    second = values[near].ravel()
    both = ~np.isnan(first) & ~np.isnan(second)
    return float(np.corrcoef(first[both], second[both])[0, 1])


def hamming(first: NDArray[np.integer], second: NDArray[np.integer]) -> IntArray:
    """Number of entries in which vectors differ, over the last axis."""
    return (np.asarray(first) != np.asarray(second)).sum(axis=-1)
