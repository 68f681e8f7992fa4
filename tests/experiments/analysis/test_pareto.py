"""Pareto ranks worked out by hand and by brute force; principal components of a constructed set."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.analysis.pareto import cosine, pareto_ranks, principal_components


def test_ranks_by_hand() -> None:
    # (gain, cost): a and b are the front, c is beaten by a, d by c too, e equals a, f costs as much as b for less
    gain = np.array([5.0, 7.0, 4.0, 3.0, 5.0, 6.0])
    cost = np.array([1.0, 3.0, 2.0, 2.5, 1.0, 3.0])
    assert pareto_ranks(gain, cost).tolist() == [0, 0, 1, 2, 0, 1]


def test_equal_points_share_a_rank_and_ties_in_one_objective_do_not() -> None:
    assert pareto_ranks(np.full(4, 2.0), np.full(4, 1.0)).tolist() == [0, 0, 0, 0]
    assert pareto_ranks(np.array([1.0, 2.0, 3.0]), np.zeros(3)).tolist() == [2, 1, 0]
    assert pareto_ranks(np.zeros(3), np.array([3.0, 1.0, 2.0])).tolist() == [2, 0, 1]


@pytest.mark.parametrize("seed", range(20))
def test_ranks_by_peeling_fronts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    gain, cost = rng.integers(0, 7, (2, int(rng.integers(1, 40)))).astype(float)
    expected = np.full(len(gain), -1)
    rank = 0
    while (expected < 0).any():
        left = np.flatnonzero(expected < 0)
        no_worse = (gain[left, None] <= gain[left]) & (cost[left, None] >= cost[left])
        better = (gain[left, None] < gain[left]) | (cost[left, None] > cost[left])
        expected[left[~(no_worse & better).any(axis=1)]] = rank
        rank += 1
    assert pareto_ranks(gain, cost).tolist() == expected.tolist()


def test_components_of_a_constructed_set() -> None:
    # along (3, 4) / 5 with standard deviation 2, along (-4, 3) / 5 with 1, exactly uncorrelated
    long, short = np.array([3.0, 4.0]) / 5, np.array([-4.0, 3.0]) / 5
    vectors = np.array([a * 2 * long + b * short for a in (-1, 1) for b in (-1, 1)]) + 10
    found = principal_components(vectors)
    np.testing.assert_allclose(found.loadings[0], long, atol=1e-12)
    np.testing.assert_allclose(np.abs(found.loadings[1]), np.abs(short), atol=1e-12)
    np.testing.assert_allclose(found.explained, [0.8, 0.2], atol=1e-12)
    np.testing.assert_allclose(np.sort(found.scores[:, 0]), [-2, -2, 2, 2], atol=1e-12)
    turned = principal_components(vectors, reference=-long)
    np.testing.assert_allclose(turned.loadings[0], -long, atol=1e-12)
    np.testing.assert_allclose(turned.scores[:, 0], -found.scores[:, 0], atol=1e-12)


def test_cosine() -> None:
    assert cosine(np.array([1.0, 0.0]), np.array([1.0, 1.0])) == pytest.approx(np.sqrt(0.5))
