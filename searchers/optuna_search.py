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
from nasbench_ar.errors import SearchError
from nasbench_ar.grid import Grid
from nasbench_ar.system.extras import require
from searchers.library_search import BorrowedSearcher

SAMPLERS = ("tpe", "gp", "cmaes", "nsga2", "qmc", "random")
NUMERIC = ("cmaes", "qmc")  # these leave categories to random sampling


class OptunaSearcher(BorrowedSearcher):
    """Ask and tell an Optuna study.

    Args:
        sampler: one of `SAMPLERS`, with Optuna's own defaults, except that `qmc` is scrambled (otherwise all seeds
            have one sequence) and `gp` is told that scores have no noise.
        encoding: `categorical`, an entry's values without an order, as in a user's own study; `ordinal`, integers
            by rank; `auto`: ordinal for samplers that know numbers only (cmaes, qmc), categorical otherwise.
        patience: proposals in a row without anything new before a random one joins.

    Raises:
        SearchError: when Optuna, or what the sampler needs, is not installed, or on an unknown name.
    """

    libraries = ("optuna", "cmaes")

    def __init__(
        self, space: Grid, seed: int, *, sampler: str = "tpe", encoding: str = "auto", patience: int = 20
    ) -> None:
        super().__init__(space, seed, patience=patience)
        for name, value, allowed in (("sampler", sampler, SAMPLERS), ("encoding", encoding, ENCODINGS)):
            if value not in allowed:
                raise SearchError(f"{name}={value!r}: expected one of {', '.join(allowed)}")
        if encoding == "categorical" and sampler in NUMERIC:
            raise SearchError(f"encoding=categorical: Optuna's {sampler} samples categories at random; use ordinal")
        if self.seed >= 2**32:
            raise SearchError(f"seed={seed!r}: Optuna's samplers take seeds below 2**32")
        self.sampler = sampler
        self.encoding = encoding if encoding != "auto" else "ordinal" if sampler in NUMERIC else "categorical"
        self._optuna = require("searcher=optuna", "optuna", SearchError)
        with _quietly(self._optuna):
            self._study = self._optuna.create_study(direction="maximize", sampler=self._build_sampler())
        self._entries = [(name, space.choices(k)) for k, name in enumerate(space.entry_names)]
        self._distributions = {name: self._distribution(choices) for name, choices in self._entries}
        self._asked: dict[Architecture, deque[Any]] = defaultdict(deque)

    def _build_sampler(self) -> Any:
        samplers, seed = self._optuna.samplers, self.seed
        if self.sampler == "cmaes":
            require("sampler=cmaes", "cmaes", SearchError)
        if self.sampler == "gp":  # Optuna imports it at the first fit, which would then not be held to one thread
            require("sampler=gp", "torch", SearchError)
        makers = {
            "tpe": lambda: samplers.TPESampler(seed=seed),
            "gp": lambda: samplers.GPSampler(seed=seed, deterministic_objective=True),
            "cmaes": lambda: samplers.CmaEsSampler(seed=seed),
            "nsga2": lambda: samplers.NSGAIISampler(seed=seed),
            "qmc": lambda: samplers.QMCSampler(seed=seed, scramble=True),
            "random": lambda: samplers.RandomSampler(seed=seed),
        }
        return makers[self.sampler]()

    def _distribution(self, choices: tuple[int, ...]) -> Any:
        if self.encoding == "categorical":
            return self._optuna.distributions.CategoricalDistribution(choices)
        return self._optuna.distributions.IntDistribution(0, len(choices) - 1)

    def _propose(self) -> Architecture:
        trial = self._study.ask(self._distributions)
        read = [trial.params[name] for name, _ in self._entries]
        if self.encoding == "ordinal":
            read = [choices[rank] for rank, (_, choices) in zip(read, self._entries, strict=True)]
        architecture = self.space.compose(read)
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
            name: value if self.encoding == "categorical" else choices.index(value)
            for value, (name, choices) in zip(architecture, self._entries, strict=True)
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
