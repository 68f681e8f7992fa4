r"""Functional analysis of variance: which share of a value is additive, pairwise, or of higher order.

A function on a full factorial, every combination of levels once, has exactly one
decomposition into orthogonal effects

    f(x) = m + sum_i f_i(x_i) + sum_{i<j} f_ij(x_i, x_j) + ...

in which every effect averages to zero over each of its entries.  Its variance over the
factorial is the sum of the variances of the effects.  With one orthonormal basis of
polynomials per entry (constant, linear, quadratic, ..., mean square 1 over the levels),
the products of basis functions are an orthonormal basis of the whole, and the variance of
an effect is the sum of the squares of its coefficients.

On a partial table the coefficients of orders 0 to 2 are estimated by least squares on the
same basis; the rest of the variance, higher orders and noise together, is the residual
mean square.  Weights are then those of the full factorial, not of the entries there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod

import numpy as np
from numpy.typing import NDArray

from nasbench_ar import MissingEntryError

FloatArray = NDArray[np.float64]
Effect = tuple[int, ...]
_WORST_CONDITION = 1e4  # of the Gram matrix: beyond, some effects can hardly be told apart
_ENTRIES_PER_COEFFICIENT = 2


@dataclass(frozen=True)
class Anova:
    """Variance of a function on a factorial, by effect.

    Attributes:
        mean: over the full factorial (estimated on a partial table).
        variance: entries of an effect -> its variance; orders 1 and 2.
        df: entries of an effect -> its degrees of freedom.
        higher: variance of all higher orders (and noise, on a partial table).
        main: entry -> (levels,) effect of each level.
        linear: entry -> variance of its linear part.
        exact: whether the factorial was complete.
        n: number of known values.
    """

    mean: float
    variance: dict[Effect, float]
    df: dict[Effect, int]
    higher: float
    main: dict[int, FloatArray]
    linear: dict[int, float]
    exact: bool
    n: int

    @property
    def total(self) -> float:
        """Variance over the factorial: the sum of all effects."""
        return sum(self.variance.values()) + self.higher

    def of_order(self, order: int) -> float:
        """Variance of all effects of one order, 1 or 2."""
        return sum(value for effect, value in self.variance.items() if len(effect) == order)

    def df_of_order(self, order: int) -> int:
        """Degrees of freedom of all effects of one order, 1 or 2."""
        return sum(value for effect, value in self.df.items() if len(effect) == order)

    @property
    def noise_room(self) -> float:
        """The most that independent noise in one value can amount to: all that the higher orders hold."""
        return self.higher / self.noise_share(1.0, 3)

    def noise_share(self, noise: float, order: int) -> float:
        """Variance that independent noise adds to the effects of an order, in expectation.

        Noise of variance s^2 in every value adds s^2 / N to every squared coefficient of
        an exact decomposition, N being the size of the factorial.

        Args:
            noise: its variance in one value.
            order: 1, 2, or 3 for all higher ones.
        """
        df = self.df_of_order(order) if order < 3 else self.n - 1 - self.df_of_order(1) - self.df_of_order(2)
        return noise * df / self.n


def contrasts(levels: Sequence[float]) -> FloatArray:
    """(levels, levels) orthonormal polynomials of the level values, one a column, mean square 1.

    Column 0 is constant 1; column k has degree k and rises at the last level.
    """
    x = np.asarray(levels, dtype=np.float64)
    count = len(x)
    scaled = (x - x.mean()) / (np.ptp(x) or 1.0)
    basis, _ = np.linalg.qr(np.vander(scaled, count, increasing=True))
    signs = np.where(basis[-1] < 0, -1.0, 1.0)
    out: FloatArray = basis * signs * np.sqrt(count)
    return out


def decompose(values: FloatArray, levels: Sequence[Sequence[float]]) -> Anova:
    """The analysis of variance of a table's column.

    Args:
        values: (product of the level counts,) in lexicographic order of the entries, NaN
            where missing.
        levels: values of each entry's levels.

    Raises:
        MissingEntryError: when a partial table has too few values, or they stand so that
            effects of orders 1 and 2 cannot be told apart.
    """
    bases = [contrasts(level) for level in levels]
    complete = not np.isnan(values).any()
    fitted = _transform(values, bases) if complete else _least_squares(values, bases)
    coefficients, rest = fitted
    squares = coefficients**2
    variance: dict[Effect, float] = {}
    df: dict[Effect, int] = {}
    for order in (1, 2):
        for effect in combinations(range(len(levels)), order):
            part = _part(squares, effect)
            variance[effect], df[effect] = float(part.sum()), part.size
    main = {k: bases[k][:, 1:] @ _part(coefficients, (k,)) for k in range(len(levels))}
    linear = {k: float(_part(squares, (k,))[:1].sum()) for k in range(len(levels))}
    return Anova(
        mean=float(coefficients.flat[0]),
        variance=variance,
        df=df,
        higher=rest,
        main=main,
        linear=linear,
        exact=complete,
        n=int((~np.isnan(values)).sum()),
    )


def _part(array: FloatArray, effect: Effect) -> FloatArray:
    """The coefficients that belong to exactly these entries."""
    return array[tuple(slice(1, None) if k in effect else 0 for k in range(array.ndim))]


def _transform(values: FloatArray, bases: Sequence[FloatArray]) -> tuple[FloatArray, float]:
    """All coefficients of a complete factorial, and the variance of orders above 2."""
    out = values.reshape([len(basis) for basis in bases])
    for axis, basis in enumerate(bases):
        out = np.moveaxis(np.tensordot(basis.T / len(basis), out, axes=(1, axis)), 0, axis)
    order = np.sum(np.meshgrid(*[np.arange(len(basis)) > 0 for basis in bases], indexing="ij"), axis=0)
    return out, float((out[order > 2] ** 2).sum())


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


def _least_squares(values: FloatArray, bases: Sequence[FloatArray]) -> tuple[FloatArray, float]:
    """Coefficients of orders 0 to 2, zero elsewhere, and the residual mean square."""
    known = np.flatnonzero(~np.isnan(values))
    x, degrees = design(known, bases)
    n, columns = x.shape
    needed = _ENTRIES_PER_COEFFICIENT * columns
    if n < needed:
        raise MissingEntryError(
            f"{n} of {len(values)} values are too few for {columns} coefficients of main effects and pairs; "
            f"at least {needed} are needed"
        )
    gram = x.T @ x / n
    if np.linalg.cond(gram) > _WORST_CONDITION:
        raise MissingEntryError(
            f"the {n} of {len(values)} values leave whole combinations of levels out, so that main effects and "
            "pairs cannot be told apart"
        )
    solution = np.linalg.solve(gram, x.T @ values[known] / n)
    residual = values[known] - x @ solution
    coefficients = np.zeros([len(basis) for basis in bases])
    for degree, value in zip(degrees, solution, strict=True):
        coefficients[degree] = value
    return coefficients, float(residual @ residual / (n - columns))


def additive_prediction(values: FloatArray, levels: Sequence[Sequence[float]]) -> FloatArray:
    """(product,) values of the mean and the main effects alone, everywhere on the factorial.

    Raises:
        MissingEntryError: as `decompose`.
    """
    found = decompose(values, levels)
    shape = [len(level) for level in levels]
    out = np.full(shape, found.mean)
    for k, effect in found.main.items():
        out = out + effect.reshape([-1 if axis == k else 1 for axis in range(len(shape))])
    return out.ravel()
