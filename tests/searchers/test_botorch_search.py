"""BoTorch's Gaussian process as a searcher."""

import sys
from typing import Any

import numpy as np
import pytest

from nasbench_ar import Entry, Grid, SearchError
from searchers import BotorchSearcher, RandomSearch
from searchers.testing import SMALL, SearcherConformance, hilly, trajectory
from tests.searchers.problems import quick, suite

MIXED = Grid(
    [
        Entry("kind", ("a", "b", "c"), ordered=False),
        Entry("only", (7,)),
        Entry("size", (1, 2, 4)),
        Entry("flag", (True, False), ordered=False),
    ]
)


@pytest.fixture(autouse=True)
def _installed(request: pytest.FixtureRequest) -> None:
    if not request.node.name.startswith("test_missing"):
        pytest.importorskip("botorch")


TestBotorch = suite(
    quick(SearcherConformance), BotorchSearcher, {"starts": 12, "batch": 48, "samples": 2}, "never_repeats"
)
TestBotorchOneByOne = pytest.mark.slow(suite(SearcherConformance, BotorchSearcher, {}, "never_repeats"))
TestBotorchPools = pytest.mark.slow(
    suite(SearcherConformance, BotorchSearcher, {"starts": 1, "batch": 3, "samples": 4, "pool": 9}, "never_repeats")
)


@pytest.mark.parametrize("space", [SMALL, MIXED], ids=["ordinal", "mixed"])
def test_improvements_are_those_that_botorch_computes(space: Grid) -> None:
    """For single points, and for the later ones of a batch."""
    import torch
    from botorch.acquisition.logei import qLogNoisyExpectedImprovement
    from botorch.models import MixedSingleTaskGP, SingleTaskGP
    from botorch.optim import optimize_acqf_discrete
    from botorch.sampling import SobolQMCNormalSampler

    from searchers.botorch_model import PoolImprovement

    searcher = BotorchSearcher(space, 0, batch=2, samples=16)
    trajectory(searcher, 14, lambda architecture: space.index(architecture) % 7.0)
    told = searcher._told()
    x, choices = (torch.from_numpy(searcher._encoded(indices)) for indices in (told, searcher._unseen(told)))
    model = searcher._model._conditioned(x, torch.tensor(list(searcher.history.values()), dtype=torch.double)[:, None])
    assert type(model) is (SingleTaskGP if space is SMALL else MixedSingleTaskGP)
    found = []
    for kind in (PoolImprovement, qLogNoisyExpectedImprovement):
        acquisition = kind(model, x, SobolQMCNormalSampler(torch.Size([16]), seed=3), prune_baseline=False)
        with torch.no_grad():
            found.append(acquisition(choices[:, None]))
        found.append(optimize_acqf_discrete(acquisition, 3, choices)[0])
    assert found[0].std() > 0.01
    torch.testing.assert_close(found[0], found[2], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found[1], found[3])


def test_what_the_model_is_given() -> None:
    searcher = BotorchSearcher(MIXED, 0)
    assert searcher._model.categorical == [0, 2]
    encoded = searcher._encoded(MIXED.indices(["a,7,1,True", "c,7,2,False", "b,7,4,True"]))
    assert encoded.tolist() == [[0, 0, 0], [2, 0.5, 1], [1, 1, 0]]
    assert BotorchSearcher(SMALL, 0)._model.categorical == []


@pytest.mark.parametrize("space", [MIXED, MIXED.restricted_to(indices=range(0, 18, 5))])
def test_any_finite_space_is_searched_to_its_end(space: Grid) -> None:
    searcher = BotorchSearcher(space, 0, starts=2, batch=8, samples=4, pool=9)
    found = trajectory(searcher, 99, lambda architecture: space.index(architecture) % 7.0)
    assert len(found) == space.size


def test_starts_lie_on_a_sobol_sequence() -> None:
    """Eight of its points have each eighth of each axis once."""
    space = Grid([Entry(name, tuple(range(8))) for name in "abc"])
    first, second = (BotorchSearcher(space, seed, starts=8).ask_batch() for seed in (0, 1))
    assert first != second
    for batch in (first, second):
        assert [sorted(levels) for levels in zip(*batch, strict=True)] == [list(range(8))] * 3


def test_hyperparameters_are_fitted_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from searchers import botorch_model

    sizes: list[int] = []
    fit = botorch_model.fit_gpytorch_mll

    def fitted(mll: Any) -> Any:
        sizes.append(len(mll.model.train_targets))
        return fit(mll)

    monkeypatch.setattr(botorch_model, "fit_gpytorch_mll", fitted)
    trajectory(BotorchSearcher(SMALL, 0, starts=27, samples=4), 36)
    assert sizes == [27, 29, 31, 34], "a tenth more each time"


def test_global_generators_of_pytorch_stay_as_they_are() -> None:
    import torch

    before = torch.random.get_rng_state()
    first = trajectory(BotorchSearcher(SMALL, 0, batch=10, samples=4), 30)
    assert torch.equal(torch.random.get_rng_state(), before)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(5)
        assert trajectory(BotorchSearcher(SMALL, 0, batch=10, samples=4), 30) == first


def test_it_climbs() -> None:
    searcher, random = BotorchSearcher(SMALL, 0, batch=5, samples=16), RandomSearch(SMALL, 0)
    for each in (searcher, random):
        trajectory(each, 30)
    assert searcher.best()[1] == max(map(hilly, SMALL))
    best, by_chance = (np.sort(list(each.history.values()))[-10:].mean() for each in (searcher, random))
    assert best > by_chance + 0.5


def test_a_model_that_cannot_be_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    from botorch.exceptions.errors import ModelFittingError

    from searchers import botorch_model

    def fails(_: Any) -> None:
        raise ModelFittingError("All attempts to fit the model have failed.\nFor more, see ...")

    monkeypatch.setattr(botorch_model, "fit_gpytorch_mll", fails)
    searcher = BotorchSearcher(SMALL, 0, starts=1)
    searcher.tell(searcher.ask(), 1.0)
    with pytest.raises(SearchError, match=r"^BoTorch failed: All attempts to fit the model have failed\. For more"):
        searcher.ask()


def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botorch", None)
    message = r"^searcher=botorch needs botorch, which is not installed: pip install 'nasbench-ar\[botorch\]'$"
    with pytest.raises(SearchError, match=message):
        BotorchSearcher(SMALL, 0)
