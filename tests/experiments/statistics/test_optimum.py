"""The best of many, against closed forms, simulation and counting."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from experiments.statistics.hierarchical import fit
from experiments.statistics.optimum import Optimum, largest, optimum, spreads
from tests.experiments.statistics.test_hierarchical import grid, simulated


@pytest.mark.parametrize("scale", [0.001, 0.3, 1.0])
def test_chances_are_those_of_a_simulation(scale: float) -> None:
    rng = np.random.default_rng(2)
    means, deviations = rng.normal(size=300), np.where(np.arange(300) % 2, scale, 0.4)
    x, below, chances = largest(means, deviations)
    drawn = means + deviations * rng.standard_normal((20_000, 300))
    assert chances == pytest.approx(np.bincount(drawn.argmax(axis=1), minlength=300) / 20_000, abs=0.012)
    quantiles = np.quantile(drawn.max(axis=1), (0.1, 0.5, 0.9))
    assert np.interp((0.1, 0.5, 0.9), below, x) == pytest.approx(quantiles, abs=0.03)


def test_optimum_is_that_of_counting_draws() -> None:
    columns, noise = grid(), np.full(27, 0.3)
    _, values = simulated(np.random.default_rng(4), columns, noise)
    values[5] = np.nan
    known = ~np.isnan(values)
    posterior = fit(columns[known], values[known], noise[known])
    found = optimum(
        lambda rng: posterior.conditional(columns, values, noise, rng), columns, np.random.default_rng(0), 1000
    )
    rng = np.random.default_rng(1)
    draws = np.stack([posterior.draw(columns, values, noise, rng) for _ in range(4000)])
    counted = np.bincount(draws.argmax(axis=1), minlength=27) / 4000
    assert (np.abs(found.chances - counted) < 4 * np.hypot(found.errors, np.sqrt(counted / 4000)) + 1e-3).all()
    assert found.regrets == pytest.approx((draws.max(axis=1)[:, None] - draws).mean(axis=0), abs=0.06)
    assert np.quantile(found.best, (0.1, 0.9)) == pytest.approx(np.quantile(draws.max(axis=1), (0.1, 0.9)), abs=0.06)
    assert (found.spreads**2).sum(axis=1).mean() == pytest.approx(draws.var(axis=1).mean(), rel=0.05)


def test_credible_set_is_the_fewest_that_suffice() -> None:
    none = np.zeros(1)
    found = Optimum(np.array([0.05, 0.6, 0.35]), none, none, none, none)
    assert found.credible_set().tolist() == [1, 2]
    assert found.credible_set(0.96).tolist() == [1, 2, 0]
    assert found.credible_set(0.6).tolist() == [1]


def test_spreads_are_those_of_the_effects() -> None:
    columns = grid()
    truth = 7 + columns.main[:, 0] * 3 + columns.pairs[:, 2] * 4
    assert spreads(columns, truth) == pytest.approx([3, 4, 0], abs=1e-6)


@pytest.mark.parametrize("ratio", [1.0, 1e-1, 1e-3, 1e-6])
@pytest.mark.parametrize("gap", [-1.0, 0.0, 2.0])
def test_two_variables_have_closed_forms_whatever_their_scales(ratio: float, gap: float) -> None:
    """Clark (1961): the chance and the expectation of the larger of two normal variables."""
    x, below, chances = largest(np.array([0.0, gap]), np.array([1.0, ratio]))
    apart = np.hypot(1.0, ratio)
    assert chances[1] == pytest.approx(norm.cdf(gap / apart), abs=1e-5)
    expected = gap * norm.cdf(gap / apart) + apart * norm.pdf(gap / apart)
    assert x[-1] - np.trapezoid(below, x) == pytest.approx(expected, abs=3e-4)
