"""What every registered multi-fidelity searcher keeps, whatever the space, the curves and the machines.

A searcher that is added to the registry is tested here without another line; exceptions
are named with the reason.
"""

import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench_ar import Architecture, SearchSpace
from nasbench_ar.errors import SpaceExhaustedError
from searchers.fidelity import FIDELITY_SEARCHERS, FidelitySearcher, Training
from searchers.fidelity.testing import curve_of
from searchers.testing import STRETCHES, stretched
from tests.searchers.problems import numbers, spaces

# The exceptions.
FITS_VALUES: dict[str, str] = {}
GOES_BY_WHO_ENDS_FIRST = {"asha": "it promotes by what has ended so far: nobody waits for a rung"}


@dataclass(frozen=True)
class Race:
    """What a searcher is set.

    Attributes:
        scores: of every architecture after every epoch.
        trainings: after so many the search is over; it may be more than there are.
        seed: of the searcher.
    """

    space: SearchSpace
    epochs: int
    scores: dict[tuple[Architecture, int], float]
    trainings: int
    seed: int


@st.composite
def races(draw: st.DrawFn) -> Race:
    """A space, learning curves that need not climb, and a length."""
    space, epochs = draw(spaces(36)), draw(st.integers(1, 10))
    keys = [(architecture, epoch) for architecture in space for epoch in range(epochs)]
    scores = dict(zip(keys, draw(numbers(len(keys))), strict=True))
    return Race(space, epochs, scores, draw(st.integers(1, 120)), draw(st.integers(0, 9999)))


def run(name: str, race: Race, machines: int = 1, chance: random.Random | None = None) -> list[Training]:
    """The trainings in the order in which they began; who ends first is left to chance."""
    searcher: FidelitySearcher = FIDELITY_SEARCHERS[name](race.space, race.seed, race.epochs)
    chance, curve = chance or random.Random(0), curve_of(race.scores)
    begun: list[Training] = []
    running: list[Training] = []
    told: dict[Architecture, int] = {}
    while True:
        while len(running) < machines and len(begun) < race.trainings:
            try:
                training = searcher.ask()
            except SpaceExhaustedError:
                break
            if training is None:
                assert running, "waits although nothing is running"
                break
            assert training.architecture in race.space
            assert 0 <= training.epoch < race.epochs
            assert training.architecture not in {other.architecture for other in running}
            assert training.epoch >= told.get(training.architecture, 0), "asks for what is known"
            begun.append(training)
            running.append(training)
        if not running:
            return begun
        architecture, epoch = running.pop(chance.randrange(len(running)))
        searcher.tell(architecture, epoch, curve(architecture, epoch))
        told[architecture] = epoch + 1
        seen = {a: len(scores) for a, scores in searcher.history.items()}
        assert seen == told, "knows epochs that were not trained"
        assert searcher.best()[1] == max(race.scores[a, k] for a, known in told.items() for k in range(known))


@pytest.mark.parametrize("name", FIDELITY_SEARCHERS)
@settings(max_examples=25, deadline=None)
@given(race=races(), machines=st.integers(1, 12), order=st.integers(0, 9999))
def test_valid_seeded_and_ends_with_the_space(name: str, race: Race, machines: int, order: int) -> None:
    first, again = (run(name, race, machines, random.Random(order)) for _ in range(2))
    assert first == again
    assert len(set(first)) == len(first) <= race.trainings
    if len(first) < race.trainings:
        assert {training.architecture for training in first} == set(race.space)


@pytest.mark.parametrize("name", [name for name in FIDELITY_SEARCHERS if name not in FITS_VALUES])
@settings(max_examples=25, deadline=None)
@given(race=races(), stretch=st.sampled_from(sorted(STRETCHES)))
def test_only_ranks_decide(name: str, race: Race, stretch: str) -> None:
    scores = stretched(race.scores, STRETCHES[stretch])
    other = Race(race.space, race.epochs, scores, race.trainings, race.seed)
    assert run(name, other) == run(name, race)


@pytest.mark.parametrize("name", [name for name in FIDELITY_SEARCHERS if name not in GOES_BY_WHO_ENDS_FIRST])
@settings(max_examples=25, deadline=None)
@given(race=races(), machines=st.integers(2, 40), order=st.integers(0, 9999))
def test_machines_change_nothing_that_is_trained(name: str, race: Race, machines: int, order: int) -> None:
    assert run(name, race, machines, random.Random(order)) == run(name, race)


def test_exceptions_are_registered() -> None:
    assert (FITS_VALUES | GOES_BY_WHO_ENDS_FIRST).keys() <= FIDELITY_SEARCHERS.keys()
