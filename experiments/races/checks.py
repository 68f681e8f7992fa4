"""Check everything that is read back of a result folder before it is used.

A `config.yaml` may be cut short, edited or of another program, and a run may have been copied from elsewhere: each of
these is a `ResultsError` that names the file, and never a number in a report.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.races.config import NOISES
from experiments.races.race import Race
from experiments.races.store import CONFIG, Runs, RunStore
from nasbench_ar import NasbenchError, Oracle, ResultsError
from nasbench_ar.constraints import read_limits
from nasbench_ar.errors import shown
from nasbench_ar.training_cost import UNITS

_LONGEST = 500
Check = Callable[[Any], bool]


def _text(value: Any) -> bool:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST:
        return False
    return len(value.splitlines()) == 1 and value.encode("utf-8", "ignore").decode() == value


def _count(value: Any) -> bool:
    return type(value) is int and 0 < value < 2**31


def _seed(value: Any) -> bool:
    return value == "mean" or (type(value) is int and -(2**63) <= value < 2**63)


def _objectives(value: Any) -> bool:
    names = value.split(",") if isinstance(value, str) else []
    return bool(names) and all(name.isidentifier() for name in names)


def _limits(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(read_limits(value))
    except NasbenchError:
        return False


def _positive(value: Any) -> bool:
    return type(value) in (int, float) and value > 0 and math.isfinite(value)


def _target(value: Any) -> bool:
    return isinstance(value, dict) and _text(value.get("_target_")) and all(map(_text, value))


# Key of the fingerprint -> (what its value must be, whether there has to be one).
_MARKS: dict[str, tuple[Check, bool]] = {
    "table": (_text, True),
    "table_hash": (_text, True),
    "objective": (_objectives, True),
    "table_seed": (_seed, True),
    "searcher": (_target, False),
    "constraint": (_limits, False),
    "noise": (lambda value: value in NOISES[1:], False),
    "images": (_count, False),
}
_OF_RACES: dict[str, tuple[Check, bool]] = {"queries": (_count, True)}
_OF_FIDELITY: dict[str, tuple[Check, bool]] = {
    "budget": (_positive, True),
    "unit": (lambda value: value in UNITS, True),
    "workers": (_count, True),
}
_OUTSIDE: dict[str, tuple[Check, bool]] = {
    "name": (_text, True),
    "table_folder": (lambda value: isinstance(value, str), True),
    "searcher": (_target, False),
    "allow_test_objective": (lambda value: type(value) is bool, False),
    "computed_by": (lambda value: isinstance(value, list) and all(isinstance(entry, dict) for entry in value), False),
    "epochs": (_count, False),
}


def stored_race(folder: Path, *, fidelity: bool = False) -> tuple[Race, dict[str, Any]]:
    """The race of a result folder, and its whole `config.yaml`."""
    config = checked_config(folder, fidelity=fidelity)
    return Race.of_config(config), config


def checked_config(folder: Path, *, fidelity: bool = False) -> dict[str, Any]:
    """The `config.yaml` of a result folder, with all that reports take from it."""
    config = RunStore(folder).read_config()
    marks: Mapping[str, Any] = config["fingerprint"]
    if ("budget" in marks) != fidelity:
        here, wanted = ("run", "fidelity") if fidelity else ("fidelity", "run")
        raise ResultsError(f"{folder} holds runs of experiments.{here}, not of experiments.{wanted}")
    rules = _MARKS | (_OF_FIDELITY if fidelity else _OF_RACES)
    for inside, values, checks in (("fingerprint.", marks, rules), ("", config, _OUTSIDE)):
        for key, (check, required) in checks.items():
            if (key in values or required) and not check(values.get(key)):
                raise _damaged(folder, f"{inside}{key} is {shown(values.get(key))}")
    for key in ("table", "objective", "table_seed", *(_OF_FIDELITY if fidelity else _OF_RACES)):
        if key in config and config[key] != marks[key]:
            raise _damaged(folder, f"{key} is {shown(config[key])}, in the fingerprint {shown(marks[key])}")
    return config


def load_runs(store: RunStore, race: Race, seeds: Sequence[int], queries: int, oracle: Oracle) -> Runs:
    """Load runs that are of a table; an impossible race is refused before anything is loaded."""
    _check_race(store.folder, race, oracle)
    runs = store.load(seeds, queries)
    _check_values(store.folder, race, runs, oracle)
    return runs


def _check_race(folder: Path, race: Race, oracle: Oracle) -> None:
    size = oracle.space.product_size
    if race.queries > size:
        raise _damaged(folder, f"fingerprint.queries is {race.queries}, table {oracle.name} has {size}")
    seed = race.table_seed
    try:
        limits = oracle.limits(race.constraints)
        undirected = [name for name in race.objectives if oracle.metric(name).maximize is None]
        space = oracle.searchable_space(*race.objectives, seed=seed, constraints=limits)
    except NasbenchError as error:
        raise _damaged(folder, str(error)) from error
    if undirected:
        raise _damaged(folder, f"{undirected[0]} has no better or worse, hence is no objective")
    if not oracle.feasible(limits, seed=seed)[space.member_indices].any():
        raise _damaged(folder, f"no architecture of table {oracle.name} keeps {','.join(race.constraints)}")


def _check_values(folder: Path, race: Race, runs: Runs, oracle: Oracle) -> None:
    size = oracle.space.product_size
    column = oracle.column(race.objective, seed=race.table_seed) if race.is_plain else None
    for row, seed in enumerate(runs.seeds.tolist()):
        index = runs.arch_index[row][runs.arch_index[row] >= 0]
        wrong = "architectures" if max(int(runs.reported[row]), int(index.max())) >= size else ""
        if not wrong and column is not None:
            seen = runs.scores[row, : len(index)]
            wrong = "" if np.array_equal(column[index].astype(np.float32), seen) else "scores"
        if wrong:
            raise ResultsError(
                f"the run of seed {seed} in {folder} has {wrong} that table {oracle.name} has not; "
                "remove it and run the command again"
            )


def _damaged(folder: Path, what: str) -> ResultsError:
    return ResultsError(f"{folder / CONFIG} is damaged: {what}; remove the folder {folder}, or use another out=")
