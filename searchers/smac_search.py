"""SMAC3's facades as searchers (Lindauer et al. 2022); needs the optional package `smac`.

python -m experiments.run searcher=smac searcher.facade=gp
"""

from __future__ import annotations

import tempfile
from collections import defaultdict, deque
from pathlib import Path
from typing import Any

from nasbench_ar.architecture import Architecture
from nasbench_ar.entry import Entry
from nasbench_ar.errors import SearchError
from nasbench_ar.grid import Grid
from nasbench_ar.system.extras import require
from searchers.base import check_at_least
from searchers.library_search import BorrowedSearcher, check_seed, unheard

PLANNED = 500  # queries of NARes' protocol
FACADES = {"rf": "HyperparameterOptimizationFacade", "gp": "BlackBoxFacade"}


class SMACSearcher(BorrowedSearcher):
    """Ask and tell a facade of SMAC, which minimises the scores with their sign turned.

    An entry with an order is an integer by rank, which SMAC scales to [0, 1], as the length scales of its Gaussian
    process expect; its ordinal hyperparameters it leaves unscaled.  An entry without order is categorical.

    Args:
        facade: `rf`, a random forest on costs on a log scale (`HyperparameterOptimizationFacade`), or `gp`, a Gaussian
            process (`BlackBoxFacade`); both with SMAC's own defaults for evaluations without noise.
        budget: evaluations that SMAC plans for: its first, spread evenly, are at most a quarter of them. None takes the
            queries of the race, 500 outside of one.
        patience: proposals in a row without anything new before a random one joins.

    Raises:
        SearchError: when SMAC is not installed, or on an unknown facade.
    """

    libraries = ("smac", "ConfigSpace", "scikit-learn")

    def __init__(
        self, space: Grid, seed: int, *, facade: str = "rf", budget: int | None = None, patience: int = 20
    ) -> None:
        super().__init__(space, seed, patience=patience)
        if facade not in FACADES:
            raise SearchError(f"facade={facade!r}: expected one of {', '.join(FACADES)}")
        check_seed(seed, "SMAC's generators take")
        self.facade = facade
        self.budget = check_at_least("budget", PLANNED if budget is None else budget, 1)
        with unheard():
            self._smac = require("searcher=smac", "smac", SearchError)
            self._configspace = require("searcher=smac", "ConfigSpace", SearchError)
            self._optimizer: Any = self._build() if self._free_entries else None
        self._asked: dict[Architecture, deque[Any]] = defaultdict(deque)
        self._rejected: deque[Any] = deque()
        self._trial_seed = 0  # SMAC compares evaluations of one seed only, and begins with those that it was told

    def _facade(self) -> Any:
        return getattr(self._smac, FACADES[self.facade])

    def _build(self) -> Any:
        facade = self._facade()
        hyperparameters = [self._hyperparameter(entry) for entry in self._free_entries]
        with tempfile.TemporaryDirectory() as folder:  # SMAC writes its settings at the start, and reads older ones
            scenario = self._smac.Scenario(
                self._configspace.ConfigurationSpace(space=hyperparameters),
                output_directory=Path(folder),
                deterministic=True,
                n_trials=self.budget,
                seed=self.seed,
            )
            maximizer = facade.get_acquisition_maximizer(scenario)
            _start_in_order(maximizer._local_search)
            # By default SMAC takes a space for exhausted after 16 known configurations, drawn at random, in a row.
            selector = facade.get_config_selector(scenario, retries=20 * self.space.product_size)
            return facade(
                scenario, acquisition_maximizer=maximizer, config_selector=selector, logging_level=False, overwrite=True
            )

    def _hyperparameter(self, entry: Entry) -> Any:
        digits = range(len(entry.choices))
        if entry.ordered:
            return self._configspace.UniformIntegerHyperparameter(entry.name, 0, digits[-1])
        return self._configspace.CategoricalHyperparameter(entry.name, digits)

    def _propose(self) -> Architecture:
        if len(self._asked.keys() | self.history) >= self.space.product_size:  # it would wait for a score for ever
            return self.sample_unseen()
        from joblib import parallel_config

        exhausted = self._smac.main.exceptions.ConfigurationSpaceExhaustedException
        with unheard(), parallel_config("sequential"):  # its forest takes a thread for every core
            try:
                info = self._optimizer.ask()
            except (StopIteration, exhausted):
                return self.sample_unseen()
        self._trial_seed = info.seed
        architecture = self._of_digits(info.config)
        self._asked[architecture].append(info)
        return architecture

    def _reject(self, architecture: Architecture) -> None:
        self._rejected.append(self._asked[architecture].popleft())
        if self.history:
            self._tell_rejected()

    def _tell_rejected(self) -> None:
        """As crashed, at the worst known cost: SMAC learns from that, so they wait for a score."""
        worst = max(-score for score in self.history.values())
        while self._rejected:
            self._tell_smac(self._rejected.popleft(), worst, self._smac.runhistory.StatusType.CRASHED)

    def _report(self, architecture: Architecture, score: float) -> None:
        if self._optimizer is None:
            return
        if waiting := self._asked.get(architecture):
            info = waiting.popleft()
        else:
            configuration = self._configspace.Configuration(
                self._optimizer.scenario.configspace, values=self._digits(architecture)
            )
            info = self._smac.runhistory.TrialInfo(configuration, seed=self._trial_seed)
        self._tell_smac(info, -score, self._smac.runhistory.StatusType.SUCCESS)
        self._tell_rejected()

    def _tell_smac(self, info: Any, cost: float, status: Any) -> None:
        with unheard():
            self._optimizer.tell(info, self._smac.runhistory.TrialValue(cost, status=status), save=False)


def _start_in_order(local_search: Any) -> None:
    """Sort the starts of a local search, which SMAC takes from a set whose order differs from process to process."""
    unordered = local_search._get_init_points_from_previous_configs
    local_search._get_init_points_from_previous_configs = lambda *given: sorted(
        unordered(*given), key=lambda configuration: tuple(configuration.get_array())
    )
