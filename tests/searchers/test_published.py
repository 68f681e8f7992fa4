"""The published searchers against traces by hand, drawn here call by call from the standard generators."""

import itertools
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import searchers
from nasbench_ar import NARES, Architecture, SearchError, SearchFinishedError, SearchSpace, load
from searchers import PUBLISHED, PublishedLocalSearch, PublishedRandomSearch, PublishedRegularizedEvolution, Searcher
from searchers.published.sampling import random_neighbour, sample
from searchers.testing import SMALL, SearcherConformance, trajectory
from tests.processes import python
from tests.searchers.problems import suite

DEPTHS, WIDTHS = (1, 2, 3), (1, 2, 4)
TOY = SearchSpace(depth_choices=DEPTHS, width_choices=WIDTHS, stages=1)
SCORES = dict(zip(itertools.product(DEPTHS, WIDTHS), (5.0, 4.0, 6.0, 4.0, 7.0, 4.0, 5.0, 6.0, 7.0), strict=True))
FLAT = dict.fromkeys(SCORES, 1.0)
Walk = list[tuple[int, ...]]
Scores = Mapping[Any, float]


def play(searcher: Searcher, scores: Scores = SCORES) -> Walk:
    """All proposals, repeats included, until the searcher stops."""
    asked = []
    while True:
        try:
            architecture = searcher.ask()
        except SearchFinishedError:
            return asked
        asked.append(tuple(architecture))
        searcher.tell(architecture, scores[asked[-1]])


def test_random_search_skips_what_it_saw() -> None:
    rng = random.Random(3)
    drawn = [(rng.choice(DEPTHS), rng.choice(WIDTHS)) for _ in range(7)]
    assert drawn == [(1, 4), (3, 1), (2, 4), (2, 4), (3, 1), (3, 1), (2, 2)]
    searcher = PublishedRandomSearch(TOY, 3, queries=4)
    assert play(searcher) == [(1, 4), (3, 1), (2, 4), (2, 2)]
    assert searcher.best() == ((2, 2), 7.0)


def test_published_entries_are_drawn_in_the_order_of_the_vector() -> None:
    rng = random.Random(0)
    drawn = tuple(rng.choice(v) for v in ((4, 5, 7, 9, 11), (8, 10, 12, 14, 16)) * 3)
    for name in PUBLISHED:
        assert searchers.create(name, NARES, 0).ask() == drawn


# What the generators draw, worked by hand: asked in this order, and the best in the end, the last of equals.
WALKS = [
    # 6 and 7: from (3, 4).  Its first neighbour is worse, and the search moves all the same; so is the next one's.
    # (2, 4) is equal: it stays, and notices that the budget is spent.
    (5, SCORES, 2, 5, [(3, 2), (3, 4), (3, 1), (2, 1), (2, 4)], (3, 4)),
    # Every first unseen neighbour differs in score, so every query moves and none checks the budget of 5.  At (3, 2)
    # all neighbours are known, and the check before a restart ends the run.
    (0, SCORES, 2, 5, [(2, 2), (1, 2), (2, 1), (1, 1), (1, 4), (3, 4), (3, 1), (3, 2)], (3, 4)),
    # No neighbour of (1, 4) ever differs: a restart, which draws seen architectures again.
    (1, FLAT, 1, 6, [(1, 4), (1, 1), (1, 2), (3, 4), (2, 4), (2, 2)], (2, 2)),
    # Around (2, 2), the first of equal starts.
    (0, FLAT, 2, 5, [(2, 2), (1, 2), (2, 1), (3, 2), (2, 4)], (2, 4)),
]


@pytest.mark.parametrize(("seed", "scores", "starts", "queries", "asked", "best"), WALKS)
def test_local_search_by_hand(
    seed: int, scores: Scores, starts: int, queries: int, asked: Walk, best: tuple[int, ...]
) -> None:
    searcher = PublishedLocalSearch(TOY, seed, queries=queries, starts=starts)
    assert play(searcher, scores) == asked
    assert searcher.best() == (best, scores[best])


def evolution(space: SearchSpace, scores: Scores, seed: int, queries: int, population: int, tournament: int) -> Walk:
    """The published search as one loop; slots are overwritten in turn, and twins are counted once."""
    rng, legacy = random.Random(seed), np.random.RandomState(seed)
    values = [space.choices(k) for k in range(space.dimensions)]
    slots = [tuple(rng.choice(v) for v in values) for _ in range(population)]
    asked = list(slots)
    while len(set(asked)) < queries:
        winner = None
        for slot in legacy.choice(population, tournament):  # with replacement
            if winner is None or scores[slots[slot]] > scores[winner]:
                winner = slots[slot]
        assert winner is not None
        rng.random()
        child = list(winner)
        position = rng.randint(0, len(values) - 1)
        child[position] = rng.choice([v for v in values[position] if v != winner[position]])
        slots[(len(asked) - population) % population] = tuple(child)
        asked.append(tuple(child))
    return asked


@pytest.mark.parametrize(
    ("scores", "seed", "queries", "population", "tournament"),
    [(SCORES, 1, 6, 3, 2), (FLAT, 0, 8, 4, 5), (None, 0, 500, 30, 10), (None, 1, 500, 30, 10)],
)
def test_evolution_is_the_published_loop(
    scores: Scores | None, seed: int, queries: int, population: int, tournament: int
) -> None:
    """In a toy space, without any difference in score, and in the published size on the embedded table."""
    space = TOY
    if scores is None:
        table = load("nares-figures", quiet=True)
        space, scores = NARES, dict(zip(table.space, table.column("val_best_pgd_acc").tolist(), strict=True))
    expected = evolution(space, scores, seed, queries, population, tournament)
    searcher = PublishedRegularizedEvolution(space, seed, queries=queries, population=population, tournament=tournament)
    assert play(searcher, scores) == expected
    assert len(searcher.history) == queries < len(expected)


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


def test_registry() -> None:
    assert list(PUBLISHED) == [f"published_{name}" for name in searchers.SEARCHERS]
    assert searchers.ALL_SEARCHERS == {**searchers.SEARCHERS, **searchers.BASELINES, **PUBLISHED, **searchers.FURTHER}
    for cls in PUBLISHED.values():
        assert cls.stops_itself
        assert "queries" not in searchers.hyperparameters(cls)
    with pytest.raises(SearchError, match="has no argument 'speed'; it takes queries, starts"):
        searchers.create("published_local_search", TOY, 0, speed=1)
    with pytest.raises(SearchError, match="local_search has no argument 'queries'"):
        searchers.create("local_search", TOY, 0, queries=1)
    with pytest.raises(SearchError, match="published_bananas"):
        searchers.create("annealing", TOY, 0)


def test_searchers_start_without_torch_and_pandas() -> None:
    code = (
        "import sys, searchers\n"
        "from nasbench_ar import NARES\n"
        "for name in list(searchers.PUBLISHED)[:3]: searchers.create(name, NARES, 0).ask()\n"
        "searchers.create('published_bananas', NARES, 0, device='cpu').ask()\n"
        "sys.exit(bool({'torch', 'pandas'} & set(sys.modules)))\n"
    )
    assert python("-c", code).returncode == 0


def test_what_a_restricted_space_leaves_out_is_drawn_again() -> None:
    space = TOY.restricted_to(indices=[0, 1, 8])  # (1, 1), (1, 2) and, without a neighbour, (3, 4)
    rng = random.Random(0)
    assert {sample(space, rng) for _ in range(50)} == set(space)
    assert {random_neighbour(space, rng, Architecture(1, 1)) for _ in range(20)} == {(1, 2)}
    assert {random_neighbour(space, rng, Architecture(3, 4)) for _ in range(50)} == set(space)
    narrow = SearchSpace(depth_choices=(2,), width_choices=(1, 2), stages=1)
    assert random_neighbour(narrow, rng, Architecture(2, 1)) == (2, 2)


TestPublishedRandomSearch = suite(SearcherConformance, PublishedRandomSearch)
TestPublishedLocalSearch = suite(SearcherConformance, PublishedLocalSearch)


class TestPublishedRegularizedEvolution(SearcherConformance):
    searcher = PublishedRegularizedEvolution
    arguments = {"tournament": 1}  # stronger tournaments may keep it from ever seeing all of a small space

    def test_restricted_space(self) -> None:
        """It knows no way but mutation out of what it can reach."""
        space = SMALL.restricted_to(indices=range(81 - 9, 81))
        assert len(trajectory(self.make(space), space.size)) == space.size
