"""Nevergrad's optimisers as searchers (Rapin and Teytaud 2018); needs the optional package `nevergrad`.

python -m experiments.run searcher=nevergrad searcher.optimizer=TwoPointsDE
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Any

import numpy as np

from nasbench_ar.architecture import Architecture
from nasbench_ar.errors import SearchError
from nasbench_ar.grid import Grid
from nasbench_ar.system.extras import require
from searchers.base import check_at_least
from searchers.library_search import BorrowedSearcher, OwnGenerators, by_rank, check_seed

PLANNED = 500  # queries of NARes' protocol
ENCODINGS = ("ordinal", "categorical", "mixed")


class NevergradSearcher(BorrowedSearcher):
    """Ask and tell a Nevergrad optimiser, which minimises the scores with their sign turned.

    Args:
        optimizer: a name of Nevergrad's registry; `NGOpt` is its own choice by budget and space.
        encoding: `ordinal`, ordered choices (`TransitionChoice`), `categorical` (`Choice`), or `mixed`, each where
            it fits an entry.
        budget: proposals that the optimiser is told to plan for; it counts its repeats too, of which there may be more
            than new ones. None takes the queries of the race, 500 outside of one.
        patience: proposals in a row without anything new before a random one joins.

    Raises:
        SearchError: when Nevergrad is not installed, or on an unknown name.
    """

    libraries = ("nevergrad",)

    def __init__(
        self,
        space: Grid,
        seed: int,
        *,
        optimizer: str = "NGOpt",
        encoding: str = "ordinal",
        budget: int | None = None,
        patience: int = 20,
    ) -> None:
        super().__init__(space, seed, patience=patience)
        if encoding not in ENCODINGS:
            raise SearchError(f"encoding={encoding!r}: expected one of {', '.join(ENCODINGS)}")
        check_seed(seed, "Nevergrad's generator takes")
        self.optimizer, self.encoding = optimizer, encoding
        self.budget = check_at_least("budget", PLANNED if budget is None else budget, 1)
        nevergrad = require("searcher=nevergrad", "nevergrad", SearchError)
        if optimizer not in nevergrad.optimizers.registry:
            raise SearchError(
                f"optimizer={optimizer!r} is not in Nevergrad's registry; it has NGOpt, TwoPointsDE, "
                "DiscreteOnePlusOne, RandomSearch and many more: list(nevergrad.optimizers.registry)"
            )
        self._generators = OwnGenerators(self.seed)  # some optimisers draw from the global ones
        # Entries with something to choose: some optimisers fail at a choice of one.
        self._free = [k for k in range(space.dimensions) if len(space.choices(k)) > 1] or [0]
        entries = [space.entries[k] for k in self._free]
        kinds = {True: nevergrad.p.TransitionChoice, False: nevergrad.p.Choice}
        with self._generators.installed():
            parametrization = nevergrad.p.Tuple(*(kinds[by_rank(encoding, e)](list(e.choices)) for e in entries))
            parametrization.random_state = np.random.RandomState(self.seed)
            try:
                self._optimizer = nevergrad.optimizers.registry[optimizer](parametrization, budget=self.budget)
            except ImportError as error:
                raise SearchError(f"optimizer={optimizer} needs another package: {error}") from None
        self._asked: dict[Architecture, deque[Any]] = defaultdict(deque)
        self._rejected: deque[Any] = deque()

    def _propose(self) -> Architecture:
        with self._generators.installed():
            try:
                candidate = self._optimizer.ask()
            except AssertionError as error:
                if self._optimizer.num_ask < self.budget:
                    raise SearchError(f"Nevergrad's {self.optimizer} failed: {error}") from error
                return self.sample_unseen()  # some have no proposal beyond their budget
            except (ImportError, RuntimeError) as error:  # some begin their work, and miss packages, only now
                raise SearchError(f"Nevergrad's {self.optimizer} failed: {' '.join(str(error).split())}") from error
        chosen = dict(zip(self._free, candidate.value, strict=True))
        architecture = self.space.compose(chosen.get(k, self.space.choices(k)[0]) for k in range(self.space.dimensions))
        self._asked[architecture].append(candidate)
        return architecture

    def _reject(self, architecture: Architecture) -> None:
        self._rejected.append(self._asked.pop(architecture).popleft())
        if self.history:
            with self._generators.installed():
                self._tell_rejected()

    def _tell_rejected(self) -> None:
        """As one worse than the worst known, since Nevergrad knows no failed evaluations; so they wait for a score."""
        worst = max(-score for score in self.history.values())
        while self._rejected:
            self._optimizer.tell(self._rejected.popleft(), worst + 1.0)

    def _report(self, architecture: Architecture, score: float) -> None:
        waiting = self._asked.get(architecture)
        with self._generators.installed():
            if waiting:
                candidate = waiting.popleft()
            else:
                candidate = self._optimizer.parametrization.spawn_child(
                    new_value=tuple(architecture[k] for k in self._free)
                )
            self._optimizer.tell(candidate, -score)
            self._tell_rejected()
