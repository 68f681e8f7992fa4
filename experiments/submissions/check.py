"""Verify a submission against its track, its table and, where it is installed, its code."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import searchers
from experiments.races import provenance
from experiments.races.config import FidelityConfig
from experiments.races.fingerprint import differences, mark_of
from experiments.races.machines import Trace
from experiments.races.race import Race, about, budget_of
from experiments.races.runner import run_once
from experiments.races.store import Runs
from experiments.races.track import Track, load_track, tracks
from experiments.results.traces import Results
from experiments.results.track import Entrant, entrant, entrant_of_traces
from experiments.submissions.entry import LEAST_RUNS, SLOW, Entry, read_entry, track_content, tuned_tables
from experiments.submissions.queries import read_queries
from experiments.submissions.trainings import read_trainings
from nasbench_ar import Oracle, ResultsError, load
from nasbench_ar.errors import one_line, shown
from nasbench_ar.system.versions import versions
from searchers.library_search import LibrarySearcher
from searchers.published.lockstep import LockStep

RERUNS = 5  # runs that are carried out again
_FASTER = 10  # times that this processor may be as fast as a submitter's
_FIRST = 3  # of them, the first seeds; the others are drawn anew every time, so that none can be made up safely
_ENOUGH = 60.0  # processor seconds, after which no other run begins


@dataclass(frozen=True)
class Checked:
    """A submission that passed; `not_rerun` says why no run was carried out again, if none was."""

    folder: Path
    entry: Entry
    track: Track
    oracle: Oracle
    race: Race
    runs: Runs | tuple[Trace, ...]
    not_rerun: str
    rerun: int

    @property
    def entrant(self) -> Entrant:
        """What the track's judge takes of it."""
        if isinstance(self.runs, Runs):
            return entrant(self.track, self.entry.entry, self.oracle, self.race, self.runs)
        return entrant_of_traces(self.track, Results(self.entry.entry, self.race, {}, self.oracle, self.runs))


def check(folder: Path, *, reruns: int = RERUNS) -> Checked:
    """Verify a submission; ResultsError says in one line the first thing that is wrong.

    Of `reruns` the first three are of the first seeds, the others drawn anew; fewer where a processor minute is over.
    """
    entry = read_entry(folder)
    _check_tuned_on(folder, entry)
    track = _track_of(folder, entry)
    oracle = load(track.table, quiet=True)
    race = race_of(folder, entry.fingerprint, track, oracle)
    runs = (read_trainings if track.fidelity else read_queries)(folder, entry, race, oracle)
    why = _why_not_rerun(folder, race) if reruns else "not asked for"
    repeated = 0 if why else _rerun(folder, entry, race, runs, reruns)
    return Checked(folder, entry, track, oracle, race, runs, why, repeated)


def race_on(track: Track, oracle: Oracle, fingerprint: Mapping[str, Any]) -> Race:
    """The race that a track asks for, of the searcher that a fingerprint names."""
    given = Race.of_config({"table_folder": "", "fingerprint": fingerprint})
    what = about(track, oracle)
    spent = budget_of(FidelityConfig(**track.settings), oracle, what["objective"]) if track.fidelity else {}
    return Race(
        **what,
        **spent,
        queries=0 if track.fidelity else track.queries,
        searcher=given.searcher,
        arguments=given.arguments,
        source=given.source,
        version=given.version,
        libraries=given.libraries,
    )


def _check_tuned_on(folder: Path, entry: Entry) -> None:
    """The toolkit's own searchers have seen what they have seen."""
    hidden = [name for name in tuned_tables(entry.default) if name not in entry.tuned_on]
    if hidden:
        raise ResultsError(
            f"{folder}: tuned_on lacks {', '.join(hidden)}, on which the defaults of {entry.race.searcher} were chosen"
        )


def _track_of(folder: Path, entry: Entry) -> Track:
    name = str(entry.track["name"])
    if name not in tracks():
        raise ResultsError(f"{folder}: there is no track {shown(name)}; submissions are for {', '.join(tracks())}")
    track = load_track(name)
    if mark_of(entry.track) != mark_of(track_content(track)):
        changed = differences(entry.track, track_content(track))
        raise ResultsError(f"{folder}: track {name} is another one here ({changed}); run it anew")
    return track


def race_of(folder: Path, fingerprint: Mapping[str, Any], track: Track, oracle: Oracle) -> Race:
    """The race of a fingerprint, which must be the track's."""
    race = race_on(track, oracle, fingerprint)
    if mark_of(race.fingerprint) != mark_of(fingerprint):
        changed = differences(fingerprint, race.fingerprint)
        raise ResultsError(f"{folder}: its runs are not of track {track.name} ({changed}); run it by experiments.track")
    return race


def _why_not_rerun(folder: Path, race: Race) -> str:
    """Why the searcher cannot be run here; empty where it can.

    What lies in `folder`, or around it as a package made of all folders does, is not imported.
    """
    top = race.searcher.partition(".")[0]
    try:
        found = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        found = None
    found_at = [found.origin, *(found.submodule_search_locations or ())] if found is not None else []
    places, home = [Path(str(place)).resolve() for place in found_at if place], folder.resolve()
    if found is None or any(place.is_relative_to(home) or home.is_relative_to(place) for place in places):
        return f"there is no module {top} here"
    try:
        cls = race.searcher_class
    except Exception as error:  # importing it may raise anything
        if top == searchers.__name__:
            raise ResultsError(f"{folder}: {one_line(error)}") from error
        return one_line(error)
    if issubclass(cls, LockStep):
        return "runs in lock-step agree up to rounding only"
    here = versions(cls.libraries) if issubclass(cls, LibrarySearcher) else {}
    if race.libraries and not here:
        raise ResultsError(f"{folder}: {race.searcher} needs no library; the entry names {shown(dict(race.libraries))}")
    release = provenance.library_versions()["nasbench-ar"]
    if race.version != release:
        return f"computed by release {race.version}, this is {release}"
    if dict(race.libraries) != here:
        return f"other libraries here: {differences(race.libraries, here)}"
    if (digest := provenance.source_digest(cls)) != race.source:
        raise ResultsError(
            f"{folder}: the entry says source digest {shown(race.source)} of {race.searcher}, here it is "
            f"{digest[:12]}...; check it beside the code that computed the runs"
        )
    return ""


def _rerun(folder: Path, entry: Entry, race: Race, runs: Runs | tuple[Trace, ...], reruns: int) -> int:
    """Carry runs out again; returns how many."""
    known = len(runs.seeds if isinstance(runs, Runs) else runs)
    first = range(min(_FIRST, known, reruns))
    drawn = len(first) + np.random.default_rng().permutation(known - len(first))[: reruns - len(first)]
    began, done = time.process_time(), 0
    for seed in (*drawn.tolist(), *first):
        if time.process_time() - began > _ENOUGH:
            break
        done += 1
        what, stored = f"{folder}: seed {seed}", _arrays(runs, seed)
        try:
            again = run_once(race, seed)
        except Exception as error:  # it may be anybody's code
            raise ResultsError(f"{what} cannot be run again: {one_line(error)}") from error
        for name, values in stored.items():
            found = getattr(again, name)[: len(values)]
            differ = np.flatnonzero(values[: len(found)] != found)
            if len(differ) or len(found) < len(values):
                at = differ[0] + 1 if len(differ) else len(found) + 1
                unit = "query" if race.budget is None else "training"
                raise ResultsError(f"{what}, run again, differs from {unit} {at} on ({name}){_other_versions(entry)}")
    each = (time.process_time() - began) / done
    if known < LEAST_RUNS and entry.cpu_seconds > SLOW > _FASTER * each:
        raise ResultsError(
            f"{folder} has {known} seeds, since a run is said to take {entry.cpu_seconds:.3g} processor seconds; "
            f"here it takes {each:.2g}: expected {LEAST_RUNS} seeds"
        )
    return done


def _arrays(runs: Runs | tuple[Trace, ...], seed: int) -> dict[str, NDArray[Any]]:
    """What a run, carried out again, must have alike."""
    if isinstance(runs, Runs):
        return {name: getattr(runs, name)[seed] for name in ("arch_index", "scores", "incumbent")}
    return {name: getattr(runs[seed], name) for name in ("arch_index", "epoch", "spent", "incumbent")}


def _other_versions(entry: Entry) -> str:
    here = provenance.library_versions()
    found = [code.get("versions", {}) for code in entry.computed_by]
    if here in found:
        return ""
    return f"; it was computed by other versions ({differences(found[0], here)})"
