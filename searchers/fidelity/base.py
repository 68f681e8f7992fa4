"""What every multi-fidelity searcher shares: ask what to train and how far, tell what was seen.

A searcher sees neither the table nor an epoch that it did not ask for.  The caller trains and tells; several
trainings may run at a time:

    searcher = Hyperband(space, seed=0, epochs=100)
    while budget_lasts:
        architecture, epoch = searcher.ask()
        searcher.tell(architecture, epoch, scores_after_each_epoch(architecture, epoch))

Epochs count from 0: a training up to epoch 8 has nine of them.  Going on with an architecture costs only the further
epochs.  A new algorithm is a subclass that writes `_ask` and, if `self.history` is not enough to learn from, `_tell`:

    class StopAtHalf(FidelitySearcher):
        def _ask(self):
            return Training(self.sample_unseen(), (self.epochs - 1) // 2)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nasbench_ar.architecture import Architecture, ArchitectureLike
from nasbench_ar.arrays import FloatArray
from nasbench_ar.errors import SearchError, SpaceError, SpaceExhaustedError
from nasbench_ar.grid import Grid, is_int
from searchers.base import check_at_least


class Training(NamedTuple):
    """A proposal: train `architecture` until `epoch` is over, from 0 or from where it stopped."""

    architecture: Architecture
    epoch: int


class FidelitySearcher(ABC):
    """Base class; subclasses pass `space`, `seed` and `epochs` on and add their own arguments.

    Attributes:
        space: where proposals come from.
        seed: the one source of randomness.
        epochs: length of a whole training.
        rng: this searcher's own generator, seeded by `seed`; subclasses use no other.
        history: architecture -> (epochs known,) float64 scores, in the order they were first told.
        pending: architecture -> epoch, of trainings asked for and not told yet.

    Raises:
        SearchError: on an argument of the wrong type or out of range, in subclasses too.
    """

    def __init__(self, space: Grid, seed: int, epochs: int) -> None:
        if not isinstance(space, Grid):
            raise SearchError(f"space={space!r}: expected a nasbench_ar.Grid, such as SearchSpace()")
        self.space = space
        self.seed = check_at_least("seed", seed, 0)
        self.epochs = check_at_least("epochs", epochs, 1)
        self.rng = np.random.default_rng(self.seed)
        self.history: dict[Architecture, FloatArray] = {}
        self.pending: dict[Architecture, int] = {}
        self._deck: list[Architecture] = []

    def __repr__(self) -> str:
        return f"{type(self).__name__}(seed={self.seed}: {len(self.history)} told, {len(self.pending)} running)"

    # -- for callers ----------------------------------------------------------

    def ask(self) -> Training | None:
        """The next training to start; None when the searcher waits for one that is running.

        Raises:
            SpaceExhaustedError: when nothing is running and there is nothing left to train.
            SearchError: when the subclass proposes what cannot be trained, or waits for nothing.
        """
        try:
            proposed = self._ask()
        except SpaceExhaustedError:
            if self.pending:
                return None  # what is running may yet open a way
            raise
        if proposed is None:
            if not self.pending:
                raise SearchError(f"{type(self).__name__} waits for a training, but none is running")
            return None
        training = self._checked(proposed)
        self.pending[training.architecture] = training.epoch
        return training

    def tell(self, architecture: ArchitectureLike, epoch: int, scores: Sequence[float] | FloatArray) -> None:
        """Report a training, in any order, also one that was never asked for.

        Args:
            architecture: what was trained.
            epoch: the last epoch, from 0.
            scores: (epoch + 1,) after epochs 0..epoch, higher being better.

        Raises:
            SpaceError: when the architecture is not in the space.
            SearchError: on an epoch that no training reaches, or scores of the wrong number or not finite.
        """
        told = self.space.parse(architecture)
        last = self._checked_epoch(epoch)
        try:
            values = np.array(scores, dtype=np.float64)
        except (TypeError, ValueError):
            values = np.array(np.nan)
        if values.shape != (last + 1,) or not np.isfinite(values).all():
            raise SearchError(
                f"scores of {told} up to epoch {last} are {scores!r}: expected {last + 1} finite numbers, "
                "higher being better"
            )
        values.flags.writeable = False
        if len(values) >= len(self.history.get(told, ())):
            self.history[told] = values
        if self.pending.get(told, last + 1) <= last:
            del self.pending[told]
        self._tell(Training(told, last), values)

    def best(self) -> tuple[Architecture, float]:
        """First architecture with the best score at any epoch, and that score; SearchError before any was told."""
        if not self.history:
            raise SearchError("nothing was told yet, so there is no best architecture")
        found = max(self.history, key=lambda architecture: self.history[architecture].max())
        return found, float(self.history[found].max())

    # -- for subclasses to write ---------------------------------------------

    @abstractmethod
    def _ask(self) -> Training | None:
        """One training, or None to wait for those in `self.pending`."""

    def _tell(self, training: Training, scores: FloatArray) -> None:  # noqa: B027 - optional hook
        """Learn from a training; `history` already has it."""

    # -- for subclasses to use -----------------------------------------------

    def known_epochs(self, architecture: Architecture) -> int:
        """How many epochs of an architecture were told or are under way."""
        return max(len(self.history.get(architecture, ())), self.pending.get(architecture, -1) + 1)

    def sample_unseen(self) -> Architecture:
        """An architecture neither told nor under way, uniformly; SpaceExhaustedError when there is none.

        Each is drawn once before any comes again.
        """
        if not (architecture := self._draw()):
            unseen = [a for a in self.space if not self.known_epochs(a)]
            self._deck = [unseen[k] for k in self.rng.permutation(len(unseen))]
            architecture = self._draw()
        if not architecture:
            raise SpaceExhaustedError(f"all {self.space.size} architectures of the space have been started")
        return architecture

    def sample_unseen_batch(self, count: int) -> list[Architecture]:
        """Up to `count` different architectures from `sample_unseen`; SpaceExhaustedError when there is none."""
        wanted = min(count, self.space.size - len(self.history.keys() | self.pending.keys()))
        batch = {self.sample_unseen(): None}
        while len(batch) < wanted:
            batch[self.sample_unseen()] = None
        return list(batch)

    # -- inside --------------------------------------------------------------

    def _draw(self) -> Architecture | None:
        while self._deck:
            if not self.known_epochs(architecture := self._deck.pop()):
                return architecture
        return None

    def _checked(self, proposed: object) -> Training:
        name = type(self).__name__
        if not isinstance(proposed, tuple) or len(proposed) != 2:
            raise SearchError(f"{name}._ask returned {proposed!r}: expected a Training or None")
        try:
            training = Training(self.space.parse(proposed[0]), self._checked_epoch(proposed[1]))
        except (SpaceError, SearchError, TypeError) as error:
            raise SearchError(f"{name} proposed {proposed!r}: {error}") from error
        if training.architecture in self.pending:
            raise SearchError(f"{name} proposed {training.architecture}, which is being trained already")
        return training

    def _checked_epoch(self, epoch: object) -> int:
        if not is_int(epoch) or not 0 <= epoch < self.epochs:  # type: ignore[operator]
            raise SearchError(f"epoch={epoch!r}: epochs run from 0 to {self.epochs - 1}")
        return int(epoch)  # type: ignore[call-overload]
