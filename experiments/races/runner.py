"""Seeded runs, one by one or in lock-step: a searcher proposes, a session answers (NARes, section 5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from experiments.races.machines import Trace, simulate
from experiments.races.race import Race, build_searcher, open_fidelity_session, open_session
from nasbench_ar.system.threads import single_threaded
from searchers.trajectory import Search, Trajectory, search


def run_once(race: Race, seed: int) -> Trajectory | Trace:
    """Carry out one run; the result depends on `race` and `seed` alone.

    Linear algebra is held to one thread: neither speed nor rounding depends on how many runs share the machine.
    """
    with single_threaded():
        if race.budget is not None:
            epochs = open_fidelity_session(race)
            return simulate(build_searcher(race, epochs, seed), epochs, race.workers)
        session = open_session(race, run_seed=seed)
        return search(build_searcher(race, session, seed), session)


def run_group(race: Race, seeds: Sequence[int], progress: Callable[[int], object] | None = None) -> list[Trajectory]:
    """Carry out runs of a `lockstep` class together, round by round; each result is that of `run_once`, up to rounding.

    `progress` is called after every round with the queries that the slowest run has spent.
    """
    with single_threaded():
        sessions = [open_session(race, run_seed=seed) for seed in seeds]
        pairs = zip(sessions, seeds, strict=True)
        searches = [Search(build_searcher(race, session, seed), session) for session, seed in pairs]
        while active := [one for one in searches if one.ended is None]:
            race.searcher_class.prepare_together([one.searcher for one in active])
            for one in active:
                one.step_batch()
            if progress is not None:
                progress(min(session.spent for session in sessions))
    return [one.trajectory() for one in searches]
