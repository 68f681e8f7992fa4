"""Orthonormal columns of main effects and pairs on a full factorial, the vectors of a grid.

With one orthonormal basis of polynomials per entry (constant, linear, quadratic, ..., mean square 1 over the levels),
the products of basis functions are an orthonormal basis of all functions on the factorial.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import prod

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.arrays import FloatArray


def contrasts(levels: Sequence[float]) -> FloatArray:
    """(levels, levels) orthonormal polynomials, mean square 1; column k has degree k and rises at the last level."""
    x = np.asarray(levels, dtype=np.float64)
    count = len(x)
    scaled = (x - x.mean()) / (np.ptp(x) or 1.0)
    basis, _ = np.linalg.qr(np.vander(scaled, count, increasing=True))
    signs = np.where(basis[-1] < 0, -1.0, 1.0)
    out: FloatArray = basis * signs * np.sqrt(count)
    return out


def design(indices: NDArray[np.integer], bases: Sequence[FloatArray]) -> tuple[FloatArray, list[tuple[int, ...]]]:
    """Columns of orders 0 to 2 at some points of the factorial, and each column's degrees by entry."""
    shape = [len(basis) for basis in bases]
    digits = np.unravel_index(np.asarray(indices), shape)
    single = [basis[digit] for basis, digit in zip(bases, digits, strict=True)]
    columns, degrees = [np.ones(len(indices))], [(0,) * len(bases)]
    for order in (1, 2):
        for effect in combinations(range(len(bases)), order):
            for degree in np.ndindex(*[shape[k] - 1 for k in effect]):
                powers = dict(zip(effect, (d + 1 for d in degree), strict=True))
                columns.append(prod(single[k][:, power] for k, power in powers.items()))  # type: ignore[arg-type]
                degrees.append(tuple(powers.get(k, 0) for k in range(len(bases))))
    return np.stack(columns, axis=1), degrees
