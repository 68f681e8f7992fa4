"""Results on disk: every finished run is safe at once, and configurations never mix.

    <out>/<table>/<searcher>/
        config.yaml          resolved configuration, provenance, fingerprint
        runs/seed-000012.npz one file a run, written whole or not at all
        trajectories.npz, summary.*, trajectory.png

The same command started again computes only what is missing.  Whatever decides a
run's result is part of the *fingerprint*: another one is refused, not mixed in.
"""

from __future__ import annotations

import io
import os
import shutil
import time
import uuid
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from experiments.runner import Run
from nasbench_ar.errors import ResultsError, shown
from nasbench_ar.files import write_atomically
from nasbench_ar.npz import read_npz

CONFIG = "config.yaml"
STALE_SECONDS = 3600  # a temporary file this old belongs to no living process


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

    Raises:
        ResultsError: whenever the folder cannot be read or written.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def claim(self, fingerprint: Mapping[str, Any], *, overwrite: bool = False) -> None:
        """Make sure that the folder holds runs of this configuration, or none.

        Raises:
            ResultsError: when runs of another configuration are there; lists the
                differences.  With `overwrite` they and their reports are removed instead.
        """
        stored = self.read_config() if (self.folder / CONFIG).exists() else None
        if stored is None and any((self.folder / "runs").glob("*")):
            raise ResultsError(f"{self.folder} holds runs without a {CONFIG}; use another out= or name=")
        if stored is None or stored["fingerprint"] == fingerprint:
            return
        if self.finished() and not overwrite:
            raise ResultsError(self._differences(stored["fingerprint"], fingerprint))
        self._remove()

    def _remove(self) -> None:
        """Take the folder away as a whole before deleting it, so that no old file can pass for a new one."""
        retired = self.folder.with_name(f".{self.folder.name}.{uuid.uuid4().hex[:12]}.replaced")
        try:
            self.folder.rename(retired)
        except OSError as error:
            raise ResultsError(f"cannot remove the old results in {self.folder}: {error.strerror or error}") from error
        shutil.rmtree(retired, ignore_errors=True)

    def begin(self, config: Mapping[str, Any], code: Mapping[str, Any] | None) -> None:
        """Write `config.yaml`, before runs are computed or for a report of stored ones.

        Args:
            config: the resolved configuration, with its `fingerprint`.
            code: commit and versions that are about to compute runs, or None; added to
                the list `computed_by`, which grows when a later command, on other
                versions, computes further runs.
        """
        try:
            (self.folder / "runs").mkdir(parents=True, exist_ok=True)
            for stale in (self.folder / "runs").glob(".*.partial"):
                if time.time() - stale.stat().st_mtime > STALE_SECONDS:
                    stale.unlink(missing_ok=True)  # left behind by a killed process
        except OSError as error:
            raise ResultsError(f"cannot write results to {self.folder}: {error.strerror or error}") from error
        before = self.read_config().get("computed_by", []) if (self.folder / CONFIG).exists() else []
        computed_by = before if code is None or dict(code) in before else [*before, dict(code)]
        content = {**config, "computed_by": computed_by}
        self.write(CONFIG, yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode())

    def _differences(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
        old, new = _flat(old), _flat(new)
        changed = [
            f"{' '.join(str(key).split())[:60]} was {shown(old.get(key))}, is {shown(new.get(key))}"
            for key in [*new, *(key for key in old if key not in new)]
            if old.get(key) != new.get(key)
        ]
        more = f"; and {len(changed) - 8} more" if len(changed) > 8 else ""
        return (
            f"{self.folder} holds results of another configuration ({'; '.join(changed[:8])}{more}); "
            "use another name= or out=, or overwrite=true to remove them"
        )

    def read_config(self) -> dict[str, Any]:
        """The stored `config.yaml`."""
        path = self.folder / CONFIG
        try:
            config = yaml.safe_load(path.read_bytes())
        except FileNotFoundError:
            raise ResultsError(f"{self.folder} holds no results: there is no {CONFIG} in it") from None
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

    def finished(self) -> list[int]:
        """Seeds of all whole stored runs, ascending; files that are not whole are left out."""
        seeds = []
        for path in (self.folder / "runs").glob("seed-*.npz"):
            digits = path.stem.removeprefix("seed-")
            if digits.isdecimal() and zipfile.is_zipfile(path):
                seeds.append(int(digits))
        return sorted(seeds)

    def save(self, run: Run) -> None:
        """Store one run, atomically."""
        buffer = io.BytesIO()
        np.savez(
            buffer,
            arch_index=run.arch_index,
            scores=run.scores,
            reported=np.int32(run.reported),
            repeats=np.int64(run.repeats),
            ended=np.str_(run.ended),
        )
        path = self._path(run.seed)
        self.write(f"runs/{path.name}", buffer.getvalue())

    def load(self, seeds: Iterable[int], queries: int) -> Runs:
        """Read stored runs into common arrays of at least `queries` columns."""
        runs = [self._read(seed) for seed in sorted(seeds)]
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

    def _read(self, seed: int) -> Run:
        path = self._path(seed)
        try:
            pack = read_npz(path)
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
            return Run(seed, arch_index, scores, reported, repeats, text_of(pack, "ended"))
        except ResultsError:
            raise
        except (OSError, ValueError) as error:
            raise ResultsError(f"{path} is damaged ({error}); remove it and run the command again") from error

    def write(self, name: str, content: bytes) -> None:
        """Write one file of the folder, atomically."""
        try:
            write_atomically(self.folder / name, content)
        except OSError as error:
            raise ResultsError(
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


def _flat(fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    """`{"searcher": {"steps": 5}}` as `{"searcher.steps": 5}`, so that only what differs is named."""
    out: dict[str, Any] = {}
    for key, value in fingerprint.items():
        out |= {f"{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value}
    return out
