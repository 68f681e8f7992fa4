"""Results on disk: every finished run is safe at once, and configurations never mix.

    <out>/<table>/<searcher>/
        config.yaml          resolved configuration, provenance, fingerprint
        runs/seed-000012.npz one file a run, written whole or not at all
        trajectories.npz, summary.*, trajectory.png

The same command started again computes only what is missing.  All that decides a run's result is part of the
*fingerprint*: another one is refused, not mixed in.

A folder belongs to the configuration whose `config.yaml` was there first; only one of several commands can write it.
While a command works it holds a lock on the folder, which the system drops when the command ends, however it ends.  A
folder without a finished run and without a lock is free for another configuration.  Some file systems have no such
locks, and workers may outlive their command, so every run is checked twice: it is stored only where `config.yaml` has
the fingerprint it was computed under, and its file carries a digest of that fingerprint, without which it is not read.
"""

from __future__ import annotations

import functools
import glob
import io
import math
import os
import shutil
import uuid
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.races.fingerprint import differences, mark_of
from experiments.races.folder_lock import FolderLock
from experiments.races.machines import Trace
from experiments.races.plain_yaml import as_yaml, read_yaml
from nasbench_ar.errors import ResultsError, WriteError
from nasbench_ar.system.files import note, sweep_partials, write_atomically, write_first
from nasbench_ar.system.npz import read_npz
from searchers.trajectory import Trajectory

CONFIG = "config.yaml"
RUN_FILES = "seed-*.npz"
CLAIMS = 100  # tries, each ended by another command that has taken the folder away
MARK = "fingerprint"  # array of a run file
CPU = "cpu_seconds"  # another, of what measured it


@functools.lru_cache(maxsize=64)
def _mark_in(folder: Path, state: tuple[int, ...]) -> str:
    """A worker that stores hundreds of runs reads the file once: `state` changes with the file."""
    return RunStore(folder)._mark_here()


@contextmanager
def writing_reports(*, computed: bool) -> Iterator[None]:
    """If no run was computed, a report that cannot be written is a note; otherwise it is a WriteError."""
    try:
        yield
    except WriteError as error:
        if computed:
            raise
        note(f"no report files: {error}")


@contextmanager
def intact(path: Path) -> Iterator[None]:
    """ResultsError for a file that is damaged."""
    try:
        yield
    except ResultsError:
        raise
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path} is damaged ({error}); remove it and run the command again") from error


@dataclass(frozen=True)
class Runs:
    """The stored runs of one experiment, ascending by seed.

    Attributes:
        seeds: (runs,) int64.
        arch_index: (runs, queries) int32, -1 where a run had ended.
        scores: (runs, queries) float32 in the objective's unit, NaN where a run had ended.
        incumbent: (runs, queries) int32, what each run would have reported after each query; the last of them
            where a run had ended.
        repeats: (runs,) int64 free queries.
        ended: why each run ended early; empty where it did not.
    """

    seeds: NDArray[np.int64]
    arch_index: NDArray[np.int32]
    scores: NDArray[np.float32]
    incumbent: NDArray[np.int32]
    repeats: NDArray[np.int64]
    ended: tuple[str, ...]

    @property
    def reported(self) -> NDArray[np.int32]:
        """(runs,) int32, the architecture that each run reports in the end."""
        return self.incumbent[:, -1]

    @property
    def early(self) -> str:
        """How many runs ended before their budget was spent, and why the first did; empty for none."""
        early = [(int(seed), why) for seed, why in zip(self.seeds, self.ended, strict=True) if why]
        return f"{len(early)} runs ended early; the first, seed {early[0][0]}: {early[0][1]}." if early else ""


class RunStore:
    """One result folder; `mark` is the digest that runs are stored under, empty for that of `config.yaml`."""

    def __init__(self, folder: str | os.PathLike[str], mark: str = "") -> None:
        self.folder = Path(folder)
        self.mark = mark

    def claim(self, config: Mapping[str, Any], *, overwrite: bool = False) -> ExitStack:
        """Make the folder this configuration's until the returned context ends; ResultsError where it is another's.

        `overwrite` removes what is stored of another configuration, with its reports.
        """
        self.mark = mark_of(config["fingerprint"])
        for _ in range(CLAIMS):
            try:
                (self.folder / "runs").mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise self._unwritable(error) from error
            with ExitStack() as held:
                lock = FolderLock(self.folder, held)
                alone = lock.take_alone()
                if alone:
                    self._settle(config, overwrite=overwrite)
                lock.share()
                there = lock.is_of(self.folder)
                stored = self._stored_config() if there else None
                if stored is not None and mark_of(stored["fingerprint"]) == self.mark:
                    return held.pop_all()
                if stored is not None and not alone:
                    raise ResultsError(
                        f"a command at work in {self.folder} has another configuration "
                        f"({differences(stored['fingerprint'], config['fingerprint'])}); use another name= or out=, "
                        "or wait until it is done"
                    )
        raise ResultsError(f"other commands replace {self.folder} again and again; use another name= or out=")

    def _settle(self, config: Mapping[str, Any], *, overwrite: bool) -> None:
        stored = self._stored_config()
        if stored is None:
            if any((self.folder / "runs").glob("*")) and self._stored_config() is None:  # nor written by now
                raise ResultsError(f"{self.folder} holds runs without a {CONFIG}; use another out= or name=")
            try:
                write_first(self.folder / CONFIG, as_yaml({**config, "computed_by": []}))
            except OSError as error:
                raise self._unwritable(error) from error
        elif mark_of(stored["fingerprint"]) != self.mark:
            if self.finished() and not overwrite:
                raise ResultsError(
                    f"{self.folder} holds results of another configuration "
                    f"({differences(stored['fingerprint'], config['fingerprint'])}); "
                    "use another name= or out=, or overwrite=true to remove them"
                )
            self._remove()

    def _unwritable(self, error: OSError) -> WriteError:
        return WriteError(f"cannot write results to {self.folder}: {error.strerror or error}")

    def _remove(self) -> None:
        """Take the folder away as a whole before deleting it, so that no old file can pass for a new one."""
        retired = self.folder.with_name(f".{self.folder.name}.{uuid.uuid4().hex[:12]}.replaced")
        try:
            self.folder.rename(retired)
        except OSError as error:
            raise ResultsError(f"cannot remove the old results in {self.folder}: {error.strerror or error}") from error
        leftovers = self.folder.parent.glob(f".{glob.escape(self.folder.name)}.*.replaced")  # of killed commands too
        for leftover in leftovers:
            shutil.rmtree(leftover, ignore_errors=True)

    def begin(self, config: Mapping[str, Any], code: Mapping[str, Any] | None) -> None:
        """Write `config.yaml` of a claimed folder, before runs are computed or for a report of stored ones.

        `code` (commit and versions) joins the list `computed_by`, which grows when a command on other versions computes
        further runs.  With None the folder may be read-only.
        """
        for folder in (self.folder, self.folder / "runs"):
            sweep_partials(folder)
        stored = self._stored_config() or {}
        before = stored.get("computed_by", [])
        computed_by = before if code is None or dict(code) in before else [*before, dict(code)]
        with suppress(WriteError) if code is None else nullcontext():
            self.write(CONFIG, as_yaml({**config, "computed_by": computed_by}))

    def _stored_config(self) -> dict[str, Any] | None:
        return self.read_config() if os.path.lexists(self.folder / CONFIG) else None

    def read_config(self) -> dict[str, Any]:
        path = self.folder / CONFIG
        try:
            config = read_yaml(path)
        except FileNotFoundError:
            raise ResultsError(f"{self.folder} holds no results: there is no {CONFIG} in it") from None
        if (
            not isinstance(config, dict)
            or not isinstance(config.get("fingerprint"), dict)
            or not isinstance(config.get("computed_by", []), list)
        ):
            raise ResultsError(f"{path} is damaged; use another out= or remove it")
        return config

    def _path(self, seed: int) -> Path:
        return self.folder / "runs" / f"seed-{seed:06d}.npz"

    def has(self, seed: int) -> bool:
        """Whether a run is stored, whole."""
        return zipfile.is_zipfile(self._path(seed))

    def stored(self) -> list[int]:
        """Seeds of all stored runs, ascending; for reports, which refuse files that are not whole."""
        words = [path.stem.removeprefix("seed-") for path in (self.folder / "runs").glob(RUN_FILES)]
        seeds = [int(word) for word in words if word.isascii() and word.isdigit() and len(word) < 12]
        return sorted(seed for seed in set(seeds) if self._path(seed).exists())

    def finished(self) -> list[int]:
        """Seeds of stored runs, without those whose file is not whole, which are computed again."""
        return [seed for seed in self.stored() if self.has(seed)]

    def missing(self, wanted: Sequence[int], *, quiet: bool = False) -> list[int]:
        """Wanted seeds that must be computed; notes what is not whole and, if not quiet, what is stored."""
        done, stored = set(self.finished()), self.stored()
        missing = [seed for seed in wanted if seed not in done]
        if done and not quiet:
            note(
                f"{len(done)} runs are stored in {self.folder} already, {len(wanted) - len(missing)} of those asked for"
            )
        for seed in sorted(set(stored) & set(missing)):
            note(f"{self._path(seed)} is not whole; this run is carried out again")
        return missing

    def save(self, run: Trajectory | Trace, cpu_seconds: float = math.nan) -> None:
        """Store one run, atomically; ResultsError when the folder has become another configuration's."""
        arrays: dict[str, Any] = {f.name: np.asarray(getattr(run, f.name)) for f in fields(run)}
        arrays["seed"] = np.int64(run.seed)
        try:
            state = (self.folder / CONFIG).stat()
            here = _mark_in(self.folder, (state.st_ino, state.st_mtime_ns, state.st_size))
        except FileNotFoundError:
            here = self._mark_here()  # which says what is missing
        if self.mark not in ("", here):
            raise ResultsError(
                f"{self.folder} has become another configuration's while this one was at work in it; "
                "start the command again with another name= or out="
            )
        buffer = io.BytesIO()
        np.savez(buffer, **(arrays | {MARK: np.str_(here), CPU: np.float64(cpu_seconds)}))
        self.write(f"runs/{self._path(run.seed).name}", buffer.getvalue())

    def _mark_here(self) -> str:
        return mark_of(self.read_config()["fingerprint"])

    def cpu_seconds(self, seeds: Iterable[int]) -> NDArray[np.float64]:
        """(runs,) processor time of each run, its share of a lock-step group; NaN where it was not measured."""
        mark = self._mark_here()
        return np.array([self._cpu_seconds(seed, mark) for seed in sorted(seeds)], dtype=np.float64)

    def _cpu_seconds(self, seed: int, mark: str) -> float:
        with intact(self._path(seed)):
            taken = self._pack(seed, mark).get(CPU, np.array(math.nan))
        known = taken.dtype == np.float64 and not taken.shape and 0 <= taken < math.inf
        return float(taken) if known else math.nan

    def load(self, seeds: Iterable[int], queries: int) -> Runs:
        """Read stored runs into arrays of at least `queries` columns; ResultsError names the first damaged one."""
        mark = self._mark_here()
        runs = [self._read(seed, mark) for seed in sorted(seeds)]
        width = max([queries, *(len(run.scores) for run in runs)])
        arch_index = np.full((len(runs), width), -1, dtype=np.int32)
        scores = np.full((len(runs), width), np.nan, dtype=np.float32)
        incumbent = np.full((len(runs), width), -1, dtype=np.int32)
        for row, run in enumerate(runs):
            incumbent[row] = np.pad(run.incumbent, (0, width - len(run.incumbent)), mode="edge")
            arch_index[row, : len(run.arch_index)] = run.arch_index
            scores[row, : len(run.scores)] = run.scores
        return Runs(
            seeds=np.array([run.seed for run in runs], dtype=np.int64),
            arch_index=arch_index,
            scores=scores,
            incumbent=incumbent,
            repeats=np.array([run.repeats for run in runs], dtype=np.int64),
            ended=tuple(run.ended for run in runs),
        )

    def _read(self, seed: int, mark: str) -> Trajectory:
        with intact(self._path(seed)):
            pack = self._pack(seed, mark)
            if "epoch" in pack:
                raise ResultsError(
                    f"{self.folder} holds runs of experiments.fidelity; experiments.fidelity.compare takes them"
                )
            arch_index, scores, incumbent = columns_of(pack, arch_index=np.int32, scores=np.float32, incumbent=np.int32)
            [repeats] = numbers_of(pack, repeats=np.int64)
            if (arch_index < 0).any() or len(np.unique(arch_index)) != len(arch_index):
                raise ValueError("arch_index repeats itself, or is negative")
            if not np.isfinite(scores).all():
                raise ValueError("a score is not finite")
            positions = {index: position for position, index in enumerate(arch_index.tolist())}
            if any(positions.get(index, n + 1) > n for n, index in enumerate(incumbent.tolist())):
                raise ValueError("an incumbent was not queried by then")
            return Trajectory(seed, arch_index, scores, incumbent, repeats, text_of(pack, "ended"))

    def _pack(self, seed: int, mark: str) -> dict[str, NDArray[Any]]:
        pack = read_npz(self._path(seed))
        if text_of(pack, MARK) != mark:
            raise ResultsError(
                f"{self._path(seed)} was computed under another configuration than {CONFIG} beside it names; "
                "remove it and run the command again"
            )
        if numbers_of(pack, seed=np.int64) != [seed]:
            raise ResultsError(f"{self._path(seed)} holds the run of another seed; remove it and run the command again")
        return pack

    def write(self, name: str, content: bytes) -> None:
        try:
            write_atomically(self.folder / name, content)
        except OSError as error:
            raise WriteError(
                f"writing {self.folder / name} failed: {error.strerror or error}; finished runs are kept, "
                "the same command goes on from there"
            ) from error


def columns_of(pack: Mapping[str, NDArray[Any]], **kinds: type[np.generic]) -> list[NDArray[Any]]:
    """Arrays of a stored run, one value for each of its steps; ValueError for anything else."""
    arrays = [pack.get(name, np.empty(0)) for name in kinds]
    for (name, kind), array in zip(kinds.items(), arrays, strict=True):
        if array.dtype != kind or array.ndim != 1 or not 0 < array.size == arrays[0].size:
            raise ValueError(f"{name} is {array.dtype} {array.shape}; expected {np.dtype(kind)}, a value for each step")
    return arrays


def numbers_of(pack: Mapping[str, NDArray[Any]], **kinds: type[np.generic]) -> list[int]:
    """Whole numbers of a stored run, none of them negative; ValueError for anything else."""
    for name, kind in kinds.items():
        number = pack.get(name, np.empty(0))
        if number.dtype != kind or number.shape or number < 0:
            raise ValueError(f"{name} is no number of at least 0")
    return [int(pack[name]) for name in kinds]


def text_of(pack: Mapping[str, NDArray[Any]], name: str) -> str:
    """A text of a stored run, on one line, perhaps empty; ValueError for anything else."""
    text = pack.get(name, np.empty(0))
    if text.dtype.kind != "U" or text.shape or not str(text).isprintable():
        raise ValueError(f"{name} is no line of text")
    return str(text)
