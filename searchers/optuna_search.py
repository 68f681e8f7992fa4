"""Optuna's samplers as searchers (Akiba et al. 2019); needs the optional package `optuna`.

python -m experiments.run searcher=optuna searcher.sampler=tpe
"""

from __future__ import annotations

import warnings
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nasbench_ar.adapters import ENCODINGS
from nasbench_ar.architecture import Architecture
from nasbench_ar.entry import Entry
from nasbench_ar.errors import SearchError
from nasbench_ar.grid import Grid
from nasbench_ar.system.extras import require
from searchers.library_search import BorrowedSearcher, by_rank, check_seed

SAMPLERS = ("tpe", "gp", "cmaes", "nsga2", "qmc", "random")
NUMERIC = ("cmaes", "qmc")  # these leave categories to random sampling


class OptunaSearcher(BorrowedSearcher):
    """Ask and tell an Optuna study.

    Args:
        sampler: one of `SAMPLERS`, with Optuna's own defaults, except that `qmc` is scrambled (otherwise all seeds
            have one sequence).
        encoding: `categorical`, an entry's values without an order, as in a user's own study; `ordinal`, integers
            by rank; `mixed`, integers for entries with an order and categories for others; `auto`: ordinal for
            samplers that know numbers only (cmaes, qmc), categorical otherwise.
        multivariate: whether `tpe` models entries together; None leaves it to Optuna, which does.  Other samplers
            take no notice.
        patience: proposals in a row without anything new before a random one joins.

    Raises:
        SearchError: when Optuna, or what the sampler needs, is not installed, or on an unknown name.
    """

    libraries = ("optuna", "cmaes")

    def __init__(
        self,
        space: Grid,
        seed: int,
        *,
        sampler: str = "tpe",
        encoding: str = "auto",
        multivariate: bool | None = None,
        patience: int = 20,
    ) -> None:
        super().__init__(space, seed, patience=patience)
        for name, value, allowed in (("sampler", sampler, SAMPLERS), ("encoding", encoding, (*ENCODINGS, "mixed"))):
            if value not in allowed:
                raise SearchError(f"{name}={value!r}: expected one of {', '.join(allowed)}")
        if not isinstance(multivariate, bool | None):
            raise SearchError(f"multivariate={multivariate!r}: expected True, False or None")
        if encoding in ("categorical", "mixed") and sampler in NUMERIC:
            raise SearchError(f"encoding={encoding}: Optuna's {sampler} samples categories at random; use ordinal")
        check_seed(seed, "Optuna's samplers take")
        self.sampler, self.multivariate = sampler, multivariate
        self.encoding = encoding if encoding != "auto" else "ordinal" if sampler in NUMERIC else "categorical"
        self._optuna = require("searcher=optuna", "optuna", SearchError)
        with _quietly(self._optuna):
            self._study = self._optuna.create_study(direction="maximize", sampler=self._build_sampler())
        self._distributions = {entry.name: self._distribution(entry) for entry in space.entries}
        self._asked: dict[Architecture, deque[Any]] = defaultdict(deque)

    def _build_sampler(self) -> Any:
        samplers, seed = self._optuna.samplers, self.seed
        if self.sampler == "cmaes":
            require("sampler=cmaes", "cmaes", SearchError)
        if self.sampler == "gp":  # Optuna imports it at the first fit, which would then not be held to one thread
            require("sampler=gp", "torch", SearchError)
        makers = {
            "tpe": lambda: samplers.TPESampler(seed=seed, multivariate=self.multivariate),
            "gp": lambda: samplers.GPSampler(seed=seed),
            "cmaes": lambda: samplers.CmaEsSampler(seed=seed),
            "nsga2": lambda: samplers.NSGAIISampler(seed=seed),
            "qmc": lambda: samplers.QMCSampler(seed=seed, scramble=True),
            "random": lambda: samplers.RandomSampler(seed=seed),
        }
        return makers[self.sampler]()

    def _distribution(self, entry: Entry) -> Any:
        if by_rank(self.encoding, entry):
            return self._optuna.distributions.IntDistribution(0, len(entry.choices) - 1)
        return self._optuna.distributions.CategoricalDistribution(entry.choices)

    def _propose(self) -> Architecture:
        trial = self._study.ask(self._distributions)
        given = [(entry, trial.params[entry.name]) for entry in self.space.entries]
        levels = (entry.choices[value] if by_rank(self.encoding, entry) else value for entry, value in given)
        architecture = self.space.compose(levels)
        self._asked[architecture].append(trial)
        return architecture

    def _reject(self, architecture: Architecture) -> None:
        trial = self._asked.pop(architecture).popleft()
        self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)

    def _report(self, architecture: Architecture, score: float) -> None:
        waiting = self._asked.get(architecture)
        if waiting:
            self._study.tell(waiting.popleft(), score)
            return
        params = {
            entry.name: entry.digit_of[value] if by_rank(self.encoding, entry) else value
            for entry, value in zip(self.space.entries, architecture, strict=True)
        }
        trial = self._optuna.trial.create_trial(params=params, distributions=self._distributions, value=score)
        self._study.add_trial(trial)


@contextmanager
def _quietly(optuna: Any) -> Iterator[None]:
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category=optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)
