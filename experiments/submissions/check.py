"""Verify a submission against its track, its table and, where it is installed, its code."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.races import provenance
from experiments.races.config import searcher_class
from experiments.races.noise import observer
from experiments.races.race import Race, about
from experiments.races.runner import run_once
from experiments.races.store import Runs, differences, mark_of
from experiments.races.track import Track, load_track, tracks
from experiments.submissions.entry import LEAST_RUNS, MOST_RUNS, Entry, read_entry, read_runs, track_content
from nasbench_ar import Oracle, ResultsError, load
from nasbench_ar.errors import one_line, shown
from nasbench_ar.system.versions import versions
from searchers.library_search import LibrarySearcher
from searchers.published.lockstep import LockStep
from searchers.trajectory import Trajectory

RERUNS = 3  # runs that are carried out again


@dataclass(frozen=True)
class Checked:
    """A submission that passed.

    Attributes:
        not_rerun: why no run was carried out again; empty where some were.
    """

    folder: Path
    entry: Entry
    track: Track
    oracle: Oracle
    race: Race
    runs: Runs
    not_rerun: str


def check(folder: Path, *, reruns: int = RERUNS) -> Checked:
    """Verify a submission.

    Args:
        folder: with `entry.yaml` and `runs.parquet`.
        reruns: how many of the first seeds are carried out again.

    Raises:
        ResultsError: says the first thing that is wrong with it, in one line.
    """
    entry = read_entry(folder)
    track = _track_of(folder, entry)
    oracle = load(track.table, quiet=True)
    race = race_of(folder, entry.fingerprint, track, oracle)
    runs = _runs_of(folder, race, oracle)
    why = _why_not_rerun(folder, race) if reruns else "not asked for"
    if not why:
        _rerun(folder, entry, race, runs, reruns)
    return Checked(folder, entry, track, oracle, race, runs, why)


def race_on(track: Track, oracle: Oracle, fingerprint: Mapping[str, Any]) -> Race:
    """The race that a track asks for, of the searcher that a fingerprint names."""
    given = Race.of_config({"table_folder": "", "fingerprint": fingerprint})
    return Race(
        **about(track, oracle),
        queries=track.queries,
        searcher=given.searcher,
        arguments=given.arguments,
        source=given.source,
        version=given.version,
        libraries=given.libraries,
    )


def _track_of(folder: Path, entry: Entry) -> Track:
    name = str(entry.track["name"])
    if name not in tracks():
        raise ResultsError(f"{folder}: there is no track {shown(name)}; submissions are for {', '.join(tracks())}")
    track = load_track(name)
    if track.fidelity:
        raise ResultsError(f"{folder}: track {name}, which is along learning curves, takes no submissions yet")
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


def _runs_of(folder: Path, race: Race, oracle: Oracle) -> Runs:
    columns = read_runs(folder, race.queries)
    queries = race.queries
    seeds, counts = np.unique(columns["seed"], return_counts=True)
    if len(missing := np.setdiff1d(np.arange(len(seeds)), seeds)):
        raise ResultsError(f"{folder}: seed {missing[0]} is missing; expected all from 0 to {seeds.max()}")
    if not LEAST_RUNS <= len(seeds) <= MOST_RUNS:
        raise ResultsError(f"{folder} has {len(seeds)} seeds; expected {LEAST_RUNS} to {MOST_RUNS}, from 0 on")
    if len(wrong := np.flatnonzero(counts != queries)):
        seed = int(wrong[0])
        raise ResultsError(
            f"{folder}: seed {seed} has {counts[seed]} queries; the track asks for {queries} in every run"
        )
    if not np.array_equal(columns["seed"], np.repeat(seeds, queries)) or not np.array_equal(
        columns["query"], np.tile(np.arange(1, queries + 1), len(seeds))
    ):
        raise ResultsError(
            f"{folder}: rows are not in order; expected seeds ascending, and queries 1 to {queries} of each"
        )
    arch_index, scores, incumbent = (columns[k].reshape(-1, queries) for k in ("arch_index", "score", "incumbent"))
    members = race.members(oracle)
    for seed in range(len(seeds)):
        _check_run(f"{folder}: seed {seed}", arch_index[seed], incumbent[seed], members)
        _check_scores(f"{folder}: seed {seed}", scores[seed], _seen(race, oracle, seed)[arch_index[seed]])
    nothing = tuple("" for _ in seeds)
    return Runs(seeds, arch_index, scores, incumbent, np.zeros(len(seeds), dtype=np.int64), nothing)


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


def _seen(race: Race, oracle: Oracle, seed: int) -> NDArray[np.float32]:
    """(product_size,) what a search of this seed is shown, of the first objective."""
    column = oracle.column(race.objectives[0])
    observe = observer(column, race.noise, images=race.images, seed=seed)
    if observe is not None:
        column = np.array([observe(index, value) for index, value in enumerate(column)])
    return column.astype(np.float32)


def _why_not_rerun(folder: Path, race: Race) -> str:
    """Why the searcher cannot be run here; empty where it can. Imports what is installed here, never from `folder`."""
    top = race.searcher.partition(".")[0]
    try:
        found = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        found = None
    places = [found.origin, *(found.submodule_search_locations or ())] if found is not None else []
    if found is None or any(Path(str(place)).resolve().is_relative_to(folder.resolve()) for place in places if place):
        return f"there is no module {top} here"
    try:
        cls = searcher_class(race.searcher)
    except Exception as error:  # importing it may raise anything
        return one_line(error)
    if issubclass(cls, LockStep):
        return "runs in lock-step agree up to rounding only"
    here = versions(cls.libraries) if issubclass(cls, LibrarySearcher) else {}
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


def _rerun(folder: Path, entry: Entry, race: Race, runs: Runs, reruns: int) -> None:
    for row, seed in enumerate(runs.seeds[:reruns].tolist()):
        what = f"{folder}: seed {seed}"
        try:
            again = run_once(race, seed)
        except Exception as error:  # it may be anybody's code
            raise ResultsError(f"{what} cannot be run again: {one_line(error)}") from error
        assert isinstance(again, Trajectory)
        for name in ("arch_index", "scores", "incumbent"):
            stored, found = getattr(runs, name)[row], getattr(again, name)[: race.queries]
            length = min(len(stored), len(found))
            differ = np.flatnonzero(stored[:length] != found[:length])
            if len(differ) or length < len(stored):
                at = differ[0] + 1 if len(differ) else length + 1
                raise ResultsError(f"{what}, run again, differs from query {at} on ({name}){_other_versions(entry)}")


def _other_versions(entry: Entry) -> str:
    here = provenance.library_versions()
    found = [code.get("versions", {}) for code in entry.computed_by]
    if here in found:
        return ""
    return f"; it was computed by other versions ({differences(found[0], here)})"
