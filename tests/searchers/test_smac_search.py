"""SMAC3's facades as searchers."""

import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from nasbench_ar import SearchError, SearchSpace
from searchers import SMACSearcher
from searchers.testing import SMALL, TINY, SearcherConformance, hilly, trajectory
from tests.processes import python
from tests.searchers.problems import MIXED, quick, suite


@pytest.fixture(autouse=True)
def _installed(request: pytest.FixtureRequest) -> None:
    if not request.node.name.startswith("test_missing"):
        pytest.importorskip("smac")


class Quick(SMACSearcher):
    """With smaller models and fewer candidates: SMAC's own take seconds a fit."""

    def _facade(self) -> Any:
        found = super()._facade()

        def get_model(scenario: Any) -> Any:
            model = found.get_model(scenario, **({"n_trees": 3} if self.facade == "rf" else {}))
            if self.facade == "rf":
                model._rf_opts["max_leaf_nodes"] = 100  # space for a million is taken at every fit
            else:
                model._n_restarts = 0
            return model

        def get_acquisition_maximizer(scenario: Any) -> Any:
            return found.get_acquisition_maximizer(scenario, challengers=50)

        parts = {"get_model": get_model, "get_acquisition_maximizer": get_acquisition_maximizer}
        return type("Smaller", (found,), {name: staticmethod(part) for name, part in parts.items()})


TestSMACForest = suite(quick(SearcherConformance), Quick, {"budget": 100})
TestSMACGaussianProcess = pytest.mark.slow(suite(SearcherConformance, Quick, {"facade": "gp", "budget": 40}))


@pytest.mark.slow
@pytest.mark.parametrize("facade", ["rf", "gp"])
def test_as_smac_makes_them(facade: str) -> None:
    searcher = SMACSearcher(SMALL, 0, facade=facade, budget=40)
    assert len(trajectory(searcher, 30)) == 30


@pytest.mark.parametrize("facade", ["rf", "gp"])
def test_entries_as_they_are(facade: str) -> None:
    searcher = Quick(MIXED, 3, facade=facade, budget=12)
    parts = dict(searcher._optimizer.scenario.configspace)
    assert {name: type(part).__name__ for name, part in parts.items()} == {
        "kind": "CategoricalHyperparameter",
        "size": "UniformIntegerHyperparameter",
        "flag": "CategoricalHyperparameter",
    }
    assert (parts["size"].lower, parts["size"].upper) == (0, 2)
    found = trajectory(searcher, MIXED.size, lambda architecture: MIXED.index(architecture) % 7.0)
    assert len({MIXED.index(vector) for vector in found}) == MIXED.size


def test_nothing_to_choose() -> None:
    single = SearchSpace(depth_choices=(1,), width_choices=(1,), stages=1)
    assert len(trajectory(Quick(single, 0), 5)) == 1


@pytest.mark.parametrize(
    ("facade", "cls", "model", "first"),
    [("rf", "HyperparameterOptimizationFacade", "RandomForest", 40), ("gp", "BlackBoxFacade", "GaussianProcess", 32)],
)
def test_what_smac_is_made_of(facade: str, cls: str, model: str, first: int) -> None:
    optimizer = SMACSearcher(SMALL, 11, facade=facade)._optimizer
    assert type(optimizer).__name__ == cls
    assert type(optimizer._model).__name__ == model
    assert optimizer.scenario.deterministic
    assert (optimizer.scenario.seed, optimizer.scenario.n_trials) == (11, 500)
    assert optimizer._initial_design._n_configs == first
    assert SMACSearcher(SMALL, 11, facade=facade, budget=20)._optimizer._initial_design._n_configs == 5


def test_smac_is_told_costs() -> None:
    """Of what it asked for, of what nobody asked for, and of what lies outside the space."""
    space = SMALL.restricted_to(indices=[7, 8, 9])
    searcher = Quick(space, 0, patience=5)
    searcher.tell(SMALL.from_index(8), 3.0)
    searcher.tell(SMALL.from_index(7), -2.0)
    asked = searcher.ask()
    searcher.tell(asked, 9.0)
    smac = searcher._optimizer.runhistory
    told = {searcher._of_digits(smac.get_config(key.config_id)): (value, key) for key, value in smac.items()}
    inside = {a: value.cost for a, (value, _) in told.items() if a in space}
    assert inside == {SMALL.from_index(8): -3.0, SMALL.from_index(7): 2.0} | {asked: -9.0}
    outside = {(value.cost, value.status.name) for a, (value, _) in told.items() if a not in space}
    assert outside == {(2.0, "CRASHED")}
    assert {key.seed for _, key in told.values()} == {0}, "SMAC compares evaluations of one seed"
    assert searcher._optimizer.intensifier.get_incumbent() is not None


def test_smac_hears_of_what_is_outside_once_a_score_is_known() -> None:
    searcher = Quick(SMALL.restricted_to(indices=[7, 8]), 0, patience=5)
    asked = searcher.ask()
    told = searcher._optimizer.runhistory
    assert {value.status.name for value in told.values()} == {"RUNNING"}
    searcher.tell(asked, -70.0)
    costs = {(value.cost, value.status.name) for value in told.values()}
    assert costs == {(70.0, "SUCCESS"), (70.0, "CRASHED")}, "or it would hold them for the best"


def test_more_is_asked_for_than_is_told() -> None:
    searcher = Quick(TINY, 0, budget=8)
    assert {searcher.ask() for _ in range(60)} <= set(TINY)


def test_the_forest_is_fitted_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.ensemble import _forest

    seen: set[int] = set()
    build = _forest._parallel_build_trees

    def watched(*given: Any, **words: Any) -> Any:
        seen.add(threading.get_ident())
        return build(*given, **words)

    monkeypatch.setattr(_forest, "_parallel_build_trees", watched)
    trajectory(Quick(SMALL, 0, budget=8), 12)
    assert seen == {threading.get_ident()}


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    searcher = Quick(TINY, 0, budget=8)
    assert len(trajectory(searcher, TINY.size)) == TINY.size
    assert not list(tmp_path.iterdir())


def test_nothing_is_printed_and_logging_is_not_set_up() -> None:
    code = (
        "import logging\n"
        "from searchers.testing import TINY, trajectory\n"
        "from tests.searchers.test_smac_search import Quick\n"
        "logging.getLogger().handlers.clear()\n"
        "trajectory(Quick(TINY, 0, budget=8), TINY.size)\n"
        "assert not logging.getLogger().handlers\n"
    )
    done = python("-c", code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_climbs() -> None:
    best = max(map(hilly, SMALL))
    searcher = Quick(SMALL, 1, budget=40)
    trajectory(searcher, 30)
    assert searcher.best()[1] == best


def test_missing_smac_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "smac", None)
    with pytest.raises(SearchError, match=r"^searcher=smac needs smac, .*: pip install 'nasbench-ar\[smac\]'$"):
        SMACSearcher(SMALL, 0)
