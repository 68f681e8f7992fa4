"""Tournaments choose, the oldest die."""

from typing import Any

import pytest

from nasbench_ar import NARES, Architecture
from searchers import RegularizedEvolution
from searchers.additive_guess import AdditiveGuess
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


def test_of_several_children_the_one_of_the_best_guess_is_proposed(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[list[Architecture], list[float]]] = []
    original = AdditiveGuess.__call__

    def watched(guess: AdditiveGuess, history: Any, candidates: Any) -> Any:
        found = original(guess, history, candidates)
        compared.append((list(candidates), found.tolist()))
        return found

    monkeypatch.setattr(AdditiveGuess, "__call__", watched)
    searcher = RegularizedEvolution(NARES, 0, population=10, children=6)
    for architecture in searcher.ask_batch():
        searcher.tell(architecture, hilly(architecture))
    for _ in range(20):
        child = searcher.ask()
        candidates, guesses = compared[-1]
        assert len(set(candidates)) == 6
        assert not set(candidates) & set(searcher.history)
        assert child == candidates[guesses.index(max(guesses))]
        searcher.tell(child, hilly(child))
    assert len(compared) == 20


def test_with_fewer_unseen_children_than_wanted_the_rest_are_compared() -> None:
    searcher = RegularizedEvolution(SMALL, 0, population=1, children=50, patience=30)
    searcher.tell(center := searcher.ask(), 1.0)
    left = SMALL.neighbours(center)[0]
    for neighbour in SMALL.neighbours(center)[1:]:
        searcher.history[neighbour] = 0.0
    assert searcher.ask() == left
