"""Stored runs of several searchers on common ground: one table, one objective, one budget."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.races.checks import load_runs, stored_race
from experiments.races.race import Race
from experiments.races.store import CONFIG, Runs, RunStore
from nasbench_ar import Oracle, ResultsError, Table, TableError, open_table
from nasbench_ar.arrays import FloatArray
from nasbench_ar.errors import shown
from nasbench_ar.system.files import note

# Without these in common, two curves share no axis.
SHARED = ("table", "table_hash", "objective", "table_seed", "constraint", "noise", "images")
NOT_PLAIN = "searched with several objectives, limits or noise, which experiments.plot draws"


@dataclass(frozen=True)
class Stored:
    """The stored runs of one searcher, read back and checked against their table.

    Attributes:
        name: of its result folder, with the folders above it that tell equal names apart.
        computed_by: commits and versions that computed the runs.
        oracle: the very table that the runs were made on.
    """

    folder: Path
    name: str
    race: Race
    computed_by: Sequence[dict[str, Any]]
    oracle: Oracle
    runs: Runs


def read(folder: Path, oracle: Oracle | None = None) -> Stored:
    """One result folder `<out>/<table>/<searcher>`.

    Args:
        folder: of `experiments.run`.
        oracle: its table, if it is open already.

    Raises:
        ResultsError: when it holds no finished run, when something in it is damaged, or when its table is gone.
    """
    return _read(folder, names_of([folder])[0], *stored_race(folder), oracle)


def _read(folder: Path, name: str, race: Race, config: Mapping[str, Any], oracle: Oracle | None) -> Stored:
    store = RunStore(folder)
    seeds = store.stored()
    if not seeds:
        raise ResultsError(f"{folder} holds no finished run")
    oracle = oracle or Oracle(table_of(folder, race))
    runs = load_runs(store, race, seeds, race.queries, oracle)
    return Stored(folder, name, race, config.get("computed_by", ()), oracle, runs)


def read_all(folders: Sequence[Path], shared: Sequence[str] = SHARED) -> list[Stored]:
    """Several result folders that can be drawn or compared together, in their order.

    Args:
        folders: `<out>/<table>/<searcher>` each.
        shared: keys of the fingerprint that all must have in common.

    Raises:
        ResultsError: when a folder is given twice, when folders differ in what must be shared; as `read`.
    """
    refuse_repeated(folders)
    races: list[tuple[Race, dict[str, Any]]] = []
    for folder in folders:
        races.append(stored_race(folder))
        here, there = races[-1][0].fingerprint, races[0][0].fingerprint
        differing = [f"{k} is {here.get(k)!r}, not {there.get(k)!r}" for k in shared if here.get(k) != there.get(k)]
        if differing:
            text = "; ".join(differing)
            raise ResultsError(f"{folder} and {folders[0]} share no axis: {text}; give folders that agree in it")
    stored: list[Stored] = []
    for folder, name, (race, config) in zip(folders, names_of(folders), races, strict=True):
        stored.append(_read(folder, name, race, config, stored[0].oracle if stored else None))
    return stored


def refuse_repeated(folders: Sequence[Path]) -> None:
    places = [folder.resolve() for folder in folders]
    for folder, place in zip(folders, places, strict=True):
        if places.count(place) > 1:
            raise ResultsError(f"{folder} is given twice; give each result folder once")


def names_of(folders: Sequence[Path]) -> list[str]:
    """The name of each folder; before equal ones as many of the folders above as tell them apart."""
    parts = [Path(os.path.abspath(folder)).parts for folder in folders]
    out = []
    for own in parts:
        depth = 1
        while depth < len(own) and sum(other[-depth:] == own[-depth:] for other in parts) > 1:
            depth += 1
        out.append("/".join(own[-depth:]))
    return out


def refuse_special(folders: Sequence[Path]) -> None:
    """Refuse runs whose scores are no values of one metric of the table."""
    for folder in folders:
        if not stored_race(folder)[0].is_plain:
            raise ResultsError(f"{folder}: {NOT_PLAIN}")


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


def table_of(results: Path, race: Race) -> Table:
    """The very table that stored results were made on; ResultsError when it is gone or holds other numbers by now."""
    for place in (race.table, race.table_name):
        try:
            table = open_table(place)
        except TableError:
            continue
        if table.content_hash == race.table_hash:
            return table
    raise ResultsError(
        f"the table {race.table_name} that the results in {results} were made on is no longer at "
        f"{shown(race.table, 300)}"
    )


def entries_in(folder: Path) -> list[Path]:
    """The result folders in a folder of theirs, such as that of a track."""
    return sorted(path for path in folder.iterdir() if (path / CONFIG).is_file() and not path.name.startswith("."))


def searched(stored: Stored) -> tuple[FloatArray, float]:
    """(product_size,) objective of what a search may choose, NaN for anything else; and the best of it."""
    oracle, race = stored.oracle, stored.race
    members = race.members(oracle)
    column = np.full(oracle.space.product_size, np.nan)
    column[members] = oracle.column(race.objective, seed=race.table_seed)[members]
    best = np.nanmax(column) if oracle.metric(race.objective).maximize else np.nanmin(column)
    return column, float(best)


def reported_after(runs: Runs, queries: int) -> NDArray[np.int32]:
    """(runs, queries) index of the architecture that each run would have reported after 1, 2, ... queries."""
    missing = queries - runs.incumbent.shape[1]
    return np.pad(runs.incumbent, ((0, 0), (0, max(missing, 0))), mode="edge")[:, :queries]
