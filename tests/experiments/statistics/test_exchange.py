"""Designs against their brute force, and the criterion against the same model as a Gaussian process."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from experiments.statistics.exchange import exchange, mean_variance, stratified
from experiments.statistics.factorial import contrasts, design

NOISE = 0.3


def grid(*counts: int) -> tuple[np.ndarray, np.ndarray]:
    columns, degrees = design(np.arange(np.prod(counts)), [contrasts(range(count)) for count in counts])
    order = (np.array(degrees) > 0).sum(axis=1)
    return columns, np.array([1e-3, 1.0, 4.0])[order]


def test_the_mean_variance_is_that_of_a_gaussian_process() -> None:
    columns, precision = grid(3, 2, 2)
    chosen = np.array([0, 3, 7, 8])
    kernel = columns @ np.diag(1 / precision) @ columns.T
    gain = kernel[:, chosen] @ np.linalg.inv(kernel[np.ix_(chosen, chosen)] + NOISE * np.eye(4)) @ kernel[chosen]
    expected = np.diag(kernel - gain).mean()
    assert mean_variance(columns, precision, NOISE, chosen) == pytest.approx(expected, rel=1e-10)


def test_exchanges_end_where_none_helps_and_near_the_best_of_all() -> None:
    columns, precision = grid(3, 3, 2)
    of = {chosen: mean_variance(columns, precision, NOISE, np.array(chosen)) for chosen in combinations(range(18), 4)}
    for seed in range(5):
        rng = np.random.default_rng(seed)
        strata = np.zeros(18, dtype=np.int64)
        found = exchange(columns, precision, NOISE, stratified(strata, 4, rng), strata, rng)
        value = of[tuple(found.tolist())]
        neighbours = [other for other in of if len(set(other) & set(found.tolist())) == 3]
        assert value <= min(of[other] for other in neighbours) * (1 + 1e-6)
        assert value <= np.quantile(list(of.values()), 0.05)


def test_strata_keep_their_shares() -> None:
    columns, precision = grid(3, 3, 3)
    strata = np.arange(27) % 3
    for n in (3, 8, 13):
        rng = np.random.default_rng(n)
        start = stratified(strata, n, rng)
        found = exchange(columns, precision, NOISE, start, strata, rng)
        assert len(set(found.tolist())) == n
        counts = np.bincount(strata[found], minlength=3)
        assert counts.tolist() == np.bincount(strata[start], minlength=3).tolist()
        assert np.ptp(counts) <= 1


def test_a_stratified_start_is_uniform_within_strata() -> None:
    counts = np.zeros(12)
    for seed in range(600):
        counts[stratified(np.repeat([0, 1, 2], 4), 3, np.random.default_rng(seed))] += 1
    np.testing.assert_allclose(counts, 150, atol=50)
