"""Syne Tune's searchers as searchers."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasbench_ar import Architecture, Grid, SearchError, SearchSpace
from searchers import SyneTuneSearcher, syne_tune_search
from searchers.testing import SMALL, SearcherConformance, trajectory
from tests.processes import python
from tests.searchers.problems import MIXED, quick, suite

METHODS = ("cqr", "bore")


@pytest.fixture(autouse=True)
def _installed(request: pytest.FixtureRequest) -> None:
    if not request.node.name.startswith("test_missing"):
        pytest.importorskip("syne_tune.blackbox_repository")
        pytest.importorskip("xgboost")


class Quick(SyneTuneSearcher):
    """With smaller models and fewer candidates: Syne Tune's own take half a second a proposal."""

    def __init__(self, space: Any, seed: int, *, method: str = "cqr", patience: int = 3, **words: Any) -> None:
        super().__init__(space, seed, method=method, patience=patience, **words)
        if method == "bore":
            getattr(self._searcher.model, "_model", self._searcher.model).n_estimators = 3
            self._searcher.feval_acq = min(20, space.product_size)
            return
        surrogate = self._searcher.surrogate_cls
        fit = surrogate.fit
        few = {"fit": lambda *given, **words: fit(*given, ncandidates=20, **words)}
        self._searcher.surrogate_cls = type("Smaller", (surrogate,), few)
        self._searcher.surrogate_kwargs = {"n_estimators": 3}


TestCQR = pytest.mark.slow(suite(SearcherConformance, Quick))
TestBORE = suite(quick(SearcherConformance), Quick, {"method": "bore"})


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_as_syne_tune_makes_them(method: str) -> None:
    assert len(trajectory(SyneTuneSearcher(SMALL, 0, method=method), 12)) == 12


@pytest.mark.parametrize("method", METHODS)
def test_entries_as_they_are(method: str) -> None:
    from syne_tune import config_space

    searcher = Quick(MIXED, 3, method=method)
    found = searcher._searcher.config_space
    assert {name: type(domain) for name, domain in found.items()} == {
        "kind": config_space.Categorical,
        "size": config_space.Integer,
        "flag": config_space.Categorical,
    }
    assert (found["size"].lower, found["size"].upper) == (0, 2)
    assert found["kind"].categories == [0, 1, 2]
    seen = trajectory(searcher, MIXED.size, lambda architecture: MIXED.index(architecture) % 7.0)
    assert len({MIXED.index(vector) for vector in seen}) == MIXED.size


@pytest.mark.parametrize("method", METHODS)
def test_same_seed_same_way_and_another_seed_another(method: str) -> None:
    first, second, other = (trajectory(Quick(SMALL, seed, method=method), 10) for seed in (5, 5, 6))
    assert first == second != other


@pytest.mark.parametrize("method", METHODS)
def test_a_restricted_space_and_scores_that_are_all_equal(method: str) -> None:
    space = SMALL.restricted_to(indices=range(0, 81, 9))
    assert len(trajectory(Quick(space, 0, method=method), space.size, lambda _: 1.0)) == space.size


@pytest.mark.parametrize("method", METHODS)
def test_nothing_to_choose(method: str) -> None:
    single = SearchSpace(depth_choices=(1,), width_choices=(1,), stages=1)
    assert len(trajectory(Quick(single, 0, method=method), 5)) == 1


@pytest.mark.parametrize("method", METHODS)
def test_syne_tune_is_told_losses(method: str) -> None:
    """Of what it asked for and of what nobody asked for; what lies outside the space is an error without one."""
    space = SMALL.restricted_to(indices=[7, 8, 9])
    searcher = Quick(space, 0, method=method)
    failed: list[int] = []
    searcher._searcher.on_trial_error = failed.append
    searcher.tell(SMALL.from_index(8), 3.0)
    asked = searcher.ask()
    searcher.tell(asked, -2.0)
    told = searcher._searcher.targets if method == "bore" else list(searcher._searcher.trial_results.values())
    assert told == ([-3.0, 2.0] if method == "bore" else [[-3.0], [2.0]])
    assert failed, "three of 81 architectures are inside the space"
    assert len(set(failed)) == len(failed)


@pytest.mark.parametrize(
    ("method", "name", "settings"),
    [
        ("cqr", "ConformalQuantileRegression", {"num_init_random_draws": 5, "update_frequency": 1}),
        ("bore", "Bore", {"gamma": 0.25, "classifier": "xgboost", "acq_optimizer": "rs", "init_random": 6}),
    ],
)
def test_what_syne_tune_is_made_of(method: str, name: str, settings: dict[str, Any]) -> None:
    found = SyneTuneSearcher(SMALL, 11, method=method)._searcher
    assert type(found).__name__ == name
    assert {setting: getattr(found, setting) for setting in settings} == settings
    assert found.random_seed == 11


def test_bore_draws_no_more_candidates_than_there_are() -> None:
    assert SyneTuneSearcher(SMALL, 0, method="bore")._searcher.feval_acq == 81
    large = SearchSpace(depth_choices=(1, 2, 3), width_choices=(1, 2, 3), stages=3)
    assert SyneTuneSearcher(large, 0, method="bore")._searcher.feval_acq == 500


@pytest.mark.parametrize("space", [SMALL, MIXED])
def test_bore_proposes_what_it_does_by_itself(space: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is encoded or predicted beforehand in a larger space."""
    scores = np.random.default_rng(0).random(space.product_size)
    ways = []
    for most in (space.product_size, space.product_size - 1):
        monkeypatch.setattr(syne_tune_search, "MOST_ROWS", most)
        searcher = Quick(space, 4, method="bore")
        assert hasattr(searcher._searcher.model, "_model") == (most == space.product_size)
        ways.append(trajectory(searcher, 12, lambda architecture: float(scores[space.index(architecture)])))
    assert ways[0] == ways[1]


@pytest.mark.parametrize("frequency", [1, 4])
def test_cqr_is_fitted_as_often_as_wished(frequency: int) -> None:
    searcher = Quick(SMALL, 0, update_frequency=frequency)
    cqr, known = searcher._searcher, list[int | None]()

    def score(architecture: Architecture) -> float:
        known.append(cqr.index_last_result_fit)
        return float(SMALL.index(architecture))

    trajectory(searcher, 13, score)
    fits = [at for at in dict.fromkeys(known) if at is not None]
    assert fits == list(range(5, fits[-1] + 1, frequency))


def test_update_frequency_goes_with_cqr() -> None:
    with pytest.raises(SearchError, match=r"^update_frequency=4: goes with method=cqr; bore fits after every score$"):
        SyneTuneSearcher(SMALL, 0, method="bore", update_frequency=4)
    with pytest.raises(SearchError, match=r"^update_frequency=0"):
        SyneTuneSearcher(SMALL, 0, update_frequency=0)


def test_the_classifier_is_fitted_on_one_thread() -> None:
    if not Path("/proc/self/task").is_dir():
        pytest.skip("counts the threads that Linux lists")
    code = (
        "import os\n"
        "from searchers.testing import TINY, trajectory\n"
        "from tests.searchers.test_syne_tune_search import Quick\n"
        "searcher = Quick(TINY, 0, method='bore')\n"
        "before = len(os.listdir('/proc/self/task'))\n"
        "trajectory(searcher, 8)\n"
        "assert searcher._searcher.model._model.n_features_in_\n"
        "print(len(os.listdir('/proc/self/task')) - before)\n"
    )
    done = python("-c", code, OMP_NUM_THREADS="2")
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_printed_or_left_and_logging_is_not_set_up(method: str, tmp_path: Path) -> None:
    """Syne Tune sets up logging where it is imported, and where it warns that all scores are equal."""
    code = (
        "import logging\n"
        "from searchers.testing import TINY, trajectory\n"
        "from tests.searchers.test_syne_tune_search import Quick\n"
        "logging.getLogger().handlers.clear()\n"
        f"trajectory(Quick(TINY, 0, method={method!r}), TINY.size, lambda _: 1.0)\n"
        "assert not logging.getLogger().handlers\n"
    )
    done = python("-c", code, cwd=tmp_path, HOME=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not list(tmp_path.iterdir())


def test_missing_syne_tune_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "syne_tune"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "syne_tune", None)
    message = r"^searcher=syne_tune needs syne_tune, .*: pip install 'nasbench-ar\[syne-tune\]'$"
    with pytest.raises(SearchError, match=message):
        SyneTuneSearcher(SMALL, 0)
