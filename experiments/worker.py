"""What a worker process does: runs of one experiment, each stored as soon as it is done.

A worker may live longer than one command, and on another machine.  It first makes sure
that its table and its searcher are those of the experiment: a Dask worker goes on with
the modules it has imported when their source has changed since.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from experiments import provenance
from experiments.config import searcher_class, target_of
from experiments.runner import Race, oracle_in, run_group, run_once
from experiments.store import RunStore
from nasbench_ar import EngineError
from nasbench_ar.bars import bar


def run_and_store(race: Race, seed: int, store: RunStore, table_hash: str, source: str) -> int:
    """Carry out one run, unless it is stored by now; returns how many there were to do, 1.

    Args:
        race: the experiment.
        seed: of the run.
        store: where it goes.
        table_hash: content hash of the experiment's table.
        source: digest of its searcher's source.

    Raises:
        EngineError: when this process has another table or another searcher.
        NasbenchError: as `run_once` and `RunStore.save`.
    """
    if not store.has(seed):
        check_same(race.table, table_hash, searcher_class(race.searcher), source)
        store.save(run_once(race, seed))
    return 1


def run_group_and_store(
    race: Race, seeds: Sequence[int], store: RunStore, table_hash: str, source: str, line: int | None
) -> int:
    """As `run_and_store`, for runs in lock-step.

    Args:
        race: the experiment.
        seeds: of the runs.
        store: where they go.
        table_hash: content hash of the experiment's table.
        source: digest of its searcher's source.
        line: of the terminal, for a progress bar; None for none.
    """
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
    """Make sure that this process has the table and the searcher of the command that asks it.

    Raises:
        EngineError: when one of them is another.
    """
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
    """Taken once, when a process has just imported a class: files that change later are not what runs."""
    return provenance.source_digest(searcher)
