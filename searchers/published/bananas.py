"""BANANAS by the published protocol, seeded, and for many runs at once (NARes, section 5; White et al. 2021).

The authors seed Python's and NumPy's generators but not the one that their predictors take initial weights and
batches from, so their runs cannot be repeated.  Here those come from the run's seed as well.  All else is theirs:
starts may repeat; among equals the latest queried is the first parent; the size of the pool is checked between
parents; the pool, and the ten that are queried, may hold an architecture twice; the budget is checked between
rounds.  With the same predictions the same seed gives the same queries.

Where the description leaves a detail open, this module assumes: an architecture is observed once, when it is first
queried; the spread of the ensemble is the population standard deviation; the last, smaller batch of an epoch counts.

Only `PublishedBananas.predict` deals with networks; a subclass may replace it.  `searchers.bananas` has predictors
that fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.architecture import Architecture
from nasbench_ar.errors import SearchError, SearchFinishedError
from nasbench_ar.grid import Grid
from nasbench_ar.system.extras import require
from searchers.base import Searcher, check_at_least, check_number
from searchers.published.base import PublishedSearcher
from searchers.published.lockstep import LockStep
from searchers.published.sampling import random_neighbour, sample

if TYPE_CHECKING:
    from searchers.published.batched_mlp import Recipe

# Runs per group on the CPU: their 25 networks fit into 16 MB of cache; more take longer each, fewer too.
CPU_GROUP = 5
# Share of the free memory of a GPU that a group may fill.
GPU_SHARE = 0.8


class PublishedBananas(PublishedSearcher, LockStep):
    """Train an ensemble from scratch, sample from its predictions, query the best ten.

    Where no parent has an unseen neighbour, it ends with a `SearchFinishedError`; the authors' code fails there.
    A run's result depends on its seed alone, up to rounding: see `batched_mlp`.

    Args:
        queries: unique architectures after which no round begins; the last round is queried whole.
        starts: random architectures to begin with (10: published).
        batch: architectures queried per round (10: published).
        members: networks in the ensemble (5: published).
        layers: hidden layers of each (20: published).
        width: units per layer (32: published).
        epochs: of each training (500: published).
        minibatch: observations per step (32: published).
        learning_rate: of Adam (1e-3: published).
        penalty: factor on the L1 norm of the output weights (0.2: published).
        parents: best observed architectures that are mutated (50: published).
        mutations: random neighbours drawn per parent (10: published).
        pool: candidates after which no further parent is mutated (100: published, so a pool holds up to 109).
        device: `"cpu"`, `"cuda"`, or `"auto"`: CUDA where there is one.

    Raises:
        SearchError: when PyTorch is not installed, which trains the networks on the CPU too; with `device="cpu"` only
            at the first training.
    """

    def __init__(
        self,
        space: Grid,
        seed: int,
        *,
        queries: int = 500,
        starts: int = 10,
        batch: int = 10,
        members: int = 5,
        layers: int = 20,
        width: int = 32,
        epochs: int = 500,
        minibatch: int = 32,
        learning_rate: float = 1e-3,
        penalty: float = 0.2,
        parents: int = 50,
        mutations: int = 10,
        pool: int = 100,
        device: str = "auto",
    ) -> None:
        super().__init__(space, seed, queries=queries)
        self.starts = check_at_least("starts", starts, 1)
        self.batch = check_at_least("batch", batch, 1)
        self.members = check_at_least("members", members, 1)
        self.layers = check_at_least("layers", layers, 1)
        self.width = check_at_least("width", width, 1)
        self.epochs = check_at_least("epochs", epochs, 1)
        self.minibatch = check_at_least("minibatch", minibatch, 1)
        self.learning_rate = check_number("learning_rate", learning_rate)
        self.penalty = check_number("penalty", penalty, zero=True)
        self.parents = check_at_least("parents", parents, 1)
        self.mutations = check_at_least("mutations", mutations, 1)
        self.pool = check_at_least("pool", pool, 1)
        self.device = _check_device(device)
        self._proposed: list[Architecture] = []
        self._candidates: list[Architecture] | None = None
        self._predictions: NDArray[np.float32] | None = None

    # -- proposals ------------------------------------------------------------

    def _ask(self) -> list[Architecture]:
        untold = [a for a in self._proposed if a not in self.history]
        if untold:
            return untold
        if self.budget_spent:
            raise self._finished()
        if self._starting:
            self._proposed = [sample(self.space, self.python_rng) for _ in range(self.starts)]
        else:
            self._proposed = self._round()
        new = set(self._proposed) - self.history.keys()
        if len(self.history) + len(new) == self.space.size:  # nothing is asked once all are told
            while self._proposed[-1] in self._proposed[:-1] or self._proposed[-1] in self.history:
                self._proposed.pop()
        return self._proposed

    @property
    def _starting(self) -> bool:
        return not self._proposed and len(self.history) < self.starts

    def _round(self) -> list[Architecture]:
        self.prepare_together([self])
        candidates, predictions = self.candidates(), self._predictions
        if predictions is None:
            raise SearchFinishedError(
                f"no unseen neighbour of the best {self.parents} was drawn after {len(self.history)} queries"
            )
        self._candidates = self._predictions = None
        sampled = self.numpy_rng.normal(predictions.mean(axis=0), predictions.std(axis=0))
        return [candidates[k] for k in np.argsort(sampled, kind="stable")[: self.batch].tolist()]

    def candidates(self) -> list[Architecture]:
        """This round's pool: unseen random neighbours of the best observed, best parents first; drawn once."""
        if self._candidates is None:
            latest_first = list(reversed(self.history))
            best = sorted(latest_first, key=self.history.__getitem__, reverse=True)
            self._candidates = []
            for parent in best[: self.parents]:
                drawn = [random_neighbour(self.space, self.python_rng, parent) for _ in range(self.mutations)]
                self._candidates += [candidate for candidate in drawn if candidate not in self.history]
                if len(self._candidates) >= self.pool:
                    break
        return self._candidates

    # -- training, for many runs at once --------------------------------------

    @property
    def _recipe(self) -> Recipe:
        from searchers.published.batched_mlp import Recipe

        return Recipe(
            layers=self.layers,
            width=self.width,
            epochs=self.epochs,
            minibatch=self.minibatch,
            learning_rate=self.learning_rate,
            penalty=self.penalty,
        )

    def generators(self) -> list[np.random.Generator]:
        """One per member, for its initial weights and batches in this round; they depend on the run's seed alone."""
        streams = [np.random.SeedSequence(self.seed, spawn_key=(len(self.history), m)) for m in range(self.members)]
        return [np.random.default_rng(stream) for stream in streams]

    def _needs_predictions(self) -> bool:
        searching = not self._starting and len(self.history) < min(self.queries, self.space.size)
        told = all(a in self.history for a in self._proposed)
        return told and searching and not self._queue and self._predictions is None and bool(self.candidates())

    @classmethod
    def prepare_together(cls, searchers: Sequence[Searcher]) -> None:
        """Predict for all runs that are due; runs with equally many observations train together."""
        by_count: dict[int, list[PublishedBananas]] = {}
        for searcher in searchers:
            if isinstance(searcher, PublishedBananas) and searcher._needs_predictions():
                by_count.setdefault(len(searcher.history), []).append(searcher)
        for group in by_count.values():
            for searcher, predictions in zip(group, cls.predict(group), strict=True):
                searcher._predictions = predictions

    @classmethod
    def predict(cls, searchers: Sequence[PublishedBananas]) -> list[NDArray[np.float32]]:
        """For each run, (members, candidates) predictions of 100 - score; all runs have equally many observations."""
        return _train(searchers)

    def grouping(self, runs: int, processes: int) -> tuple[int, int]:
        """Groups of up to `CPU_GROUP` runs a process; on CUDA one group at a time, as large as free memory allows."""
        if self.device == "cpu":
            return min(CPU_GROUP, -(-runs // processes)), processes
        import torch

        inputs = self.space.one_hot(indices=self.space.member_indices[:1]).shape[1]
        free, _ = torch.cuda.mem_get_info(self.device)
        per_run = self.members * self._recipe.bytes_per_network(inputs, self.queries)
        return max(1, min(runs, int(GPU_SHARE * free) // per_run)), 1


def _train(searchers: Sequence[PublishedBananas]) -> list[NDArray[np.float32]]:
    _require_torch()
    from searchers.published.batched_mlp import BatchedMLP

    first = searchers[0]
    x = np.stack([_encoded(s, list(s.history)) for s in searchers])
    y = np.stack([100 - np.fromiter(s.history.values(), dtype=np.float64) for s in searchers]).astype(np.float32)
    candidates = [_encoded(s, s.candidates()) for s in searchers]
    padded = np.zeros((len(searchers), max(map(len, candidates)), x.shape[2]), dtype=np.float32)
    for row, encoded in zip(padded, candidates, strict=True):
        row[: len(encoded)] = encoded
    generators = [generator for searcher in searchers for generator in searcher.generators()]
    networks = BatchedMLP(x.shape[2], generators, first._recipe, first.device)
    networks.fit(x, y)
    predicted = networks.predict(padded)
    return [values[:, : len(encoded)] for values, encoded in zip(predicted, candidates, strict=True)]


def _require_torch() -> Any:
    return require("searcher=published_bananas", "torch", SearchError)


def _encoded(searcher: PublishedBananas, architectures: Sequence[Architecture]) -> NDArray[np.float32]:
    return searcher.space.one_hot(architectures)


def _check_device(device: str) -> str:
    if device == "cpu":
        return device
    if device != "auto" and not str(device).startswith("cuda"):
        raise SearchError(f"device={device!r}: expected cpu, cuda, cuda:N or auto")
    if _require_torch().cuda.is_available():
        return "cuda" if device == "auto" else device
    if device == "auto":
        return "cpu"
    raise SearchError(f"device={device!r}: PyTorch finds no CUDA device here; use device=cpu or auto")
