"""Results on disk: every finished run is safe at once, and configurations never mix.

    <out>/<table>/<searcher>/
        config.yaml          resolved configuration, provenance, fingerprint
        runs/seed-000012.npz one file a run, written whole or not at all
        trajectories.npz, summary.*, trajectory.png

The same command started again computes only what is missing.  Whatever decides a
run's result is part of the *fingerprint*: another one is refused, not mixed in.

A folder belongs to the configuration whose `config.yaml` was there first; only one of
several commands can write it.  While a command works it holds a lock on the folder, which
the system drops when the command ends, however it ends.  A folder without a finished run
that nobody holds is free for another configuration.  Where a file system has no such
locks, and for workers that outlive their command, every run is checked twice: it is
stored only where `config.yaml` has the fingerprint it was computed under, and its file
carries a digest of that fingerprint, without which it is not read.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import shutil
import uuid
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from experiments.races.runner import Run
from nasbench_ar.errors import ResultsError, WriteError, shown
from nasbench_ar.system.files import note, sweep_partials, write_atomically, write_first
from nasbench_ar.system.npz import read_npz

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

CONFIG = "config.yaml"
RUN_FILES = "seed-*.npz"
CLAIMS = 100  # tries, each ended by another command that has taken the folder away
MARK = "fingerprint"  # array of a run file


class _Loader(yaml.SafeLoader):
    """Reads no aliases: a few lines of them stand for more than any memory holds."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            alias = shown(self.peek_event().anchor)[1:-1]  # type: ignore[no-untyped-call]
            raise yaml.YAMLError(f"it has an alias, *{alias}, which no command writes")
        return super().compose_node(parent, index)


class _Dumper(yaml.SafeDumper):
    """Writes no aliases where two entries are the same object."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _as_yaml(config: Mapping[str, Any]) -> bytes:
    return yaml.dump(dict(config), Dumper=_Dumper, sort_keys=False, allow_unicode=True).encode()


class _Lock:
    """A lock on a folder itself, which needs no file and ends with the process; none where the system has none."""

    def __init__(self, folder: Path, held: ExitStack) -> None:
        self._handle: int | None = None
        if fcntl is not None:
            try:
                self._handle = os.open(folder, os.O_RDONLY)
            except OSError:
                return
            held.callback(os.close, self._handle)

    def take_alone(self) -> bool:
        """Whether nobody else has it now."""
        try:
            if self._handle is not None:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # this file system has no locks
            pass
        return True

    def share(self) -> None:
        """Wait until nobody has it alone, and keep anybody from taking it so."""
        try:
            if self._handle is not None:
                fcntl.flock(self._handle, fcntl.LOCK_SH)
        except OSError:
            pass

    def is_of(self, folder: Path) -> bool:
        """Whether the folder is still the one that was locked, and not one that has replaced it."""
        try:
            return self._handle is None or os.path.samestat(os.fstat(self._handle), folder.stat())
        except OSError:
            return False


def mark_of(fingerprint: Mapping[str, Any]) -> str:
    """Hex SHA-256 of a fingerprint; equal ones have equal digests, 1 and 1.0 for instance."""
    return hashlib.sha256(json.dumps(_canonical(fingerprint)).encode()).hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _canonical(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, (list, tuple)):
        return [_canonical(item) for item in value]
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return ["number", hex(int(value))]  # which has no limit on its digits
    return ["other", repr(value)]


@functools.lru_cache(maxsize=64)
def _mark_in(folder: Path, state: tuple[int, ...]) -> str:
    """`state` changes with the file: it is read once by a worker that stores hundreds of runs."""
    return RunStore(folder)._mark_here()


@contextmanager
def writing_reports(*, computed: bool) -> Iterator[None]:
    """Reports of runs that were all stored before need not be written: a note says that they were not.

    Args:
        computed: whether runs were computed now; what cannot be written is an error then.

    Raises:
        WriteError: see `computed`.
    """
    try:
        yield
    except WriteError as error:
        if computed:
            raise
        note(f"no report files: {error}")


@dataclass(frozen=True)
class Runs:
    """The stored runs of one experiment, ascending by seed.

    Attributes:
        seeds: (runs,) int64.
        arch_index: (runs, queries) int32, -1 where a run had ended.
        scores: (runs, queries) float32 in the objective's unit, NaN where a run had ended.
        reported: (runs,) int32, the architecture each run reports.
        repeats: (runs,) int64 free queries.
        ended: why each run ended early; empty where it did not.
    """

    seeds: NDArray[np.int64]
    arch_index: NDArray[np.int32]
    scores: NDArray[np.float32]
    reported: NDArray[np.int32]
    repeats: NDArray[np.int64]
    ended: tuple[str, ...]

    @property
    def early(self) -> str:
        """How many runs ended before their budget was spent, and why the first did; empty for none."""
        early = [(int(seed), why) for seed, why in zip(self.seeds, self.ended, strict=True) if why]
        return f"{len(early)} runs ended early; the first, seed {early[0][0]}: {early[0][1]}." if early else ""


class RunStore:
    """One result folder.

    Attributes:
        folder: where it is.
        mark: digest of the fingerprint that runs are stored under; empty for that of `config.yaml`.

    Raises:
        ResultsError: whenever the folder cannot be read or written.
    """

    def __init__(self, folder: str | os.PathLike[str], mark: str = "") -> None:
        self.folder = Path(folder)
        self.mark = mark

    def claim(self, config: Mapping[str, Any], *, overwrite: bool = False) -> ExitStack:
        """Make the folder this configuration's, or make sure that it is.

        Args:
            config: the resolved configuration, with its `fingerprint`.
            overwrite: remove what is stored of another configuration, with its reports.

        Returns:
            A context; until it ends no other configuration can have the folder.

        Raises:
            ResultsError: when the folder is another configuration's; lists the differences.
        """
        self.mark = mark_of(config["fingerprint"])
        for _ in range(CLAIMS):
            try:
                (self.folder / "runs").mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise self._unwritable(error) from error
            with ExitStack() as held:
                lock = _Lock(self.folder, held)
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
                        f"({_differences(stored['fingerprint'], config['fingerprint'])}); use another name= or out=, "
                        "or wait until it is done"
                    )
        raise ResultsError(f"other commands replace {self.folder} again and again; use another name= or out=")

    def _settle(self, config: Mapping[str, Any], *, overwrite: bool) -> None:
        """Write `config.yaml`, or remove what keeps it from being written."""
        stored = self._stored_config()
        if stored is None:
            if any((self.folder / "runs").glob("*")) and self._stored_config() is None:  # nor written by now
                raise ResultsError(f"{self.folder} holds runs without a {CONFIG}; use another out= or name=")
            try:
                write_first(self.folder / CONFIG, _as_yaml({**config, "computed_by": []}))
            except OSError as error:
                raise self._unwritable(error) from error
        elif mark_of(stored["fingerprint"]) != self.mark:
            if self.finished() and not overwrite:
                raise ResultsError(
                    f"{self.folder} holds results of another configuration "
                    f"({_differences(stored['fingerprint'], config['fingerprint'])}); "
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
        shutil.rmtree(retired, ignore_errors=True)

    def begin(self, config: Mapping[str, Any], code: Mapping[str, Any] | None) -> None:
        """Write `config.yaml` of a claimed folder, before runs are computed or for a report of stored ones.

        Args:
            config: the resolved configuration, with its `fingerprint`.
            code: commit and versions that are about to compute runs, or None; added to
                the list `computed_by`, which grows when a later command, on other
                versions, computes further runs.  With None the folder may be read-only.
        """
        for folder in (self.folder, self.folder / "runs"):
            sweep_partials(folder)
        stored = self._stored_config() or {}
        before = stored.get("computed_by", [])
        computed_by = before if code is None or dict(code) in before else [*before, dict(code)]
        with suppress(WriteError) if code is None else nullcontext():
            self.write(CONFIG, _as_yaml({**config, "computed_by": computed_by}))

    def _stored_config(self) -> dict[str, Any] | None:
        """As `read_config`; None where there is none."""
        return self.read_config() if os.path.lexists(self.folder / CONFIG) else None

    def read_config(self) -> dict[str, Any]:
        """The stored `config.yaml`."""
        path = self.folder / CONFIG
        try:
            config = yaml.load(path.read_bytes(), Loader=_Loader)
        except FileNotFoundError:
            raise ResultsError(f"{self.folder} holds no results: there is no {CONFIG} in it") from None
        except OSError as error:
            raise ResultsError(f"cannot read {path}: {error.strerror or error}") from error
        except MemoryError:
            raise
        except Exception as error:  # besides its own errors, yaml lets through what wrong dates and numbers raise
            raise ResultsError(f"cannot read {path}: {' '.join(str(error).split())[:300]}") from error
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
        """Those that need not be computed any more: files that are not whole are left out."""
        return [seed for seed in self.stored() if self.has(seed)]

    def missing(self, wanted: Sequence[int]) -> list[int]:
        """Those of the wanted seeds that must be computed; says how many there are already, and what is not whole."""
        done, stored = set(self.finished()), self.stored()
        missing = [seed for seed in wanted if seed not in done]
        if done:
            note(
                f"{len(done)} runs are stored in {self.folder} already, {len(wanted) - len(missing)} of those asked for"
            )
        for seed in sorted(set(stored) & set(missing)):
            note(f"{self._path(seed)} is not whole; this run is carried out again")
        return missing

    def save(self, run: Run) -> None:
        """Store one run, atomically.

        Raises:
            ResultsError: when the folder has become another configuration's, or cannot be written.
        """
        self._save(
            run.seed,
            arch_index=run.arch_index,
            scores=run.scores,
            reported=np.int32(run.reported),
            repeats=np.int64(run.repeats),
            ended=np.str_(run.ended),
        )

    def _save(self, seed: int, /, **arrays: Any) -> None:
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
        np.savez(buffer, **(arrays | {MARK: np.str_(here)}))
        self.write(f"runs/{self._path(seed).name}", buffer.getvalue())

    def _mark_here(self) -> str:
        """Digest of the fingerprint in `config.yaml`."""
        return mark_of(self.read_config()["fingerprint"])

    def load(self, seeds: Iterable[int], queries: int) -> Runs:
        """Read stored runs into common arrays of at least `queries` columns.

        Raises:
            ResultsError: names the first run that is damaged, or of another configuration than `config.yaml`.
        """
        mark = self._mark_here()
        runs = [self._read(seed, mark) for seed in sorted(seeds)]
        width = max([queries, *(len(run.scores) for run in runs)])
        arch_index = np.full((len(runs), width), -1, dtype=np.int32)
        scores = np.full((len(runs), width), np.nan, dtype=np.float32)
        for row, run in enumerate(runs):
            arch_index[row, : len(run.arch_index)] = run.arch_index
            scores[row, : len(run.scores)] = run.scores
        return Runs(
            seeds=np.array([run.seed for run in runs], dtype=np.int64),
            arch_index=arch_index,
            scores=scores,
            reported=np.array([run.reported for run in runs], dtype=np.int32),
            repeats=np.array([run.repeats for run in runs], dtype=np.int64),
            ended=tuple(run.ended for run in runs),
        )

    def _read(self, seed: int, mark: str) -> Run:
        path = self._path(seed)
        try:
            pack = self._pack(seed, mark)
            if "incumbent" in pack:
                raise ResultsError(
                    f"{self.folder} holds runs of experiments.fidelity; experiments.fidelity.compare takes them"
                )
            arch_index, scores = columns_of(pack, arch_index=np.int32, scores=np.float32)
            reported, repeats = numbers_of(pack, reported=np.int32, repeats=np.int64)
            if (arch_index < 0).any() or len(np.unique(arch_index)) != len(arch_index):
                raise ValueError("arch_index repeats itself, or is negative")
            if not np.isfinite(scores).all():
                raise ValueError("a score is not finite")
            if reported not in arch_index:
                raise ValueError("the architecture it reports was never queried")
            return Run(seed, arch_index, scores, reported, repeats, text_of(pack, "ended"))
        except ResultsError:
            raise
        except (OSError, ValueError) as error:
            raise ResultsError(f"{path} is damaged ({error}); remove it and run the command again") from error

    def _pack(self, seed: int, mark: str) -> dict[str, NDArray[Any]]:
        """The arrays of a stored run.

        Raises:
            ResultsError: when it was computed under another fingerprint.
            OSError, ValueError: as `read_npz`.
        """
        pack = read_npz(self._path(seed))
        if text_of(pack, MARK) != mark:
            raise ResultsError(
                f"{self._path(seed)} was computed under another configuration than {CONFIG} beside it names; "
                "remove it and run the command again"
            )
        return pack

    def write(self, name: str, content: bytes) -> None:
        """Write one file of the folder, atomically.

        Raises:
            WriteError: when it cannot be written.
        """
        try:
            write_atomically(self.folder / name, content)
        except OSError as error:
            raise WriteError(
                f"writing {self.folder / name} failed: {error.strerror or error}; finished runs are kept, "
                "the same command goes on from there"
            ) from error


def columns_of(pack: Mapping[str, NDArray[Any]], **kinds: type[np.generic]) -> list[NDArray[Any]]:
    """Arrays of a stored run, one value for each of its steps.

    Raises:
        ValueError: when one is missing or of another kind, or their lengths differ or are 0.
    """
    arrays = [pack.get(name, np.empty(0)) for name in kinds]
    for (name, kind), array in zip(kinds.items(), arrays, strict=True):
        if array.dtype != kind or array.ndim != 1 or not 0 < array.size == arrays[0].size:
            raise ValueError(f"{name} is {array.dtype} {array.shape}; expected {np.dtype(kind)}, a value for each step")
    return arrays


def numbers_of(pack: Mapping[str, NDArray[Any]], **kinds: type[np.generic]) -> list[int]:
    """Whole numbers of a stored run, none of them negative.

    Raises:
        ValueError: when one is missing or something else.
    """
    for name, kind in kinds.items():
        number = pack.get(name, np.empty(0))
        if number.dtype != kind or number.shape or number < 0:
            raise ValueError(f"{name} is no number of at least 0")
    return [int(pack[name]) for name in kinds]


def text_of(pack: Mapping[str, NDArray[Any]], name: str) -> str:
    """A text of a stored run, on one line; may be empty.

    Raises:
        ValueError: when it is missing or something else.
    """
    text = pack.get(name, np.empty(0))
    if text.dtype.kind != "U" or text.shape or not str(text).isprintable():
        raise ValueError(f"{name} is no line of text")
    return str(text)


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """What two fingerprints differ in, on one line."""
    old, new = _flat(old), _flat(new)
    changed = [
        f"{' '.join(str(key).split())[:60]} was {shown(old.get(key))}, is {shown(new.get(key))}"
        for key in [*new, *(key for key in old if key not in new)]
        if old.get(key) != new.get(key)
    ]
    return "; ".join(changed[:8]) + (f"; and {len(changed) - 8} more" if len(changed) > 8 else "")


def _flat(fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    """`{"searcher": {"steps": 5}}` as `{"searcher.steps": 5}`, so that only what differs is named."""
    out: dict[str, Any] = {}
    for key, value in fingerprint.items():
        out |= {f"{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value}
    return out
