"""BANANAS: Bayesian optimisation with an ensemble of neural predictors (White et al. 2021; NARes, section 5).

Each round fits the predictors to everything seen, draws candidates, scores them by an acquisition function and
proposes the best as a batch.  The published predictors mostly do not fit; here one hidden layer replaces twenty, and
training goes on from round to round (`mlp_ensemble`).  Nothing depends on the scale of a table: what the predictors
learn is the logarithm of a score's distance from the best seen, in units of the median's, so that bad architectures,
however bad, do not hide differences among good ones.  While little is known, rounds are short and predictors shrink
less.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.architecture import Architecture
from nasbench_ar.arrays import FloatArray
from nasbench_ar.errors import SearchError
from nasbench_ar.grid import Grid
from nasbench_ar.system.threads import single_threaded
from searchers.base import Searcher, check_at_least, check_number
from searchers.mlp_ensemble import MLPEnsemble

IndexArray = NDArray[np.int64]
_STRETCH = 3.0  # of the logarithm: a third of the median's distance is where it bends
_FULL_DECAY = 200  # scores


class Bananas(Searcher):
    """Predict, acquire, query a batch.

    Args:
        starts: random architectures to begin with (10: NARes).
        batch: architectures proposed per round, once `batch`^2 are known, and one for every `batch` known before (10:
            NARes, in every round).
        members: networks in the ensemble (5: White et al. 2021).
        hidden: hidden units per network (ours; published: 20 layers of 32).
        first_steps: full-batch steps in the first round (ours).
        steps: full-batch steps in each later round (ours).
        learning_rate: of AdamW (ours; published: Adam, 1e-3).
        weight_decay: of AdamW from 200 scores on, in proportion to their number before (ours; published: an L1 term
            on the output layer).
        acquisition: one of `ACQUISITIONS`; `"its"`, independent Thompson sampling, is published.
        parents: best observed architectures that are mutated (50: NARes).
        mutations: random neighbours drawn per parent (10: NARes).
        pool: candidates collected at most, best parents first (100: NARes).
    """

    def __init__(
        self,
        space: Grid,
        seed: int,
        *,
        starts: int = 10,
        batch: int = 10,
        members: int = 5,
        hidden: int = 16,
        first_steps: int = 100,
        steps: int = 20,
        learning_rate: float = 0.01,
        weight_decay: float = 10.0,
        acquisition: str = "its",
        parents: int = 50,
        mutations: int = 10,
        pool: int = 100,
    ) -> None:
        super().__init__(space, seed)
        self.starts = check_at_least("starts", starts, 1)
        self.batch = check_at_least("batch", batch, 1)
        self.first_steps = check_at_least("first_steps", first_steps, 0)
        self.steps = check_at_least("steps", steps, 0)
        self.weight_decay = check_number("weight_decay", weight_decay, zero=True)
        self.parents = check_at_least("parents", parents, 1)
        self.mutations = check_at_least("mutations", mutations, 1)
        self.pool = check_at_least("pool", pool, 1)
        if acquisition not in ACQUISITIONS:
            raise SearchError(f"acquisition={acquisition!r}: expected one of {', '.join(ACQUISITIONS)}")
        self._acquire = ACQUISITIONS[acquisition]
        self._mutable = np.array([p for p in range(space.dimensions) if len(space.choices(p)) > 1])
        self._observed: dict[int, float] = {}
        self._encoded = space.one_hot(indices=np.empty(0, dtype=np.int64))
        self.predictor = MLPEnsemble(
            self.rng,
            self._encoded.shape[1],
            members=check_at_least("members", members, 1),
            hidden=check_at_least("hidden", hidden, 1),
            learning_rate=check_number("learning_rate", learning_rate),
            weight_decay=self.weight_decay,
        )
        if self.predictor.learning_rate * self.predictor.weight_decay >= 1:
            raise SearchError(f"learning_rate * weight_decay = {learning_rate * weight_decay:g}: must be below 1")
        self._fitted = False

    def _ask(self) -> list[Architecture]:
        if len(self._observed) < self.starts:
            return self.sample_unseen_batch(self.starts - len(self._observed))
        with single_threaded():
            self._fit()
            candidates = self._draw_candidates()
            if not len(candidates):
                return self.sample_unseen_batch(self.batch)
            predictions = self.predictor.predict(self.space.one_hot(indices=candidates)).astype(np.float64)
        value = self._acquire(self.rng, predictions)
        size = min(self.batch, max(1, len(self._observed) // self.batch))
        chosen = candidates[np.argsort(-value, kind="stable")[:size]]
        return [self.space.from_index(index) for index in chosen.tolist()]

    def _tell(self, architecture: Architecture, score: float) -> None:
        self._observed[self.space.index(architecture)] = score

    def _fit(self) -> None:
        scores = np.fromiter(self._observed.values(), dtype=np.float64)
        new = np.array(list(self._observed)[len(self._encoded) :], dtype=np.int64)
        self._encoded = np.concatenate([self._encoded, self.space.one_hot(indices=new)])
        self.predictor.weight_decay = self.weight_decay * min(1.0, len(scores) / _FULL_DECAY)
        self.predictor.fit(self._encoded, log_closeness(scores), self.steps if self._fitted else self.first_steps)
        self._fitted = True

    def predict(self, indices: NDArray[np.integer]) -> NDArray[np.float32]:
        """(members, n) float32 scores that the current ensemble predicts for (n,) indices."""
        best, unit = _best_and_unit(np.fromiter(self._observed.values(), dtype=np.float64))
        with single_threaded():
            predicted = self.predictor.predict(self.space.one_hot(indices=indices))
        return (best - unit / _STRETCH * np.expm1(-predicted)).astype(np.float32)

    def _draw_candidates(self) -> IndexArray:
        if not len(self._mutable):
            return np.empty(0, dtype=np.int64)
        indices = np.fromiter(self._observed, dtype=np.int64)
        scores = np.fromiter(self._observed.values(), dtype=np.float64)
        best = indices[np.argsort(-scores, kind="stable")[: self.parents]]
        drawn = dict.fromkeys(self._mutate(np.repeat(best, self.mutations)).tolist())
        unseen = [index for index in drawn if index not in self._observed and self.space.has_index(index)]
        return np.array(unseen[: self.pool], dtype=np.int64)

    def _mutate(self, indices: IndexArray) -> IndexArray:
        """(n,) one random neighbour of each: a uniform position, then another of its values, uniformly."""
        positions = self._mutable[self.rng.integers(len(self._mutable), size=len(indices))]
        digits = self.space.digits(indices=indices)
        current = digits[np.arange(len(indices)), positions]
        choices = np.array([len(self.space.choices(p)) for p in range(self.space.dimensions)])
        shift = 1 + np.floor(self.rng.random(len(indices)) * (choices[positions] - 1)).astype(np.int64)
        strides = np.append(np.cumprod(choices[:0:-1])[::-1], 1)
        return indices + ((current + shift) % choices[positions] - current) * strides[positions]


def log_closeness(scores: FloatArray) -> FloatArray:
    """(n,) of (n,) scores: -log(1 + 3 d), d the distance from the best in units of the median's.

    It is 0 for the best and keeps the order; no shift or scale of the scores changes it.
    """
    best, unit = _best_and_unit(scores)
    return -np.log1p(_STRETCH * ((best - scores) / unit))


def _best_and_unit(scores: FloatArray) -> tuple[float, float]:
    distance = scores.max() - scores
    return float(scores.max()), float(np.median(distance) or distance.max() or 1.0)  # more than half may be the best


# Acquisition functions: (rng, predictions (members, n) float64 of `log_closeness`) -> (n,), higher is better.
Acquisition = Callable[[np.random.Generator, FloatArray], FloatArray]


def independent_thompson(rng: np.random.Generator, predictions: FloatArray) -> FloatArray:
    """A draw from N(mean, std) of each candidate on its own (White et al. 2021, section 4)."""
    return predictions.mean(axis=0) + predictions.std(axis=0) * rng.standard_normal(predictions.shape[1])


def upper_confidence_bound(_: np.random.Generator, predictions: FloatArray) -> FloatArray:
    """mean + std (Srinivas et al. 2010)."""
    return predictions.mean(axis=0) + predictions.std(axis=0)


def expected_improvement(_: np.random.Generator, predictions: FloatArray) -> FloatArray:
    """E[max(f, 0)] for f ~ N(mean, std) (Mockus 1978); the best seen is at 0."""
    from scipy.special import ndtr  # slow to import, needed here only

    mean, deviation = predictions.mean(axis=0), np.maximum(predictions.std(axis=0), 1e-12)
    z = mean / deviation
    return deviation * (z * ndtr(z) + np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi))


def predicted_mean(_: np.random.Generator, predictions: FloatArray) -> FloatArray:
    return predictions.mean(axis=0)


ACQUISITIONS: dict[str, Acquisition] = {
    "its": independent_thompson,
    "ucb": upper_confidence_bound,
    "ei": expected_improvement,
    "mean": predicted_mean,
}
