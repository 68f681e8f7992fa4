"""The arithmetic of successive halving: how far to train, and how many go on.

With R epochs in a whole training and a factor eta, a bracket s starts n architectures with r = R eta^-s epochs each
and lets rung i = 0..s train

    n_i = floor(n eta^-i)  architectures for  r_i = r eta^i  epochs      (Li et al. 2018, algorithm 1)

so that its last rung trains to R.  Hyperband's brackets are s = s_max, ..., 0 with

    s_max = floor(log_eta R),   B = (s_max + 1) R,   n = ceil(B / R * eta^s / (s + 1)).

R need not be a power of eta here: r_i is R eta^-(s-i), rounded to whole epochs (halves up).
With `least_epochs` m, no training stops before m epochs: s_max = floor(log_eta(R / m)).

    >>> [[(rung.size, rung.epochs) for rung in b] for b in hyperband_brackets(9, 3)]
    [[(9, 1), (3, 3), (1, 9)], [(5, 3), (1, 9)], [(3, 9)]]
"""

from __future__ import annotations

from typing import NamedTuple

from nasbench_ar.errors import SearchError


class Rung(NamedTuple):
    """Trains `size` architectures until they have had `epochs` epochs."""

    size: int
    epochs: int


def halvings(epochs: int, eta: int, least_epochs: int = 1) -> int:
    """s_max: how often eta divides a whole training without falling below the least, at most a whole training."""
    if least_epochs > epochs:
        raise SearchError(f"least_epochs={least_epochs}: a whole training has only {epochs} epochs")
    s = 0
    while least_epochs * eta ** (s + 1) <= epochs:  # in integers: logarithms of powers are not exact
        s += 1
    return s


def levels(epochs: int, eta: int, s: int) -> list[int]:
    """Epochs after which a bracket compares, ascending and whole: R eta^-s, ..., R / eta, R."""
    return [(2 * epochs + eta**j) // (2 * eta**j) for j in range(s, -1, -1)]


def bracket(size: int, epochs: int, eta: int, s: int) -> list[Rung]:
    return [Rung(size // eta**i, level) for i, level in enumerate(levels(epochs, eta, s))]


def hyperband_brackets(epochs: int, eta: int, least_epochs: int = 1) -> list[list[Rung]]:
    """One round of Hyperband: brackets s_max, ..., 0, from the most to the least early stopping."""
    top = halvings(epochs, eta, least_epochs)
    sizes = [(s, -(-(top + 1) * eta**s // (s + 1))) for s in range(top, -1, -1)]
    return [bracket(size, epochs, eta, s) for s, size in sizes]
