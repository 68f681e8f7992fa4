"""The searchers of NASBench-AR as an OptunaHub sampler."""

from __future__ import annotations

import threading
from typing import Any

import optuna

import nasbench_ar
from searchers import create

STATES = optuna.trial.TrialState


class SearcherSampler(optuna.samplers.BaseSampler):
    """Proposes architectures for studies whose parameters are the entries of a search space, `D1`, `W1`, `D2`, ...

    Finished trials of the study count, whoever proposed them; one that was pruned or failed counts as one below the
    worst so far.

    Args:
        searcher: `bananas`, `local_search`, `regularized_evolution`, `random_search` or another of `searchers`.
        space: where architectures come from.
        seed: the only source of chance.
        arguments: of the searcher.
    """

    def __init__(
        self,
        searcher: str = "bananas",
        *,
        space: nasbench_ar.Grid = nasbench_ar.NARES,
        seed: int = 0,
        **arguments: Any,
    ) -> None:
        self._searcher = create(searcher, space, seed, **arguments)
        self._space = space
        self._told: set[int] = set()
        self._lock = threading.Lock()  # a study may run several threads

    def infer_relative_search_space(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial
    ) -> dict[str, optuna.distributions.BaseDistribution]:
        return {
            name: optuna.distributions.CategoricalDistribution(self._space.choices(k))
            for k, name in enumerate(self._space.entry_names)
        }

    def sample_relative(
        self,
        study: optuna.Study,
        trial: optuna.trial.FrozenTrial,
        search_space: dict[str, optuna.distributions.BaseDistribution],
    ) -> dict[str, Any]:
        if len(study.directions) > 1:
            raise nasbench_ar.ConfigError(
                f"this study has {len(study.directions)} objectives and {type(self._searcher).__name__} takes one"
            )
        with self._lock:
            self._tell_finished(study)
            return dict(zip(self._space.entry_names, self._searcher.ask(), strict=True))

    def sample_independent(
        self,
        study: optuna.Study,
        trial: optuna.trial.FrozenTrial,
        param_name: str,
        param_distribution: optuna.distributions.BaseDistribution,
    ) -> Any:
        """Refuses what is no entry of the space."""
        raise nasbench_ar.ConfigError(
            f"parameter {param_name!r} with {param_distribution} is no entry of the space; expected categorical "
            f"{', '.join(self._space.entry_names)} with their choices as in {self._space}"
        )

    def _tell_finished(self, study: optuna.Study) -> None:
        sign = 1.0 if study.direction == optuna.study.StudyDirection.MAXIMIZE else -1.0
        for trial in study.get_trials(deepcopy=False, states=(STATES.COMPLETE, STATES.PRUNED, STATES.FAIL)):
            if trial.number in self._told or set(trial.params) != set(self._space.entry_names):
                continue
            self._told.add(trial.number)
            architecture = self._space.from_entries(trial.params)
            if trial.state == STATES.COMPLETE:
                self._searcher.tell(architecture, sign * trial.values[0])
            elif architecture not in self._searcher.history:
                self._searcher.tell(architecture, min(self._searcher.history.values(), default=0.0) - 1)
