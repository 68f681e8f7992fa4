"""The additive model, against scikit-learn's evidence approximation and by its properties."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import BayesianRidge

from experiments.statistics import additive
from experiments.statistics.additive import fit_additive
from nasbench_ar import NARES


def sample(n: int, seed: int, noise: float = 0.7) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One-hot architectures, their scores with normal noise, and the true additive values."""
    rng = np.random.default_rng(seed)
    one_hot = NARES.one_hot(indices=rng.permutation(NARES.size)[:n]).astype(np.float64)
    truth = 36 + one_hot @ rng.normal(0, 0.5, one_hot.shape[1])
    return one_hot, truth + rng.normal(0, noise, n), truth


@pytest.mark.parametrize("seed", range(3))
def test_without_heavy_tails_it_is_bayesian_ridge(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both maximise the marginal likelihood over two variances; the intercept has no prior in either."""
    monkeypatch.setattr(additive, "FREEDOM", 1e9)
    monkeypatch.setattr(additive, "STEPS", 2000)
    monkeypatch.setattr(additive, "TOLERANCE", 1e-9)
    one_hot, values, _ = sample(400, seed)
    ours = fit_additive(one_hot, values)
    flat = dict.fromkeys(("alpha_1", "alpha_2", "lambda_1", "lambda_2"), 0.0)
    theirs = BayesianRidge(max_iter=2000, tol=1e-9, **flat).fit(one_hot, values)
    assert ours.residual_variance == pytest.approx(1 / theirs.alpha_, rel=0.01)
    assert ours.effect_variance == pytest.approx(1 / theirs.lambda_, rel=0.01)
    np.testing.assert_allclose(ours.predict(one_hot), theirs.predict(one_hot), atol=0.005)


def test_failed_trainings_do_not_bend_the_effects() -> None:
    one_hot, values, truth = sample(500, 7)
    failed = np.random.default_rng(0).permutation(500)[:25]
    values[failed] -= 15
    error = fit_additive(one_hot, values).predict(one_hot) - truth
    plain = BayesianRidge().fit(one_hot, values).predict(one_hot) - truth
    assert np.sqrt(np.mean(error**2)) < 0.25
    assert np.sqrt(np.mean(plain**2)) > 0.7


def test_the_variance_of_normal_residuals_is_theirs() -> None:
    found = [fit_additive(*sample(500, seed)[:2]).residual_variance for seed in range(20)]
    assert np.mean(found) == pytest.approx(0.7**2, rel=0.04)


def test_little_data_shrinks_and_constant_data_is_constant() -> None:
    one_hot, values, _ = sample(12, 1)
    fit = fit_additive(one_hot, values)
    assert np.ptp(fit.predict(one_hot)) < np.ptp(values)
    flat = fit_additive(one_hot, np.full(12, 3.5))
    np.testing.assert_array_equal(flat.predict(one_hot), 3.5)
    assert flat.residual_variance == 0


def test_one_value_out_of_bounds_hides_no_residuals() -> None:
    one_hot, values, _ = sample(500, 3, noise=0.1)
    values[0] = 1e7
    assert fit_additive(one_hot, values).residual_variance == pytest.approx(0.01, rel=0.3)
