"""Bracket arithmetic against hand-worked tables of the papers' formulas."""

import doctest

import pytest

from nasbench_ar import SearchError
from searchers.fidelity import rungs
from searchers.fidelity.rungs import bracket, halvings, hyperband_brackets, levels

# R = 81, eta = 3: B/R = 5, and n = ceil(5 * 3^s / (s + 1)) is 81, ceil(33.75), 15, ceil(7.5), 5.
PAPER = [
    [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
    [(34, 3), (11, 9), (3, 27), (1, 81)],
    [(15, 9), (5, 27), (1, 81)],
    [(8, 27), (2, 81)],
    [(5, 81)],
]


def test_the_papers_example() -> None:
    assert hyperband_brackets(81, 3) == PAPER


def test_powers_of_eta_are_exact() -> None:
    assert [halvings(3**s, 3) for s in range(20)] == list(range(20))  # log(243, 3) is below 5 in floats
    assert [halvings(3**s - 1, 3) for s in range(1, 20)] == list(range(19))
    assert halvings(1, 2) == 0


def test_epochs_are_whole_ascending_and_end_with_the_training() -> None:
    assert levels(8, 3, 1) == [3, 8]  # 2.67, 8
    assert levels(100, 3, 4) == [1, 4, 11, 33, 100]  # 1.23, 3.70, 11.1, 33.3
    assert levels(5, 2, 2) == [1, 3, 5]  # 1.25, 2.5 (halves go up), 5
    for epochs in range(1, 200):
        for eta in (2, 3, 4, 5):
            for least in (1, 2, 7):
                if least <= epochs:
                    found = levels(epochs, eta, halvings(epochs, eta, least))
                    assert found == sorted(set(found))
                    assert found[0] >= least
                    assert found[-1] == epochs


def test_a_least_number_of_epochs_takes_rungs_away() -> None:
    assert halvings(81, 3, 3) == 3
    assert halvings(81, 3, 4) == 2
    assert hyperband_brackets(81, 3, 81) == [[(1, 81)]]
    with pytest.raises(SearchError, match="least_epochs=82: a whole training has only 81 epochs"):
        halvings(81, 3, 82)


def test_every_rung_keeps_one_in_eta() -> None:
    assert bracket(20, 9, 3, 2) == [(20, 1), (6, 3), (2, 9)]


def test_examples_in_the_docstring() -> None:
    result = doctest.testmod(rungs)
    assert result.attempted > 0
    assert result.failed == 0
