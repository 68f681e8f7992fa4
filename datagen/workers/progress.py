"""Progress of a store: what is done, running, failed and missing, and how fast it goes.

Entries are counted by their names and file times, and not read; workers may go on meanwhile.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datagen.selection import select
from datagen.store.claims import Holder
from datagen.store.failures import Failure, read_failure
from datagen.store.folder import MANIFEST, PROGRESS, EntryStore, training_key
from nasbench_ar import Architecture, SearchSpace
from nasbench_ar.errors import ResultsError, SpaceError
from nasbench_ar.system import checked_json as checked

HOUR_SECONDS = 3600.0
FEWEST = 30  # finished trainings that tell a rate by themselves, and at least two of every worker
_KEY = re.compile(r"([0-9]+(?:-[0-9]+)+)-seed([0-9]{1,18})")


@dataclass(frozen=True)
class Running:
    """A training that a worker has claimed; `epoch` is the last stored one, from 0, None before the first."""

    arch: str
    seed: int
    holder: Holder
    epoch: int | None
    epochs: int | None


@dataclass(frozen=True)
class Rate:
    """What was finished within some time: trainings, and the sum of their networks' MACs."""

    trainings: int
    macs: int
    seconds: float

    @property
    def macs_a_second(self) -> float:
        return self.macs / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True)
class Status:
    """State of a store.

    Attributes:
        now: seconds since 1970, by the file server's clock.
        counts: seed -> asked, done, running, failed, missing, and begun: those of the missing
            whose worker ended without a result.
        failed: trainings without an entry that failed before and nobody works on.
        last_hour: what was finished in the last hour, or since the first entry.
        overall: what was finished between the first entry and the last.
        pace: of the whole store, what the estimated end rests on (`pace_of`).
        remaining_macs: of what is missing or running, without the epochs that are stored.
        space: number of architectures of the space, where only some of them are counted.
    """

    store: str
    profile: str
    protocol_sha256: str
    now: float
    counts: dict[int, dict[str, int]]
    running: list[Running]
    failed: list[Failure]
    last_hour: Rate
    overall: Rate
    pace: Rate
    remaining_macs: int
    space: int | None = None

    @property
    def ends(self) -> float | None:
        """Estimated end in seconds since 1970; None where nothing is missing or nothing tells how fast it goes."""
        rate = self.pace.macs_a_second
        return self.now + self.remaining_macs / rate if rate and self.remaining_macs else None


def look(store: EntryStore, archs: str | None = None, seeds: Sequence[int] | None = None) -> Status:
    """State of a store; `archs` is as in `datagen.run`, and None takes all that was asked for or begun."""
    manifest, space = store.manifest(), store.space()
    finished = _finished(store.folder / "entries")
    now = store.claims.now()
    alive = {key: holder for key, holder in store.claims.holders() if not store.claims.free(holder)}
    failures = _failures(store.folder / "failures")
    begun = set(_names(store.folder / "work"))
    known = _by_seed({*finished, *alive, *failures, *begun, *store.asked()}, space)
    seeds = seeds or sorted(known) or [0]
    every = None if archs is None else select(archs, space)
    progress = {key: _progress(store, key) for key in begun - finished.keys()}
    counts, running, failed, ends, left = {}, [], [], [], 0.0
    for seed in seeds:
        chosen = known.get(seed, []) if every is None else every
        macs = dict(zip(map(str, chosen), space.macs_many(chosen).tolist(), strict=True))
        count = dict.fromkeys(("asked", "done", "running", "failed", "missing", "begun"), 0)
        for arch, cost in macs.items():
            key = training_key(arch, seed)
            count["asked"] += 1
            if key in finished:
                count["done"] += 1
                ends.append((finished[key], cost))
                continue
            epoch, epochs = progress.get(key, (None, None))
            if key in alive:
                count["running"] += 1
                running.append(Running(arch, seed, alive[key], epoch, epochs))
            elif key in failures and failures[key].attempts:
                count["failed"] += 1
                failed.append(failures[key])
                continue
            else:
                count["missing"] += 1
                count["begun"] += key in begun
            left += (1 - _share(epoch, epochs)) * cost
        counts[seed] = count
    costs = {
        training_key(str(architecture), seed): cost
        for seed, those in known.items()
        for architecture, cost in zip(those, space.macs_many(those).tolist(), strict=True)
    }
    return Status(
        store=str(store.folder),
        profile=str(manifest["profile"]),
        protocol_sha256=str(manifest["protocol_sha256"]),
        now=now,
        counts=counts,
        running=sorted(running, key=lambda one: one.holder.began),
        failed=failed,
        last_hour=rate_until(ends, now, HOUR_SECONDS),
        overall=rate_until(ends, max((end for end, _ in ends), default=now), float("inf")),
        pace=pace_of(
            [(end, costs[key]) for key, end in finished.items() if key in costs],
            began=(store.folder / MANIFEST).stat().st_mtime,
            now=now,
            under_way=sum(_share(*progress[key]) * costs[key] for key in alive if key in costs and key in progress),
            workers=len(alive),
        ),
        remaining_macs=round(left),
        space=space.size if archs is None else None,
    )


def rate_until(ends: Iterable[tuple[float, int]], until: float, within: float) -> Rate:
    """What was finished in `within` seconds before `until`; `ends` are time and MACs of every finished training.

    The first training only starts the clock, since its own beginning is unknown.
    """
    past = sorted(end for end in ends if end[0] <= until)
    if not past:
        return Rate(0, 0, 0.0)
    start = max(until - within, past[0][0])
    counted = [macs for end, macs in past[1:] if end >= start]
    return Rate(len(counted), sum(counted), until - start)


def pace_of(ends: Iterable[tuple[float, int]], *, began: float, now: float, under_way: float, workers: int) -> Rate:
    """How fast a store goes: in the last hour, or over more where few trainings ended in it.

    Trainings that begin together end together, and may take days.  So a stretch counts only with `FEWEST` ends, and two
    of every worker; before there are as many, it is all since the store began, with the MACs of epochs that are
    `under_way`.  Where nothing is running, the clock stops at the last end.
    """
    past = sorted(ends)
    until = now if workers or not past else past[-1][0]
    enough = max(FEWEST, 2 * workers)
    if len(past) > enough:
        start = min(until - HOUR_SECONDS, past[-enough - 1][0])
        return _between(past, start, until)
    counted = _between(past, min([began, *(end for end, _ in past)]), until)
    return Rate(counted.trainings, counted.macs + round(under_way), counted.seconds)


def _between(ends: Sequence[tuple[float, int]], start: float, until: float) -> Rate:
    counted = [macs for end, macs in ends if start < end <= until]
    return Rate(len(counted), sum(counted), until - start)


def _finished(folder: Path) -> dict[str, float]:
    found: dict[str, float] = {}
    try:
        with os.scandir(folder) as items:
            for item in items:
                if item.name.endswith(".json") and not item.name.startswith("."):
                    try:
                        found[item.name.removesuffix(".json")] = item.stat().st_mtime
                    except FileNotFoundError:  # removed meanwhile
                        continue
    except FileNotFoundError:  # the first is not finished yet
        pass
    except OSError as error:
        raise _unreadable(folder, error) from error
    return found


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unreadable(folder, error) from error


def _unreadable(folder: Path, error: OSError) -> ResultsError:
    return ResultsError(f"cannot read {error.filename or folder}: {error.strerror or error}")


def _failures(folder: Path) -> dict[str, Failure]:
    found: dict[str, Failure] = {}
    for path in sorted(folder.glob("[!.]*.json")):
        try:
            failure = read_failure(path)
        except ResultsError as error:  # damaged: it is shown, and the rest as well
            arch, _, seed = path.stem.rpartition("-seed")
            failure = Failure(arch, int(seed) if seed.isdigit() else 0).failed(str(error), "")
        if failure is not None:
            found[path.stem] = failure
    return found


def _progress(store: EntryStore, key: str) -> tuple[int | None, int | None]:
    """The last stored epoch, from 0, and how many there are; None before the first."""
    try:
        content = json.loads((store.folder / "work" / key / PROGRESS).read_bytes())
        epochs = checked.count(content["epochs"])
        return checked.count(content["epoch"], epochs), epochs
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # not written yet, or damaged
        return None, None


def _share(epoch: int | None, epochs: int | None) -> float:
    return 0.0 if epoch is None or not epochs else (epoch + 1) / epochs


def _by_seed(keys: Iterable[str], space: SearchSpace) -> dict[int, list[Architecture]]:
    found: dict[int, list[Architecture]] = {}
    for key in keys:
        named = _KEY.fullmatch(key)
        with suppress(SpaceError):
            if named:
                found.setdefault(int(named[2]), []).append(space.parse(named[1]))
    return {seed: [chosen[k] for k in np.argsort(space.arch_ids(chosen))] for seed, chosen in found.items()}
