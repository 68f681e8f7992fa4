"""The power law: a known law is found again, derivatives against differences, intervals by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from experiments.statistics import power_law
from experiments.statistics.power_law import _gradient, _values, fit_power_law
from nasbench_ar.arrays import FloatArray

E, A, EXPONENT, B = 40.0, 3.0, 0.6, np.array([-0.2, 0.1])


def points(n: int, rng: np.random.Generator, low: float = 1e9, high: float = 4e10) -> tuple[FloatArray, FloatArray]:
    return np.exp(rng.uniform(np.log(low), np.log(high), n)), rng.normal(0.3, 1, (n, len(B)))


def truth(size: FloatArray, shape: FloatArray) -> FloatArray:
    return E + A * (size / 1e10) ** -EXPONENT * np.exp(shape @ B)


def noise(size: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Smaller for larger networks."""
    return rng.normal(0, 0.3 * (size / 1e10) ** -0.3)


def test_a_known_law_is_found_exactly() -> None:
    size, shape = points(60, np.random.default_rng(0))
    law = fit_power_law(size, shape, truth(size, shape))
    assert law.asymptote == pytest.approx(E, abs=1e-3)
    assert law.exponent == pytest.approx(EXPONENT, abs=1e-4)
    assert law.shape == pytest.approx(B, abs=1e-4)
    expected = A * (law.centre / 1e10) ** -EXPONENT * np.exp(law.mean_shape @ B)
    assert law.amplitude == pytest.approx(expected, abs=1e-3)
    far = points(20, np.random.default_rng(1), 1e11, 1e12)
    assert law.predict(*far) == pytest.approx(truth(*far), abs=1e-3)


def test_parameters_under_noise_are_within_their_errors() -> None:
    scores = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        size, shape = points(500, rng)
        law = fit_power_law(size, shape, truth(size, shape) + noise(size, rng))
        ends = np.exp(np.log(law.centre) + np.array([-law.half, law.half]))
        expected = [*truth(ends, np.tile(law.mean_shape, (2, 1))), EXPONENT, *B]
        scores.append((law.parameters - expected) / np.sqrt(np.diag(law.covariance)))
    assert np.abs(np.mean(scores, axis=0)).max() < 0.5
    assert np.std(scores, axis=0) == pytest.approx(1, abs=0.3)


def test_failed_trainings_do_not_bend_the_law(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    size, shape = points(1000, rng)
    values = truth(size, shape) + noise(size, rng)
    values[:50] += 20

    def mean_error() -> float:
        return float(np.abs(fit_power_law(size, shape, values).predict(size, shape) - truth(size, shape)).mean())

    assert mean_error() < 0.15
    monkeypatch.setattr(power_law, "CORNER", 1e6)  # least squares
    assert mean_error() > 0.7


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95])
@pytest.mark.parametrize(("low", "high"), [(1e9, 4e10), (1e11, 2e11)])
def test_intervals_cover_as_they_claim(confidence: float, low: float, high: float) -> None:
    """New networks among the fitted sizes, and 2.5 to 5 times beyond the largest of them."""
    inside = []
    for seed in range(80):
        rng = np.random.default_rng(seed)
        size, shape = points(150, rng)
        law = fit_power_law(size, shape, truth(size, shape) + noise(size, rng))
        others = points(50, rng, low, high)
        value = truth(*others) + noise(others[0], rng)
        ends = law.interval(*others, confidence)
        inside.append(((ends[:, 0] <= value) & (value <= ends[:, 1])).mean())
    assert np.mean(inside) == pytest.approx(confidence, abs=0.03)


def test_derivatives_are_those_of_differences() -> None:
    x, shape = np.array([-0.7, 0.0, 1.3]), np.array([[0.2, -1.0], [0.0, 0.5], [1.0, 0.3]])
    parameters = np.array([45.0, 42.0, 0.4, -0.2, 0.1])
    differences = approx_fprime(parameters, lambda p: _values(p, x, shape, 0.8), 1e-6)
    assert _gradient(parameters, x, shape, 0.8) == pytest.approx(differences, abs=1e-5)


def test_the_start_does_not_change_the_law() -> None:
    rng = np.random.default_rng(2)
    size, shape = points(300, rng)
    values = truth(size, shape) + noise(size, rng)
    first = fit_power_law(size[:200], shape[:200], values[:200])
    cold, warm = fit_power_law(size, shape, values), fit_power_law(size, shape, values, first)
    assert warm.predict(size, shape) == pytest.approx(cold.predict(size, shape), abs=1e-3)


def test_what_is_refused() -> None:
    size, shape = points(14, np.random.default_rng(0))
    with pytest.raises(ValueError, match="14 points are too few for 5 parameters; at least 15"):
        fit_power_law(size, shape, truth(size, shape))
    with pytest.raises(ValueError, match="all 14 points have size 2; a law of size needs several"):
        fit_power_law(np.full(14, 2.0), shape[:, :1], shape[:, 1])
