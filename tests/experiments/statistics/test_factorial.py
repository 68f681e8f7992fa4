"""The basis is orthonormal over the whole factorial, and its columns are products over the entries."""

from __future__ import annotations

import numpy as np

from experiments.statistics.factorial import contrasts, design


def test_contrasts_are_orthonormal_polynomials() -> None:
    for levels in ((4, 5, 7, 9, 11), (1, 2), (3,)):
        basis = contrasts(levels)
        np.testing.assert_allclose(basis.T @ basis / len(levels), np.eye(len(levels)), atol=1e-12)
        np.testing.assert_allclose(basis[:, 0], 1)
    x = np.array((4, 5, 7, 9, 11))
    np.testing.assert_allclose(contrasts(x)[:, 1], (x - x.mean()) / x.std(), atol=1e-12)


def test_columns_are_orthonormal_over_the_factorial() -> None:
    bases = [contrasts(range(count)) for count in (3, 2, 4)]
    columns, degrees = design(np.arange(24), bases)
    assert len(degrees) == columns.shape[1] == 1 + (2 + 1 + 3) + (2 * 1 + 2 * 3 + 1 * 3)
    np.testing.assert_allclose(columns.T @ columns / 24, np.eye(len(degrees)), atol=1e-12)
    place = degrees.index((1, 0, 2))
    digits = np.unravel_index(np.arange(24), (3, 2, 4))
    np.testing.assert_allclose(columns[:, place], bases[0][digits[0], 1] * bases[2][digits[2], 2])
