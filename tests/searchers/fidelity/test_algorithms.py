"""Promotions worked by hand: successive halving, Hyperband and ASHA."""

from typing import Any

import numpy as np
import pytest

from nasbench_ar import Architecture, SearchError, SearchSpace
from searchers.fidelity import Asha, FidelitySearcher, Hyperband, RandomFull, SuccessiveHalving, Training
from searchers.fidelity.testing import SMALL, TINY, climbing

FOUR = SearchSpace(depth_choices=(1, 2), width_choices=(1, 2), stages=1)


def trained(searcher: FidelitySearcher, count: int) -> list[Training]:
    """Ask, and tell a climbing curve."""
    found = []
    for _ in range(count):
        found.append(proposed := searcher.ask())
        assert proposed
        searcher.tell(*proposed, climbing(*proposed))
    return found  # type: ignore[return-value]


def test_random_search_trains_to_the_end_and_never_twice() -> None:
    searcher = RandomFull(TINY, 0, 5)
    trainings = [searcher.ask() for _ in range(TINY.size)]
    assert {t.architecture for t in trainings if t} == set(TINY)
    assert {t.epoch for t in trainings if t} == {4}


def test_successive_halving_keeps_the_best_third() -> None:
    searcher = SuccessiveHalving(SMALL, 0, 9)
    first = [searcher.ask() for _ in range(9)]
    members = [t.architecture for t in first if t]
    assert [t.epoch for t in first if t] == [0] * 9
    assert searcher.ask() is None  # the rung is not told yet
    ranks = [3, 8, 1, 5, 7, 0, 2, 6, 4]
    for k in (4, 0, 8, 1, 3, 2, 7, 6):
        searcher.tell(members[k], 0, [ranks[k]])
    assert searcher.ask() is None
    searcher.tell(members[5], 0, [ranks[5]])
    second = [searcher.ask() for _ in range(3)]
    assert [(t.architecture, t.epoch) for t in second if t] == [(members[k], 2) for k in (1, 4, 7)]
    assert searcher.ask() is None
    for architecture, score in ((members[1], 5.0), (members[4], 9.0), (members[7], 9.0)):
        searcher.tell(architecture, 2, [0, 0, score])
    last = searcher.ask()
    assert last == (members[4], 8)  # of equal ones, the one sampled first
    assert searcher.ask() is None
    searcher.tell(members[4], 8, np.zeros(9))
    again = searcher.ask()
    assert again is not None
    assert again.architecture not in members
    assert again.epoch == 0


def test_the_last_value_decides_not_the_best() -> None:
    searcher = SuccessiveHalving(SMALL, 0, 4, eta=2, least_epochs=2)
    one, other = searcher.ask(), searcher.ask()
    assert one
    assert other
    searcher.tell(*one, [9.0, 1.0])
    searcher.tell(*other, [0.0, 2.0])
    assert searcher.ask() == (other.architecture, 3)


def test_a_bracket_of_the_last_few() -> None:
    searcher = SuccessiveHalving(FOUR, 0, 9)  # would start with nine
    assert trained(searcher, 5)[-1].epoch == 2


def test_hyperbands_brackets_follow_each_other() -> None:
    searcher = Hyperband(SMALL, 0, 9)
    epochs = [training.epoch + 1 for training in trained(searcher, 24)]
    assert epochs == [1] * 9 + [3] * 3 + [9] + [3] * 5 + [9] + [9] * 3 + [1, 1]


class Ordered(Asha):
    """Starts architectures in lexicographic order."""

    def sample_unseen(self) -> Architecture:
        return next(a for a in self.space if not self.known_epochs(a))


def test_ashas_promotions() -> None:
    a, b, c, d, e = (TINY.from_index(k) for k in range(5))
    searcher = Ordered(TINY, 0, 4, eta=2)
    assert searcher.levels == [1, 2, 4]
    script: list[tuple[tuple[Architecture, int], list[float]]] = [
        ((a, 0), [1]),  # half of one rounds to none
        ((b, 0), [2]),
        ((b, 1), [2, 4]),  # b is the better one of two
        ((c, 0), [0.5]),  # one promoted of three
        ((d, 0), [3]),
        ((d, 1), [3, 5]),  # d and b are the best two of four; b is there already
        ((d, 3), [3, 5, 5, 5]),  # the higher rung comes first
        ((e, 0), [9]),
        ((TINY.from_index(5), 0), [0]),  # five, hence two: e, which is next, and d
    ]
    expected = [training for training, _ in script]
    assert expected.pop() == (TINY.from_index(5), 0)
    for training, scores in script[:-1]:
        proposed = searcher.ask()
        assert proposed == training
        searcher.tell(*training, scores)
    assert searcher.ask() == (e, 1)


def test_asha_looks_at_the_higher_rung_first() -> None:
    a, b, c, d = (TINY.from_index(k) for k in range(4))
    searcher = Ordered(TINY, 0, 4, eta=2)
    for architecture, scores in ((a, [1.0, 1.0]), (b, [2.0, 2.0]), (c, [9.0]), (d, [0.0])):
        searcher.tell(architecture, len(scores) - 1, scores)
    assert searcher.ask() == (b, 3)  # one of the two in the middle rung
    assert searcher.ask() == (c, 1)  # two of the four in the lowest: c, and b, which has gone on


def test_asha_does_not_wait_nor_promote_twice() -> None:
    a, b, c = (TINY.from_index(k) for k in range(3))
    searcher = Ordered(TINY, 0, 4, eta=2)
    assert [searcher.ask() for _ in range(3)] == [(a, 0), (b, 0), (c, 0)]
    searcher.tell(b, 0, [1.0])
    searcher.tell(c, 0, [0.0])
    assert searcher.ask() == (b, 1)  # although a has not ended
    searcher.tell(a, 0, [5.0])
    assert searcher.ask() == (a, 1)  # one of three, and a is the best now; b's promotion stays
    assert searcher.ask() == (TINY.from_index(3), 0)


def test_ashas_stopping_rate_raises_the_lowest_rung() -> None:
    assert Asha(TINY, 0, 81, early_stopping_rate=2).levels == [9, 27, 81]


@pytest.mark.parametrize(
    ("cls", "arguments", "message"),
    [
        (SuccessiveHalving, {"configurations": 8}, "configurations=8: .* use 9 or more"),
        (Hyperband, {"least_epochs": 10}, "least_epochs=10: a whole training has only 9 epochs"),
        (Asha, {"early_stopping_rate": 3}, "early_stopping_rate=3: there are 3 rungs; use at most 2"),
    ],
)
def test_wrong_arguments(cls: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SearchError, match=message):
        cls(SMALL, 0, 9, **arguments)
