"""The published searchers against traces by hand, drawn here call by call from the standard generators."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import searchers
from nasbench_ar import NARES, Architecture, SearchError, SearchFinishedError, SearchSpace, load
from searchers import (
    PUBLISHED,
    PublishedLocalSearch,
    PublishedRandomSearch,
    PublishedRegularizedEvolution,
    Searcher,
)
from searchers.published.sampling import random_neighbour, sample
from searchers.testing import SMALL, SearcherConformance

DEPTHS, WIDTHS = (1, 2, 3), (1, 2, 4)
TOY = SearchSpace(depth_choices=DEPTHS, width_choices=WIDTHS, stages=1)
SCORES = {
    (1, 1): 5.0,
    (1, 2): 4.0,
    (1, 4): 6.0,
    (2, 1): 4.0,
    (2, 2): 7.0,
    (2, 4): 4.0,
    (3, 1): 5.0,
    (3, 2): 6.0,
    (3, 4): 7.0,
}


def play(searcher: Searcher, scores: dict[tuple[int, int], float] = SCORES) -> list[tuple[int, ...]]:
    """All proposals, repeats included, until the searcher stops."""
    asked = []
    while True:
        try:
            architecture = searcher.ask()
        except SearchFinishedError:
            return asked
        asked.append(tuple(architecture))
        searcher.tell(architecture, scores[asked[-1]])  # type: ignore[index]


def test_random_search_skips_what_it_saw() -> None:
    rng = random.Random(3)
    drawn = [(rng.choice(DEPTHS), rng.choice(WIDTHS)) for _ in range(7)]
    assert drawn == [(1, 4), (3, 1), (2, 4), (2, 4), (3, 1), (3, 1), (2, 2)]
    searcher = PublishedRandomSearch(TOY, 3, queries=4)
    assert play(searcher) == [(1, 4), (3, 1), (2, 4), (2, 2)]
    assert searcher.best() == ((2, 2), 7.0)


def test_published_entries_are_drawn_in_the_order_of_the_vector() -> None:
    rng = random.Random(0)
    d1 = rng.choice((4, 5, 7, 9, 11))
    w1 = rng.choice((8, 10, 12, 14, 16))
    d2 = rng.choice((4, 5, 7, 9, 11))
    w2 = rng.choice((8, 10, 12, 14, 16))
    d3 = rng.choice((4, 5, 7, 9, 11))
    w3 = rng.choice((8, 10, 12, 14, 16))
    for name in PUBLISHED:
        assert searchers.create(name, NARES, 0).ask() == (d1, w1, d2, w2, d3, w3)


def test_local_search_moves_to_worse_neighbours_and_stops_on_an_equal_one() -> None:
    rng = random.Random(5)
    drawn = [(rng.choice(DEPTHS), rng.choice(WIDTHS)) for _ in range(3)]
    assert drawn == [(3, 2), (3, 2), (3, 4)]  # 6, seen, 7: from (3, 4)
    around = [(1, 4), (2, 4), (3, 1), (3, 2)]
    rng.shuffle(around)
    assert around[0] == (3, 1)  # 5, worse: the published search moves all the same
    around = [(1, 1), (2, 1), (3, 2), (3, 4)]
    rng.shuffle(around)
    unseen = [a for a in around if a not in ((3, 2), (3, 4))]
    assert unseen[0] == (2, 1)  # 4, worse again
    around = [(1, 1), (3, 1), (2, 2), (2, 4)]
    rng.shuffle(around)
    unseen = [a for a in around if a != (3, 1)]
    assert unseen[0] == (2, 4)  # 4, equal: stays, and notices that the budget is spent
    searcher = PublishedLocalSearch(TOY, 5, queries=5, starts=2)
    assert play(searcher) == [(3, 2), (3, 4), (3, 1), (2, 1), (2, 4)]
    assert searcher.best() == ((3, 4), 7.0)


def test_local_search_exceeds_its_budget_while_it_moves() -> None:
    rng = random.Random(0)
    seen = [(rng.choice(DEPTHS), rng.choice(WIDTHS)) for _ in range(2)]
    assert seen == [(2, 2), (1, 2)]  # 7, 4: from (2, 2)
    walk = [(2, 2)]
    # Every first unseen neighbour differs in score, so every query moves; the fifth spends the budget.
    neighbours = {
        (2, 2): [(1, 2), (3, 2), (2, 1), (2, 4)],
        (2, 1): [(1, 1), (3, 1), (2, 2), (2, 4)],
        (1, 1): [(2, 1), (3, 1), (1, 2), (1, 4)],
        (1, 4): [(2, 4), (3, 4), (1, 1), (1, 2)],
        (3, 4): [(1, 4), (2, 4), (3, 1), (3, 2)],
        (3, 1): [(1, 1), (2, 1), (3, 2), (3, 4)],
        (3, 2): [(1, 2), (2, 2), (3, 1), (3, 4)],
    }
    while True:
        around = list(neighbours[walk[-1]])
        rng.shuffle(around)
        unseen = [a for a in around if a not in seen]
        if not unseen:
            break  # at (3, 2): all neighbours are known, and the check before a restart ends the run
        assert SCORES[unseen[0]] != SCORES[walk[-1]]
        walk.append(unseen[0])
        seen.append(unseen[0])
    assert walk == [(2, 2), (2, 1), (1, 1), (1, 4), (3, 4), (3, 1), (3, 2)]
    searcher = PublishedLocalSearch(TOY, 0, queries=5, starts=2)
    assert play(searcher) == seen
    assert len(searcher.history) == 8 > searcher.queries
    assert searcher.best() == ((3, 4), 7.0)  # the last of two with 7; the first was (2, 2)


def test_local_search_restarts_on_unseen_starts() -> None:
    flat = dict.fromkeys(SCORES, 1.0)  # no neighbour ever differs
    rng = random.Random(1)
    start = (rng.choice(DEPTHS), rng.choice(WIDTHS))
    assert start == (1, 4)
    around = [(2, 4), (3, 4), (1, 1), (1, 2)]
    rng.shuffle(around)
    expected = [start, *around]
    while len(expected) < 6:  # restart: seen architectures are drawn again
        drawn = (rng.choice(DEPTHS), rng.choice(WIDTHS))
        expected += [drawn] if drawn not in expected else []
    searcher = PublishedLocalSearch(TOY, 1, queries=6, starts=1)
    assert play(searcher, flat) == expected
    assert searcher.best() == (expected[-1], 1.0)


def test_local_search_starts_from_the_first_of_equals() -> None:
    flat = dict.fromkeys(SCORES, 1.0)
    rng = random.Random(0)
    starts = [(rng.choice(DEPTHS), rng.choice(WIDTHS)) for _ in range(2)]
    assert starts == [(2, 2), (1, 2)]
    around = [(1, 2), (3, 2), (2, 1), (2, 4)]
    rng.shuffle(around)
    around.remove((1, 2))  # seen
    assert play(PublishedLocalSearch(TOY, 0, queries=5, starts=2), flat) == [*starts, *around]


def test_evolution_tournaments_mutations_and_deaths() -> None:
    rng = random.Random(1)
    legacy = np.random.RandomState(1)
    alive = [(rng.choice(DEPTHS), rng.choice(WIDTHS)) for _ in range(3)]
    assert alive == [(1, 4), (1, 2), (1, 2)]  # 6, 4, 4: twins are allowed and counted once
    expected = list(alive)
    oldest = 0
    while len(set(expected)) < 6:
        first, second = legacy.choice(3, 2)  # with replacement
        parent = alive[first] if SCORES[alive[first]] >= SCORES[alive[second]] else alive[second]
        rng.random()
        position = rng.randint(0, 1)
        others = [v for v in (DEPTHS, WIDTHS)[position] if v != parent[position]]
        value = rng.choice(others)
        child = (value, parent[1]) if position == 0 else (parent[0], value)
        alive[oldest] = child  # in its slot; the others keep theirs
        oldest = (oldest + 1) % 3
        expected.append(child)
    searcher = PublishedRegularizedEvolution(TOY, 1, queries=6, population=3, tournament=2)
    assert play(searcher) == expected
    assert len(searcher.history) == 6 < len(expected)


def test_evolution_takes_the_first_drawn_of_equals() -> None:
    flat = dict.fromkeys(SCORES, 1.0)
    rng = random.Random(0)
    legacy = np.random.RandomState(0)
    alive = [(rng.choice(DEPTHS), rng.choice(WIDTHS)) for _ in range(4)]
    drawn = legacy.choice(4, 5)
    assert drawn.tolist() == [0, 3, 1, 0, 3]
    rng.random()
    position = rng.randint(0, 1)
    child = list(alive[0])
    child[position] = rng.choice([v for v in (DEPTHS, WIDTHS)[position] if v != child[position]])
    searcher = PublishedRegularizedEvolution(TOY, 0, queries=9, population=4, tournament=5)
    for expected in (*alive, tuple(child)):
        assert searcher.ask() == expected
        searcher.tell(expected, flat[expected])


@pytest.mark.parametrize("seed", range(6))
def test_evolution_of_the_published_size(seed: int) -> None:
    """On the embedded table, written as a loop over global generators' twins, slots overwritten in turn."""
    table = load("nares-figures")
    scores = dict(zip(table.space, table.column("val_best_pgd_acc").tolist(), strict=True))
    rng, legacy = random.Random(seed), np.random.RandomState(seed)
    values = [(4, 5, 7, 9, 11), (8, 10, 12, 14, 16)] * 3
    slots = [tuple(rng.choice(v) for v in values) for _ in range(30)]
    expected = list(slots)
    age = 0
    while len(set(expected)) < 500:
        winner = None
        for slot in legacy.choice(30, 10):
            if winner is None or scores[slots[slot]] > scores[winner]:  # type: ignore[index]
                winner = slots[slot]
        assert winner is not None
        rng.random()
        child = list(winner)
        position = rng.randint(0, 5)
        child[position] = rng.choice([v for v in values[position] if v != winner[position]])
        slots[age % 30] = tuple(child)
        expected.append(slots[age % 30])
        age += 1
    assert play(PublishedRegularizedEvolution(NARES, seed), scores) == expected


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name != "published_bananas"])
def test_small_budgets_end_among_the_starts(name: str) -> None:
    searcher = searchers.create(name, NARES, 0, queries=3)
    asked = [searcher.ask()]
    for _ in range(2):
        searcher.tell(asked[-1], 1.0)
        asked.append(searcher.ask())
    searcher.tell(asked[-1], 1.0)
    for _ in range(2):
        with pytest.raises(SearchFinishedError, match="stopped after 3 of 3 queries"):
            searcher.ask()
    assert searcher.best() == (asked[-1], 1.0)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_proposal_is_repeated_until_it_is_told(name: str) -> None:
    searcher = searchers.create(name, NARES, 0)
    first = searcher.ask()
    searcher._queue.clear()
    assert searcher.ask() == first


def test_nothing_told_nothing_best() -> None:
    with pytest.raises(SearchError, match="nothing was told"):
        PublishedRandomSearch(TOY, 0).best()


@pytest.mark.parametrize(
    ("cls", "arguments", "message"),
    [
        (PublishedRandomSearch, {"queries": 0}, "queries=0"),
        (PublishedRandomSearch, {"seed": 2**32}, "below 2"),
        (PublishedLocalSearch, {"starts": 0}, "starts=0"),
        (PublishedRegularizedEvolution, {"population": 0}, "population=0"),
        (PublishedRegularizedEvolution, {"tournament": 1.5}, "tournament=1.5"),
    ],
)
def test_bad_arguments(cls: type[Searcher], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SearchError, match=message):
        cls(TOY, **({"seed": 0} | arguments))


def test_registry() -> None:
    assert list(PUBLISHED) == [f"published_{name}" for name in searchers.SEARCHERS]
    assert searchers.ALL_SEARCHERS == {**searchers.SEARCHERS, **PUBLISHED, **searchers.FURTHER}
    for cls in PUBLISHED.values():
        assert cls.stops_itself
        assert "queries" not in searchers.hyperparameters(cls)
    with pytest.raises(SearchError, match="has no argument 'speed'; it takes queries, starts"):
        searchers.create("published_local_search", TOY, 0, speed=1)
    with pytest.raises(SearchError, match="local_search has no argument 'queries'"):
        searchers.create("local_search", TOY, 0, queries=1)
    with pytest.raises(SearchError, match="published_bananas"):
        searchers.create("annealing", TOY, 0)


def test_importing_searchers_imports_no_torch() -> None:
    code = (
        "import sys, searchers\n"
        "from nasbench_ar import NARES\n"
        "for name in list(searchers.PUBLISHED)[:3]: searchers.create(name, NARES, 0).ask()\n"
        "searchers.create('published_bananas', NARES, 0, device='cpu').ask()\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_a_restricted_space_leaves_out_is_drawn_again() -> None:
    space = TOY.restricted_to(indices=[0, 1, 8])  # (1, 1), (1, 2) and, without a neighbour, (3, 4)
    rng = random.Random(0)
    assert {sample(space, rng) for _ in range(50)} == set(space)
    assert {random_neighbour(space, rng, Architecture(1, 1)) for _ in range(20)} == {(1, 2)}
    assert {random_neighbour(space, rng, Architecture(3, 4)) for _ in range(50)} == set(space)
    narrow = SearchSpace(depth_choices=(2,), width_choices=(1, 2), stages=1)
    assert random_neighbour(narrow, rng, Architecture(2, 1)) == (2, 2)


class TestPublishedRandomSearch(SearcherConformance):
    searcher = PublishedRandomSearch


class TestPublishedLocalSearch(SearcherConformance):
    searcher = PublishedLocalSearch


class TestPublishedRegularizedEvolution(SearcherConformance):
    searcher = PublishedRegularizedEvolution
    arguments = {"tournament": 1}  # stronger tournaments may keep it from ever seeing all of a small space

    def test_restricted_space(self) -> None:
        """It knows no way but mutation out of what it can reach."""
        space = SMALL.restricted_to(indices=range(81 - 9, 81))
        searcher = self.make(space)
        while len(searcher.history) < space.size:
            proposed = searcher.ask()
            searcher.tell(proposed, float(sum(proposed)))
        assert set(searcher.history) == set(space)
