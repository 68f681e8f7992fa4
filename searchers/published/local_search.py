"""Local search as published, with its two defects (NARes, section 5).

The comparison of two scores returns -1, 0 or 1 and is used as a truth value: the search moves to worse neighbours
as well as to better ones.  And a move skips the check of the budget: the search goes on until a query neither moves
it nor leaves budget.  Nearly every query moves it, so the result is a random walk, about as good as random search.
`searchers.local_search` has neither defect.
"""

from __future__ import annotations

from collections.abc import Iterator

from nasbench_ar.architecture import Architecture
from nasbench_ar.grid import Grid
from searchers.base import check_at_least
from searchers.published.base import SequentialSearcher
from searchers.published.sampling import sample_unseen, shuffled_neighbours


class PublishedLocalSearch(SequentialSearcher):
    """Walk from the best of some random starts to neighbours that differ in score.

    Args:
        queries: unique architectures; exceeded while every query moves the search.
        starts: random unseen architectures per (re)start (10: published).
    """

    def __init__(self, space: Grid, seed: int, *, queries: int = 500, starts: int = 10) -> None:
        super().__init__(space, seed, queries=queries)
        self.starts = check_at_least("starts", starts, 1)

    def _search(self) -> Iterator[Architecture]:
        while not self.budget_spent:
            starts: list[Architecture] = []
            while len(starts) < self.starts:
                starts.append(sample_unseen(self.space, self.python_rng, self.history))
                yield starts[-1]
                if self.budget_spent:
                    return
            yield from self._walk(max(starts, key=self.history.__getitem__))  # the first, on ties

    def _walk(self, current: Architecture) -> Iterator[Architecture]:
        """Move until no unseen neighbour differs in score, or a query without a move finds the budget spent."""
        moved = True
        while moved:
            moved = False
            for neighbour in shuffled_neighbours(self.space, self.python_rng, current):
                if neighbour in self.history:
                    continue
                yield neighbour
                if self.history[neighbour] != self.history[current]:
                    current, moved = neighbour, True
                    break  # past the check below
                if self.budget_spent:
                    return
