"""The face of multi-fidelity searchers: what is proposed, told and refused."""

import re
from typing import Any

import numpy as np
import pytest

from nasbench_ar import Architecture, SearchError, SpaceError
from nasbench_ar.errors import SpaceExhaustedError
from searchers.fidelity import FidelitySearcher, Training
from searchers.testing import SMALL, TINY

A, B = SMALL.from_index(3), SMALL.from_index(4)


class Scripted(FidelitySearcher):
    """Proposes what it was given, and notes what it is told."""

    def __init__(self, *script: Any, space: Any = SMALL, epochs: Any = 5, seed: Any = 0) -> None:
        super().__init__(space, seed, epochs)
        self.script = list(script)
        self.heard: list[tuple[Training, list[float]]] = []

    def _ask(self) -> Training | None:
        if not self.script:
            raise SpaceExhaustedError("no more")
        proposed: Training | None = self.script.pop(0)
        return proposed

    def _tell(self, training: Training, scores: np.ndarray) -> None:
        self.heard.append((training, scores.tolist()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"space": "all"}, "space='all': expected a nasbench_ar.Grid, such as SearchSpace()"),
        ({"seed": -1}, "seed=-1: expected an integer of at least 0"),
        ({"seed": True}, "seed=True: expected an integer of at least 0"),
        ({"epochs": 0}, "epochs=0: expected an integer of at least 1"),
        ({"epochs": 2.0}, "epochs=2.0: expected an integer of at least 1"),
    ],
)
def test_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SearchError, match=f"^{re.escape(message)}$"):
        Scripted(**arguments)


def test_what_is_told_is_kept_and_heard() -> None:
    searcher = Scripted(Training(A, 2), (str(B), 0))
    with pytest.raises(SearchError, match="^nothing was told yet, so there is no best architecture$"):
        searcher.best()
    assert searcher.ask() == Training(A, 2)
    assert searcher.ask() == Training(B, 0)
    assert searcher.pending == {A: 2, B: 0}
    assert [searcher.known_epochs(a) for a in (A, B, SMALL.from_index(5))] == [3, 1, 0]
    searcher.tell(str(A), 2, [1, 5, 3])
    assert (searcher.pending, searcher.known_epochs(A)) == ({B: 0}, 3)
    searcher.tell(B, 0, np.array([5.0]))
    assert searcher.heard == [(Training(A, 2), [1, 5, 3]), (Training(B, 0), [5])]
    assert searcher.best() == (A, 5.0), "the first of the best, at whatever epoch"
    with pytest.raises(ValueError, match="read-only"):
        searcher.history[A][0] = 9


def test_less_than_is_known_or_under_way_changes_nothing() -> None:
    searcher = Scripted(Training(A, 3))
    searcher.ask()
    searcher.tell(A, 2, [1, 2, 3])
    assert searcher.pending == {A: 3}, "the training goes on"
    assert searcher.known_epochs(A) == 4
    searcher.tell(A, 1, [7, 7])
    assert searcher.history[A].tolist() == [1, 2, 3]
    searcher.tell(A, 2, [4, 5, 6])
    assert searcher.history[A].tolist() == [4, 5, 6], "of equal length, the later counts"
    searcher.tell(A, 3, [1, 2, 3, 4])
    assert searcher.pending == {}


@pytest.mark.parametrize(
    "scores", [[1.0], [1.0, 2.0, 3.0], [1.0, float("nan")], [1.0, float("inf")], "ab", None, [[1.0, 2.0]], [1.0, "b"]]
)
def test_scores_are_one_finite_number_an_epoch(scores: Any) -> None:
    searcher = Scripted()
    told = f"scores of {A} up to epoch 1 are {scores!r}: expected 2 finite numbers, higher being better"
    with pytest.raises(SearchError, match=f"^{re.escape(told)}$"):
        searcher.tell(A, 1, scores)
    assert searcher.history == {}


@pytest.mark.parametrize("epoch", [-1, 5, 1.0, True, "1", None])
def test_epochs_of_the_training(epoch: Any) -> None:
    told = f"epoch={epoch!r}: epochs run from 0 to 4"
    with pytest.raises(SearchError, match=f"^{re.escape(told)}$"):
        Scripted().tell(A, epoch, [1.0])
    with pytest.raises(SearchError, match=rf"^Scripted proposed {re.escape(repr((A, epoch)))}: {re.escape(told)}$"):
        Scripted((A, epoch)).ask()
    Scripted().tell(A, 4, [1.0] * 5)


@pytest.mark.parametrize("proposed", [A, (A,), (A, 1, 2), [A, 1], "1-1-1-1", 7])
def test_proposals_are_trainings(proposed: Any) -> None:
    with pytest.raises(SearchError, match=r"^Scripted\._ask returned .*: expected a Training or None$"):
        Scripted(proposed).ask()


def test_proposals_are_of_the_space_and_not_under_way() -> None:
    stranger = Architecture(9, 9, 9, 9)
    with pytest.raises(SearchError, match="^Scripted proposed .*9.*: "):
        Scripted(Training(stranger, 1)).ask()
    with pytest.raises(SpaceError):
        Scripted().tell(stranger, 0, [1.0])
    searcher = Scripted(Training(A, 1), Training(A, 2))
    searcher.ask()
    with pytest.raises(SearchError, match=f"^Scripted proposed {A}, which is being trained already$"):
        searcher.ask()


def test_waiting() -> None:
    with pytest.raises(SearchError, match="^Scripted waits for a training, but none is running$"):
        Scripted(None).ask()
    with pytest.raises(SpaceExhaustedError, match="no more"):
        Scripted().ask()
    searcher = Scripted(Training(A, 0), None)
    searcher.ask()
    assert searcher.ask() is None
    assert searcher.ask() is None, "exhausted, but what runs may open a way"
    searcher.tell(A, 0, [1.0])
    with pytest.raises(SpaceExhaustedError):
        searcher.ask()


def test_samples_are_new_until_there_are_none() -> None:
    searcher = Scripted(Training(TINY.from_index(2), 0), space=TINY)
    searcher.ask()
    searcher.tell(TINY.from_index(0), 0, [1.0])
    drawn = set()
    for _ in range(TINY.size - 2):
        drawn.add(found := searcher.sample_unseen())
        searcher.pending[found] = 0
    assert drawn == set(TINY) - {TINY.from_index(0), TINY.from_index(2)}
    with pytest.raises(SpaceExhaustedError, match=f"^all {TINY.size} architectures of the space have been started$"):
        searcher.sample_unseen()


def test_batches_are_as_large_as_asked_or_possible() -> None:
    searcher = Scripted(space=TINY)
    searcher.tell(TINY.from_index(0), 0, [1.0])
    for count in (1, 3, TINY.size - 1, TINY.size, 1000):
        batch = searcher.sample_unseen_batch(count)
        assert len(set(batch)) == len(batch) == min(count, TINY.size - 1)
        assert TINY.from_index(0) not in batch
