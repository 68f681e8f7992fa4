"""Successive halving and Hyperband (Li et al. 2018, JMLR 18(185)): rungs that wait for their slowest."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from itertools import cycle

from nasbench_ar.architecture import Architecture
from nasbench_ar.errors import SearchError
from nasbench_ar.grid import Grid
from searchers.base import check_at_least
from searchers.fidelity.base import FidelitySearcher, Training
from searchers.fidelity.rungs import Rung, bracket, halvings, hyperband_brackets


class RungSearcher(FidelitySearcher):
    """Compares architectures at rungs, a factor eta of epochs apart.

    Args:
        epochs: length R of a whole training.
        eta: one in eta goes on (3, one of the two values that Li et al. 2018 recommend).
        least_epochs: no training stops earlier.
    """

    def __init__(self, space: Grid, seed: int, epochs: int, *, eta: int = 3, least_epochs: int = 1) -> None:
        super().__init__(space, seed, epochs)
        self.eta = check_at_least("eta", eta, 2)
        self.least_epochs = check_at_least("least_epochs", least_epochs, 1)
        self.s_max = halvings(self.epochs, self.eta, self.least_epochs)


class BracketSearcher(RungSearcher):
    """Runs brackets one after the other; within one, a rung begins when the one below is told whole.

    The best `n_{i+1}` of rung i by the score after its last epoch go on; of equal ones, those that were sampled first.
    A space with fewer unseen architectures than a bracket needs starts it with those.
    """

    def __init__(self, space: Grid, seed: int, epochs: int, *, eta: int = 3, least_epochs: int = 1) -> None:
        super().__init__(space, seed, epochs, eta=eta, least_epochs=least_epochs)
        self._bracket: deque[Rung] = deque()
        self._members: list[Architecture] = []  # of the current rung, in the order they were sampled
        self._epoch = 0
        self._to_ask: deque[Architecture] = deque()

    @abstractmethod
    def _next_bracket(self) -> list[Rung]:
        """The rungs of the bracket to begin."""

    def _ask(self) -> Training | None:
        if not self._to_ask:
            if any(len(self.history.get(a, ())) <= self._epoch for a in self._members):
                return None
            self._begin_rung()
        return Training(self._to_ask.popleft(), self._epoch)

    def _begin_rung(self) -> None:
        if self._bracket:
            rung = self._bracket.popleft()
            ranked = sorted(self._members, key=lambda a: -self.history[a][self._epoch])  # stable
            promoted = set(ranked[: max(rung.size, 1)])
            self._members = [a for a in self._members if a in promoted]
        else:
            rung, *later = self._next_bracket()
            self._members = self.sample_unseen_batch(rung.size)
            started = len(self._members)
            self._bracket = deque(Rung(above.size * started // rung.size, above.epochs) for above in later)
        self._epoch = rung.epochs - 1
        self._to_ask = deque(self._members)


class SuccessiveHalving(BracketSearcher):
    """The same bracket again and again, each with new architectures.

    Args:
        configurations: architectures that a bracket starts, enough to train one to the end; null is eta^s_max.
    """

    def __init__(
        self,
        space: Grid,
        seed: int,
        epochs: int,
        *,
        eta: int = 3,
        least_epochs: int = 1,
        configurations: int | None = None,
    ) -> None:
        super().__init__(space, seed, epochs, eta=eta, least_epochs=least_epochs)
        fewest = self.eta**self.s_max
        self.configurations = check_at_least("configurations", fewest if configurations is None else configurations, 1)
        if self.configurations < fewest:
            raise SearchError(
                f"configurations={configurations}: with eta={self.eta}, {self.s_max} halvings leave none of them; "
                f"use {fewest} or more, or a larger least_epochs"
            )
        self.rungs = bracket(self.configurations, self.epochs, self.eta, self.s_max)

    def _next_bracket(self) -> list[Rung]:
        return self.rungs


class Hyperband(BracketSearcher):
    """Brackets from many architectures stopped early to few trained to the end, in turn for ever."""

    def __init__(self, space: Grid, seed: int, epochs: int, *, eta: int = 3, least_epochs: int = 1) -> None:
        super().__init__(space, seed, epochs, eta=eta, least_epochs=least_epochs)
        self._brackets = cycle(hyperband_brackets(self.epochs, self.eta, self.least_epochs))

    def _next_bracket(self) -> list[Rung]:
        return next(self._brackets)
