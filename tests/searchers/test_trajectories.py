"""Written trajectories: the same seed leads the same way in every release and on every machine.

A change here changes what users' seeds mean: it must be wanted, and stand in the changelog.  Left out are BANANAS
and the Gaussian process, whose last digits are the processor's, and the samplers of other libraries.
"""

from pathlib import Path
from typing import Any

import pytest

from nasbench_ar import Architecture
from searchers import ALL_SEARCHERS, NSGA2, Searcher
from searchers.fidelity import FIDELITY_SEARCHERS
from searchers.fidelity.testing import trajectory as fidelity_trajectory
from searchers.testing import SMALL, hilly, trajectory

FILE = Path(__file__).parent.parent / "data/trajectories.txt"
SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("random_search", {}),
    ("local_search", {}),
    ("local_search", {"improvement": "best", "starts": 3}),
    ("regularized_evolution", {}),
    ("regularized_evolution", {"population": 4, "tournament": 2, "patience": 3}),
    ("largest", {}),
    ("largest", {"by": "params"}),
    ("nsga2", {}),
    ("nsga2", {"population": 5, "crossover": 0.5, "mutation": 0.7, "patience": 2}),
    ("published_random_search", {}),
    ("published_local_search", {}),
    ("published_local_search", {"starts": 2}),
    ("published_regularized_evolution", {}),
    ("published_regularized_evolution", {"population": 4, "tournament": 2}),
    ("random_full", {}),
    ("successive_halving", {}),
    ("successive_halving", {"eta": 2, "least_epochs": 2, "configurations": 7}),
    ("hyperband", {}),
    ("hyperband", {"eta": 2, "least_epochs": 2}),
    ("asha", {}),
    ("asha", {"eta": 2, "least_epochs": 2, "early_stopping_rate": 1}),
]
STEPS = 60
SEED = 20


def two_scores(searcher: Searcher) -> list[int]:
    """What a searcher for several objectives queries: `hilly` and small sums."""
    while len(searcher.history) < STEPS:
        for architecture in searcher.ask_batch():
            searcher.tell(architecture, (hilly(architecture), -float(sum(architecture))))  # type: ignore[arg-type]
    return [SMALL.index(architecture) for architecture in list(searcher.history)[:STEPS]]


def went(name: str, arguments: dict[str, Any]) -> str:
    """A trajectory in words: indices, with the epoch where there is one."""
    if name in FIDELITY_SEARCHERS:
        searcher = FIDELITY_SEARCHERS[name](SMALL, SEED, 9, **arguments)
        found = fidelity_trajectory(searcher, STEPS, at_a_time=3)
        return " ".join(f"{SMALL.index(Architecture(*numbers))}@{epoch}" for *numbers, epoch in found)
    cls = ALL_SEARCHERS[name]
    if cls is NSGA2:
        return " ".join(map(str, two_scores(NSGA2(SMALL, SEED, **arguments))))
    limit = {"queries": STEPS} if cls.stops_itself else {}
    return " ".join(
        str(SMALL.index(Architecture(*a))) for a in trajectory(cls(SMALL, SEED, **limit, **arguments), STEPS)
    )


def written() -> dict[str, str]:
    return dict(line.split(": ") for line in FILE.read_text().splitlines())


@pytest.mark.parametrize(("name", "arguments"), SETTINGS)
def test_the_same_way_as_written(name: str, arguments: dict[str, Any]) -> None:
    heading = " ".join([name, *(f"{key}={value}" for key, value in arguments.items())])
    assert went(name, arguments) == written()[heading]


def test_nothing_written_is_left_over() -> None:
    assert len(written()) == len(SETTINGS)
    named = {name for name, _ in SETTINGS} | {
        "bananas",
        "published_bananas",
        "gp",
        "optuna",
        "nevergrad",
        "botorch",
        "baybe",
        "smac",
        "syne_tune",
    }
    assert named == {*ALL_SEARCHERS, *FIDELITY_SEARCHERS}
