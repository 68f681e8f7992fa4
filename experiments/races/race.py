"""A race: what every run of an experiment has in common.

It resolves a configuration against a table, opens sessions, builds searchers, says its fingerprint, and writes itself
to and reads itself from `config.yaml`. It is plain data, so that workers can get it.
"""

from __future__ import annotations

import functools
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.races import provenance
from experiments.races.config import FidelityConfig, RunConfig, searcher_class, target_of
from experiments.races.noise import IMAGES, check_noise, images_of, observer
from experiments.races.track import Track
from nasbench_ar import ConfigError, FidelitySession, NasbenchError, Oracle, SearchError, Table
from nasbench_ar.session import CountedQueries
from nasbench_ar.system.files import note
from nasbench_ar.system.tasks import pack
from nasbench_ar.system.versions import versions
from searchers import FOR_VECTORS, Searcher, VectorSearcher
from searchers.fidelity import FidelitySearcher
from searchers.library_search import LibrarySearcher

WHOLE_TRAININGS = 50  # the default budget of a multi-fidelity race pays for so many in a large space


@dataclass(frozen=True)
class Race:
    """What every run has in common.

    Attributes:
        queries: unique architectures per run, more for a searcher that stops itself; 0 in a multi-fidelity race.
        budget: training per run of a multi-fidelity race, in `unit`, on `workers` simulated machines; None in others.
        table_name, table_hash, source, version, libraries: what computes the runs; empty in races made by hand.
        pickled: the class itself if it is of a script or notebook, which workers cannot import.
    """

    table: str
    objective: str
    queries: int
    searcher: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    table_seed: Any = "mean"
    allow_test_objective: bool = False
    constraints: tuple[str, ...] = ()
    noise: str = "none"
    images: int = IMAGES
    budget: float | None = None
    unit: str = "epochs"
    workers: int = 1
    table_name: str = ""
    table_hash: str = ""
    source: str = ""
    version: str = ""
    libraries: Mapping[str, str] = field(default_factory=dict)
    pickled: bytes = field(default=b"", repr=False)

    @property
    def objectives(self) -> tuple[str, ...]:
        return tuple(self.objective.split(","))

    def members(self, oracle: Oracle) -> NDArray[np.int32]:
        """(n,) indices that a run may query, as far as that is known before."""
        space = oracle.searchable_space(*self.objectives, seed=self.table_seed, constraints=self.constraints)
        return space.member_indices

    @property
    def is_plain(self) -> bool:
        """Whether there is one objective, no limit, and searchers see true values."""
        return len(self.objectives) == 1 and not self.constraints and self.noise == "none"

    @property
    def searcher_class(self) -> Any:
        if self.pickled:
            return _unpickled(self.pickled)
        return searcher_class(self.searcher, Searcher if self.budget is None else FidelitySearcher)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """All that decides a run's result; conditions only where they are used."""
        spent = {"budget": self.budget, "unit": self.unit, "workers": self.workers}
        out: dict[str, Any] = {
            "table": self.table_name,
            "table_hash": self.table_hash,
            "objective": self.objective,
            **({"queries": self.queries} if self.budget is None else spent),
            "table_seed": self.table_seed,
            "searcher": {"_target_": self.searcher, **self.arguments},
            "source": self.source,
            "version": self.version,
        }
        return out | self.conditions | ({"libraries": dict(self.libraries)} if self.libraries else {})

    @property
    def conditions(self) -> dict[str, Any]:
        """What the searcher may not choose, or does not see."""
        out: dict[str, Any] = {"constraint": ",".join(self.constraints)} if self.constraints else {}
        return out if self.noise == "none" else out | {"noise": self.noise, "images": self.images}

    def to_config(self, config: RunConfig, oracle: Oracle) -> dict[str, Any]:
        """What `config.yaml` says, before what computes the runs."""
        out: dict[str, Any] = {
            "name": config.searcher_name,
            "table": self.table_name,
            "table_title": oracle.title,
            "table_folder": self.table,
            "objective": self.objective,
        }
        asked = {"runs": config.runs, "seed": config.seed, "table_seed": self.table_seed}
        searcher = {"searcher": {"_target_": self.searcher, **self.arguments}, "fingerprint": self.fingerprint}
        if self.budget is None:
            allowed = {"allow_test_objective": self.allow_test_objective}
            return out | {"queries": self.queries} | asked | allowed | self.conditions | searcher
        session = open_fidelity_session(self, oracle)
        spent = {"budget": self.budget, "unit": self.unit, "workers": self.workers}
        return out | told_by(session) | spent | asked | searcher

    @classmethod
    def of_config(cls, stored: Mapping[str, Any]) -> Race:
        """The race of a `config.yaml` that was checked."""
        marks = stored["fingerprint"]
        searcher = dict(marks.get("searcher", {"_target_": ""}))
        return cls(
            table=stored["table_folder"],
            objective=marks["objective"],
            queries=marks.get("queries", 0),
            searcher=searcher.pop("_target_"),
            arguments=searcher,
            table_seed=marks["table_seed"],
            allow_test_objective=stored.get("allow_test_objective", False),
            constraints=tuple(filter(None, marks.get("constraint", "").split(","))),
            noise=marks.get("noise", "none"),
            images=marks.get("images", IMAGES),
            budget=marks.get("budget"),
            unit=marks.get("unit", "epochs"),
            workers=marks.get("workers", 1),
            table_name=marks["table"],
            table_hash=marks["table_hash"],
            source=marks.get("source", ""),
            version=marks.get("version", ""),
            libraries=marks.get("libraries", {}),
        )


def plan(config: RunConfig, oracle: Oracle) -> Race:
    """Resolve a configuration against a table; refuses what cannot be carried out, wrong arguments included."""
    config.check()
    fidelity = isinstance(config, FidelityConfig)
    objective = objective_of(config, oracle)
    target = str(config.searcher["_target_"]) if fidelity else _target(config, several="," in objective)
    if config.noise != "none":
        _check_noise(config, oracle, objective)
    cls = searcher_class(target, FidelitySearcher if fidelity else Searcher)
    race = Race(
        **about(config, oracle),
        queries=0 if fidelity else config.queries,
        searcher=target,
        arguments=with_budget(config.arguments, cls, config.queries),
        table_seed=config.table_seed,
        allow_test_objective=config.allow_test_objective,
        **(budget_of(config, oracle, objective) if isinstance(config, FidelityConfig) else {}),
        source=provenance.source_digest(cls),
        version=provenance.library_versions()["nasbench-ar"],
        libraries=versions(cls.libraries) if issubclass(cls, LibrarySearcher) else {},
        pickled=pack(cls) if cls.__module__ == "__main__" else b"",
    )
    if race.budget is not None:
        build_searcher(race, open_fidelity_session(race, oracle), config.seed)
        return race
    session = open_session(race, oracle)
    size = session.space.size
    if config.queries > size:
        limits = f" that keep {', '.join(race.constraints)}" if race.constraints else ""
        raise ConfigError(
            f"queries={config.queries}: the table has {size} architectures with {objective}{limits}; "
            f"use queries={size} or fewer"
        )
    _note_left_out(race, oracle, size)
    build_searcher(race, session, config.seed)
    return race


def with_budget(arguments: dict[str, Any], cls: type, queries: int) -> dict[str, Any]:
    """Of a searcher; a library that plans for a budget, and is told none, plans for the queries of the race."""
    untold = issubclass(cls, LibrarySearcher) and arguments.get("budget", 0) is None
    return {**arguments, "budget": queries} if untold else arguments


def without_budget(race: Race) -> dict[str, Any]:
    """Arguments of its searcher as they were before `with_budget`, so that other queries are planned for anew."""
    follows = issubclass(race.searcher_class, LibrarySearcher) and race.arguments.get("budget") == race.queries
    return {**race.arguments, "budget": None} if follows else dict(race.arguments)


def objective_of(asked: RunConfig | Track, oracle: Oracle) -> str:
    return ",".join(map(str.strip, (asked.objective or oracle.table.default_objective).split(",")))


def about(asked: RunConfig | Track, oracle: Oracle) -> dict[str, Any]:
    """What a race is about, whoever searches: its table, objective and conditions."""
    return {
        "table": str(oracle.table.folder.resolve()),
        "objective": objective_of(asked, oracle),
        "constraints": tuple(map(str, oracle.limits(asked.constraint))),
        "noise": asked.noise,
        "images": images_of(oracle, asked.images) if asked.noise != "none" else IMAGES,
        "table_name": oracle.name,
        "table_hash": oracle.table.content_hash,
    }


def open_session(race: Race, oracle: Oracle | None = None, *, run_seed: int = 0) -> CountedQueries[Any]:
    """The session of one run, without a limit for a searcher that stops itself; `run_seed` draws the noise."""
    oracle = oracle or oracle_in(race.table)
    budget = oracle.space.size if race.searcher_class.stops_itself else race.queries
    limits = oracle.limits(race.constraints)
    if len(race.objectives) > 1:
        return oracle.vector_session(
            race.objectives,
            budget=budget,
            seed=race.table_seed,
            allow_test_objective=race.allow_test_objective,
            constraints=limits,
        )
    observe = None
    if race.noise != "none":
        column = oracle.column(race.objective, seed=race.table_seed)
        observe = observer(column, race.noise, images=race.images, seed=run_seed)
    return oracle.session(
        race.objective,
        budget=budget,
        seed=race.table_seed,
        allow_test_objective=race.allow_test_objective,
        constraints=limits,
        observe=observe,
    )


def open_fidelity_session(race: Race, oracle: Oracle | None = None) -> FidelitySession:
    assert race.budget is not None
    oracle = oracle or oracle_in(race.table)
    return oracle.fidelity_session(race.objective, budget=race.budget, unit=race.unit, seed=race.table_seed)


def told_by(session: FidelitySession) -> dict[str, Any]:
    """What the table says of a multi-fidelity race; `config.yaml` repeats it for its readers."""
    extent = {"curve": session.curve, "epochs": session.epochs, "architectures": session.space.size}
    return extent | {"cost": session.cost.label}


def build_searcher(race: Race, session: CountedQueries[Any] | FidelitySession, seed: int) -> Any:
    """Raises SearchError when the constructor does not take the arguments."""
    cls = race.searcher_class
    first = (session.epochs,) if isinstance(session, FidelitySession) else ()
    budget = {"queries": race.queries} if getattr(cls, "stops_itself", False) else {}
    try:
        return cls(session.space, seed, *first, **budget, **race.arguments)
    except NasbenchError:
        raise
    except (TypeError, ValueError) as error:
        raise SearchError(f"{race.searcher} cannot be built with {dict(race.arguments)}: {error}") from error


@functools.lru_cache(maxsize=4)
def oracle_in(folder: str) -> Oracle:
    """Opens a table once per process."""
    return Oracle(Table(folder))


@functools.lru_cache(maxsize=4)
def _unpickled(pickled: bytes) -> Any:
    return pickle.loads(pickled)


def _target(config: RunConfig, *, several: bool) -> str:
    target = str(config.searcher["_target_"])
    cls = searcher_class(target)
    if not several or issubclass(cls, VectorSearcher):
        return target
    if cls not in FOR_VECTORS:
        raise ConfigError(
            f"objective={config.objective}: {config.searcher_name} takes one objective; several are for "
            "searcher=nsga2, searcher=random_search or a subclass of searchers.VectorSearcher"
        )
    return target_of(FOR_VECTORS[cls])


def _check_noise(config: RunConfig, oracle: Oracle, objective: str) -> None:
    if "," in objective:
        raise ConfigError(f"noise={config.noise}: noise is for one objective; given were {objective}")
    check_noise(oracle, objective)
    if any(not limit.known_cost for limit in oracle.limits(config.constraint)):
        raise ConfigError(
            f"constraint={config.constraint} with noise={config.noise}: limits on measured metrics would need "
            "noise of their own; with noise only what is known before training can be limited, such as macs and params"
        )


def budget_of(config: FidelityConfig, oracle: Oracle, objective: str) -> dict[str, Any]:
    """By default the budget pays for `WHOLE_TRAININGS`, or for half of a small space."""
    budget = 1 if config.budget is None else config.budget
    session = oracle.fidelity_session(objective, budget=budget, unit=config.unit, seed=config.table_seed)
    space, prices = session.space, session.cost.per_epoch[session.space.member_indices] * session.epochs
    whole = float(prices.sum())
    if config.budget is None:
        share = min(WHOLE_TRAININGS / space.size, max(space.size // 2, 1) / space.size)
        session.budget = round(share * whole, 0 if config.unit == "epochs" else 12)
    if session.budget > whole * (1 + 1e-9):
        unit, mark, origin = session.cost.label.partition("; ")
        raise ConfigError(
            f"budget={session.budget:.6g}: training all {space.size} architectures that have curves to the end takes "
            f"{whole:.6g} {unit}; use that or less{mark}{origin}"
        )
    if left_out := oracle.space.size - space.size:
        note(f"{left_out} of {oracle.space.size} architectures have no curve of {objective} and are left out")
    return {"budget": session.budget, "unit": config.unit, "workers": config.workers}


def _note_left_out(race: Race, oracle: Oracle, size: int) -> None:
    needed = dict.fromkeys([*race.objectives, *(limit.metric for limit in oracle.limits(race.constraints))])
    lacking = oracle.space.size - int(oracle.available(*needed, seed=race.table_seed).sum())
    if lacking:
        names = " and ".join(needed)
        note(f"{lacking} of {oracle.space.size} architectures have no {names} here and are left out of the space")
    if beyond := oracle.space.size - lacking - size:
        limits = ", ".join(str(limit) for limit in oracle.limits(race.constraints) if limit.known_cost)
        note(f"{limits}: {beyond} of {oracle.space.size} architectures are beyond it and left out of the space")
