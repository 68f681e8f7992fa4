"""Local search climbs, restarts and never steps down."""

from itertools import pairwise

import numpy as np
import pytest

from nasbench_ar import NARES, Architecture, SearchError
from searchers import LocalSearch
from searchers.additive_guess import AdditiveGuess
from searchers.testing import SMALL, hilly, trajectory


class Recorded(LocalSearch):
    """Notes every point it stands on, restarts included."""

    def _move(self, architecture: Architecture) -> None:
        self.stood = [*getattr(self, "stood", []), architecture]
        super()._move(architecture)


@pytest.mark.parametrize(("improvement", "guided"), [("first", False), ("best", False), ("first", True)])
@pytest.mark.parametrize("seed", range(5))
def test_every_move_is_up_or_a_restart_from_a_local_optimum(improvement: str, guided: bool, seed: int) -> None:
    searcher = Recorded(SMALL, seed, starts=2, improvement=improvement, guided=guided)
    trajectory(searcher, 81)
    restarts = 0
    for here, there in pairwise(searcher.stood):
        if there in SMALL.neighbours(here) and hilly(there) > hilly(here):
            continue
        restarts += 1
        assert all(hilly(n) <= hilly(here) for n in SMALL.neighbours(here)), f"left {here}, no local optimum"
    assert 0 < restarts < len(searcher.stood) - 1


def test_starts_from_the_best_of_its_starts() -> None:
    searcher = LocalSearch(SMALL, 1, starts=6)
    starts = searcher.ask_batch()
    assert len(starts) == 6
    for start in starts:
        searcher.tell(start, hilly(start))
    neighbour = searcher.ask()
    assert neighbour in SMALL.neighbours(max(starts, key=hilly))


def test_best_improvement_asks_for_all_neighbours_at_once() -> None:
    searcher = LocalSearch(SMALL, 1, starts=1, improvement="best")
    start = searcher.ask()
    searcher.tell(start, hilly(start))
    assert sorted(searcher.ask_batch()) == sorted(SMALL.neighbours(start))


def test_first_improvement_moves_at_once() -> None:
    searcher = LocalSearch(SMALL, 1, starts=1)
    searcher.tell(searcher.ask(), 0.0)
    searcher.tell(first := searcher.ask(), 1.0)
    assert searcher.ask() in SMALL.neighbours(first)


def test_an_equal_neighbour_is_no_improvement() -> None:
    searcher = LocalSearch(SMALL, 0, starts=1)
    searcher.tell(start := searcher.ask(), 1.0)
    asked = set()
    for _ in SMALL.neighbours(start):
        asked.add(found := searcher.ask())
        searcher.tell(found, 1.0)
    assert asked == set(SMALL.neighbours(start)), "it left the plateau's first architecture"


def test_a_guided_search_tries_the_neighbour_of_the_best_guess() -> None:
    searcher = LocalSearch(NARES, 3, starts=20, guided=True)
    for start in searcher.ask_batch():
        searcher.tell(start, hilly(start))
    neighbours = NARES.neighbours(searcher.best()[0])
    guess = AdditiveGuess(NARES)(searcher.history, neighbours)
    proposed = searcher.ask()
    assert guess[neighbours.index(proposed)] == guess.max()
    assert guess.max() > guess.min()


def test_a_guide_helps_where_entries_add_up() -> None:
    def climbed(guided: bool, seed: int) -> float:
        searcher = LocalSearch(NARES, seed, guided=guided)
        for _ in range(30):
            searcher.tell(architecture := searcher.ask(), float(sum(architecture)))
        return searcher.best()[1]

    gains = [climbed(True, seed) - climbed(False, seed) for seed in range(20)]
    assert np.mean(gains) > 2 * np.std(gains) / 20**0.5


def test_guided_is_a_flag() -> None:
    with pytest.raises(SearchError, match="guided='yes': expected true or false"):
        LocalSearch(SMALL, 0, guided="yes")  # type: ignore[arg-type]
