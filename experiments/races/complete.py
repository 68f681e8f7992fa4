"""Carry out what is missing of a race, each run stored as soon as it is done."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from experiments.races import provenance
from experiments.races.checks import load_runs
from experiments.races.config import (
    RunConfig,
    searcher_class,
    target_of,
)
from experiments.races.noise import IMAGES, check_noise, images_of
from experiments.races.runner import Race, build_searcher, open_session, oracle_in, run_group, run_once
from experiments.races.store import Runs, RunStore, writing_reports
from nasbench_ar import ConfigError, EngineError, Oracle, parse_constraints
from nasbench_ar.system.bars import bar
from nasbench_ar.system.engine import Engine
from nasbench_ar.system.files import note
from nasbench_ar.system.versions import versions
from searchers import FOR_VECTORS, VectorSearcher
from searchers.library_search import BorrowedSearcher


@contextlib.contextmanager
def complete(config: RunConfig, oracle: Oracle, parent: Path) -> Iterator[tuple[Race, RunStore, Runs]]:
    """Carry out the runs that are missing; the runs asked for lie in a folder below `parent`.

    Work on them in the block: until it ends, no other configuration can have the folder.  A report that cannot be
    written ends the block, with a note where no run was missing.
    """
    config.check()
    race, fingerprint = _plan(config, oracle)
    store = RunStore(parent / config.searcher_name)
    resolved = _resolved(config, oracle, race, fingerprint)
    with store.claim(resolved, overwrite=config.overwrite):
        wanted = range(config.seed, config.seed + config.runs)
        note(f"{config.searcher_name}: {race.objective}, seeds {wanted[0]}..{wanted[-1]}, {race.queries} queries each")
        missing = store.missing(wanted)
        store.begin(resolved, provenance.code() if missing else None)
        if missing:
            _carry_out(race, missing, store, config.parallel, (fingerprint["table_hash"], fingerprint["source"]))
        # checked, since some may have been stored by another command, long ago
        runs = load_runs(store, fingerprint, wanted, config.queries, oracle)
        with writing_reports(computed=bool(missing)):
            yield race, store, runs


def _plan(config: RunConfig, oracle: Oracle) -> tuple[Race, dict[str, Any]]:
    objective = ",".join(map(str.strip, (config.objective or oracle.table.default_objective).split(",")))
    several = "," in objective
    target = _target(config, several=several)
    if config.noise != "none":
        if several:
            raise ConfigError(f"noise={config.noise}: noise is for one objective; given were {objective}")
        check_noise(oracle, objective)
        if any(not limit.known_cost for limit in parse_constraints(config.constraint, oracle.metrics)):
            raise ConfigError(
                f"constraint={config.constraint} with noise={config.noise}: limits on measured metrics would need "
                "noise of their own; with noise only macs and params can be limited"
            )
    race = Race(
        table=str(oracle.table.folder.resolve()),
        objective=objective,
        queries=config.queries,
        searcher=target,
        arguments=config.arguments,
        table_seed=config.table_seed,
        allow_test_objective=config.allow_test_objective,
        constraints=tuple(map(str, parse_constraints(config.constraint, oracle.metrics))),
        noise=config.noise,
        images=images_of(oracle, config.images) if config.noise != "none" else IMAGES,
    )
    session = open_session(race, oracle)
    space = session.space
    limits = f" that keep {', '.join(race.constraints)}" if race.constraints else ""
    if config.queries > space.size:
        raise ConfigError(
            f"queries={config.queries}: the table has {space.size} architectures with {objective}{limits}; "
            f"use queries={space.size} or fewer"
        )
    _note_left_out(race, oracle, space.size)
    build_searcher(race, session, config.seed)  # wrong arguments fail here, before any work
    fingerprint = {
        "table": oracle.name,
        "table_hash": oracle.table.content_hash,
        "objective": objective,
        "queries": config.queries,
        "table_seed": config.table_seed,
        "searcher": {**config.searcher, "_target_": target},
        "source": provenance.source_digest(searcher_class(target)),
        "version": provenance.library_versions()["nasbench-ar"],
    }
    return race, fingerprint | _special(race)


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


def _special(race: Race) -> dict[str, Any]:
    """What belongs to a fingerprint only where it is used, so that plain runs keep theirs."""
    out: dict[str, Any] = {"constraint": ",".join(race.constraints)} if race.constraints else {}
    if race.noise != "none":
        out |= {"noise": race.noise, "images": race.images}
    if issubclass(cls := searcher_class(race.searcher), BorrowedSearcher):
        out["libraries"] = versions(cls.libraries)
    return out


def _note_left_out(race: Race, oracle: Oracle, size: int) -> None:
    needed = dict.fromkeys([*race.objectives, *(limit.metric for limit in parse_constraints(race.constraints))])
    lacking = oracle.space.size - int(oracle.available(*needed, seed=race.table_seed).sum())
    if lacking:
        names = " and ".join(needed)
        note(f"{lacking} of {oracle.space.size} architectures have no {names} here and are left out of the space")
    if beyond := oracle.space.size - lacking - size:
        limits = ", ".join(str(limit) for limit in parse_constraints(race.constraints) if limit.known_cost)
        note(f"{limits}: {beyond} of {oracle.space.size} architectures are beyond it and left out of the space")


def _resolved(config: RunConfig, oracle: Oracle, race: Race, fingerprint: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": config.searcher_name,
        "table": oracle.name,
        "table_title": oracle.title,
        "table_folder": race.table,
        "objective": race.objective,
        "queries": config.queries,
        "runs": config.runs,
        "seed": config.seed,
        "table_seed": config.table_seed,
        "allow_test_objective": config.allow_test_objective,
        **_special(race),
        "searcher": dict(config.searcher),
        "fingerprint": fingerprint,
    }


def _carry_out(race: Race, seeds: Sequence[int], store: RunStore, engine: Engine, same: tuple[str, str]) -> None:
    store = RunStore(store.folder.resolve(), store.mark)  # workers may have been started in another folder
    runs_bar = partial(bar, total=len(seeds), unit="run", desc=race.searcher.rpartition(".")[2])
    if not searcher_class(race.searcher).lockstep:
        with runs_bar() as progress:
            for _ in engine.run(run_and_store, [(race, seed, store, *same) for seed in seeds]):
                progress.update()
        return
    prototype = build_searcher(race, open_session(race), seeds[0])
    size, at_a_time = prototype.grouping(len(seeds), engine.processes())
    groups = [seeds[k : k + size] for k in range(0, len(seeds), size)]
    at_a_time = min(at_a_time, len(groups))
    note(f"lock-step groups of up to {size} runs: {len(groups)}, {at_a_time} at a time")
    here = engine.name == "loky"  # the user does not see bars of other machines' workers
    tasks = [(race, group, store, *same, k % at_a_time if here else None) for k, group in enumerate(groups)]
    if engine.dask is None:
        waves, engine = [tasks], replace(engine, jobs=at_a_time)
    else:
        waves = [tasks[k : k + at_a_time] for k in range(0, len(tasks), at_a_time)]
    with runs_bar(hidden=here) as progress:
        for wave in waves:
            for runs in engine.run(run_group_and_store, wave):
                progress.update(runs)


def run_and_store(race: Race, seed: int, store: RunStore, table_hash: str, source: str) -> int:
    """Carry out one run, unless it is stored by now; returns 1, the number of runs settled."""
    if not store.has(seed):
        check_same(race.table, table_hash, searcher_class(race.searcher), source)
        store.save(run_once(race, seed))
    return 1


def run_group_and_store(
    race: Race, seeds: Sequence[int], store: RunStore, table_hash: str, source: str, line: int | None
) -> int:
    """Like `run_and_store`, for runs in lock-step; `line` of the terminal is for a progress bar."""
    missing = [seed for seed in seeds if not store.has(seed)]
    if missing:
        check_same(race.table, table_hash, searcher_class(race.searcher), source)
        name = f"seeds {ranges(missing)}"
        with bar(total=race.queries, unit="query", desc=name, line=line, hidden=line is None) as progress:
            runs = run_group(race, missing, lambda spent: progress.update(spent - progress.n))
        for run in runs:
            store.save(run)
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


def check_same(table: str, table_hash: str, searcher: type, source: str) -> None:
    """Make sure that this process has the table and the searcher of the command that asks it."""
    if oracle_in(table).table.content_hash != table_hash:
        oracle_in.cache_clear()  # it may have been replaced since this process opened it
        if oracle_in(table).table.content_hash != table_hash:
            raise EngineError(f"a worker finds another table in {table} than the command that asks it")
    if _digest(searcher) != source:
        raise EngineError(
            f"a worker has another source of {target_of(searcher)} than the command that asks it; "
            "where workers outlive a command, start them anew after a change"
        )


@functools.lru_cache(maxsize=64)
def _digest(searcher: type) -> str:
    """Taken once, just after a process imported a class: files that change later are not what runs."""
    return provenance.source_digest(searcher)
