"""Seeded runs, one by one or in lock-step: a searcher proposes, a session answers (NARes, section 5)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.races.config import searcher_class
from experiments.races.noise import IMAGES, observer
from nasbench_ar import (
    NasbenchError,
    Oracle,
    SearchError,
    SearchFinishedError,
    SpaceExhaustedError,
    Table,
    parse_constraints,
)
from nasbench_ar.session import CountedQueries
from nasbench_ar.system.threads import single_threaded
from searchers import Searcher

Queries = CountedQueries[Any]

# A searcher that proposes nothing new this many times in a row is stopped.
STALL_LIMIT = 10_000


@dataclass(frozen=True)
class Race:
    """What every run of an experiment has in common; plain data, so that workers can get it.

    Attributes:
        table: folder of the table.
        objective: metric that guides the search, or several, separated by commas.
        queries: unique architectures per run; a searcher that stops itself may use more.
        searcher: dotted path of the class.
        arguments: its constructor arguments.
        table_seed: training seed to look up, or `mean`.
        allow_test_objective: let a test metric guide the search.
        constraints: limits, as the command line writes them.
        noise: `none`, `run` or `query`; see `redraw`.
        images: validation images that the noise draws.
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
        """All of them, in the order given."""
        return tuple(self.objective.split(","))


@dataclass(frozen=True)
class Run:
    """What one run did.

    Attributes:
        seed: its seed.
        arch_index: (n,) int32 lexicographic indices in the order of first queries.
        scores: (n,) float32 values of the (first) objective, in its own unit, as the searcher saw them.
        reported: index of the architecture the searcher reports.
        repeats: free queries for architectures already known.
        ended: empty, or why the run ended before its budget was spent.
    """

    seed: int
    arch_index: NDArray[np.int32]
    scores: NDArray[np.float32]
    reported: int
    repeats: int
    ended: str = ""


def run_once(race: Race, seed: int) -> Run:
    """Carry out one run; the result depends on `race` and `seed` alone.

    Linear algebra is held to one thread, so that neither speed nor rounding depends
    on how many runs share the machine.

    Raises:
        SearchError: when the searcher cannot be built or breaks its contract.
    """
    with single_threaded():
        session = open_session(race, run_seed=seed)
        searcher = build_searcher(race, session, seed)
        ended = drive(searcher, session)
    return _finished_run(searcher, session, ended)


def run_group(race: Race, seeds: Sequence[int], progress: Callable[[int], object] | None = None) -> list[Run]:
    """Carry out runs of a searcher class with `lockstep` together, round by round.

    Each result is that of `run_once`, up to what the class says on rounding.

    Args:
        race: what the runs have in common.
        seeds: one per run.
        progress: called after every round with the queries that the slowest run has spent.

    Raises:
        SearchError: as `run_once`.
    """
    with single_threaded():
        sessions = [open_session(race, run_seed=seed) for seed in seeds]
        searchers = [build_searcher(race, session, seed) for session, seed in zip(sessions, seeds, strict=True)]
        ended: dict[int, str] = {}
        known_in_a_row = [0] * len(seeds)
        while len(ended) < len(seeds):
            active = [k for k in range(len(seeds)) if k not in ended]
            searcher_class(race.searcher).prepare_together([searchers[k] for k in active])
            for k in active:
                known = sessions[k].spent
                reason = _drive_batch(searchers[k], sessions[k])
                known_in_a_row[k] = known_in_a_row[k] + 1 if sessions[k].spent == known else 0
                if reason is None and known_in_a_row[k] >= STALL_LIMIT:
                    reason = _stalled(sessions[k], "batches")
                if reason is not None:
                    ended[k] = reason
            if progress is not None:
                progress(min(session.spent for session in sessions))
    return [_finished_run(searchers[k], sessions[k], ended[k]) for k in range(len(seeds))]


def _finished_run(searcher: Searcher, session: Queries, ended: str) -> Run:
    space = session.space
    reported = searcher.best()[0]
    if reported not in session.history:
        raise SearchError(f"{type(searcher).__name__} reports {reported}, which it never queried")
    return Run(
        seed=searcher.seed,
        arch_index=np.asarray(space.indices(session.history), dtype=np.int32),
        scores=np.array(session.first_values(), dtype=np.float32),
        reported=space.index(reported),
        repeats=session.repeats,
        ended=ended,
    )


def open_session(race: Race, oracle: Oracle | None = None, *, run_seed: int = 0) -> Queries:
    """The session of one run; without a limit for a searcher that stops itself.

    Args:
        race: what to run.
        oracle: its table, if it is open already.
        run_seed: seed of the run, which the noise is drawn from.

    Raises:
        NasbenchError: as `Oracle.session` and `Oracle.vector_session`.
    """
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
    """Construct the race's searcher.

    Raises:
        SearchError: when the constructor does not take the arguments.
    """
    cls = searcher_class(race.searcher)
    budget = {"queries": race.queries} if cls.stops_itself else {}
    try:
        return cls(session.space, seed, **budget, **race.arguments)
    except NasbenchError:
        raise
    except (TypeError, ValueError) as error:
        raise SearchError(f"{race.searcher} cannot be built with {dict(race.arguments)}: {error}") from error


def drive(searcher: Searcher, session: Queries) -> str:
    """Ask and tell until the budget is spent or the searcher stops itself; returns why not, where neither was so."""
    known_in_a_row = 0
    while session.remaining:
        try:
            architecture = searcher.ask()
        except (SpaceExhaustedError, SearchFinishedError) as stop:
            return _reason(searcher, session, stop)
        known_in_a_row = known_in_a_row + 1 if architecture in session.history else 0
        if known_in_a_row >= STALL_LIMIT:
            return _stalled(session, "times")
        searcher.tell(architecture, session.score(architecture))
    return ""


def _drive_batch(searcher: Searcher, session: Queries) -> str | None:
    """As `drive`, for one batch; None when the run goes on."""
    try:
        batch = searcher.ask_batch()
    except (SpaceExhaustedError, SearchFinishedError) as stop:
        return _reason(searcher, session, stop)
    for architecture in batch:
        if not session.remaining:
            return ""
        searcher.tell(architecture, session.score(architecture))
    return None if session.remaining else ""


def _stalled(session: Queries, unit: str) -> str:
    return (
        f"nothing new was proposed {STALL_LIMIT} {unit} in a row after {session.spent} queries "
        f"and {session.repeats} repeats"
    )


def _reason(searcher: Searcher, session: Queries, stop: Exception) -> str:
    if searcher.stops_itself and session.spent >= getattr(searcher, "queries", 0):
        return ""
    if session.spent >= session.space.size:
        return f"every architecture of the space was queried after {session.spent} queries"
    return str(stop)


@functools.lru_cache(maxsize=4)
def oracle_in(folder: str) -> Oracle:
    """The table in a folder, opened once in a process."""
    return Oracle(Table(folder))
