"""Asynchronous successive halving, ASHA (Li et al. 2020, MLSys, algorithm 2): nothing waits for a rung."""

from __future__ import annotations

from bisect import insort

from nasbench_ar.architecture import Architecture
from nasbench_ar.arrays import FloatArray
from nasbench_ar.errors import SearchError
from nasbench_ar.grid import Grid
from searchers.base import check_at_least
from searchers.fidelity.base import Training
from searchers.fidelity.halving import RungSearcher
from searchers.fidelity.rungs import levels


class Asha(RungSearcher):
    """Promote an architecture that is among the best of its rung so far; otherwise start a new one.

    When a worker is free, the rungs are searched from the last but one down to the lowest.  Candidates of rung k are
    the best floor(|rung k| / eta) of those that have finished it; the best candidate that has not been promoted goes
    on to rung k + 1.  Without a candidate in any rung, a new architecture begins in rung 0.  A promotion is never
    taken back, so early ones may be wrong: the price of not waiting.

    Rungs lie at R eta^-(s_max-s), ..., R / eta, R epochs, as those of successive halving, rounded to whole ones.
    Of equal scores, the one told first is better.

    Args:
        eta: one in eta goes on (3, as `Hyperband`; the paper uses 4).
        early_stopping_rate: s of the paper, by how many rungs the lowest one is raised.
    """

    def __init__(
        self,
        space: Grid,
        seed: int,
        epochs: int,
        *,
        eta: int = 3,
        least_epochs: int = 1,
        early_stopping_rate: int = 0,
    ) -> None:
        super().__init__(space, seed, epochs, eta=eta, least_epochs=least_epochs)
        top = self.s_max
        self.early_stopping_rate = check_at_least("early_stopping_rate", early_stopping_rate, 0)
        if self.early_stopping_rate > top:
            raise SearchError(
                f"early_stopping_rate={early_stopping_rate}: there are {top + 1} rungs; use at most {top}"
            )
        self.levels = levels(self.epochs, self.eta, top)[self.early_stopping_rate :]
        # Of each rung: (-score, order of arrival, architecture), best first.
        self._rungs: list[list[tuple[float, int, Architecture]]] = [[] for _ in self.levels]
        self._arrived: list[set[Architecture]] = [set() for _ in self.levels]

    def _ask(self) -> Training:
        for k in range(len(self.levels) - 2, -1, -1):
            rung = self._rungs[k]
            for _, _, architecture in rung[: len(rung) // self.eta]:
                if self.known_epochs(architecture) <= self.levels[k]:
                    return Training(architecture, self.levels[k + 1] - 1)
        return Training(self.sample_unseen(), self.levels[0] - 1)

    def _tell(self, training: Training, scores: FloatArray) -> None:
        for rung, arrived, level in zip(self._rungs, self._arrived, self.levels, strict=True):
            if level <= len(scores) and training.architecture not in arrived:
                arrived.add(training.architecture)
                insort(rung, (-float(scores[level - 1]), len(arrived), training.architecture))
