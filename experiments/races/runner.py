"""Seeded runs, one by one or in lock-step: a searcher proposes, a session answers (NARes, section 5)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from experiments.races.config import searcher_class
from experiments.races.noise import IMAGES, observer
from nasbench_ar import (
    NasbenchError,
    Oracle,
    SearchError,
    Table,
    parse_constraints,
)
from nasbench_ar.session import CountedQueries
from nasbench_ar.system.threads import single_threaded
from searchers import Searcher
from searchers.trajectory import Search, Trajectory, search

Queries = CountedQueries[Any]


@dataclass(frozen=True)
class Race:
    """What every run of an experiment has in common; plain data, so that workers can get it.

    Attributes:
        table: its folder.
        objective: metric that guides the search, or several, separated by commas.
        queries: unique architectures per run; a searcher that stops itself may use more.
        searcher: dotted path of the class.
        table_seed: training seed to look up, or `mean`.
        constraints: limits, as the command line writes them.
        noise: `none`, `run` or `query`; `images` validation images are drawn (see `noise.redraw`).
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

    @property
    def objectives(self) -> tuple[str, ...]:
        return tuple(self.objective.split(","))


def run_once(race: Race, seed: int) -> Trajectory:
    """Carry out one run; the result depends on `race` and `seed` alone.

    Linear algebra is held to one thread: neither speed nor rounding depends on how many runs share the machine.
    """
    with single_threaded():
        session = open_session(race, run_seed=seed)
        return search(build_searcher(race, session, seed), session)


def run_group(race: Race, seeds: Sequence[int], progress: Callable[[int], object] | None = None) -> list[Trajectory]:
    """Carry out runs of a searcher class with `lockstep` together, round by round.

    `progress` is called after every round with the queries that the slowest run has spent.
    """
    with single_threaded():
        sessions = [open_session(race, run_seed=seed) for seed in seeds]
        pairs = zip(sessions, seeds, strict=True)
        searches = [Search(build_searcher(race, session, seed), session) for session, seed in pairs]
        while active := [one for one in searches if one.ended is None]:
            searcher_class(race.searcher).prepare_together([one.searcher for one in active])
            for one in active:
                one.step_batch()
            if progress is not None:
                progress(min(session.spent for session in sessions))
    return [one.trajectory() for one in searches]


def open_session(race: Race, oracle: Oracle | None = None, *, run_seed: int = 0) -> Queries:
    """The session of one run, whose seed the noise is drawn from; without a limit for a searcher that stops itself."""
    oracle = oracle or oracle_in(race.table)
    budget = oracle.space.size if searcher_class(race.searcher).stops_itself else race.queries
    limits = parse_constraints(race.constraints)
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


def build_searcher(race: Race, session: Queries, seed: int) -> Searcher:
    cls = searcher_class(race.searcher)
    budget = {"queries": race.queries} if cls.stops_itself else {}
    try:
        return cls(session.space, seed, **budget, **race.arguments)
    except NasbenchError:
        raise
    except (TypeError, ValueError) as error:
        raise SearchError(f"{race.searcher} cannot be built with {dict(race.arguments)}: {error}") from error


@functools.lru_cache(maxsize=4)
def oracle_in(folder: str) -> Oracle:
    """The table in a folder, opened once in a process."""
    return Oracle(Table(folder))
