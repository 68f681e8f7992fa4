"""BayBE's default recommender as a searcher."""

import random
import sys
from typing import Any

import numpy as np
import pytest

from nasbench_ar import Entry, Grid, SearchError
from searchers import BaybeSearcher, RandomSearch
from searchers.testing import SMALL, SearcherConformance, check_global_random_state, hilly, trajectory
from tests.searchers.problems import suite
from tests.searchers.test_botorch_search import MIXED


@pytest.fixture(autouse=True)
def _installed(request: pytest.FixtureRequest) -> None:
    if not request.node.name.startswith("test_missing"):
        pytest.importorskip("baybe")


TestBaybe = pytest.mark.slow(suite(SearcherConformance, BaybeSearcher, {"batch": 5}, "never_repeats"))
TestBaybePools = pytest.mark.slow(suite(SearcherConformance, BaybeSearcher, {"batch": 2, "pool": 9}, "never_repeats"))


def test_what_baybe_is_given() -> None:
    import baybe

    searcher = BaybeSearcher(MIXED, 0)
    indices = MIXED.indices(["a,7,1,True", "c,7,2,False", "b,7,4,True"])
    frame = searcher._frame(indices)
    assert frame.to_numpy().tolist() == [["0", 0.0, "0"], ["2", 1.0, "1"], ["1", 2.0, "0"]]
    assert frame.index.tolist() == indices.tolist()
    kinds = [type(parameter).__name__ for parameter in searcher._parameters]
    assert kinds == ["CategoricalParameter", "NumericalDiscreteParameter", "CategoricalParameter"]
    assert [list(parameter.values) for parameter in searcher._parameters] == [["0", "1", "2"], [0, 1, 2], ["0", "1"]]
    assert searcher._recommender == baybe.recommenders.TwoPhaseMetaRecommender()


def test_it_proposes_what_baybe_recommends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of unseen members, by their levels; BayBE is told all scores, to be maximised."""
    import baybe

    searcher = BaybeSearcher(SMALL, 0, batch=3)
    given: list[Any] = []
    kind = baybe.recommenders.TwoPhaseMetaRecommender
    recommend = kind.recommend

    def spy(self: Any, batch: int, space: Any, objective: Any, measurements: Any) -> Any:
        found = recommend(self, batch, space, objective, measurements)
        given.append((batch, space.discrete.exp_rep, objective, measurements, found))
        return found

    monkeypatch.setattr(kind, "recommend", spy)
    first = searcher.ask_batch()
    for architecture in first:
        searcher.tell(architecture, hilly(architecture))
    second = searcher.ask_batch()
    assert given[0][3] is None
    batch, candidates, objective, measurements, found = given[1]
    assert (batch, len(candidates)) == (3, 78)
    assert [not target.minimize for target in objective.targets] == [True]
    assert measurements["score"].tolist() == list(searcher.history.values())
    for frame, architectures in ((measurements, first), (found, second)):
        ranks = [[SMALL.choices(k).index(level) for k, level in enumerate(a)] for a in architectures]
        assert frame[["0", "1", "2", "3"]].to_numpy().tolist() == ranks


@pytest.mark.parametrize("space", [MIXED, MIXED.restricted_to(indices=range(0, 18, 5))])
def test_any_finite_space_is_searched_to_its_end(space: Grid) -> None:
    searcher = BaybeSearcher(space, 0, batch=4, pool=9)
    found = trajectory(searcher, 99, lambda architecture: space.index(architecture) % 7.0)
    assert len(found) == space.size
    for only in (space.restricted_to(indices=[5]), Grid([Entry("only", (7,))])):
        assert len(trajectory(BaybeSearcher(only, 0), 9, lambda _: 1.0)) == 1


def test_seeds_and_global_generators() -> None:
    import torch

    def run(seed: int = 0) -> list[list[int]]:
        return trajectory(BaybeSearcher(SMALL, seed, batch=4), 8)

    before, python = torch.random.get_rng_state(), random.getstate()
    check_global_random_state(run)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert random.getstate() == python
    assert run() != run(1)


def test_it_climbs() -> None:
    searcher, chance = BaybeSearcher(SMALL, 0, batch=5), RandomSearch(SMALL, 0)
    for each in (searcher, chance):
        trajectory(each, 30)
    assert searcher.best()[1] == max(map(hilly, SMALL))
    best, by_chance = (np.sort(list(each.history.values()))[-10:].mean() for each in (searcher, chance))
    assert best > by_chance + 0.5


def test_a_model_that_cannot_be_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    from botorch.exceptions.errors import ModelFittingError

    searcher = BaybeSearcher(SMALL, 0)

    def fails(*_: Any, **__: Any) -> None:
        raise ModelFittingError("All attempts to fit the model have failed.")

    monkeypatch.setattr(type(searcher._recommender), "recommend", fails)
    with pytest.raises(SearchError, match=r"^BayBE failed: All attempts to fit the model have failed\.$"):
        searcher.ask()


def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "baybe", None)
    message = r"^searcher=baybe needs baybe, which is not installed: pip install 'nasbench-ar\[baybe\]'$"
    with pytest.raises(SearchError, match=message):
        BaybeSearcher(SMALL, 0)
