"""What every search algorithm shares: ask for a proposal, tell its score.

A searcher never sees the table.  The caller asks, evaluates and tells; higher scores are better:

    searcher = RandomSearch(space, seed=0)
    for _ in range(500):
        architecture = searcher.ask()
        searcher.tell(architecture, evaluate(architecture))
    searcher.recommend()

A new algorithm is a subclass that writes `_ask` and, if `self.history` is not enough to learn from, `_tell`:

    class Greedy(Searcher):
        def _ask(self):
            if not self.history:
                return self.sample_unseen()
            return self.random_neighbour(self.best()[0])
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Sequence
from typing import ClassVar

import numpy as np

from nasbench_ar.architecture import Architecture, ArchitectureLike
from nasbench_ar.errors import SearchError, SpaceError, SpaceExhaustedError
from nasbench_ar.grid import Grid


class Searcher(ABC):
    """Base class; subclasses pass `space` and `seed` on and add their own arguments.

    Attributes:
        space: where proposals come from.
        seed: the one source of randomness.
        rng: this searcher's own generator, seeded by `seed`; subclasses use no other.
        history: architecture -> score, in the order they were first told.
        stops_itself: the class takes its budget as the constructor argument `queries`, and its `ask` raises
            `SearchFinishedError` when it stops; the caller sets no limit.

    Raises:
        SearchError: on an argument of the wrong type or out of range, in subclasses too.
    """

    stops_itself: ClassVar[bool] = False

    def __init__(self, space: Grid, seed: int) -> None:
        if not isinstance(space, Grid):
            raise SearchError(f"space={space!r}: expected a nasbench_ar.Grid, such as SearchSpace()")
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
            raise SearchError(f"seed={seed!r}: expected a non-negative integer")
        self.space = space
        self.seed = int(seed)
        self.rng = np.random.default_rng(self.seed)
        self.history: dict[Architecture, float] = {}
        self._queue: deque[Architecture] = deque()
        self._best: Architecture | None = None  # the first best of `_best_among` architectures told
        self._best_among = 0

    def __repr__(self) -> str:
        return f"{type(self).__name__}(seed={self.seed}: {self._so_far()})"

    def _so_far(self) -> str:
        if not self.history:
            return "nothing told yet"
        architecture, score = self.best()
        return f"{len(self.history)} told, best {score:.6g} by {architecture}"

    # -- for callers ----------------------------------------------------------

    def ask(self) -> Architecture:
        """The next proposal; one that was told before costs nothing, and the caller tells the known score again.

        Raises:
            SpaceExhaustedError: when every architecture of the space has been told.
            SearchFinishedError: when a searcher that `stops_itself` has stopped.
            SearchError: when the subclass proposes something outside the space.
        """
        if not self._queue:
            self._fill_queue()
        return self._queue.popleft()

    def ask_batch(self) -> list[Architecture]:
        """All proposals that can be evaluated at once: the rest of the current batch, or a new one."""
        if not self._queue:
            self._fill_queue()
        batch = list(self._queue)
        self._queue.clear()
        return batch

    def tell(self, architecture: ArchitectureLike, score: float) -> None:
        """Report a score, in any order, also of architectures that were never asked for.

        Raises:
            SpaceError: when the architecture is not in the space.
            SearchError: when the score is not a finite number.
        """
        told = self.space.parse(architecture)
        try:
            value = float(score)
        except (TypeError, ValueError):
            value = math.nan
        if not math.isfinite(value):
            raise SearchError(f"score of {told} is {score!r}: expected a finite number, higher being better")
        before = self.history.get(told)
        self.history[told] = value
        if before is not None:
            self._best = self._best if before == value else None
        elif self._best is not None and self._best_among == len(self.history) - 1:
            self._best_among += 1
            if value > self.history[self._best]:
                self._best = told
        self._tell(told, value)

    def best(self) -> tuple[Architecture, float]:
        """First of the best architectures told so far, and its score; SearchError before anything was told."""
        if not self.history:
            raise SearchError("nothing was told yet, so there is no best architecture")
        if self._best is None or self._best_among != len(self.history):
            self._best = max(self.history, key=self.history.__getitem__)
            self._best_among = len(self.history)
        return self._best, self.history[self._best]

    def recommend(self) -> Architecture:
        """The architecture that the search would end with now: the best observed, unless a subclass knows better.

        It is one of those told; SearchError before anything was told.
        """
        return self.best()[0]

    # -- for subclasses to write ---------------------------------------------

    @abstractmethod
    def _ask(self) -> Architecture | Sequence[Architecture]:
        """One proposal, or several that do not depend on each other's scores."""

    def _tell(self, architecture: Architecture, score: float) -> None:  # noqa: B027 - optional hook
        """Learn from a score; `history` already has it."""

    # -- for subclasses to use -----------------------------------------------

    def sample_unseen(self) -> Architecture:
        """An architecture not told yet, uniformly; SpaceExhaustedError when there is none."""
        for _ in range(32):
            candidate = self.space.sample(self.rng)
            if candidate not in self.history:
                return candidate
        unseen = [a for a in self.space if a not in self.history]
        if not unseen:
            raise self._exhausted()
        return unseen[int(self.rng.integers(len(unseen)))]

    def sample_unseen_batch(self, count: int) -> list[Architecture]:
        """Up to `count` different architectures not told yet, uniformly; SpaceExhaustedError when there is none."""
        batch: dict[Architecture, None] = {}
        wanted = min(count, self.space.size - len(self.history))
        if wanted < 1:
            raise self._exhausted()
        if 2 * (wanted + len(self.history)) < self.space.size:
            while len(batch) < wanted:
                batch[self.sample_unseen()] = None
            return list(batch)
        unseen = [a for a in self.space if a not in self.history]
        return [unseen[k] for k in self.rng.permutation(len(unseen))[:wanted]]

    def random_neighbour(self, architecture: Architecture) -> Architecture:
        """Change a uniform entry to another of its values, uniformly; any member where there is no neighbour."""
        space = self.space
        for _ in range(64):
            position = int(self.rng.integers(len(architecture)))
            if others := space.others[position][architecture[position]]:
                neighbour = space.changed(architecture, position, others[self.rng.integers(len(others))])
                if space.members is None or neighbour in space:
                    return neighbour
        neighbours = space.neighbours(architecture)
        if not neighbours:
            return space.sample(self.rng)
        return neighbours[int(self.rng.integers(len(neighbours)))]

    # -- inside --------------------------------------------------------------

    def _fill_queue(self) -> None:
        if len(self.history) >= self.space.size:
            raise self._exhausted()
        proposed = self._ask()
        if isinstance(proposed, (Architecture, str)):
            batch = [proposed]
        elif isinstance(proposed, Iterable):
            batch = list(proposed)
        else:
            raise SearchError(f"{type(self).__name__}._ask returned {proposed!r}: expected an Architecture or several")
        if not batch:
            raise SearchError(f"{type(self).__name__}._ask returned no proposal")
        for architecture in batch:
            try:
                self._queue.append(self.space.parse(architecture))
            except (SpaceError, TypeError) as error:
                self._queue.clear()
                raise SearchError(f"{type(self).__name__} proposed {architecture!r}: {error}") from error

    def _exhausted(self) -> SpaceExhaustedError:
        return SpaceExhaustedError(f"all {self.space.size} architectures of the space have been told")


def check_at_least(name: str, value: object, least: int) -> int:
    """Return a count among a searcher's arguments; SearchError unless it is an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise SearchError(f"{name}={value!r}: expected an integer of at least {least}")
    return int(value)


def check_number(name: str, value: object, *, zero: bool = False) -> float:
    """Return a positive finite number among a searcher's arguments; with `zero`, it may be 0; otherwise SearchError."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not number or value < 0 or (value == 0 and not zero):  # type: ignore[operator]
        raise SearchError(f"{name}={value!r}: expected a {'non-negative' if zero else 'positive'} finite number")
    return float(value)  # type: ignore[arg-type]
