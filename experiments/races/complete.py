"""Carry out what is missing of a race, each run stored as soon as it is done.

A worker may live longer than one command, and on another machine.  It first makes sure that its table and its
searcher are those of the race: a Dask worker goes on with the modules it has imported when their source has changed.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from experiments.races import provenance
from experiments.races.config import RunConfig
from experiments.races.race import Race, build_searcher, open_session, oracle_in, plan
from experiments.races.runner import run_group, run_once
from experiments.races.store import RunStore, writing_reports
from nasbench_ar import EngineError, Oracle
from nasbench_ar.system.bars import bar
from nasbench_ar.system.engine import Engine
from nasbench_ar.system.files import note
from searchers.published.lockstep import LockStep


@contextlib.contextmanager
def complete(config: RunConfig, oracle: Oracle, parent: Path) -> Iterator[tuple[Race, RunStore]]:
    """Carry out the runs that are missing; the runs asked for lie in a folder below `parent`.

    What is done with them belongs into the block: until it ends, no other configuration can
    have the folder.  A report that cannot be written ends the block, with a note where no
    run was missing.
    """
    race = plan(config, oracle)
    store = RunStore(parent / config.searcher_name)
    stored = race.to_config(config, oracle)
    with store.claim(stored, overwrite=config.overwrite):
        wanted = config.seeds
        unit, mark, origin = str(stored.get("cost", "")).partition("; ")
        spent = f"{race.queries} queries each"
        if race.budget is not None:
            spent = f"{race.budget:.6g} {unit} each, {race.workers} at a time{mark}{origin}"
        if not config.quiet:
            note(f"{config.searcher_name}: {race.objective}, seeds {wanted[0]}..{wanted[-1]}, {spent}")
        missing = store.missing(wanted, quiet=config.quiet)
        store.begin(stored, provenance.code() if missing else None)
        if missing:
            _carry_out(race, missing, store, config.parallel, quiet=config.quiet)
        with writing_reports(computed=bool(missing)):
            yield race, store


def _carry_out(race: Race, seeds: Sequence[int], store: RunStore, engine: Engine, *, quiet: bool) -> None:
    store = RunStore(store.folder.resolve(), store.mark)  # workers may have been started in another folder
    runs_bar = partial(bar, total=len(seeds), unit="run", desc=race.searcher.rpartition(".")[2])
    if not issubclass(race.searcher_class, LockStep):
        with runs_bar(hidden=quiet) as progress:
            for _ in engine.run(run_and_store, [(race, seed, store) for seed in seeds]):
                progress.update()
        return
    prototype = build_searcher(race, open_session(race), seeds[0])
    size, at_a_time = prototype.grouping(len(seeds), engine.processes())
    groups = [seeds[k : k + size] for k in range(0, len(seeds), size)]
    at_a_time = min(at_a_time, len(groups))
    if not quiet:
        note(f"lock-step groups of up to {size} runs: {len(groups)}, {at_a_time} at a time")
    here = engine.name == "loky"  # the user does not see bars of other machines' workers
    tasks = [(race, group, store, k % at_a_time if here and not quiet else None) for k, group in enumerate(groups)]
    if engine.dask is None:
        waves, engine = [tasks], replace(engine, jobs=at_a_time)
    else:
        waves = [tasks[k : k + at_a_time] for k in range(0, len(tasks), at_a_time)]
    with runs_bar(hidden=here or quiet) as progress:
        for wave in waves:
            for runs in engine.run(run_group_and_store, wave):
                progress.update(runs)


def run_and_store(race: Race, seed: int, store: RunStore) -> int:
    """Carry out one run, unless it is stored by now; returns 1, the number of runs settled."""
    if not store.has(seed):
        check_same(race)
        began = time.process_time()
        run = run_once(race, seed)
        store.save(run, time.process_time() - began)
    return 1


def run_group_and_store(race: Race, seeds: Sequence[int], store: RunStore, line: int | None) -> int:
    """Like `run_and_store`, for runs in lock-step; `line` of the terminal is for a progress bar."""
    missing = [seed for seed in seeds if not store.has(seed)]
    if missing:
        check_same(race)
        began = time.process_time()
        name = f"seeds {ranges(missing)}"
        with bar(total=race.queries, unit="query", desc=name, line=line, hidden=line is None) as progress:
            runs = run_group(race, missing, lambda spent: progress.update(spent - progress.n))
        each = (time.process_time() - began) / len(runs)
        for run in runs:
            store.save(run, each)
    return len(seeds)


def ranges(seeds: Sequence[int]) -> str:
    """`0..399` or `0..9, 20..29`."""
    parts: list[list[int]] = []
    for seed in seeds:
        if parts and seed == parts[-1][1] + 1:
            parts[-1][1] = seed
        else:
            parts.append([seed, seed])
    return ", ".join(str(a) if a == b else f"{a}..{b}" for a, b in parts)


def check_same(race: Race) -> None:
    """Make sure that this process has the table and the searcher of the command that asks it."""
    if oracle_in(race.table).table.content_hash != race.table_hash:
        oracle_in.cache_clear()  # it may have been replaced since this process opened it
        if oracle_in(race.table).table.content_hash != race.table_hash:
            raise EngineError(f"a worker finds another table in {race.table} than the command that asks it")
    if not race.pickled and _digest(race.searcher_class) != race.source:
        raise EngineError(
            f"a worker has another source of {race.searcher} than the command that asks it; "
            "where workers outlive a command, start them anew after a change"
        )


@functools.lru_cache(maxsize=64)
def _digest(searcher: Any) -> str:
    """Taken once, just after a process imported a class: files that change later are not what runs."""
    return provenance.source_digest(searcher)
