"""Every searcher, in several settings, against the conformance kit; and the kit against bad searchers."""

from __future__ import annotations

import random
from typing import Any

import pytest

from nasbench_ar import Architecture
from searchers import Bananas, LocalSearch, RandomSearch, RegularizedEvolution, Searcher
from searchers.testing import SearcherConformance, check_all, check_searcher


class TestRandomSearch(SearcherConformance):
    searcher = RandomSearch
    rank_based = never_repeats = True


class TestLocalSearchFirst(SearcherConformance):
    searcher = LocalSearch
    rank_based = never_repeats = True


class TestLocalSearchBest(SearcherConformance):
    searcher = LocalSearch
    arguments = {"improvement": "best", "starts": 3}
    rank_based = never_repeats = True


class TestRegularizedEvolution(SearcherConformance):
    searcher = RegularizedEvolution
    rank_based = True


class TestRegularizedEvolutionSmall(SearcherConformance):
    searcher = RegularizedEvolution
    arguments = {"population": 2, "tournament": 1, "patience": 5}
    rank_based = True


class TestBananas(SearcherConformance):
    searcher = Bananas
    arguments = {"first_steps": 10, "steps": 2}
    never_repeats = True


class TestBananasExhaustive(SearcherConformance):
    searcher = Bananas
    arguments = {"steps": 1, "candidates": "exhaustive", "acquisition": "ei", "encoding": "ordinal_costs"}
    never_repeats = True


class TestBananasOneByOne(SearcherConformance):
    searcher = Bananas
    arguments = {"starts": 1, "batch": 1, "steps": 1, "acquisition": "ucb", "encoding": "ordinal", "loss": "mae"}
    never_repeats = True


class Stubborn(Searcher):
    """Proposes one architecture for ever."""

    def _ask(self) -> Architecture:
        return self.space.from_index(int(self.space.member_indices[0]))


class Global(Searcher):
    """Draws from the global generator."""

    def _ask(self) -> Architecture:
        members = list(self.space)
        return members[random.randrange(len(members))]


class Outside(Searcher):
    """Proposes what is not in the space."""

    def _ask(self) -> Any:
        return (1, 1)


class Forgetful(Searcher):
    """Takes no part in the seeding contract: another object, another way."""

    counter = 0

    def _ask(self) -> Architecture:
        Forgetful.counter += 1
        members = [a for a in self.space if a not in self.history]
        return members[Forgetful.counter % len(members)]


@pytest.mark.parametrize("bad", [Stubborn, Global, Outside, Forgetful])
def test_kit_finds_bad_searchers(bad: type[Searcher]) -> None:
    with pytest.raises((AssertionError, ValueError)):
        check_searcher(bad)


@pytest.mark.parametrize(
    ("searcher", "promise", "message"),
    [
        (Bananas, "rank_based", "another trajectory when scores are replaced by"),
        (RegularizedEvolution, "never_repeats", "proposed .* again"),
    ],
)
def test_kit_finds_broken_promises(searcher: type[Searcher], promise: str, message: str) -> None:
    suite = type("Suite", (SearcherConformance,), {"searcher": searcher, promise: True})()
    with pytest.raises(AssertionError, match=message):
        check_all(suite)


class Boastful(RandomSearch):
    """Reports a better score than it was told."""

    def best(self) -> tuple[Architecture, float]:
        architecture, score = super().best()
        return architecture, score + 1


def test_kit_finds_a_report_of_what_was_not_told() -> None:
    with pytest.raises(AssertionError, match=r"best\(\) is .* was told"):
        check_searcher(Boastful)


def test_kit_passes_a_good_one() -> None:
    check_searcher(RandomSearch)
