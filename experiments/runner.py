"""One seeded run: a searcher proposes, a budgeted session answers (NARes, section 5)."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.config import searcher_class
from nasbench_ar import Oracle, SearchError, Session, SpaceExhaustedError, Table
from searchers import Searcher
from searchers.threads import single_threaded

# A searcher that proposes nothing new this many times in a row is stopped.
STALL_LIMIT = 10_000


@dataclass(frozen=True)
class Race:
    """What every run of an experiment has in common; plain data, so that workers can get it.

    Attributes:
        table: folder of the table.
        objective: metric that guides the search.
        queries: unique architectures per run.
        searcher: dotted path of the class.
        arguments: its constructor arguments.
        table_seed: training seed to look up, or `mean`.
        allow_test_objective: let a test metric guide the search.
    """

    table: str
    objective: str
    queries: int
    searcher: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    table_seed: Any = "mean"
    allow_test_objective: bool = False


@dataclass(frozen=True)
class Run:
    """What one run did.

    Attributes:
        seed: its seed.
        arch_index: (n,) int32 lexicographic indices in the order of first queries.
        scores: (n,) float32 values of the objective, in its own unit.
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
        session = _oracle(race.table).session(
            race.objective,
            budget=race.queries,
            seed=race.table_seed,
            allow_test_objective=race.allow_test_objective,
        )
        searcher = build_searcher(race, session, seed)
        ended = drive(searcher, session)
    space = session.space
    return Run(
        seed=seed,
        arch_index=space.indices(session.history),
        scores=np.fromiter(session.history.values(), dtype=np.float32),
        reported=space.index(searcher.best()[0]),
        repeats=session.repeats,
        ended=ended,
    )


def build_searcher(race: Race, session: Session, seed: int) -> Searcher:
    """Construct the race's searcher.

    Raises:
        SearchError: when the constructor does not take the arguments.
    """
    cls = searcher_class(race.searcher)
    try:
        return cls(session.space, seed, **race.arguments)
    except TypeError as error:
        raise SearchError(f"{race.searcher} cannot be built with {dict(race.arguments)}: {error}") from error


def drive(searcher: Searcher, session: Session) -> str:
    """Ask and tell until the budget is spent; returns why not, where it was not."""
    known_in_a_row = 0
    while session.remaining:
        try:
            architecture = searcher.ask()
        except SpaceExhaustedError:
            return f"every architecture of the space was queried after {session.spent} queries"
        known_in_a_row = known_in_a_row + 1 if architecture in session.history else 0
        if known_in_a_row >= STALL_LIMIT:
            return f"nothing new was proposed {STALL_LIMIT} times in a row after {session.spent} queries"
        searcher.tell(architecture, session.score(architecture))
    return ""


@functools.lru_cache(maxsize=4)
def _oracle(folder: str) -> Oracle:
    return Oracle(Table(folder))
