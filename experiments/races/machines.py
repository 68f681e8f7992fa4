"""Seeded runs on simulated machines: a searcher asks for epochs, a session reveals and charges them.

Each of `workers` machines trains one architecture at a time, and a training takes as long as it costs: the clock runs
in the unit of the budget.  When a training ends, the searcher is told, and every idle machine asks for work, in the
order of the machines' trainings; of trainings that end together, the one begun first is told first.  A searcher that
answers None leaves its machine idle until the next training ends.

A training is paid for when it begins.  The one that the rest of the budget cannot pay to its end stops after the last
epoch that it pays; nothing begins after it, what runs is finished, and the search is over.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nasbench_ar import ConfigError, FidelitySession, SpaceExhaustedError
from searchers.fidelity import FidelitySearcher, Training
from searchers.trajectory import STALL_LIMIT


@dataclass(frozen=True)
class Trace:
    """What one run did; arrays are (n,) over its trainings, in the order in which they ended.

    Attributes:
        epoch: the last one of each training.
        began: simulated time, as `ended`.
        spent: cost of this and all trainings that ended before.
        incumbent: architecture of the best value revealed so far.
        repeats: proposals of what was known already.
        why: empty, or why the run ended before its budget was spent.
    """

    seed: int
    arch_index: NDArray[np.int32]
    epoch: NDArray[np.int32]
    began: NDArray[np.float64]
    ended: NDArray[np.float64]
    spent: NDArray[np.float64]
    incumbent: NDArray[np.int32]
    repeats: int
    why: str = ""


@dataclass(frozen=True, order=True)
class _Running:
    """A training on a machine; the earliest end comes first, then the earliest begin."""

    ends: float
    order: int
    began: float = field(compare=False)
    price: float = field(compare=False)
    training: Training = field(compare=False)
    scores: NDArray[np.float64] = field(compare=False)


def simulate(searcher: FidelitySearcher, session: FidelitySession, workers: int) -> Trace:
    """Ask, train and tell on simulated machines until the budget is spent."""
    machines = _Machines(searcher, session, workers)
    spent, best, incumbent = 0.0, -np.inf, -1
    rows: list[tuple[int, int, float, float, float, int]] = []
    machines.begin(0.0)
    while machines.running:
        done = heapq.heappop(machines.running)
        spent += done.price
        index = session.space.index(done.training.architecture)
        if done.scores.max() > best:
            incumbent, best = index, done.scores.max()
        rows.append((index, done.training.epoch, done.began, done.ends, spent, incumbent))
        if machines.open:
            searcher.tell(*done.training, done.scores)
            machines.begin(done.ends)
    if not rows:
        raise ConfigError(f"budget={session.budget:.6g}: it does not pay for one epoch of the first architecture")
    arch_index, epoch, began, ended, charged, incumbents = zip(*rows, strict=True)
    return Trace(
        seed=searcher.seed,
        arch_index=np.array(arch_index, dtype=np.int32),
        epoch=np.array(epoch, dtype=np.int32),
        began=np.array(began),
        ended=np.array(ended),
        spent=np.array(charged),
        incumbent=np.array(incumbents, dtype=np.int32),
        repeats=session.repeats,
        why=machines.why,
    )


class _Machines:
    """A heap of trainings that run; `open` while more may begin, `why` tells an early end."""

    def __init__(self, searcher: FidelitySearcher, session: FidelitySession, workers: int) -> None:
        self.running: list[_Running] = []
        self.open = True
        self.why = ""
        self._searcher = searcher
        self._session = session
        self._workers = workers
        self._begun = 0

    def begin(self, now: float) -> None:
        while self.open and len(self.running) < self._workers:
            training = self._next_new()
            if training is None:
                return
            self._start(training, now)

    def _next_new(self) -> Training | None:
        """What the searcher wants next and does not know yet; repeats are told at once."""
        for _ in range(STALL_LIMIT):
            try:
                training = self._searcher.ask()
            except SpaceExhaustedError as stop:
                self.open, self.why = False, str(stop)
                return None
            if training is None or self._session.known_epochs(training.architecture) <= training.epoch:
                return training
            self._searcher.tell(*training, self._session.scores(*training))
        self.open, self.why = False, f"nothing new was proposed {STALL_LIMIT} times in a row"
        return None

    def _start(self, training: Training, now: float) -> None:
        architecture, wanted = training
        epoch = self._session.affordable(architecture, wanted)
        if epoch is None:
            self.open = False
            return
        price = self._session.price(architecture, epoch)
        scores = self._session.scores(architecture, epoch)
        self.open = epoch == wanted and not self._session.exhausted
        training = Training(architecture, epoch)
        heapq.heappush(self.running, _Running(now + price, self._begun, now, price, training, scores))
        self._begun += 1
