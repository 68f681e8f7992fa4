"""Syne Tune's searchers as searchers (Salinas et al. 2022); needs the optional package `syne-tune`.

python -m experiments.run searcher=syne_tune searcher.method=bore
"""

from __future__ import annotations

from collections import defaultdict, deque
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.architecture import Architecture
from nasbench_ar.arrays import FloatArray
from nasbench_ar.errors import SearchError
from nasbench_ar.grid import Grid
from nasbench_ar.system.extras import require
from searchers.library_search import BorrowedSearcher, OwnGenerators, check_seed, unheard

_SEARCHERS = "syne_tune.optimizer.schedulers.searchers"
MOST_ROWS = 100_000  # configurations that Bore's classifier is asked for in one call
METHODS = {
    "cqr": (f"{_SEARCHERS}.conformal.conformal_quantile_regression_searcher", "ConformalQuantileRegression"),
    "bore": (f"{_SEARCHERS}.bore.bore", "Bore"),
}


class _AllAtOnce:
    """Bore's classifier, asked for all configurations in one call: Bore asks for 500 of them one by one."""

    def __init__(self, model: Any, rows: FloatArray) -> None:
        self._model, self._rows = model, rows
        self._place = {row.tobytes(): k for k, row in enumerate(rows)}

    def fit(self, x: FloatArray, y: NDArray[Any]) -> None:
        self._model.fit(x, y)
        if self._place:
            self._known = self._model.predict_proba(self._rows)

    def predict(self, x: FloatArray) -> NDArray[Any]:
        return np.asarray(self._model.predict(x))

    def predict_proba(self, x: FloatArray) -> FloatArray:
        places = [self._place.get(row.tobytes()) for row in x]
        return np.asarray(self._model.predict_proba(x) if None in places else self._known[places])


class SyneTuneSearcher(BorrowedSearcher):
    """Ask a searcher of Syne Tune and tell it, without its backend; it minimises the scores with their sign turned.

    An entry with an order is an integer by rank, since Syne Tune's trees would see a category for each level of its
    ordinal domains; an entry without order is a choice.

    Args:
        method: `cqr`, conformal quantile regression (Salinas et al. 2023), or `bore`, density ratios estimated by a
            classifier (Tiao et al. 2021); both with Syne Tune's own defaults.
        patience: proposals in a row without anything new before a random one joins.

    Raises:
        SearchError: when Syne Tune is not installed, or on an unknown method.
    """

    libraries = ("syne-tune", "scikit-learn", "xgboost")

    def __init__(self, space: Grid, seed: int, *, method: str = "cqr", patience: int = 20) -> None:
        super().__init__(space, seed, patience=patience)
        if method not in METHODS:
            raise SearchError(f"method={method!r}: expected one of {', '.join(METHODS)}")
        check_seed(seed, "Syne Tune's generators take")
        self.method = method
        self._generators = OwnGenerators(self.seed)  # both methods draw from the global ones
        with unheard(), self._generators.installed():
            module, name = METHODS[method]
            maker = getattr(require("searcher=syne_tune", module, SearchError), name)
            self._searcher = maker(self._config_space(), random_seed=self.seed, **self._arguments())
            if method == "bore":
                self._searcher.model = _AllAtOnce(self._searcher.model, self._rows())
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
        return {"feval_acq": min(500, self.space.product_size)} if self.method == "bore" else {}

    def _rows(self) -> FloatArray:
        """(n, d) what Bore's classifier sees of every configuration; none where they are too many."""
        if not self._free_entries or self.space.product_size > MOST_ROWS:
            return np.empty((0, 0))
        encode = self._searcher._hp_ranges.to_ndarray
        names = [entry.name for entry in self._free_entries]
        digits = product(*(range(len(entry.choices)) for entry in self._free_entries))
        return np.stack([encode(dict(zip(names, chosen, strict=True))) for chosen in digits])

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
