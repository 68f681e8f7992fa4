"""Syne Tune's searchers as searchers (Salinas et al. 2022); needs the optional package `syne-tune`.

python -m experiments.run searcher=syne_tune searcher.method=bore
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.architecture import Architecture
from nasbench_ar.arrays import FloatArray
from nasbench_ar.entry import Entry
from nasbench_ar.errors import SearchError
from nasbench_ar.grid import Grid
from nasbench_ar.system.extras import require
from searchers.base import check_at_least
from searchers.library_search import BorrowedSearcher, OwnGenerators, check_seed, unheard

_SEARCHERS = "syne_tune.optimizer.schedulers.searchers"
MOST_ROWS = 100_000  # configurations that are encoded beforehand and that Bore's classifier is asked for in one call
METHODS = {
    "cqr": (f"{_SEARCHERS}.conformal.conformal_quantile_regression_searcher", "ConformalQuantileRegression"),
    "bore": (f"{_SEARCHERS}.bore.bore", "Bore"),
}


class _Encodings:
    """Bore's rows of all configurations, each encoded once: Bore asks for 500 of them at a proposal."""

    def __init__(self, encode: Callable[[dict[str, int]], FloatArray], entries: Sequence[Entry]) -> None:
        every = list(product(*(range(len(entry.choices)) for entry in entries)))
        names = [entry.name for entry in entries]
        self.rows = np.stack([encode(dict(zip(names, digits, strict=True))) for digits in every])
        self._row_of = dict(zip(every, self.rows, strict=True))

    def __call__(self, digits: dict[str, int]) -> FloatArray:
        return self._row_of[tuple(digits.values())]


class _AllAtOnce:
    """Bore's classifier, asked for all configurations in one call: Bore asks for them one by one."""

    def __init__(self, model: Any, rows: FloatArray) -> None:
        self._model, self._rows = model, rows
        self._place = {row.tobytes(): k for k, row in enumerate(rows)}

    def fit(self, x: FloatArray, y: NDArray[Any]) -> None:
        self._model.fit(x, y)
        self._known = self._model.predict_proba(self._rows)

    def predict(self, x: FloatArray) -> NDArray[Any]:
        return np.argmax(self.predict_proba(x), axis=1)

    def predict_proba(self, x: FloatArray) -> FloatArray:
        return np.asarray(self._known[[self._place[row.tobytes()] for row in x]])


class SyneTuneSearcher(BorrowedSearcher):
    """Ask a searcher of Syne Tune and tell it, without its backend; it minimises the scores with their sign turned.

    An entry with an order is an integer by rank, since Syne Tune's trees would see a category for each level of its
    ordinal domains; an entry without order is a choice.

    Args:
        method: `cqr`, conformal quantile regression (Salinas et al. 2023), or `bore`, density ratios estimated by a
            classifier (Tiao et al. 2021); both with Syne Tune's own defaults.
        update_frequency: scores between two fits of the model of `cqr`, which take most of its time (1 by default).
        patience: proposals in a row without anything new before a random one joins.

    Raises:
        SearchError: when Syne Tune is not installed, or on an unknown method.
    """

    libraries = ("syne-tune", "scikit-learn", "xgboost")

    def __init__(
        self, space: Grid, seed: int, *, method: str = "cqr", update_frequency: int = 1, patience: int = 20
    ) -> None:
        super().__init__(space, seed, patience=patience)
        if method not in METHODS:
            raise SearchError(f"method={method!r}: expected one of {', '.join(METHODS)}")
        check_seed(seed, "Syne Tune's generators take")
        self.method = method
        self.update_frequency = check_at_least("update_frequency", update_frequency, 1)
        if method == "bore" and update_frequency != 1:
            raise SearchError(f"update_frequency={update_frequency}: goes with method=cqr; bore fits after every score")
        self._generators = OwnGenerators(self.seed)  # both methods draw from the global ones
        with unheard(), self._generators.installed():
            module, name = METHODS[method]
            maker = getattr(require("searcher=syne_tune", module, SearchError), name)
            self._searcher = maker(self._config_space(), random_seed=self.seed, **self._arguments())
            if method == "bore" and self._free_entries and space.product_size <= MOST_ROWS:
                ranges = self._searcher._hp_ranges
                ranges.to_ndarray = encodings = _Encodings(ranges.to_ndarray, self._free_entries)
                self._searcher.model = _AllAtOnce(self._searcher.model, encodings.rows)
        self._asked: dict[Architecture, deque[int]] = defaultdict(deque)
        self._trials = 0

    def _config_space(self) -> dict[str, Any]:
        domains = require("searcher=syne_tune", "syne_tune.config_space", SearchError)
        space = {}
        for entry in self._free_entries:
            digits = range(len(entry.choices))
            space[entry.name] = domains.randint(0, digits[-1]) if entry.ordered else domains.choice(list(digits))
        return space

    def _arguments(self) -> dict[str, Any]:
        """500 candidates, as by default, but not more than there are: Bore draws them without replacement."""
        if self.method == "bore":
            return {"feval_acq": min(500, self.space.product_size)}
        return {"update_frequency": self.update_frequency}

    def _propose(self) -> Architecture:
        with unheard(), self._generators.installed():
            digits = self._searcher.suggest()
        architecture = self._of_digits(digits)
        self._asked[architecture].append(self._new_trial())
        return architecture

    def _new_trial(self) -> int:
        self._trials += 1
        return self._trials

    def _reject(self, architecture: Architecture) -> None:
        self._searcher.on_trial_error(self._asked[architecture].popleft())

    def _report(self, architecture: Architecture, score: float) -> None:
        if not self._free_entries:  # Bore fails at a configuration without a choice
            return
        waiting = self._asked.get(architecture)
        trial = waiting.popleft() if waiting else self._new_trial()
        with unheard(), self._generators.installed():
            self._searcher.on_trial_complete(trial, self._digits(architecture), -score)
