"""Every searcher, in several settings, against the conformance kit; and the kit against bad searchers."""

import random
from typing import Any

import pytest

from nasbench_ar import Architecture
from searchers import Bananas, GaussianProcess, LocalSearch, RandomSearch, RegularizedEvolution, Searcher
from searchers.testing import SearcherConformance, check_all, check_searcher
from tests.searchers.problems import suite

TestRandomSearch = suite(SearcherConformance, RandomSearch, {}, "rank_based", "never_repeats")
TestLocalSearchFirst = suite(SearcherConformance, LocalSearch, {}, "rank_based", "never_repeats")
TestLocalSearchBest = suite(
    SearcherConformance, LocalSearch, {"improvement": "best", "starts": 3}, "rank_based", "never_repeats"
)
TestLocalSearchGuided = suite(
    SearcherConformance, LocalSearch, {"guided": True, "starts": 2}, "rank_based", "never_repeats"
)
TestRegularizedEvolution = suite(SearcherConformance, RegularizedEvolution, {}, "rank_based")
TestRegularizedEvolutionSmall = suite(
    SearcherConformance, RegularizedEvolution, {"population": 2, "tournament": 1, "patience": 5}, "rank_based"
)
TestRegularizedEvolutionPreselected = suite(
    SearcherConformance, RegularizedEvolution, {"population": 3, "children": 4}, "rank_based", "never_repeats"
)
TestBananas = suite(SearcherConformance, Bananas, {"first_steps": 10, "steps": 2}, "never_repeats")
TestBananasImprovement = suite(SearcherConformance, Bananas, {"steps": 1, "acquisition": "ei"}, "never_repeats")
TestBananasOneByOne = suite(
    SearcherConformance,
    Bananas,
    {"starts": 1, "batch": 1, "steps": 1, "acquisition": "ucb"},
    "never_repeats",
)
TestGaussianProcess = suite(SearcherConformance, GaussianProcess, {}, "rank_based", "never_repeats")
TestGaussianProcessDraws = suite(
    SearcherConformance,
    GaussianProcess,
    {"starts": 1, "batch": 4, "acquisition": "its", "pool": 20},
    "rank_based",
    "never_repeats",
)


class Stubborn(Searcher):
    def _ask(self) -> Architecture:
        return self.space.from_index(int(self.space.member_indices[0]))


class Global(Searcher):
    def _ask(self) -> Architecture:
        members = list(self.space)
        return members[random.randrange(len(members))]


class Outside(Searcher):
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
