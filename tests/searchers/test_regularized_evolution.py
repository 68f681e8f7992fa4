"""Tournaments choose, the oldest die."""

from nasbench_ar import NARES
from searchers import RegularizedEvolution
from searchers.testing import SMALL, hilly


def test_the_oldest_dies_even_if_it_is_best() -> None:
    searcher = RegularizedEvolution(SMALL, 0, population=3)
    for rank, architecture in enumerate(searcher.ask_batch()):
        searcher.tell(architecture, 10.0 - rank)
    best = max(searcher.history, key=searcher.history.__getitem__)
    assert best in [a for a, _ in searcher._alive]
    child = searcher.ask()
    searcher.tell(child, 0.0)
    alive = [a for a, _ in searcher._alive]
    assert len(alive) == 3
    assert best not in alive
    assert alive[-1] == child


def test_children_are_neighbours_of_tournament_winners() -> None:
    searcher = RegularizedEvolution(NARES, 4, population=5, tournament=200)  # every tournament sees everyone
    for architecture in searcher.ask_batch():
        searcher.tell(architecture, hilly(architecture))
    for _ in range(30):
        winner = max(searcher._alive, key=lambda member: member[1])[0]
        child = searcher.ask()
        assert child in NARES.neighbours(winner)
        searcher.tell(child, hilly(child))


def test_known_children_rejoin_the_population() -> None:
    searcher = RegularizedEvolution(SMALL, 0, population=2)
    for architecture in searcher.ask_batch():
        searcher.tell(architecture, 1.0)
    known = next(iter(searcher.history))
    searcher.tell(known, 1.0)
    assert searcher._alive[-1][0] == known


def test_patience_brings_in_a_stranger() -> None:
    searcher = RegularizedEvolution(SMALL, 0, population=1, patience=1)
    center = searcher.ask()
    searcher.tell(center, 1.0)
    for neighbour in SMALL.neighbours(center):
        searcher.history[neighbour] = 0.0
    assert searcher.ask() in searcher.history
    assert searcher.ask() not in searcher.history
