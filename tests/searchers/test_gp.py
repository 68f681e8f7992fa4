"""The search by a Gaussian process: scores, acquisition, rounds, pools."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from nasbench_ar import NARES, Architecture, SearchSpace
from nasbench_ar.entry import Entry
from nasbench_ar.grid import Grid
from searchers import GaussianProcess, LocalSearch
from searchers import gp as module
from searchers.gp import ACQUISITIONS, normal_scores
from searchers.testing import SMALL, hilly, trajectory

LARGE = SearchSpace(depth_choices=tuple(range(1, 9)), width_choices=tuple(range(1, 9)), stages=5)  # 2^30


def noisy(architecture: Architecture) -> float:
    """Additive, and as much noise that is the same whenever it is asked."""
    own = np.random.default_rng(list(architecture)).normal()
    return float(sum(architecture) / 5 + own)


def test_normal_scores_are_quantiles_of_mean_ranks() -> None:
    values = np.array([3.0, -7e9, 3.0, 8.0, 0.5])
    expected = stats.norm.ppf((stats.rankdata(values) - 0.5) / 5)
    np.testing.assert_allclose(normal_scores(values), expected, rtol=1e-12)
    assert not normal_scores(np.ones(4)).any()


def test_expected_improvement_is_that_of_a_noisy_score() -> None:
    rng = np.random.default_rng(0)
    mean, variance, noise, best = np.array([0.5, -1.0]), np.array([0.3, 2.0]), 0.4, 0.8
    scores = mean + np.sqrt(variance) * rng.normal(size=(400_000, 2)) + np.sqrt(noise) * rng.normal(size=(400_000, 2))
    expected = np.maximum(scores - best, 0).mean(axis=0)
    np.testing.assert_allclose(ACQUISITIONS["ei"](rng, mean, variance, noise, best), expected, rtol=0.02)


def test_thompson_draws_have_the_posterior_of_f() -> None:
    draws = [
        ACQUISITIONS["its"](np.random.default_rng(s), np.array([2.0]), np.array([0.25]), 9.0, 0.0) for s in range(4000)
    ]
    assert np.mean(draws) == pytest.approx(2.0, abs=0.03)
    assert np.std(draws) == pytest.approx(0.5, rel=0.05)


def test_batches_grow_with_what_is_known() -> None:
    searcher = GaussianProcess(NARES, 0, batch=3)
    sizes = {}
    while len(searcher.history) < 180:
        known = len(searcher.history)
        batch = searcher.ask_batch()
        sizes[known] = len(batch)
        assert len(set(batch)) == len(batch)
        assert not set(batch) & set(searcher.history)
        for architecture in batch:
            searcher.tell(architecture, noisy(architecture))
    assert sizes.pop(0) == 4, "the starts"
    assert all(size == min(3, 1 + known // 50) for known, size in sizes.items())


def told_otherwise(searcher: GaussianProcess) -> None:
    """Rounds whose proposals are told backwards, all but one, between scores nobody asked for."""
    for round_ in range(12):
        for architecture in reversed(searcher.ask_batch()[:-1] or searcher.ask_batch()):
            searcher.tell(architecture, noisy(architecture))
        stranger = NARES.from_index(1000 * round_ + 7)
        searcher.tell(stranger, noisy(stranger))
    searcher.tell(stranger, 3.0)  # another score of a known one


def test_the_posterior_is_of_what_was_told_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_QUERIES_PER_PLACE", 8)
    searcher = GaussianProcess(NARES, 0, batch=5)
    told_otherwise(searcher)
    searcher.ask_batch()
    posterior = searcher._posterior
    assert posterior is not None
    told = NARES.indices(searcher.history)
    np.testing.assert_array_equal(posterior.x[: len(told)], NARES.one_hot(indices=told))
    posterior.shrink(len(told))
    y = normal_scores(np.array(list(searcher.history.values())))
    z = NARES.one_hot(indices=searcher._followed)
    mean, variance = searcher.model.predict(NARES.one_hot(indices=told).astype(np.float64), y, z)
    np.testing.assert_allclose(posterior.mean(y), mean, atol=1e-3)
    np.testing.assert_allclose(posterior.variance(), variance, atol=1e-3)


def test_what_an_operation_is_worth_is_learned_wherever_it_stands() -> None:
    operations = ("none", "skip", "conv1", "conv3", "pool")
    space = Grid([*(Entry(f"edge{k}", operations, ordered=False) for k in range(6)), Entry("width", (16, 32, 64))])

    def score(architecture: Architecture) -> float:
        return sum(operations.index(str(v)) in (2, 3) for v in architecture[:6]) + float(architecture[6]) / 64

    for seed in range(3):
        searcher = GaussianProcess(space, seed)
        trajectory(searcher, 25, score)
        assert searcher.best()[1] == 7, "46,875 architectures, of which 64 have that score"


@pytest.mark.parametrize("arguments", [{}, {"acquisition": "its"}])
def test_finds_the_optimum_of_an_additive_landscape(arguments: dict[str, Any]) -> None:
    searcher = GaussianProcess(NARES, 0, **arguments)
    trajectory(searcher, 80, lambda architecture: float(sum(architecture)))
    assert searcher.best()[0] == (11, 16, 11, 16, 11, 16)


def test_is_ahead_of_local_search_where_there_is_noise() -> None:
    def reached(searcher: Any) -> float:
        trajectory(searcher, 120, noisy)
        return float(searcher.best()[1])

    ours, theirs = ([reached(cls(NARES, seed)) for seed in range(4)] for cls in (GaussianProcess, LocalSearch))
    assert np.mean(ours) > np.mean(theirs)


def test_large_spaces_are_drawn_from_and_have_the_neighbours_of_the_best() -> None:
    searcher = GaussianProcess(LARGE, 0, pool=500)
    trajectory(searcher, 60, lambda architecture: float(sum(architecture)))
    searcher._draw_pool()
    best = sorted(searcher.history, key=searcher.history.__getitem__, reverse=True)[:10]
    near = {LARGE.index(neighbour) for architecture in best for neighbour in LARGE.neighbours(architecture)}
    assert near <= set(searcher._members.tolist())
    assert len(near) < len(searcher._members) <= 500 + len(near)
    assert searcher.best()[1] > 70, "of 80; the best of 60 random ones has about 61"
    again = trajectory(GaussianProcess(LARGE, 0, pool=500), 60, lambda architecture: float(sum(architecture)))
    assert again == [list(architecture) for architecture in searcher.history]


def test_a_drawn_pool_of_a_restricted_space_has_members_only() -> None:
    space = SMALL.restricted_to(indices=range(0, 81, 2))
    searcher = GaussianProcess(space, 0, pool=5)
    trajectory(searcher, 30)
    assert set(searcher._members.tolist()) <= set(space.member_indices.tolist())


def test_many_observations_are_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("_MOST_MODELLED", 40), ("_MOST_BETWEEN_FITS", 20), ("_FOLLOWED", 30)):
        monkeypatch.setattr(module, name, value)
    space = SearchSpace(depth_choices=(1, 2, 3, 4), width_choices=(1, 2, 4, 8), stages=2)  # 256
    searcher = GaussianProcess(space, 0)
    most = 0
    while len(searcher.history) < space.size:
        for architecture in searcher.ask_batch():
            searcher.tell(architecture, hilly(architecture))
        most = max(most, len(searcher._rows))
    assert set(searcher.history) == set(space)
    assert 40 < most <= 60
    kept = module._representative(np.arange(100.0))
    assert set(range(80, 100)) <= set(kept.tolist())
    assert len(kept) == 40
    assert kept.min() < 5
