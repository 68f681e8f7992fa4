"""Analysis of variance of known functions, against averaging by brute force, and on partial tables."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

from experiments.analysis.anova import additive_prediction, decompose
from nasbench_ar import MissingEntryError

LEVELS = ((4, 5, 9), (8, 10), (1, 2, 4, 7))


def grid(function: object, levels: tuple[tuple[int, ...], ...] = LEVELS) -> np.ndarray:
    return np.array([function(*point) for point in product(*levels)], dtype=float)  # type: ignore[operator]


def test_a_known_function_on_a_two_by_two_factorial() -> None:
    # f = 10 + 3a + 2b + ab for a, b = -1, 1: variances 9, 4 and 1
    found = decompose(np.array([10 + 3 * a + 2 * b + a * b for a in (-1, 1) for b in (-1, 1)]), ((0, 5), (1, 2)))
    assert found.exact
    assert found.mean == pytest.approx(10, abs=1e-12)
    assert found.variance == pytest.approx({(0,): 9, (1,): 4, (0, 1): 1}, abs=1e-12)
    assert found.df == {(0,): 1, (1,): 1, (0, 1): 1}
    assert found.higher == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(found.main[0], [-3, 3], atol=1e-12)
    np.testing.assert_allclose(found.main[1], [-2, 2], atol=1e-12)
    assert (found.of_order(1) / found.total, found.of_order(2) / found.total) == pytest.approx((13 / 14, 1 / 14))


def test_effects_and_shares_against_averaging() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=24)
    cube = values.reshape(3, 2, 4)
    found = decompose(values, LEVELS)
    mean = cube.mean()
    main = {k: cube.mean(axis=tuple({0, 1, 2} - {k})) - mean for k in range(3)}
    explained = 0.0
    for k in range(3):
        np.testing.assert_allclose(found.main[k], main[k], atol=1e-12)
        assert found.variance[k,] == pytest.approx((main[k] ** 2).mean(), abs=1e-12)
        explained += (main[k] ** 2).mean()
    for i, j in combinations(range(3), 2):
        average = cube.mean(axis=({0, 1, 2} - {i, j}).pop())
        pair = average - mean - main[i][:, None] - main[j][None, :]
        assert found.variance[i, j] == pytest.approx((pair**2).mean(), abs=1e-12)
        assert found.df[i, j] == (pair.shape[0] - 1) * (pair.shape[1] - 1)
        explained += (pair**2).mean()
    assert found.total == pytest.approx(values.var(), abs=1e-12)
    assert found.higher == pytest.approx(values.var() - explained, abs=1e-12)


def test_linear_part_and_pure_third_order() -> None:
    found = decompose(grid(lambda a, b, c: 2.0 * a + b - c), LEVELS)
    for k in range(3):
        assert found.linear[k] == pytest.approx(found.variance[k,], abs=1e-12)
    assert found.of_order(2) == pytest.approx(0, abs=1e-12)
    cube = np.array([-1.0, 1])
    third = decompose(np.multiply.outer(np.multiply.outer(cube, cube), cube).ravel(), ((1, 2),) * 3)
    assert third.higher == pytest.approx(1, abs=1e-12)
    assert third.of_order(1) + third.of_order(2) == pytest.approx(0, abs=1e-12)


def test_a_partial_table_gives_the_same_effects_where_there_is_no_higher_order() -> None:
    levels = ((4, 5, 9), (8, 10, 12), (1, 2, 4), (1, 2, 3))
    values = grid(lambda a, b, c, d: a + b * c + d**2, levels)
    whole = decompose(values, levels)
    values[np.random.default_rng(0).permutation(81)[:12]] = np.nan
    partial = decompose(values, levels)
    assert (whole.exact, partial.exact, partial.n) == (True, False, 69)
    assert partial.mean == pytest.approx(whole.mean, abs=1e-9)
    assert partial.variance == pytest.approx(whole.variance, abs=1e-9)
    assert partial.higher == pytest.approx(0, abs=1e-9)


def test_too_few_values_and_missing_combinations_are_refused() -> None:
    levels = ((0, 1),) * 4  # 1 + 4 + 6 coefficients, 22 values needed
    with pytest.raises(MissingEntryError, match="15 of 16 values are too few for 11 coefficients.*at least 22"):
        decompose(np.array([*np.arange(15.0), np.nan]), levels)
    levels = ((0, 1),) * 6  # 22 coefficients
    values = np.arange(64.0)
    values.reshape((2,) * 6)[0, 0] = np.nan
    with pytest.raises(MissingEntryError, match="leave whole combinations of levels out"):
        decompose(values, levels)


def test_noise_falls_on_the_orders_by_their_degrees_of_freedom() -> None:
    levels = ((0, 1, 2),) * 4
    rng = np.random.default_rng(1)
    found = [decompose(rng.normal(0, 2, 81), levels) for _ in range(300)]
    for order in (1, 2):
        observed = np.mean([f.of_order(order) for f in found])
        assert found[0].noise_share(4.0, order) == pytest.approx(4 * (8, 24)[order - 1] / 81)
        assert observed == pytest.approx(found[0].noise_share(4.0, order), rel=0.1)
    assert np.mean([f.higher for f in found]) == pytest.approx(found[0].noise_share(4.0, 3), rel=0.1)
    assert np.mean([f.noise_room for f in found]) == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize(("levels", "absent"), [(((0, 1, 2),) * 4, 6), (((0, 1, 2),) * 5, 113)])  # 33, 51 coefficients
def test_noise_of_a_partial_table(levels: tuple[tuple[int, ...], ...], absent: int) -> None:
    """What noise adds to each order, and the bound on it by what the model leaves, by simulation."""
    rng = np.random.default_rng(2)
    found = []
    size = int(np.prod([len(level) for level in levels]))
    for _ in range(300):
        values = rng.normal(0, 2, size)
        values[rng.permutation(size)[:absent]] = np.nan
        found.append(decompose(values, levels))
    assert np.mean([f.higher for f in found]) == pytest.approx(4, rel=0.06)
    assert np.mean([f.noise_room for f in found]) == pytest.approx(4, rel=0.06)
    for order in (1, 2):
        expected = np.mean([f.noise_share(4.0, order) for f in found])
        assert np.mean([f.of_order(order) for f in found]) == pytest.approx(expected, rel=0.06)


def test_two_entries_leave_nothing_that_bounds_noise() -> None:
    found = decompose(np.arange(6.0), ((0, 1), (0, 1, 2)))
    assert np.isnan(found.noise_room)
    assert found.noise_share(1.0, 3) == 0


def test_additive_prediction() -> None:
    values = grid(lambda a, b, c: a + 10.0 * b - c**2)
    np.testing.assert_allclose(additive_prediction(values, LEVELS), values, atol=1e-10)
