"""Runs of queries in `runs.parquet`: a row per query."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.races.noise import observer
from experiments.races.race import Race
from experiments.races.store import Runs
from experiments.submissions.entry import MOST_RUNS, Entry, read_columns, rows_of_runs
from nasbench_ar import Oracle, ResultsError

COLUMNS = {"seed": "int64", "query": "int32", "arch_index": "int32", "score": "float", "incumbent": "int32"}


def columns_of(runs: Runs, queries: int) -> dict[str, NDArray[Any]]:
    """The first `queries` queries of each run."""
    spent = (runs.arch_index[:, :queries] >= 0).sum(axis=1)
    within = np.arange(queries) < spent[:, None]
    return {
        "seed": np.repeat(runs.seeds, spent),
        "query": np.broadcast_to(np.arange(1, queries + 1, dtype=np.int32), within.shape)[within],
        "arch_index": runs.arch_index[:, :queries][within],
        "score": runs.scores[:, :queries][within],
        "incumbent": runs.incumbent[:, :queries][within],
    }


def read_queries(folder: Path, entry: Entry, race: Race, oracle: Oracle) -> Runs:
    """Read and check the runs of a submission; ResultsError says the first thing that is wrong."""
    queries = race.queries
    columns = read_columns(folder, COLUMNS, MOST_RUNS * queries, f"{MOST_RUNS} runs of {queries} queries")
    rows = rows_of_runs(folder, columns["seed"], columns["query"], entry.least_runs, "queries")
    counts = np.diff(rows)
    if len(wrong := np.flatnonzero(counts != queries)):
        seed = int(wrong[0])
        raise ResultsError(
            f"{folder}: seed {seed} has {counts[seed]} queries; the track asks for {queries} in every run"
        )
    arch_index, scores, incumbent = (columns[k].reshape(-1, queries) for k in ("arch_index", "score", "incumbent"))
    members = race.members(oracle)
    for seed in range(len(counts)):
        _check_run(f"{folder}: seed {seed}", arch_index[seed], incumbent[seed], members)
        _check_scores(f"{folder}: seed {seed}", scores[seed], _seen(race, oracle, seed, arch_index[seed]))
    nothing = tuple("" for _ in counts)
    return Runs(np.arange(len(counts)), arch_index, scores, incumbent, np.zeros(len(counts), dtype=np.int64), nothing)


def _check_run(what: str, queried: NDArray[np.int32], incumbent: NDArray[np.int32], members: NDArray[np.int32]) -> None:
    allowed = np.isin(queried, members)
    if not allowed.all():
        k = int(np.argmin(allowed))
        raise ResultsError(f"{what}: query {k + 1} is of architecture {queried[k]}, which the track does not allow")
    found, first = np.unique(queried, return_index=True)
    if len(found) != len(queried):
        k = int(np.setdiff1d(np.arange(len(queried)), first)[0])
        raise ResultsError(f"{what}: query {k + 1} is of architecture {queried[k]} again; only new ones are counted")
    place = np.minimum(np.searchsorted(found, incumbent), len(found) - 1)
    known = (found[place] == incumbent) & (first[place] <= np.arange(len(queried)))
    if not known.all():
        k = int(np.argmin(known))
        raise ResultsError(f"{what}: after query {k + 1} it recommends {incumbent[k]}, which it had not queried")


def _check_scores(what: str, scores: NDArray[np.float32], true: NDArray[np.float32]) -> None:
    same = scores == true
    if not same.all():
        k = int(np.argmin(same))
        raise ResultsError(f"{what}: query {k + 1} has the score {scores[k]:.6g}; the table says {true[k]:.6g}")


def _seen(race: Race, oracle: Oracle, seed: int, queried: NDArray[np.int32]) -> NDArray[np.float32]:
    """(queries,) what a search of this seed is shown, of the first objective."""
    column = oracle.column(race.objectives[0])
    observe = observer(column, race.noise, images=race.images, seed=seed)
    values = column[queried]
    if observe is not None:
        values = np.array([observe(index, value) for index, value in zip(queried.tolist(), values, strict=True)])
    return values.astype(np.float32)
