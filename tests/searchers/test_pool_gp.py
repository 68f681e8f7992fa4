"""The Gaussian process against scikit-learn's with a kernel in plain loops, and against finite differences."""

import math
from typing import Any

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from searchers.pool_gp import PoolGP, Posterior

CHOICES = ((4, 5, 7), (8, 16), (4, 5, 7), ("conv", "pool", "none", "skip"), ("conv", "pool", "none", "skip"), (1,))
ORDERED = (True, True, True, False, False, True)
GROUPS = ((0, 2), (1,), (3, 4), (5,))  # of equal choices
SIZES = [len(c) for c in CHOICES]


def draw(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(SIZES, size=(count, len(SIZES)))


def one_hot(digits: np.ndarray) -> np.ndarray:
    return np.concatenate([np.eye(size)[digits[:, p]] for p, size in enumerate(SIZES)], axis=1)


def fitted(seed: int = 0) -> PoolGP:
    model = PoolGP(CHOICES, ORDERED)
    model._set(np.random.default_rng(seed).normal(-0.5, 0.7, size=len(model.theta)))
    return model


def between(a: int, b: int, entry: int, rate: float) -> float:
    if not ORDERED[entry]:
        return math.exp(-rate * (a != b))
    s = math.sqrt(5) * rate * abs(a - b) / max(SIZES[entry] - 1, 1)
    return (1 + s + s * s / 3) * math.exp(-s)


def by_hand(theta: np.ndarray, x: np.ndarray, z: np.ndarray) -> float:
    """k(x, z) of two rows of digits."""
    entries, groups = len(SIZES), len(GROUPS)
    parameters = np.exp(theta)
    total = parameters[-2] * math.prod(between(x[p], z[p], p, parameters[p]) for p in range(entries))
    for g, group in enumerate(GROUPS):
        rate, weight = parameters[entries + g], parameters[entries + groups + g]
        shared = sum(between(x[p], z[q], p, rate) for p in group for q in group)
        total += weight * shared / len(group) ** 2
    return float(total)


def gram(theta: np.ndarray, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    return np.array([[by_hand(theta, a, b) for b in z] for a in x])


def test_covariance_is_the_written_one() -> None:
    model, x, z = fitted(), draw(7, 1), draw(9, 2)
    np.testing.assert_allclose(model.covariance(one_hot(x), one_hot(z)), gram(model.theta, x, z), rtol=1e-12)
    np.testing.assert_allclose(model.variance(one_hot(z)), np.diag(gram(model.theta, z, z)), rtol=1e-12)
    single = model.covariance(one_hot(x), one_hot(z).astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, gram(model.theta, x, z), rtol=1e-5)


def from_sklearn(model: PoolGP, x: np.ndarray, y: np.ndarray) -> Any:
    process = pytest.importorskip("sklearn.gaussian_process")
    theta = model.theta

    class ByHand(process.kernels.Kernel):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            pass  # no hyperparameters: they are fixed

        def __call__(self, a: np.ndarray, b: np.ndarray | None = None, eval_gradient: bool = False) -> np.ndarray:
            return gram(theta, a, a if b is None else b)

        def diag(self, a: np.ndarray) -> np.ndarray:
            return np.diag(self(a)).copy()

        def is_stationary(self) -> bool:
            return False

    return process.GaussianProcessRegressor(ByHand(), alpha=model.noise, optimizer=None).fit(x, y)


def test_posterior_and_likelihood_are_those_of_scikit_learn() -> None:
    model, x, z = fitted(), draw(20, 1), draw(30, 2)
    y = np.random.default_rng(3).normal(size=20)
    theirs = from_sklearn(model, x, y)
    mean, deviation = theirs.predict(z, return_std=True)
    posterior = Posterior(model, one_hot(z))
    for part in (x[:1], x[1:4], x[4:]):
        posterior.extend(one_hot(part))
    np.testing.assert_allclose(posterior.mean(y), mean, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(posterior.variance(), deviation**2, rtol=1e-8)
    np.testing.assert_allclose(
        model.predict(one_hot(x), y, one_hot(z).astype(np.float32)), [mean, deviation**2], rtol=1e-3, atol=1e-4
    )
    value, _ = model.log_marginal_likelihood(model.theta, one_hot(x), y)
    assert value == pytest.approx(theirs.log_marginal_likelihood(), rel=1e-10)


def test_gradient_is_that_of_finite_differences() -> None:
    model, x = fitted(), one_hot(draw(25, 1))
    y = np.random.default_rng(3).normal(size=25)
    _, gradient = model.log_marginal_likelihood(model.theta, x, y)
    numeric = approx_fprime(model.theta, lambda theta: model.log_marginal_likelihood(theta, x, y)[0], 1e-6)
    assert np.abs(gradient).max() > 1
    np.testing.assert_allclose(gradient, numeric, rtol=1e-4, atol=1e-4)


def test_what_is_forgotten_leaves_no_trace() -> None:
    model, x, z = fitted(), one_hot(draw(12, 1)), one_hot(draw(30, 2))
    y = np.random.default_rng(3).normal(size=12)
    straight, detour = Posterior(model, z), Posterior(model, z)
    straight.extend(x)
    detour.extend(x[:5])
    detour.extend(one_hot(draw(4, 9)))
    detour.shrink(5)
    detour.extend(x[5:])
    np.testing.assert_allclose(detour.mean(y), straight.mean(y), rtol=1e-9)
    np.testing.assert_allclose(detour.variance(), straight.variance(), rtol=1e-9)


@pytest.mark.parametrize("noise", [0.05, 0.6])
def test_learns_how_much_is_noise(noise: float) -> None:
    digits, rng = draw(300, 1), np.random.default_rng(4)
    effect = 1.5 * digits[:, 0] - digits[:, 2] + (digits[:, 3] == 1) * (digits[:, 4] == 1)
    y = np.sqrt(1 - noise) * (effect - effect.mean()) / effect.std() + np.sqrt(noise) * rng.normal(size=300)
    model = PoolGP(CHOICES, ORDERED)
    before, _ = model.log_marginal_likelihood(model.theta, one_hot(digits), y)
    model.fit(one_hot(digits), y, steps=30)
    after, _ = model.log_marginal_likelihood(model.theta, one_hot(digits), y)
    assert after > before + 10
    assert model.noise == pytest.approx(noise, rel=0.25)


def test_a_singular_kernel_has_no_likelihood() -> None:
    model, x = fitted(), one_hot(np.repeat(draw(1, 1), 3, axis=0))
    theta = model.theta.copy()
    theta[-1] = -100.0
    value, gradient = model.log_marginal_likelihood(theta, x, np.arange(3.0))
    assert value == -np.inf
    assert not gradient.any()
