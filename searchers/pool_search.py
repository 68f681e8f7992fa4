"""What searchers share that compare all unseen members and never repeat one."""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.grid import Grid
from searchers.base import check_at_least
from searchers.library_search import LibrarySearcher

IndexArray = NDArray[np.int64]

_CENTRES = 10  # best architectures whose neighbours a drawn pool has


class PoolSearcher(LibrarySearcher):
    """Base class of searchers that propose the best of a pool of unseen members, as a library's model sees them.

    Args:
        batch: architectures proposed at once.
        pool: unseen members that are compared at most; in larger spaces, so many are drawn anew for every batch, and
            the neighbours of the best ten join.
    """

    def __init__(self, space: Grid, seed: int, *, batch: int, pool: int) -> None:
        super().__init__(space, seed)
        self.batch = check_at_least("batch", batch, 1)
        self.pool = check_at_least("pool", pool, 1)
        self._free = [k for k, entry in enumerate(space.entries) if len(entry.choices) > 1]

    def _told(self) -> IndexArray:
        return np.fromiter(map(self.space.index, self.history), dtype=np.int64)

    def _unseen(self, told: IndexArray) -> IndexArray:
        """The pool, ascending; empty where all that was drawn has been told."""
        members = self.space.member_indices
        if self.space.size > self.pool:
            best = heapq.nlargest(_CENTRES, self.history, key=self.history.__getitem__)
            near = [self.space.index(neighbour) for centre in best for neighbour in self.space.neighbours(centre)]
            members = np.append(self.rng.choice(members, self.pool, replace=False), near)
        return np.setdiff1d(members, told).astype(np.int64)

    def _free_digits(self, indices: IndexArray) -> IndexArray:
        """(n, entries with something to choose) the rank of each level."""
        return self.space.digits(indices=indices)[:, self._free]

    def _draw_seed(self) -> int:
        return int(self.rng.integers(2**31))
