"""Conformance tests that every multi-fidelity searcher must pass: ours, and yours.

    from searchers.fidelity.testing import FidelityConformance

    class TestMySearcher(FidelityConformance):
        searcher = MySearcher
        arguments = {"eta": 2}      # optional
        rank_based = True           # optional promises: see `FidelityConformance`

or anywhere else: `check_fidelity_searcher(MySearcher, eta=2)`.  The class must be importable by its module's name,
since one test starts another process.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from nasbench_ar.architecture import Architecture
from nasbench_ar.arrays import FloatArray
from nasbench_ar.errors import SearchError, SpaceError, SpaceExhaustedError
from nasbench_ar.space import SearchSpace
from searchers.fidelity.base import FidelitySearcher, Training
from searchers.testing import (
    SMALL,
    STRETCHES,
    TINY,
    check_all,
    check_global_random_state,
    hilly,
    in_another_process,
    stretched,
)

EPOCHS = 9
_PATIENCE = 20_000  # proposals a searcher may need to finish a space

Curve = Callable[[Architecture, int], FloatArray]


def climbing(architecture: Architecture, epoch: int) -> FloatArray:
    """A toy learning curve up to `epoch`: it climbs to `hilly`, and small networks climb faster."""
    done = np.arange(1, epoch + 2)
    return hilly(architecture) * done / (done + sum(architecture) / 8)


def trajectory(searcher: FidelitySearcher, trainings: int, curve: Curve = climbing, *, at_a_time: int = 1) -> list[Any]:
    """The first trainings of a search as lists: the architecture's numbers, then the epoch.

    Args:
        curve: scores after epochs 0..epoch.
        at_a_time: how many run together; which of them ends first is drawn from a fixed seed.
    """
    order = random.Random(0)
    started: list[Any] = []
    running: list[Training] = []
    while True:
        wanted = None
        while len(started) < trainings and len(running) < at_a_time:
            try:
                wanted = searcher.ask()
            except SpaceExhaustedError:
                break
            if wanted is None:
                break
            running.append(wanted)
            started.append([*wanted.architecture, wanted.epoch])
        if not running:
            assert len(started) >= trainings or wanted is None, "waits although nothing is running"
            return started
        done = running.pop(order.randrange(len(running)))
        searcher.tell(done.architecture, done.epoch, curve(*done))


def all_scores(space: SearchSpace, epochs: int, curve: Curve = climbing) -> dict[tuple[Architecture, int], float]:
    return {(a, epoch): float(score) for a in space for epoch, score in enumerate(curve(a, epochs - 1))}


def curve_of(scores: Mapping[tuple[Architecture, int], float]) -> Curve:
    """The inverse of `all_scores`."""
    return lambda architecture, epoch: np.array([scores[architecture, k] for k in range(epoch + 1)])


def replay(searcher: type[FidelitySearcher], seed: int, trainings: int, arguments: Mapping[str, Any]) -> list[Any]:
    return trajectory(searcher(SMALL, seed, EPOCHS, **arguments), trainings)


class FidelityConformance:
    """Subclass it in a test module and set `searcher`; pytest collects the tests.

    Attributes:
        searcher: the class under test.
        arguments: its constructor arguments beyond `space`, `seed` and `epochs`.
        rank_based: set it where the searcher only compares scores, as in `SearcherConformance`.
        synchronous: set it where neither the number of trainings that run together nor the order in which they end
            changes what is trained.
    """

    searcher: ClassVar[type[FidelitySearcher]]
    arguments: ClassVar[Mapping[str, Any]] = {}
    rank_based: ClassVar[bool] = False
    synchronous: ClassVar[bool] = False

    def make(self, space: SearchSpace, seed: int = 0, epochs: int = EPOCHS) -> FidelitySearcher:
        return self.searcher(space, seed, epochs, **self.arguments)

    def test_proposals_can_be_trained(self) -> None:
        searcher = self.make(SMALL)
        for _ in range(60):
            proposed = searcher.ask()
            assert isinstance(proposed, Training), f"proposed {proposed!r} while nothing was running"
            assert isinstance(proposed.architecture, Architecture)
            assert proposed.architecture in SMALL, f"proposed {proposed}, which is outside the space"
            assert 0 <= proposed.epoch < EPOCHS, f"proposed {proposed}, which no training reaches"
            searcher.tell(*proposed, climbing(*proposed))

    def test_knows_what_it_was_told(self) -> None:
        searcher = self.make(SMALL)
        told: dict[Architecture, int] = {}
        for _ in range(60):
            architecture, epoch = searcher.ask() or Training(SMALL.from_index(0), 0)
            told[architecture] = max(told.get(architecture, 0), epoch + 1)
            searcher.tell(architecture, epoch, climbing(architecture, epoch))
            known = {a: len(scores) for a, scores in searcher.history.items()}
            assert known == told, "the searcher knows epochs that nobody told it"
            assert not searcher.pending

    def test_starts_everything_before_it_gives_up(self) -> None:
        for space in (TINY, SMALL.restricted_to(indices=range(0, 81, 4)), SMALL.restricted_to(indices=[40])):
            searcher = self.make(space)
            started = trajectory(searcher, _PATIENCE)
            assert len(started) < _PATIENCE, f"repeats itself for {_PATIENCE} trainings"
            assert set(searcher.history) == set(space), f"saw {len(searcher.history)} of {space.size}"

    def test_trainings_of_one_epoch(self) -> None:
        assert all(training[-1] == 0 for training in trajectory(self.make(SMALL, epochs=1), 40))

    def test_several_trainings_at_a_time(self) -> None:
        for workers in (2, 5, 200):
            searcher = self.make(SMALL)
            trajectory(searcher, _PATIENCE, at_a_time=workers)
            assert set(searcher.history) == set(SMALL), f"saw {len(searcher.history)} with {workers} at a time"
            assert not searcher.pending

    def test_any_number_at_a_time_trains_the_same_if_it_promises_so(self) -> None:
        alone = trajectory(self.make(SMALL, 2), 60)
        for workers in (2, 5, 200) if self.synchronous else ():
            found = trajectory(self.make(SMALL, 2), 60, at_a_time=workers)
            assert found == alone, f"{workers} trainings at a time are others than one at a time"

    def test_ranks_decide_if_it_promises_so(self) -> None:
        scores = all_scores(SMALL, EPOCHS)
        expected = trajectory(self.make(SMALL, 5), 60, curve_of(scores))
        for name, stretch in STRETCHES.items() if self.rank_based else ():
            found = trajectory(self.make(SMALL, 5), 60, curve_of(stretched(scores, stretch)))
            assert found == expected, f"another trajectory when scores are replaced by {name} in the same order"

    def test_same_seed_same_trajectory(self) -> None:
        first, second = (trajectory(self.make(SMALL, 7), 60) for _ in range(2))
        assert first == second, "two searchers of the same seed went different ways"

    def test_same_in_another_process(self) -> None:
        elsewhere = in_another_process(replay, self.searcher, 11, 60, self.arguments)
        assert elsewhere == trajectory(self.make(SMALL, 11), 60), "another process went another way"

    def test_ignores_global_random_state(self) -> None:
        check_global_random_state(lambda: trajectory(self.make(SMALL, 3), 60))

    def test_survives_any_scores(self) -> None:
        constant: Curve = lambda _, epoch: np.ones(epoch + 1)  # noqa: E731
        falling: Curve = lambda a, epoch: -climbing(a, epoch)  # noqa: E731
        huge: Curve = lambda a, epoch: 1e12 * climbing(a, epoch)  # noqa: E731
        for curve in (constant, falling, huge):
            assert len(trajectory(self.make(SMALL), 60, curve)) == 60

    def test_survives_scores_nobody_asked_for(self) -> None:
        searcher = self.make(SMALL)
        for index in range(0, 81, 9):
            architecture = SMALL.from_index(index)
            searcher.tell(architecture, index % EPOCHS, climbing(architecture, index % EPOCHS))
        assert len(trajectory(searcher, 60)) == 60

    def test_rejects_bad_scores(self) -> None:
        searcher = self.make(SMALL)
        architecture = SMALL.from_index(40)
        for epoch, scores in ((1, [1.0]), (0, [float("nan")]), (0, [None]), (EPOCHS, [1.0] * (EPOCHS + 1)), (0, 1.0)):
            try:
                searcher.tell(architecture, epoch, scores)  # type: ignore[arg-type]
            except SearchError:
                continue
            raise AssertionError(f"accepted the scores {scores!r} up to epoch {epoch}")
        try:
            searcher.tell("9-9-9-9", 0, [1.0])
        except SpaceError:
            return
        raise AssertionError("accepted scores of an architecture outside the space")


def check_fidelity_searcher(searcher: type[FidelitySearcher], **arguments: Any) -> None:
    """Run every conformance test; AssertionError at the first that fails."""
    check_all(type("Suite", (FidelityConformance,), {"searcher": searcher, "arguments": arguments})())
