"""The hook of searchers that work for many runs at once."""

from __future__ import annotations

from collections.abc import Sequence

from searchers.base import Searcher


class LockStep(Searcher):
    """A searcher that can do the expensive part of a proposal for many runs together."""

    @classmethod
    def prepare_together(cls, searchers: Sequence[Searcher]) -> None:
        """Do at once what the next `ask` of each of these searchers would do alone.

        All are of this class, differ only in the seed, and have been told the score of every proposal.
        Their proposals must not depend on each other, nor on whether this was called.
        """

    def grouping(self, runs: int, processes: int) -> tuple[int, int]:
        """How to carry out `runs` runs like this one with `processes` processes: runs per group, groups at a time."""
        return -(-runs // processes), processes
