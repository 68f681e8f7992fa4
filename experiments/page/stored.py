"""Stored runs of a table, read back as the experiments they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.races.checks import stored_race
from experiments.races.race import Race as OneRace
from experiments.races.store import CONFIG, RunStore
from experiments.results.experiment import Experiment, judged_experiment
from experiments.results.read import NOT_PLAIN, Stored, entries_in, read
from experiments.results.track import PREFIX
from experiments.tables import PUBLISHED
from nasbench_ar import Oracle, ResultsError
from searchers import ALL_SEARCHERS

ELSEWHERE = {  # beginning of a folder's name in `<out>/<table>` -> what reports the runs in it
    "fidelity": "experiments.fidelity.compare",
    "proxy": "experiments.proxy",
}


@dataclass(frozen=True)
class Race:
    """Experiments that can stand in one table: one objective, one budget, one choice of training seeds.

    Attributes:
        experiments: in the order of `searchers.ALL_SEARCHERS`, a user's own behind them.
        computed_by: commits and versions that computed the runs, without repeats.
    """

    objective: str
    queries: int
    table_seed: Any
    experiments: tuple[Experiment, ...]
    computed_by: tuple[dict[str, Any], ...]

    @property
    def names(self) -> list[str]:
        return [experiment.name for experiment in self.experiments]

    @property
    def parts(self) -> list[tuple[Experiment, ...]]:
        """The corrected searchers, and the authors' as they behave: each part is compared within itself."""
        published = tuple(e for e in self.experiments if e.name.startswith(PUBLISHED))
        others = tuple(e for e in self.experiments if e not in published)
        return [part for part in (others, published) if part]


def called(races: Sequence[Race]) -> list[str]:
    """What each race of a page is called: its objective, with queries and training seed where the objective repeats."""
    objectives = [race.objective for race in races]
    out = []
    for race in races:
        more = f", {race.queries} queries" + ("" if race.table_seed == "mean" else f", training seed {race.table_seed}")
        out.append(race.objective + (more if objectives.count(race.objective) > 1 else ""))
    return out


def read_races(folder: Path, oracle: Oracle) -> tuple[list[Race], list[str]]:
    """All races below `<out>/<table>`, those on its own objective first, and a line on each folder left out."""
    races: dict[tuple[str, int, str], list[Stored]] = {}
    left_out = []
    try:
        paths = sorted(found.parent for found in folder.glob(f"[!.]*/{CONFIG}"))
    except OSError as error:
        raise ResultsError(f"cannot read {folder}: {error.strerror or error}") from error
    for path in paths:
        race, _ = stored_race(path)
        reason = _unfit(path, race, oracle) or (None if race.is_plain else NOT_PLAIN)
        if reason:
            left_out.append(f"{path.name}: {reason}")
            continue
        races.setdefault((race.objective, race.queries, str(race.table_seed)), []).append(read(path, oracle))
    own = oracle.table.default_objective
    ranked = sorted(races.items(), key=lambda item: (item[0][0] != own, -len(item[1]), item[0]))
    return [_race(members) for _, members in ranked], left_out


def read_fronts(folder: Path, oracle: Oracle) -> tuple[list[list[Stored]], list[str]]:
    """Races with several objectives in `<out>/<table>/<a+b>`, and a line on what other folders there hold."""
    groups: dict[tuple[Any, ...], list[Stored]] = {}
    left_out = []
    found = [path for inside in ("*/*", "*/*/*") for path in folder.glob(f"{inside}/{CONFIG}")]
    names = {path.relative_to(folder).parts[0] for path in found}
    for name in sorted(name for name in names if not name.startswith((".", PREFIX))):  # tracks have their own section
        command = next((owner for start, owner in ELSEWHERE.items() if name.startswith(start)), None)
        if command:
            left_out.append(f"{name}: python -m {command} reports what is in it")
            continue
        for path in entries_in(folder / name):
            race, _ = stored_race(path)
            reason = _unfit(path, race, oracle)
            if reason is None and len(race.objectives) < 2:
                reason = f"lies in a folder inside; give results= with {name} at its end for a page of it"
            if reason:
                left_out.append(f"{name}/{path.name}: {reason}")
                continue
            key = (race.objective, race.queries, str(race.table_seed), race.constraints)
            groups.setdefault(key, []).append(read(path, oracle))
    return list(groups.values()), left_out


def _unfit(path: Path, race: OneRace, oracle: Oracle) -> str | None:
    if race.table_hash != oracle.table.content_hash:
        return f"made on another table, or another state of it ({race.table_name})"
    return None if RunStore(path).stored() else "no finished run"


def _experiment(stored: Stored) -> Experiment:
    return judged_experiment(stored.name, stored.race, stored.oracle, stored.folder, stored.runs)


def _race(members: Sequence[Stored]) -> Race:
    order = list(ALL_SEARCHERS)

    def rank(member: Stored) -> tuple[int, str]:
        name = member.name
        return (order.index(name) if name in order else len(order), name)

    members = sorted(members, key=rank)
    code: list[dict[str, Any]] = []
    for member in members:
        code += [entry for entry in member.computed_by if entry not in code]
    first = members[0].race
    return Race(first.objective, first.queries, first.table_seed, tuple(map(_experiment, members)), tuple(code))
