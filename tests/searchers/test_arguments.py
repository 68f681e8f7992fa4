"""What every searcher takes: its defaults, which stand in papers and docs, and the limits of each argument."""

import inspect
import re
from typing import Any

import pytest

from nasbench_ar import SearchError
from searchers import ALL_SEARCHERS, hyperparameters
from searchers.fidelity import FIDELITY_SEARCHERS
from searchers.testing import SMALL
from tests.searchers.problems import need_libraries

DEFAULTS: dict[str, dict[str, Any]] = {
    "random_search": {},
    "local_search": {"starts": 10, "improvement": "first", "guided": False},
    "regularized_evolution": {"population": 30, "tournament": 10, "children": 1, "patience": 200},
    "bananas": (
        {"starts": 10, "batch": 10, "members": 5, "hidden": 16, "first_steps": 100, "steps": 20}
        | {"learning_rate": 0.01, "weight_decay": 10.0, "acquisition": "its"}
        | {"parents": 50, "mutations": 10, "pool": 100}
    ),
    "largest": {"by": "macs"},
    "gp": {"starts": 4, "batch": 10, "acquisition": "ei", "pool": 65_536},
    "published_random_search": {},
    "published_local_search": {"starts": 10},
    "published_regularized_evolution": {"population": 30, "tournament": 10},
    "published_bananas": (  # NARes, section 5 and its code's settings
        {"starts": 10, "batch": 10, "members": 5, "layers": 20, "width": 32, "epochs": 500, "minibatch": 32}
        | {"learning_rate": 1e-3, "penalty": 0.2, "parents": 50, "mutations": 10, "pool": 100, "device": "auto"}
    ),
    "nsga2": {"population": 20, "crossover": 0.9, "mutation": 1.0, "patience": 50},
    "optuna": {"sampler": "tpe", "encoding": "auto", "multivariate": None, "patience": 20},
    "nevergrad": {"optimizer": "NGOpt", "encoding": "ordinal", "budget": None, "patience": 20},
    "botorch": {"starts": 10, "batch": 1, "samples": 128, "pool": 65_536},
    "baybe": {"batch": 1, "pool": 16_384},
    "smac": {"facade": "rf", "budget": None, "patience": 20},
    "syne_tune": {"method": "cqr", "update_frequency": 1, "patience": 20},
    "random_full": {},
    "successive_halving": {"eta": 3, "least_epochs": 1, "configurations": None},
    "hyperband": {"eta": 3, "least_epochs": 1},
    "asha": {"eta": 3, "least_epochs": 1, "early_stopping_rate": 0},
}

LEAST = {"first_steps": 0, "steps": 0, "early_stopping_rate": 0, "eta": 2}  # of counts; otherwise 1
ZERO_ALLOWED = ("weight_decay", "penalty", "crossover", "mutation")
SEEDED_BY_32_BITS = ("optuna", "nevergrad", "smac", "syne_tune")
CLASSES: dict[str, Any] = {**ALL_SEARCHERS, **FIDELITY_SEARCHERS}
OF_KIND = {
    kind: [(name, argument) for name, defaults in DEFAULTS.items() for argument, value in defaults.items()
           if type(value) is kind]
    for kind in (int, float, str)
}  # fmt: skip


def make(name: str, **arguments: Any) -> Any:
    cls = CLASSES[name]
    if name in FIDELITY_SEARCHERS:
        return cls(SMALL, 0, 9, **arguments)
    need_libraries(cls)
    return cls(SMALL, 0, **arguments)


@pytest.mark.parametrize("name", CLASSES)
def test_defaults_are_the_documented_ones(name: str) -> None:
    assert hyperparameters(CLASSES[name]) == DEFAULTS[name]
    assert list(hyperparameters(CLASSES[name])) == list(DEFAULTS[name]), "their order is what commands list"


@pytest.mark.parametrize("name", [name for name, cls in ALL_SEARCHERS.items() if cls.stops_itself])
def test_published_searchers_stop_after_the_published_budget(name: str) -> None:
    assert inspect.signature(CLASSES[name]).parameters["queries"].default == 500
    for queries in (0, 1.0, True):
        with pytest.raises(SearchError, match=f"^queries={queries}: expected an integer of at least 1$"):
            make(name, queries=queries)
    assert make(name, queries=1).queries == 1


@pytest.mark.parametrize(("name", "argument"), OF_KIND[int])
def test_counts(name: str, argument: str) -> None:
    least = LEAST.get(argument, 1)
    make(name, **{argument: least})
    for bad in (least - 1, float(least), str(least), True):
        message = f"^{argument}={re.escape(repr(bad))}: expected an integer of at least {least}$"
        with pytest.raises(SearchError, match=message):
            make(name, **{argument: bad})


@pytest.mark.parametrize(("name", "argument"), OF_KIND[float])
def test_numbers(name: str, argument: str) -> None:
    zero = argument in ZERO_ALLOWED
    make(name, **{argument: 1e-6})
    if zero:
        make(name, **{argument: 0})
    bads = [-1e-6, float("nan"), float("inf"), "1", True, *([] if zero else [0])]
    for bad in bads:
        sign = "non-negative" if zero else "positive"
        with pytest.raises(SearchError, match=f"^{argument}={re.escape(repr(bad))}: expected a {sign} finite number$"):
            make(name, **{argument: bad})


@pytest.mark.parametrize(("name", "argument"), OF_KIND[str])
def test_choices(name: str, argument: str) -> None:
    message = (
        f"^{argument}='no such': expected (one of )?\\w+(, | or )|^optimizer='no such' is not in Nevergrad's registry"
    )
    with pytest.raises(SearchError, match=message):
        make(name, **{argument: "no such"})


def test_bananas_may_not_forget_all_it_learns_in_a_step() -> None:
    make("bananas", learning_rate=0.01, weight_decay=99.9)
    for rate, decay, product in ((0.01, 100.0, "1"), (0.5, 3.0, "1.5")):
        with pytest.raises(SearchError, match=f"^learning_rate \\* weight_decay = {product}: must be below 1$"):
            make("bananas", learning_rate=rate, weight_decay=decay)


@pytest.mark.parametrize("name", [*(n for n in ALL_SEARCHERS if n.startswith("published")), *SEEDED_BY_32_BITS])
def test_generators_of_others_take_32_bits(name: str) -> None:
    make(name)
    CLASSES[name](SMALL, 2**32 - 1)
    with pytest.raises(SearchError, match=rf"^seed={2**32}: .* seeds below 2\*\*32"):
        CLASSES[name](SMALL, 2**32)
