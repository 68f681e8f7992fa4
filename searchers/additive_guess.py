"""A cheap guess of scores, a sum of effects of the entries: for the pre-selection of proposals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np

from nasbench_ar.architecture import Architecture
from nasbench_ar.arrays import FloatArray
from nasbench_ar.grid import Grid

_RIDGE = 1.0  # the penalty: as much as one more score of each level, in the middle of all


class AdditiveGuess:
    """Ridge regression of the ranks of all scores on one-hot entries, fitted anew at every call.

    Ranks are scaled to [0, 1]: a single failed training must not bend the fit.
    """

    def __init__(self, space: Grid) -> None:
        self._space = space
        self._told: FloatArray = np.empty((0, sum(len(entry.choices) for entry in space.entries)))

    def __call__(self, history: Mapping[Architecture, float], candidates: Sequence[Architecture]) -> FloatArray:
        """(candidates,) higher is better; `history` only grows from call to call, its scores may change."""
        if new := list(islice(history, len(self._told), None)):
            self._told = np.concatenate([self._told, self._space.one_hot(new)])
        scores = np.fromiter(history.values(), dtype=np.float64)
        ordered = np.sort(scores)
        ranks = np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")
        penalty = _RIDGE * np.eye(self._told.shape[1])
        effects = np.linalg.solve(self._told.T @ self._told + penalty, self._told.T @ (ranks / (2 * len(scores)) - 0.5))
        guess: FloatArray = self._space.one_hot(candidates) @ effects
        return guess
