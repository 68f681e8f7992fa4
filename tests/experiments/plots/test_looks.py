"""One look for each searcher, the same in every picture."""

from __future__ import annotations

import itertools

import pytest

from experiments.plots.looks import looks, wrapped_name
from experiments.tables import SEARCHER_NAMES, proper_name
from searchers import ALL_SEARCHERS, BASELINES, FURTHER, PUBLISHED, SEARCHERS
from searchers.fidelity import FIDELITY_SEARCHERS

RACED = (*SEARCHERS, *BASELINES, *PUBLISHED, *FURTHER)
OWN = ("SimulatedAnnealing", "bananas-noisy", "mine", "yours", "published_mine")


def test_every_searcher_of_the_toolkit_has_a_look_and_a_name() -> None:
    assert set(SEARCHER_NAMES) >= {*ALL_SEARCHERS, *FIDELITY_SEARCHERS}
    names = [proper_name(name) for name in ALL_SEARCHERS]
    assert len(set(names)) == len(names)
    assert not any("_" in name for name in names)
    assert proper_name("published_bananas") == "BANANAS (published)"


@pytest.mark.parametrize("name", [*RACED, *FIDELITY_SEARCHERS])
def test_a_searcher_of_the_toolkit_looks_the_same_in_every_company(name: str) -> None:
    alone = looks([name])[0]
    company = [other for other in (FIDELITY_SEARCHERS if name in FIDELITY_SEARCHERS else RACED) if other != name]
    assert looks([*company, name])[-1] == looks([name, *OWN])[0] == looks([*OWN, name])[-1] == alone


def test_no_two_look_alike_and_up_to_seven_share_no_colour() -> None:
    for names in (RACED, tuple(FIDELITY_SEARCHERS), (*SEARCHERS, *OWN), (*RACED, *OWN)):
        lines = [(look.colour, look.dashes) for look in looks(names)]
        assert len(set(lines)) == len(names)
    assert len({look.colour for look in looks([*SEARCHERS, *OWN[:3]])}) == 7
    assert len({(look.colour, look.marker) for look in looks([*SEARCHERS, *OWN])}) == 9


def test_published_searchers_have_colour_and_marker_of_the_corrected_ones_and_a_dashed_line() -> None:
    for name in SEARCHERS:
        corrected, published = looks([name, f"published_{name}"])
        assert (corrected.colour, corrected.marker) == (published.colour, published.marker)
        assert (corrected.dashes, bool(published.dashes)) == ((), True)


def test_own_searchers_keep_their_looks_in_any_order() -> None:
    names = ("random_search", "bananas", *OWN)
    expected = dict(zip(names, looks(names), strict=True))
    for order in itertools.islice(itertools.permutations(names), 0, 5040, 97):
        assert dict(zip(order, looks(order), strict=True)) == expected
    alone = looks(["mine"])[0]
    assert all(looks([name, "mine"])[1] == alone for name in SEARCHERS)


def test_a_name_that_is_there_twice_keeps_its_colour() -> None:
    first, second = looks(["results/a/bananas", "results/b/bananas"])
    assert first == looks(["bananas"])[0]
    assert (second.colour, second.marker) == (first.colour, first.marker)
    assert second.dashes != first.dashes


def test_names_for_people() -> None:
    assert wrapped_name("regularized_evolution", 13) == "regularized\nevolution"
    assert wrapped_name("___", 13) == "'___'"
    assert wrapped_name("my_own", 13) == "my own"
