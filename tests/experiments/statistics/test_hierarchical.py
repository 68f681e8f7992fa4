"""The hierarchical model against dense formulas, brute-force integration and simulation."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from experiments.statistics import hierarchical
from experiments.statistics.factorial import contrasts, design
from experiments.statistics.hierarchical import Columns, Posterior, fit
from nasbench_ar.arrays import FloatArray

NOISE = np.where(np.arange(27) % 3 == 0, 0.05, 0.3)


def grid(entries: int = 3) -> Columns:
    """A grid of three levels each."""
    every, degrees = design(np.arange(3**entries), [contrasts(range(3))] * entries)
    order = (np.array(degrees) > 0).sum(axis=1)
    return Columns(every[:, order == 0], every[:, order == 1], every[:, order == 2])


def simulated(rng: np.random.Generator, columns: Columns, noise: FloatArray) -> tuple[FloatArray, FloatArray]:
    truth = 3 + columns.main @ rng.normal(scale=0.5, size=columns.main.shape[1])
    truth += columns.pairs @ rng.normal(scale=0.2, size=columns.pairs.shape[1]) + rng.normal(scale=0.5, size=len(noise))
    return truth, truth + np.sqrt(noise) * rng.normal(size=len(noise))


def covariance(columns: Columns, noise: FloatArray, deviations: FloatArray) -> FloatArray:
    main, pairs, own = deviations**2
    return main * columns.main @ columns.main.T + pairs * columns.pairs @ columns.pairs.T + np.diag(own + noise)


def log_density(columns: Columns, values: FloatArray, noise: FloatArray, logs: FloatArray) -> float:
    """Of values whose mean is free, up to a constant: that of their projection on what is orthogonal to F."""
    basis, _ = np.linalg.qr(columns.fixed, mode="complete")
    rest = basis[:, columns.fixed.shape[1] :]
    inner = rest.T @ covariance(columns, noise, np.exp(logs)) @ rest
    prior = float((logs - np.exp(2 * logs) / 2).sum())
    return float(multivariate_normal.logpdf(rest.T @ values, cov=inner)) + prior


def integrated(columns: Columns, values: FloatArray, noise: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """Means and variances of the truths, and the log evidence, by a lattice over everything and dense formulas."""
    scale = values.std()
    axis = np.linspace(np.log(0.02), 1.0, 11)
    nodes = np.array(list(product(axis, repeat=3)))
    heights = np.array([log_density(columns, values / scale, noise / scale**2, at) for at in nodes])
    likely = heights > heights.max() - 9
    weights = np.exp(heights[likely] - heights.max())
    moments = [blup(columns, values, noise, np.exp(at) * scale) for at in nodes[likely]]
    means, variances = (np.stack(parts, axis=1) for parts in zip(*moments, strict=True))
    share = weights / weights.sum()
    middle = means @ share
    evidence = float(np.log(weights.sum()) + heights.max() + 3 * np.log(axis[1] - axis[0]))
    return middle, (variances + (means - middle[:, None]) ** 2) @ share, evidence


def blup(
    columns: Columns, values: FloatArray, noise: FloatArray, deviations: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Means and variances of the truths at known deviations: a huge prior variance stands for the free mean."""
    prior = covariance(columns, np.zeros_like(noise), deviations) + 1e5
    gain = prior @ np.linalg.inv(prior + np.diag(noise))
    return gain @ values, np.diag(prior - gain @ prior)


@pytest.fixture(scope="module")
def case() -> tuple[Columns, FloatArray, Posterior]:
    columns = grid()
    _, values = simulated(np.random.default_rng(4), columns, NOISE)
    return columns, values, fit(columns, values, NOISE)


def test_likelihood_is_that_of_the_dense_formula(case: tuple[Columns, FloatArray, Posterior]) -> None:
    columns, values, _ = case
    evidence = hierarchical._Evidence.of(columns, values, NOISE)
    points = np.random.default_rng(0).normal(-1, 0.7, (4, 3))
    differences = [evidence.log_posterior(at) - log_density(columns, values, NOISE, at) for at in points]
    assert differences == pytest.approx([differences[0]] * 4, abs=1e-6)


def test_posterior_is_that_of_brute_force(case: tuple[Columns, FloatArray, Posterior]) -> None:
    columns, values, found = case
    means, variances, evidence = integrated(columns, values, NOISE)
    mean, variance = found.updated(columns, values, NOISE)
    assert mean == pytest.approx(means, abs=0.02)
    assert variance == pytest.approx(variances, rel=0.08)
    other = 3 * NOISE
    difference = fit(columns, values, other).evidence - found.evidence
    assert difference == pytest.approx(integrated(columns, values, other)[2] - evidence, abs=0.1)


def test_what_was_not_measured_is_predicted(case: tuple[Columns, FloatArray, Posterior]) -> None:
    columns, values, _ = case
    known = np.arange(27) % 4 > 0
    found = fit(columns[known], values[known], NOISE[known])
    mean, variance = found.expected(columns[~known])
    noise = np.where(known, NOISE, 1e8)
    means, variances = found.updated(columns, values, noise)
    assert mean == pytest.approx(means[~known], abs=1e-4)
    assert variance == pytest.approx(variances[~known], rel=1e-4)


def test_draws_have_the_moments_of_the_posterior(case: tuple[Columns, FloatArray, Posterior]) -> None:
    columns, values, found = case
    partial = np.where(np.arange(27) < 20, values, np.nan)
    rng = np.random.default_rng(1)
    draws = np.stack([found.draw(columns, partial, NOISE, rng) for _ in range(6000)])
    mean, variance = found.moments(columns, partial, NOISE)
    assert draws.mean(axis=0) == pytest.approx(mean, abs=0.05)
    assert draws.var(axis=0) == pytest.approx(variance, rel=0.12)


def test_intervals_cover() -> None:
    columns, inside = grid(4), []
    noise = np.full(81, 0.2)
    for seed in range(15):
        truth, values = simulated(np.random.default_rng(seed), columns, noise)
        known = np.arange(81) % 3 > 0
        found = fit(columns[known], values[known], noise[known])
        mean, variance = found.moments(columns, np.where(known, values, np.nan), noise)
        inside.append(np.abs(truth - mean) < 1.96 * np.sqrt(variance))
    assert 0.92 < np.mean(inside) < 0.98


def test_equal_values_leave_nothing_to_learn() -> None:
    columns = grid()
    found = fit(columns, np.full(27, 5.0), NOISE)
    mean, variance = found.expected(columns)
    assert (mean == 5).all()
    assert (variance == 0).all()
