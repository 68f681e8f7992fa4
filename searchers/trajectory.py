"""One search from its first query to its last.

    session = oracle.session(budget=500)
    trajectory = search(RandomSearch(session.space, seed=0), session)
    session.space.from_index(trajectory.reported)

`Search` is the same, proposal by proposal or batch by batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.architecture import Architecture
from nasbench_ar.errors import SearchError, SearchFinishedError, SpaceExhaustedError
from nasbench_ar.session import CountedQueries
from searchers.base import Searcher

STALL_LIMIT = 10_000  # a searcher that proposes nothing new this many times in a row is stopped


@dataclass(frozen=True)
class Trajectory:
    """What one search did.

    Attributes:
        seed: of the searcher.
        arch_index: (n,) int32 lexicographic indices in the order of first queries.
        scores: (n,) float32 values of the (first) objective, in its own unit, as the searcher saw them.
        incumbent: (n,) int32, the architecture that the searcher would have recommended after each query.
        repeats: free queries for architectures already known.
        ended: empty, or why the search ended before its budget was spent.
    """

    seed: int
    arch_index: NDArray[np.int32]
    scores: NDArray[np.float32]
    incumbent: NDArray[np.int32]
    repeats: int
    ended: str = ""

    @property
    def reported(self) -> int:
        """Index of the architecture that the searcher reports in the end."""
        return int(self.incumbent[-1])


def search(searcher: Searcher, session: CountedQueries[Any]) -> Trajectory:
    """Ask and tell until the budget is spent, or the searcher stops.

    Args:
        searcher: on the session's space.
        session: without a query so far.

    Raises:
        SearchError: when the session has answered queries, or the searcher breaks its contract.
    """
    if session.spent:
        raise SearchError(f"{session!r} has answered queries already; a search begins with a session of its own")
    under_way = Search(searcher, session)
    while under_way.ended is None:
        under_way.step()
    return under_way.trajectory()


class Search:
    """A search under way.

    Attributes:
        ended: None while it goes on; then why it ended early, empty where its budget is spent.
    """

    def __init__(self, searcher: Searcher, session: CountedQueries[Any]) -> None:
        self.searcher = searcher
        self.session = session
        self.ended: str | None = None if session.remaining else ""
        self._incumbent: list[Architecture] = []
        self._known_in_a_row = 0

    def step(self) -> None:
        try:
            architecture = self.searcher.ask()
        except (SpaceExhaustedError, SearchFinishedError) as stop:
            self.ended = self._reason(stop)
            return
        known = architecture in self.session.history
        if not self._stalled(known, "times"):
            self._tell(architecture)

    def step_batch(self) -> None:
        """All proposals that can be evaluated at once, up to the end of the budget."""
        try:
            batch = self.searcher.ask_batch()
        except (SpaceExhaustedError, SearchFinishedError) as stop:
            self.ended = self._reason(stop)
            return
        spent = self.session.spent
        for architecture in batch:
            if self.ended is None:
                self._tell(architecture)
        if self.ended is None:
            self._stalled(self.session.spent == spent, "batches")

    def trajectory(self) -> Trajectory:
        """What was done so far; raises SearchError when the searcher recommends what it never queried."""
        space = self.session.space
        self._incumbent[-1:] = [self.searcher.recommend()]  # repeats since the last query may have changed it
        index = {architecture: space.index(architecture) for architecture in self.session.history}
        if strange := [architecture for architecture in self._incumbent if architecture not in index]:
            raise SearchError(f"{type(self.searcher).__name__} recommends {strange[0]}, which it never queried")
        return Trajectory(
            seed=self.searcher.seed,
            arch_index=np.fromiter(index.values(), dtype=np.int32),
            scores=np.array(self.session.first_values(), dtype=np.float32),
            incumbent=np.array([index[architecture] for architecture in self._incumbent], dtype=np.int32),
            repeats=self.session.repeats,
            ended=self.ended or "",
        )

    def _tell(self, architecture: Architecture) -> None:
        history = self.session.history
        spent = len(history)
        self.searcher.tell(architecture, self.session.score(architecture))
        if len(history) > spent:
            self._incumbent.append(self.searcher.recommend())
            if len(history) >= self.session.budget:
                self.ended = ""

    def _stalled(self, known: bool, unit: str) -> bool:
        self._known_in_a_row = self._known_in_a_row + 1 if known else 0
        if self._known_in_a_row < STALL_LIMIT:
            return False
        self.ended = (
            f"nothing new was proposed {STALL_LIMIT} {unit} in a row after {self.session.spent} queries "
            f"and {self.session.repeats} repeats"
        )
        return True

    def _reason(self, stop: Exception) -> str:
        session = self.session
        if self.searcher.stops_itself and session.spent >= getattr(self.searcher, "queries", 0):
            return ""
        if session.spent >= session.space.size:
            return f"every architecture of the space was queried after {session.spent} queries"
        return str(stop)
