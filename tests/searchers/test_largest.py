"""The largest networks first."""

from __future__ import annotations

import numpy as np
import pytest

from nasbench_ar import NARES, SearchError, load
from searchers import Largest, search
from searchers.testing import SMALL


@pytest.mark.parametrize("by", ["macs", "params"])
def test_costs_never_rise_and_the_first_is_recommended(by: str) -> None:
    searcher = Largest(NARES, 0, by=by)
    cost = []
    for score in range(50):
        architecture = searcher.ask()
        searcher.tell(architecture, score)
        cost.append(getattr(NARES, by)(architecture))
    every = getattr(NARES, f"{by}_many")(indices=np.arange(NARES.size))
    assert cost == np.sort(every)[::-1][:50].tolist()
    assert str(searcher.recommend()) == "11-16-11-16-11-16", "the scores rose, and are not looked at"


def test_equal_costs_come_in_random_order() -> None:
    def order(seed: int) -> list[str]:
        searcher = Largest(NARES, seed, by="params")
        return [str(searcher.ask()) for _ in range(1500)]

    first, again, other = order(0), order(0), order(1)
    assert first == again != other
    assert list(map(NARES.params, first)) == list(map(NARES.params, other))


def test_a_race_recommends_the_same_after_every_query() -> None:
    oracle = load("nares-figures", quiet=True)
    session = oracle.session(budget=20)
    found = search(Largest(session.space, 0), session)
    costs = oracle.column("macs")
    assert set(found.incumbent.tolist()) == {int(np.nanargmax(costs))}


def test_of_what_others_told_the_largest_is_recommended() -> None:
    searcher = Largest(SMALL, 0)
    for text, score in (("1-1-1-1", 3.0), ("3-4-1-1", 1.0), ("2-2-1-1", 9.0)):
        searcher.tell(text, score)
    assert str(searcher.recommend()) == "3-4-1-1"
    assert len({searcher.ask() for _ in range(SMALL.size - 3)} | set(searcher.history)) == SMALL.size


def test_an_unknown_cost_is_refused() -> None:
    with pytest.raises(SearchError, match="by='flops': expected one of macs, params"):
        Largest(SMALL, 0, by="flops")
