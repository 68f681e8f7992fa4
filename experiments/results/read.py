"""Stored runs of several searchers on common ground: one table, one objective, one budget."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.races.checks import check_runs, checked_config
from experiments.races.store import CONFIG, Runs, RunStore
from nasbench_ar import METRICS, Oracle, ResultsError, Table, TableError, open_table
from nasbench_ar.errors import shown
from nasbench_ar.system.files import note

SHARED = ("table", "table_hash", "objective", "table_seed")  # without these in common, two curves share no axis
BUDGET = "queries"
NOT_PLAIN = "searched with several objectives, limits or noise, which experiments.plot draws"


@dataclass(frozen=True)
class Contestant:
    """The stored runs of one searcher; `name` is its folder's, or the whole path where two have the same."""

    name: str
    queries: int
    runs: Runs


@dataclass(frozen=True)
class Contest:
    """Searchers that can be compared.

    Attributes:
        oracle: the very table that the runs were made on.
        table_seed: training seed that was looked up, or `mean`.
        contestants: in the order of the folders.
    """

    oracle: Oracle
    objective: str
    table_seed: Any
    contestants: tuple[Contestant, ...]

    @property
    def maximize(self) -> bool:
        return bool(METRICS[self.objective].maximize)


def read_contest(folders: Sequence[Path], shared: Sequence[str] = SHARED) -> Contest:
    """Read the stored runs of several result folders.

    Args:
        folders: `<out>/<table>/<searcher>` each.
        shared: keys of the fingerprint that all must have in common.

    Raises:
        ResultsError: when a folder is given twice or holds no finished run, when folders differ in what must be
            shared, or when their table is gone.
    """
    contestants: list[Contestant] = []
    configs: list[dict[str, Any]] = []
    places = [folder.resolve() for folder in folders]
    for folder, place in zip(folders, places, strict=True):
        if places.count(place) > 1:
            raise ResultsError(f"{folder} is given twice; give each result folder once")
        store = RunStore(folder)
        config = checked_config(folder)
        runs = store.load(store.stored(), 1)
        if not len(runs.seeds):
            raise ResultsError(f"{folder} holds no finished run")
        configs.append(config)
        _check_shared(folder, config, folders[0], configs[0], shared)
        contestants.append(Contestant(str(config["name"]), int(config["fingerprint"][BUDGET]), runs))
    names = [contestant.name for contestant in contestants]
    named = tuple(
        Contestant(str(folder) if names.count(c.name) > 1 else c.name, c.queries, c.runs)
        for folder, c in zip(folders, contestants, strict=True)
    )
    mark = configs[0]["fingerprint"]
    oracle = Oracle(table_of(folders[0], configs[0]))
    for folder, config, contestant in zip(folders, configs, contestants, strict=True):
        check_runs(folder, config["fingerprint"], contestant.runs, oracle)
    return Contest(oracle, str(mark["objective"]), mark["table_seed"], named)


def experiments_among(paths: Sequence[str]) -> list[str]:
    """Leave out what is no experiment, as in `results/<table>/*`, and say so; all paths where none is one."""
    others = [path for path in paths if os.path.exists(path) and not _looks_like_one(path)]
    if len(others) == len(paths):
        return list(paths)
    for path in others:
        note(f"{path} is no experiment, there is no {CONFIG} in it; left out")
    return [path for path in paths if path not in others]


def _looks_like_one(path: str) -> bool:
    return any(os.path.lexists(os.path.join(path, part)) for part in (CONFIG, "runs"))


def is_plain(fingerprint: Mapping[str, Any]) -> bool:
    """Whether runs had one objective, no limits, and saw true values."""
    return "," not in str(fingerprint["objective"]) and not {"constraint", "noise"} & set(fingerprint)


def _check_shared(
    folder: Path, config: dict[str, Any], other: Path, reference: dict[str, Any], shared: Sequence[str]
) -> None:
    here, there = config["fingerprint"], reference["fingerprint"]
    differing = [f"{key} is {here.get(key)!r}, not {there.get(key)!r}" for key in shared if here.get(key) != there[key]]
    if not is_plain(here):
        raise ResultsError(f"{folder}: {NOT_PLAIN}")
    if differing:
        raise ResultsError(f"{folder} and {other} share no axis: {'; '.join(differing)}; give folders that agree in it")


def table_of(results: Path, config: Mapping[str, Any]) -> Table:
    """The very table that stored results were made on; ResultsError when it is gone or holds other numbers by now."""
    name, content_hash = config["fingerprint"]["table"], config["fingerprint"]["table_hash"]
    for place in (config["table_folder"], name):
        try:
            table = open_table(place)
        except TableError:
            continue
        if table.content_hash == content_hash:
            return table
    raise ResultsError(
        f"the table {name} that the results in {results} were made on is no longer at "
        f"{shown(config['table_folder'], 300)}"
    )


def reported_after(runs: Runs, queries: int) -> NDArray[np.int32]:
    """(runs, queries) index of the architecture that each run would have reported after 1, 2, ... queries."""
    missing = queries - runs.incumbent.shape[1]
    return np.pad(runs.incumbent, ((0, 0), (0, max(missing, 0))), mode="edge")[:, :queries]
