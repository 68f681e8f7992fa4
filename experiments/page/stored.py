"""Stored runs of a table, read back as the experiments they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.races.checks import checked_config, load_runs
from experiments.races.config import RunConfig, target_of
from experiments.races.store import CONFIG, RunStore
from experiments.results import summary
from experiments.results.experiment import Experiment
from experiments.results.read import NOT_PLAIN, is_plain
from experiments.tables import PUBLISHED
from nasbench_ar import Oracle, ResultsError
from searchers import ALL_SEARCHERS

_NAMES = {target_of(cls): name for name, cls in ALL_SEARCHERS.items()}


@dataclass(frozen=True)
class Race:
    """Experiments that can stand in one table: one objective, one budget, one choice of training seeds.

    Attributes:
        experiments: in the order of `searchers.ALL_SEARCHERS`, a user's own behind them.
        computed_by: commits and versions that computed the runs, without repeats.
    """

    objective: str
    queries: int
    table_seed: Any
    experiments: tuple[Experiment, ...]
    computed_by: tuple[dict[str, Any], ...]

    @property
    def names(self) -> list[str]:
        return [experiment.config.searcher_name for experiment in self.experiments]

    @property
    def parts(self) -> list[tuple[Experiment, ...]]:
        """The corrected searchers, and the authors' as they behave: each part is compared within itself."""
        published = tuple(e for e in self.experiments if e.config.searcher_name.startswith(PUBLISHED))
        others = tuple(e for e in self.experiments if e not in published)
        return [part for part in (others, published) if part]


def read_races(folder: Path, oracle: Oracle) -> tuple[list[Race], list[str]]:
    """All races below `<out>/<table>`, those on its own objective first, and a line on each folder left out."""
    races: dict[tuple[str, int, str], list[tuple[Experiment, dict[str, Any]]]] = {}
    left_out = []
    try:
        paths = sorted(found.parent for found in folder.glob(f"[!.]*/{CONFIG}"))
    except OSError as error:
        raise ResultsError(f"cannot read {folder}: {error.strerror or error}") from error
    for path in paths:
        config = checked_config(path)
        reason = _unfit(path, config, oracle)
        if reason:
            left_out.append(f"{path.name}: {reason}")
            continue
        experiment = read_experiment(path, oracle)
        key = (experiment.objective, experiment.config.queries, str(experiment.config.table_seed))
        races.setdefault(key, []).append((experiment, config))
    own = oracle.table.default_objective
    ranked = sorted(races.items(), key=lambda item: (item[0][0] != own, -len(item[1]), item[0]))
    return [_race(members) for _, members in ranked], left_out


def _unfit(path: Path, config: dict[str, Any], oracle: Oracle) -> str | None:
    try:
        if config["fingerprint"]["table_hash"] != oracle.table.content_hash:
            return f"made on another table, or another state of it ({config['fingerprint']['table']})"
        if not is_plain(config["fingerprint"]):
            return NOT_PLAIN
    except KeyError as error:
        raise ResultsError(f"{path / CONFIG} is damaged: {error} is missing; remove the folder {path}") from error
    return None if RunStore(path).stored() else "no finished run"


def read_experiment(folder: Path, oracle: Oracle) -> Experiment:
    """One result folder as `experiments.run` reports it, over all runs that are finished."""
    store = RunStore(folder)
    stored = checked_config(folder)
    seeds = store.stored()
    try:
        config = RunConfig(
            table=oracle.name,
            objective=str(stored["objective"]),
            queries=int(stored["queries"]),
            runs=len(seeds),
            seed=seeds[0],
            name=folder.name,
            table_seed=stored["table_seed"],
            allow_test_objective=bool(stored["allow_test_objective"]),
            searcher=dict(stored["searcher"]),
        )
        target = str(config.searcher["_target_"])
    except (KeyError, TypeError, ValueError) as error:
        raise ResultsError(f"{folder / CONFIG} is damaged ({error!r}); remove the folder {folder}") from error
    runs = load_runs(store, stored["fingerprint"], seeds, config.queries, oracle)
    rows, lacking = summary.summarise(
        oracle,
        runs.reported,
        objective=str(config.objective),
        queries=config.queries,
        searcher=_NAMES.get(target),
        table_seed=config.table_seed,
    )
    return Experiment(config, oracle, str(config.objective), folder, runs, rows, lacking)


def _race(members: Sequence[tuple[Experiment, dict[str, Any]]]) -> Race:
    order = list(ALL_SEARCHERS)

    def rank(member: tuple[Experiment, dict[str, Any]]) -> tuple[int, str]:
        name = member[0].config.searcher_name
        return (order.index(name) if name in order else len(order), name)

    members = sorted(members, key=rank)
    experiments = tuple(experiment for experiment, _ in members)
    code: list[dict[str, Any]] = []
    for _, config in members:
        code += [entry for entry in config.get("computed_by", []) if entry not in code]
    first = experiments[0]
    return Race(first.objective, first.config.queries, first.config.table_seed, experiments, tuple(code))
