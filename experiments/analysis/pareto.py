"""Pareto ranks of accuracy against cost, and principal components of who is best (NARes, section 4).

The paper sorts by (test PGD20 up, MACs down), calls ranks below 16 best, and those of
the inverted problem (accuracy down, MACs up) worst.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.pareto import non_dominated_ranks

FloatArray = NDArray[np.float64]
RANKS = 16


def pareto_ranks(gain: FloatArray, cost: FloatArray) -> NDArray[np.int64]:
    """(n,) ranks of non-dominated sorting: 0 is the front, 1 the front of the rest, and so on.

    One point dominates another if it is nowhere worse and somewhere better; equal points
    share a rank.

    Args:
        gain: (n,) values to be large, without NaN.
        cost: (n,) values to be small.
    """
    return non_dominated_ranks(np.stack([-cost, gain], axis=1))


@dataclass(frozen=True)
class Components:
    """Principal components of decision vectors.

    Attributes:
        loadings: (components, entries), each of length 1.
        explained: (components,) shares of the variance.
        scores: (n, components) coordinates of the vectors.
    """

    loadings: FloatArray
    explained: FloatArray
    scores: FloatArray


def principal_components(vectors: NDArray[Any], count: int = 2, *, reference: FloatArray | None = None) -> Components:
    """PCA of the plain vectors, centred and not scaled.

    The sign of a component is free: the first follows `reference` where one is given;
    otherwise each has a positive sum.

    Args:
        vectors: (n, entries), n above `count`.
        count: number of components.
        reference: (entries,) loadings to be compared with.
    """
    from sklearn.decomposition import PCA

    pca = PCA(count, svd_solver="full").fit(np.asarray(vectors, dtype=np.float64))
    directions = np.ones_like(pca.components_)
    if reference is not None:
        directions[0] = reference
    signs = np.where((pca.components_ * directions).sum(axis=1) < 0, -1.0, 1.0)
    return Components(
        loadings=pca.components_ * signs[:, None],
        explained=pca.explained_variance_ratio_,
        scores=pca.transform(np.asarray(vectors, dtype=np.float64)) * signs,
    )


def cosine(first: FloatArray, second: FloatArray) -> float:
    """Cosine of the angle between two vectors."""
    return float(first @ second / np.sqrt((first @ first) * (second @ second)))
