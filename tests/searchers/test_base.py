"""The bookkeeping that every searcher inherits, and the registry."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import searchers
from nasbench_ar import NARES, Architecture, SearchError, SearchSpace, SpaceError, SpaceExhaustedError
from searchers import RandomSearch, Searcher
from searchers.base import check_at_least
from searchers.fidelity import RandomFull
from searchers.testing import SMALL, TINY
from searchers.vector import VectorRandomSearch


class Scripted(Searcher):
    """Proposes what it is given."""

    def __init__(self, space: SearchSpace, seed: int, *, script: Sequence[Any] = ()) -> None:
        super().__init__(space, seed)
        self.script = list(script)
        self.calls = 0

    def _ask(self) -> Any:
        self.calls += 1
        return self.script.pop(0)


A, B, C = (TINY.from_index(k) for k in (0, 5, 9))


def test_batches_are_handed_out_one_by_one_or_what_is_left_of_them() -> None:
    searcher = Scripted(TINY, 0, script=[[A, B], C])
    assert [searcher.ask() for _ in range(3)] == [A, B, C]
    assert searcher.calls == 2
    searcher = Scripted(TINY, 0, script=[[A, B, C], [A]])
    assert searcher.ask() == A
    assert searcher.ask_batch() == [B, C]
    assert searcher.ask_batch() == [A]


@pytest.mark.parametrize("script", [[[]], [(1, 1)], ["5-5-5-5"], [[A, (9, 9, 9, 9)]], [None]])
def test_bad_proposals_are_refused(script: list[Any]) -> None:
    with pytest.raises((SearchError, TypeError)):
        Scripted(TINY, 0, script=script).ask()


def test_best_is_the_first_of_the_best_by_the_last_score() -> None:
    searcher = RandomSearch(TINY, 0)
    with pytest.raises(SearchError, match="nothing was told"):
        searcher.best()
    for architecture, score in ((A, 1.0), (B, 3.0), (C, 3.0), (A, 2.0)):
        searcher.tell(architecture, score)
    assert searcher.best() == (B, 3.0)
    assert list(searcher.history.items()) == [(A, 2.0), (B, 3.0), (C, 3.0)]


def test_what_a_notebook_shows() -> None:
    searcher = Scripted(TINY, 7)
    assert repr(searcher) == "Scripted(seed=7: nothing told yet)"
    searcher.tell(A, 1.25)
    searcher.tell(B, 2.5)
    assert repr(searcher) == f"Scripted(seed=7: 2 told, best 2.5 by {B})"
    vector = VectorRandomSearch(TINY, 3)
    vector.tell(A, (1.0, 2.0))
    assert repr(vector) == "VectorRandomSearch(seed=3: 1 told, 1 on the front)"
    fidelity = RandomFull(TINY, 3, 9)
    fidelity.tell(A, 0, [0.5])
    assert repr(fidelity) == "RandomFull(seed=3: 1 told, 0 running)"


@pytest.mark.parametrize("score", [float("nan"), float("-inf"), "much", None])
def test_scores_must_be_finite(score: Any) -> None:
    with pytest.raises(SearchError, match="finite number"):
        RandomSearch(TINY, 0).tell(A, score)


def test_tell_takes_strings_and_refuses_strangers() -> None:
    searcher = RandomSearch(TINY, 0)
    searcher.tell("1-1-1-1", 0.5)
    assert searcher.history == {A: 0.5}
    with pytest.raises(SpaceError):
        searcher.tell("1-1-1-7", 0.5)


@pytest.mark.parametrize(
    "tell",
    [
        lambda given: RandomSearch(TINY, 0).tell(given, 0.5),
        lambda given: VectorRandomSearch(TINY, 0).tell(given, (0.5, 1.0)),
        lambda given: RandomFull(TINY, 0, 9).tell(given, 0, [0.5]),
    ],
)
def test_tell_takes_no_number_for_an_architecture(tell: Callable[[Any], None]) -> None:
    for given in (7, np.int64(7), [7], "7"):
        with pytest.raises(SpaceError, match="arch_id .* index"):
            tell(given)


@pytest.mark.parametrize(
    ("space", "seed", "message"),
    [*((TINY, seed, "seed=") for seed in (-1, 1.5, "0", True, None)), ("NARes", 0, "SearchSpace")],
)
def test_a_space_and_a_seed(space: Any, seed: Any, message: str) -> None:
    with pytest.raises(SearchError, match=message):
        RandomSearch(space, seed)


def test_sample_unseen_finds_the_last_one() -> None:
    searcher = RandomSearch(NARES, 0)
    last = NARES.from_index(4711)
    searcher.history = {a: 0.0 for a in NARES if a != last}
    assert searcher.sample_unseen() == last
    searcher.history[last] = 0.0
    for sample in (searcher.sample_unseen, lambda: searcher.sample_unseen_batch(1)):
        with pytest.raises(SpaceExhaustedError):
            sample()


@pytest.mark.parametrize("count", [1, 7, 16, 40])
def test_sample_unseen_batch_has_no_repeats(count: int) -> None:
    searcher = RandomSearch(TINY, 3)
    searcher.tell(A, 0.0)
    batch = searcher.sample_unseen_batch(count)
    assert len(batch) == len(set(batch)) == min(count, 15)
    assert A not in batch


def test_random_neighbours_are_uniform_over_positions_and_values() -> None:
    searcher = RandomSearch(SMALL, 0)
    center = SMALL.parse("1-2-3-4")
    drawn = [searcher.random_neighbour(center) for _ in range(4000)]
    counts = np.array([drawn.count(n) for n in SMALL.neighbours(center)])
    assert counts.sum() == 4000
    assert np.all(np.abs(counts - 500) < 5 * np.sqrt(500))


def test_a_position_with_one_choice_is_never_mutated() -> None:
    space = SearchSpace(depth_choices=(2,), width_choices=(1, 2), stages=1)
    searcher = RandomSearch(space, 0)
    assert {searcher.random_neighbour(space.parse("2-1")) for _ in range(20)} == {Architecture(2, 2)}


def test_an_isolated_architecture_gets_any_member() -> None:
    space = SMALL.restricted_to(indices=[0, 40])
    searcher = RandomSearch(space, 0)
    assert {searcher.random_neighbour(space.from_index(0)) for _ in range(40)} == set(space)


@pytest.mark.parametrize("value", [0, 2.5, True, "3"])
def test_counts_are_checked(value: Any) -> None:
    with pytest.raises(SearchError, match="least 1"):
        check_at_least("count", value, 1)


def test_create_by_name() -> None:
    assert searchers.create("local_search", TINY, 0, starts=3).starts == 3  # type: ignore[attr-defined]
    with pytest.raises(SearchError, match="random_search, local_search, regularized_evolution, bananas"):
        searchers.create("grid", TINY, 0)
    with pytest.raises(SearchError, match="it takes starts, improvement"):
        searchers.create("local_search", TINY, 0, start=3)
