"""The smaller analyses: correlations, ratios, envelopes, steps, noise of images and seeds, curves."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy import integrate, stats

from experiments.analysis.correlations import rank_correlations
from experiments.analysis.costs import envelope, rise
from experiments.analysis.learning_curves import overfitting, spread_by_epoch
from experiments.analysis.levels import density, step_effect
from experiments.analysis.ratios import (
    explained_at_best,
    polynomial_fit,
    ranges_at_equal,
    robust_principle_ratio,
    robust_resnet_ratio,
)
from experiments.analysis.seed_noise import binomial_variance, images_behind, seed_noise
from nasbench_ar import NARES, MissingEntryError


def test_rank_correlations_are_scipys_over_what_both_have() -> None:
    rng = np.random.default_rng(0)
    columns = [rng.normal(size=30) for _ in range(3)]
    columns[0][:5], columns[1][3:8] = np.nan, np.nan
    rho, tau, pairs = rank_correlations([*columns, np.ones(30)])
    assert pairs[0].tolist() == [25, 22, 25, 25]
    both = slice(8, None)
    assert rho[0, 1] == pytest.approx(stats.spearmanr(columns[0][both], columns[1][both]).statistic)
    assert tau[1, 0] == pytest.approx(stats.kendalltau(columns[0][both], columns[1][both]).statistic)
    assert np.isnan(rho[0, 3])
    assert (tau[2, 2], rho[0, 0]) == (1, 1)


def test_kendall_by_hand_and_too_few_pairs() -> None:
    _, tau, _ = rank_correlations([np.array([1.0, 2, 3, 4]), np.array([1.0, 3, 2, 4])])
    assert tau[0, 1] == pytest.approx(4 / 6)  # five pairs concordant, one discordant
    rho, _, _ = rank_correlations([np.array([1.0, 2]), np.array([1.0, 2])])
    assert np.isnan(rho).all()


def test_ratios_by_hand() -> None:
    wrn = np.array([[5, 10, 5, 10, 5, 10], [4, 8, 7, 12, 11, 16]])
    assert robust_resnet_ratio(wrn).tolist() == [15 / 45, 22 / 58]
    # C1 = 16 * 10 = 160, C2 = 32 * 10 = 320: (32 + 64) / 2; then 128 / 4 and 384 / 7
    np.testing.assert_allclose(robust_principle_ratio(wrn, NARES.unit_channels), [48, (32 + 384 / 7) / 2])
    with pytest.raises(ValueError, match="needs two stages"):
        robust_principle_ratio(np.array([[5, 10]]), 16)


def test_polynomial_fits() -> None:
    x = np.array([-1.0, 0, 1, 2])
    line = polynomial_fit(x, 2 * x + 1, 1)
    assert line.coefficients == pytest.approx((1, 2))
    assert line.r2 == pytest.approx(1)
    parabola = polynomial_fit(np.array([-1.0, 0, 1]), np.array([1.0, 0, 1]), 1)
    assert (parabola.coefficients, parabola.r2) == (pytest.approx((1 / 3 * 2, 0)), pytest.approx(0))
    assert polynomial_fit(np.array([-1.0, 0, 1]), np.array([1.0, 0, 1]), 2).r2 == pytest.approx(1)
    assert polynomial_fit(x, np.ones(4), 1).r2 == 0


def test_equal_ratios_are_told_by_fractions() -> None:
    """A division may round equal ratios apart."""
    vectors = NARES.vectors(indices=np.arange(NARES.size))
    ratio = robust_principle_ratio(vectors, NARES.unit_channels)
    exact = np.array([Fraction(int(w1), int(d1)) + 2 * Fraction(int(w2), int(d2)) for d1, w1, d2, w2, *_ in vectors])
    _, group = np.unique(exact, return_inverse=True)
    assert len(np.unique(ratio)) > group.max() + 1, "rounding matters here"
    values = np.random.default_rng(0).normal(size=len(ratio)) + ratio
    assert explained_at_best(ratio, values) == pytest.approx(explained_at_best(group.astype(float), values))
    assert ranges_at_equal(ratio, values) == ranges_at_equal(group.astype(float), values)


def test_what_any_function_of_a_ratio_explains() -> None:
    x = np.repeat([1.0, 2, 3], 4)
    assert explained_at_best(x, np.repeat([5.0, 0, 5], 4)) == 1
    assert explained_at_best(x, np.tile([0.0, 1, 0, 1], 3)) == 0  # the groups do not differ
    # one group 0, 2 and one 10, 12: within 4 / 2, total 104 / 3
    assert np.isnan(explained_at_best(np.arange(5.0), np.arange(5.0))), "no two are equal"
    value = explained_at_best(np.array([1.0, 1, 2, 2]), np.array([0.0, 2, 10, 12]))
    assert value == pytest.approx(1 - 2 / (104 / 3))
    assert ranges_at_equal(x, np.arange(12.0), least=4) == (3, 3, 3)
    assert np.isnan(ranges_at_equal(x, np.arange(12.0))[0])


def test_envelopes_and_how_they_rise() -> None:
    x = np.arange(100.0)
    found = envelope(x, np.tile([0.0, 1, 2, 3, 4], 20) + x, groups=10, tail=0.0)
    assert found.x.tolist() == [4.5 + 10 * k for k in range(10)]
    assert found.low.tolist() == [0 + 10.0 * k for k in range(10)]
    assert found.high.tolist() == [13 + 10.0 * k for k in range(10)]
    assert len(envelope(x[:12], x[:12]).x) == 2, "at least five points in a group"
    line = np.arange(11.0)
    assert rise(line, 2 * line) == pytest.approx((9, 9))  # the running mean takes half a group off each end
    saturating = rise(line, np.minimum(line, 5))
    assert saturating[0] > 4
    assert saturating[1] < 0.5


def test_a_step_compares_what_differs_in_nothing_else() -> None:
    digits = np.array([[i, j] for i in range(3) for j in range(2)])
    values = np.array([0.0, 10, 1, 12, np.nan, 5])
    step = step_effect(values, digits, 0, 0)  # 0 -> 1 and 10 -> 12
    assert (step["pairs"], step["change"], step["up"]) == (2, 1.5, 1)
    assert step["error"] == pytest.approx(0.5)
    assert step_effect(values, digits, 0, 1)["pairs"] == 1  # 12 -> 5
    step = step_effect(values, digits, 1, 0)  # 10 and 11
    assert (step["pairs"], step["change"]) == (2, 10.5)
    assert step_effect(np.full(6, np.nan), digits, 1, 0)["pairs"] == 0


def test_density_integrates_to_one() -> None:
    grid = np.linspace(-6, 6, 400)
    values = np.random.default_rng(0).normal(size=200)
    assert integrate.trapezoid(density(values, grid), grid) == pytest.approx(1, abs=1e-3)
    assert not density(np.array([1.0, 1, 2]), grid).any()


def test_number_of_images_from_the_steps() -> None:
    rng = np.random.default_rng(0)
    assert images_behind(100 * rng.binomial(2000, 0.38, 500) / 2000) == 2000
    ten = np.append(np.arange(10) / 2, np.nan)
    assert images_behind(ten) == 200
    assert images_behind(ten[1:]) is None, "fewer may all be multiples of a larger step"
    assert images_behind(rng.random(500)) is None
    assert images_behind(np.array([50.0, 50.0])) is None


def test_binomial_variance_is_that_of_simulated_measurements() -> None:
    assert binomial_variance(np.array([50.0, np.nan]), 100) == 25
    drawn = 100 * np.random.default_rng(0).binomial(2000, 0.38, 20_000) / 2000
    assert binomial_variance(np.array([38.0]), 2000) == pytest.approx(drawn.var(), rel=0.05)


def test_seed_noise_by_hand() -> None:
    # means 1, 5, 9; within: each pair is 2 apart, mean square 2; between: 2 * (16 + 0 + 16) / 2 = 32
    index, seeds = np.repeat([3, 4, 7], 2), np.tile([0, 1], 3)
    found = seed_noise(index, seeds, np.array([0.0, 2, 4, 6, 10, 8]))
    assert (found.architectures, found.trainings) == (3, 6)
    assert found.within == pytest.approx(np.sqrt(2))
    assert found.between == pytest.approx(np.sqrt((32 - 2) / 2))
    assert found.intraclass == pytest.approx(15 / 17)
    assert found.truth_pearson == pytest.approx(np.sqrt(15 / 17))
    assert (found.spearman, found.kendall) == (1, 1)


def test_seed_noise_recovers_what_was_put_in() -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 5, 800)
    index = np.repeat(np.arange(800), counts)
    seeds = np.concatenate([np.arange(n) for n in counts])
    values = rng.normal(0, 3, 800)[index] + rng.normal(0, 1, len(index))
    found = seed_noise(index, seeds, values)
    assert found.architectures == (counts > 1).sum()
    assert (found.within, found.between) == (pytest.approx(1, rel=0.05), pytest.approx(3, rel=0.08))
    assert found.intraclass == pytest.approx(0.9, abs=0.02)


def test_seed_noise_needs_replicates() -> None:
    with pytest.raises(MissingEntryError, match="2 architectures have several trainings"):
        seed_noise(np.array([0, 0, 1, 1, 2]), np.array([0, 1, 0, 1, 0]), np.arange(5.0))


def test_learning_curves() -> None:
    curves = np.array([[1.0, 3, 2], [2.0, 5, 5]])
    assert np.asarray(spread_by_epoch(curves)["mean"]).tolist() == [1.5, 4, 3.5]
    peak, loss = overfitting(curves)
    assert (peak.tolist(), loss.tolist()) == ([1, 1], [1, 0])
