"""Every multi-fidelity searcher against the conformance kit; and the kit against bad searchers."""

import random

import pytest

from searchers.fidelity import Asha, FidelitySearcher, Hyperband, RandomFull, SuccessiveHalving, Training
from searchers.fidelity.testing import FidelityConformance, check_fidelity_searcher
from searchers.testing import check_all
from tests.searchers.problems import suite

TestRandomFull = suite(FidelityConformance, RandomFull, {}, "rank_based", "synchronous")
TestSuccessiveHalving = suite(FidelityConformance, SuccessiveHalving, {}, "rank_based", "synchronous")
TestSuccessiveHalvingMany = suite(
    FidelityConformance, SuccessiveHalving, {"configurations": 30, "eta": 4}, "rank_based", "synchronous"
)
TestHyperband = suite(FidelityConformance, Hyperband, {"eta": 2}, "rank_based", "synchronous")
TestAsha = suite(FidelityConformance, Asha, {}, "rank_based")
TestAshaHalves = suite(FidelityConformance, Asha, {"eta": 2}, "rank_based")


class Waiting(FidelitySearcher):
    def _ask(self) -> Training | None:
        return None


class Repeating(FidelitySearcher):
    def _ask(self) -> Training:
        return Training(self.space.from_index(int(self.space.member_indices[0])), 0)


class TooFar(FidelitySearcher):
    def _ask(self) -> Training:
        return Training(self.sample_unseen(), self.epochs)


class Global(FidelitySearcher):
    def _ask(self) -> Training:
        self.sample_unseen()
        unseen = [a for a in self.space if not self.known_epochs(a)]
        return Training(unseen[random.randrange(len(unseen))], 0)


class Careless(FidelitySearcher):
    def _ask(self) -> Training:
        if self.pending:
            return Training(next(iter(self.pending)), 0)
        return Training(self.sample_unseen(), 0)


@pytest.mark.parametrize("bad", [Waiting, Repeating, TooFar, Global, Careless])
def test_kit_finds_bad_searchers(bad: type[FidelitySearcher]) -> None:
    with pytest.raises((AssertionError, ValueError)):
        check_fidelity_searcher(bad)


class Summing(FidelitySearcher):
    """Begins at a place that the sum of all scores decides: they are not only compared."""

    def _ask(self) -> Training:
        unseen = [a for a in self.space if not self.known_epochs(a)]
        total = sum(scores.sum() for scores in self.history.values())
        return Training(unseen[int(abs(total)) % len(unseen)], 0)


@pytest.mark.parametrize(
    ("searcher", "promise", "message"),
    [
        (Summing, "rank_based", "another trajectory when scores are replaced by"),
        (Asha, "synchronous", "2 trainings at a time are others"),
    ],
)
def test_kit_finds_broken_promises(searcher: type[FidelitySearcher], promise: str, message: str) -> None:
    suite = type("Suite", (FidelityConformance,), {"searcher": searcher, promise: True})()
    with pytest.raises(AssertionError, match=message):
        check_all(suite)


def test_kit_passes_a_good_one() -> None:
    check_fidelity_searcher(RandomFull)
