"""What every registered searcher keeps, whatever the space, the scores, the budget and the seed.

A searcher that is added to a registry is tested here without another line.  Whoever does
not keep one of the properties is named with the reason.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench_ar import Architecture
from nasbench_ar.errors import SearchFinishedError, SpaceExhaustedError
from nasbench_ar.pareto import non_dominated
from searchers import ALL_SEARCHERS, FOR_VECTORS, Searcher, VectorSearcher
from searchers.testing import STRETCHES, stretched
from tests.searchers.problems import Problem, need_libraries, problems

EVERY: dict[str, type[Searcher]] = ALL_SEARCHERS | {f"{cls.__name__}": cls for cls in FOR_VECTORS.values()}
VECTORS = {name: cls for name, cls in EVERY.items() if issubclass(cls, VectorSearcher)}

# Arguments that make a search quick, and how many problems the slow ones are set, of what size.
QUICKER: dict[str, dict[str, Any]] = {
    "bananas": {"first_steps": 10, "steps": 2},
    "published_bananas": {"epochs": 1, "layers": 1, "width": 4, "members": 2, "device": "cpu"},
    "botorch": {"batch": 10, "samples": 4},
    "baybe": {"batch": 4},
}
EXAMPLES = {
    "bananas": 12,
    "published_bananas": 5,
    "published_regularized_evolution": 8,
    "gp": 5,
    "optuna": 3,
    "nevergrad": 2,
    "botorch": 2,
    "baybe": 2,
    "smac": 2,
    "syne_tune": 2,
}
LARGEST = {"published_bananas": 36, "gp": 81, "optuna": 36, "botorch": 36}
LARGEST |= dict.fromkeys(("nevergrad", "baybe", "smac", "syne_tune"), 16)

# The exceptions.
FITS_VALUES = {
    "bananas": "its predictors are fitted to the scores themselves",
    "published_bananas": "the same; targets are 100 - accuracy, unscaled",
    "nevergrad": "the library chooses the optimiser, and some fit models to the losses",
    "botorch": "its model is fitted to the scores themselves",
    "baybe": "the same",
    "smac": "its models are fitted to the scores themselves",
    "syne_tune": "the same",
}
REPEATS = {
    "regularized_evolution": "children known already are free and enter the population",
    "published_regularized_evolution": "the same, and its starts may be twins",
    "published_bananas": "its starts may be twins, and so may what a pool holds",
    "optuna": "a library proposes what it likes; what is known is free",
    "nevergrad": "the same",
    "smac": "the same",
    "syne_tune": "the same",
}
OVER_BUDGET = {
    "published_local_search": "a move skips the check of the budget: the authors' defect",
    "published_bananas": "a round and the starts are queried whole",
}
MAY_STALL = {
    "published_regularized_evolution": "nobody joins a population whose neighbours are all known",
    "published_bananas": "it ends where no unseen neighbour of its parents is drawn",
}

PATIENCE = 1000  # known proposals in a row, after which a search has stalled


@pytest.fixture(params=EVERY)
def name(request: pytest.FixtureRequest) -> str:
    need_libraries(EVERY[request.param])
    return request.param


def set_problems(name: str, check: Callable[[Problem, random.Random], None], examples: int = 25) -> None:
    """Call `check` with problems of a size that suits the searcher, and choices of its own."""

    @settings(max_examples=EXAMPLES.get(name, examples), deadline=None)
    @given(problems(LARGEST.get(name, 144)), st.integers(0, 9999).map(random.Random))
    def run(problem: Problem, chance: random.Random) -> None:
        check(problem, chance)

    run()


def build(name: str, problem: Problem) -> Searcher:
    cls = EVERY[name]
    budget = {"queries": problem.budget} if cls.stops_itself else {}
    return cls(problem.space, problem.seed, **budget, **QUICKER.get(name, {}))


Next = Callable[[Searcher], list[Architecture]]


def one(searcher: Searcher) -> list[Architecture]:
    return [searcher.ask()]


def search(
    name: str, problem: Problem, following: Next = one, told: Callable[[Searcher], object] = lambda _: None
) -> list[Architecture]:
    """All proposals of a search, those that are known already included.

    Args:
        name: of the searcher.
        problem: what it is set.
        following: the proposals that are told next.
        told: called after every score.
    """
    searcher = build(name, problem)
    proposals: list[Architecture] = []
    known_in_a_row = 0
    limit = problem.space.size if searcher.stops_itself else problem.budget
    while known_in_a_row < PATIENCE:
        try:
            batch = following(searcher)
        except (SpaceExhaustedError, SearchFinishedError):
            break
        for architecture in batch:
            known = architecture in searcher.history
            if len(searcher.history) >= limit and not known:
                return proposals
            known_in_a_row = known_in_a_row + 1 if known else 0
            proposals.append(architecture)
            searcher.tell(architecture, problem.scores[architecture])
            told(searcher)
    return proposals


def test_valid_unrepeated_within_budget_and_never_better_than_the_optimum(name: str) -> None:
    def check(problem: Problem, _: random.Random) -> None:
        incumbents: list[float] = []

        def told(searcher: Searcher) -> None:
            architecture, score = searcher.best()
            assert score == problem.scores[architecture] == max(searcher.history.values())
            incumbents.append(score)

        proposals = search(name, problem, told=told)
        queried = set(proposals)
        assert all(type(proposed) is Architecture and proposed in problem.space for proposed in proposals)
        assert len(queried) == len(proposals) or name in REPEATS
        assert len(queried) <= problem.budget or name in OVER_BUDGET
        assert len(queried) >= min(problem.budget, problem.space.size) or name in MAY_STALL
        assert incumbents == sorted(incumbents)
        assert incumbents[-1] <= problem.optimum
        if len(queried) == problem.space.size:
            assert incumbents[-1] == problem.optimum

    set_problems(name, check)


def test_the_same_seed_goes_the_same_way_in_whatever_batches(name: str) -> None:
    def check(problem: Problem, chance: random.Random) -> None:
        def following(searcher: Searcher) -> list[Architecture]:
            return searcher.ask_batch() if chance.random() < 0.5 else [searcher.ask()]

        assert search(name, problem, following) == search(name, problem)

    set_problems(name, check)


def test_proposals_may_be_told_late_and_in_any_order(name: str) -> None:
    """Several evaluations run at once: proposals stay valid, and a budget as large as the space finds its optimum."""

    def check(problem: Problem, chance: random.Random) -> None:
        running: list[Architecture] = []

        def following(searcher: Searcher) -> list[Architecture]:
            running.extend(searcher.ask() for _ in range(chance.randint(1, 4)))
            chance.shuffle(running)
            return [running.pop() for _ in range(chance.randint(1, len(running)))]

        queried = set(search(name, problem, following))
        assert all(proposed in problem.space for proposed in queried)
        assert len(queried) >= min(problem.budget, problem.space.size) or name in MAY_STALL

    set_problems(name, check, 12)


def test_only_ranks_decide(name: str) -> None:
    if name in FITS_VALUES:
        pytest.skip(FITS_VALUES[name])

    def check(problem: Problem, chance: random.Random) -> None:
        expected = search(name, problem)
        for stretch in ("inverses", chance.choice(list(STRETCHES))):
            scores = stretched(problem.scores, STRETCHES[stretch])
            assert search(name, replace(problem, scores=scores)) == expected, stretch

    set_problems(name, check)


def test_exceptions_are_registered() -> None:
    for exceptions in (QUICKER, EXAMPLES, LARGEST, FITS_VALUES, REPEATS, OVER_BUDGET, MAY_STALL):
        assert exceptions.keys() <= EVERY.keys()


@pytest.mark.parametrize("name", VECTORS)
def test_vectors(name: str) -> None:
    """The front is that of all that was told, and the unit of an objective does not matter."""

    def check(problem: Problem, chance: random.Random) -> None:
        objectives = [stretched(problem.scores, STRETCHES["cubes"]), *(_shuffled(problem, chance) for _ in "ab")]
        units = [2.0 ** chance.randint(-40, 40) for _ in objectives]  # powers of two: no rounding
        trajectories = []
        for factors in ([1.0] * 3, units):
            searcher: Any = build(name, problem)
            while len(searcher.history) < min(problem.budget, problem.space.size):
                proposed = searcher.ask()
                assert proposed in problem.space
                assert proposed not in searcher.history
                values = [scores[proposed] * factor for scores, factor in zip(objectives, factors, strict=True)]
                searcher.tell(proposed, values)
            trajectories.append(list(searcher.vectors))
            there = non_dominated(np.array(list(searcher.vectors.values())))
            assert searcher.front() == [a for a, on_front in zip(searcher.vectors, there, strict=True) if on_front]
        assert trajectories[0] == trajectories[1]

    set_problems(name, check)


def _shuffled(problem: Problem, chance: random.Random) -> dict[Architecture, float]:
    ranks = list(stretched(problem.scores, STRETCHES["ranks"]).values())
    chance.shuffle(ranks)
    return dict(zip(problem.scores, ranks, strict=True))
