"""A folder of entries that share one protocol and one dataset.

    manifest.json                     protocol, dataset and their hashes
    entries/5-10-5-10-5-10-seed0.json one file a training
    failures/...                      why a training has no entry (`failures`)
    asked/...                         which trainings commands asked for, one a line (`datagen.status`)
    claims/...                        who is working on which (`claims`)
    work/5-10-5-10-5-10-seed0/        its checkpoints, its test's attacks, progress.json

The first run writes the manifest; later runs must have the same protocol and data.  Many
workers on many machines may share a store: an entry is never replaced, and of two
results for one training the first is kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from datagen.config import check_protocol, train_settings
from datagen.store.claims import Claims
from datagen.store.entry import Entry, read_entry
from datagen.store.failures import Failure, read_failure
from datagen.store.identity import content_hash, differences, hash_matches
from nasbench_ar.architecture import Architecture
from nasbench_ar.errors import ResultsError, WriteError, one_line, shown
from nasbench_ar.space import SearchSpace
from nasbench_ar.system import checked_json as checked
from nasbench_ar.system.files import STALE_SECONDS, sweep_partials, write_atomically, write_first

FORMAT = "datagen-store"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
PROGRESS = "progress.json"
LEASE_SECONDS = 300.0
HASHES = ("protocol_sha256", "dataset_sha256")


def training_key(architecture: Architecture | str, seed: int) -> str:
    return f"{architecture}-seed{seed}"


class EntryStore:
    """One store; its folder need not exist before `claim`.  `lease` is in seconds, see `claims`."""

    def __init__(self, folder: str | os.PathLike[str], lease: float = LEASE_SECONDS) -> None:
        self.folder = Path(folder)
        self.claims = Claims(self.folder / "claims", lease)

    def claim(self, profile: str, protocol: Mapping[str, Any], dataset: Mapping[str, Any]) -> None:
        """Check that the store is of this protocol and dataset, or make it so if it is new."""
        content = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "profile": profile,
            "protocol_sha256": content_hash(protocol),
            "dataset_sha256": content_hash(dataset),
            "protocol": protocol,
            "dataset": dataset,
        }
        path = self.folder / MANIFEST
        if not path.exists() and self._holds_something_else() and not path.exists():
            raise ResultsError(f"{self.folder} holds something else than a store; choose another store=")
        with self._writing(path):
            if write_first(path, json.dumps(content, indent=1).encode() + b"\n"):
                return
        stored = self.manifest()  # of an earlier command, or of one that began in the same instant
        old, new = (
            {"protocol": {**of, "train": train_settings(of)}, "dataset": images}
            for of, images in ((stored["protocol"], stored["dataset"]), (protocol, dataset))
        )
        if found := differences(old, new):
            same = stored["protocol"]["version"] == protocol["version"]
            raise ResultsError(
                f"{self.folder} holds entries of another protocol or dataset ({'; '.join(found)}); use another store="
                + (", or the settings it was made with" if same else "; this release cannot add to it, only export it")
            )

    def _holds_something_else(self) -> bool:
        if not self.folder.exists():
            return False
        # A partial file may be the manifest that another command is writing.
        return not self.folder.is_dir() or any(not p.name.endswith(".partial") for p in self.folder.iterdir())

    def manifest(self) -> dict[str, Any]:
        path = self.folder / MANIFEST
        try:
            content = json.loads(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            raise ResultsError(f"{self.folder} is no store: there is no {MANIFEST} in it") from None
        except OSError as error:
            raise ResultsError(f"cannot read {path}: {error.strerror or error}") from error
        except (ValueError, RecursionError) as error:
            raise ResultsError(f"{path} is damaged: not valid JSON ({error}); restore it") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ResultsError(f"{path} does not describe a store of format {FORMAT!r}")
        if content.get("format_version") != FORMAT_VERSION:
            version = shown(content.get("format_version"))
            raise ResultsError(f"{path} has format version {version}; this release reads {FORMAT_VERSION}")
        for part in ("protocol", "dataset"):
            kept, stated = content.get(part), content.get(f"{part}_sha256")
            if not isinstance(kept, dict) or not hash_matches(kept, stated):
                raise ResultsError(f"{path} is damaged: {part} does not match its hash; restore it")
        if not isinstance(content.get("profile"), str):
            raise ResultsError(f"{path} is damaged: profile={shown(content.get('profile'))} is no name; restore it")
        try:
            _check(content)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            problem = f"{type(error).__name__}: {one_line(error)}"
            raise ResultsError(f"{path} is damaged: {problem}; restore it") from error
        return content

    def space(self) -> SearchSpace:
        return SearchSpace.from_dict(self.manifest()["protocol"]["space"])

    def entry_path(self, architecture: Architecture | str, seed: int) -> Path:
        return self.folder / "entries" / f"{training_key(architecture, seed)}.json"

    def work_folder(self, architecture: Architecture | str, seed: int) -> Path:
        return self.folder / "work" / training_key(architecture, seed)

    def has(self, architecture: Architecture, seed: int) -> bool:
        """Whether there is an entry; a damaged one is an error."""
        path = self.entry_path(architecture, seed)
        if not os.path.lexists(path):  # a link that leads nowhere is in the way all the same
            return False
        read_entry(path)
        return True

    def save(self, entry: Entry) -> bool:
        """Store an entry whole and forget earlier failures; False when another worker's entry is there, and is kept."""
        path = self.entry_path(entry.architecture, entry.seed)
        with self._writing(path):
            (self.work_folder(entry.architecture, entry.seed) / PROGRESS).unlink(missing_ok=True)
            kept = write_first(path, entry.to_bytes())
            self.failure_path(entry.architecture, entry.seed).unlink(missing_ok=True)
        return kept

    def entries(self) -> list[Entry]:
        """All entries, by arch_id and seed."""
        manifest = self.manifest()
        found = [entry_of(manifest, path) for path in sorted((self.folder / "entries").glob("[!.]*.json"))]
        return sorted(found, key=lambda entry: (entry.arch_id, entry.seed))

    def failure_path(self, architecture: Architecture | str, seed: int) -> Path:
        return self.folder / "failures" / f"{training_key(architecture, seed)}.json"

    def failure(self, architecture: Architecture | str, seed: int) -> Failure:
        """What went wrong with a training so far; counts of 0 where nothing did."""
        found = read_failure(self.failure_path(architecture, seed))
        return Failure(str(architecture), seed) if found is None else found

    def record_failure(self, failure: Failure) -> None:
        path = self.failure_path(failure.arch, failure.seed)
        with self._writing(path):
            write_atomically(path, failure.to_bytes())

    def failures(self) -> dict[str, Failure]:
        """What went wrong, by `<arch>-seed<seed>`, for every training without an entry."""
        paths = sorted((self.folder / "failures").glob("[!.]*.json"))
        found = {path.stem: read_failure(path) for path in paths if not self._finished(path.stem)}
        return {key: failure for key, failure in found.items() if failure is not None}

    def _finished(self, key: str) -> bool:
        return (self.folder / "entries" / f"{key}.json").exists()

    def record_asked(self, trainings: Iterable[tuple[Architecture, int]]) -> None:
        """Keep which trainings a command asked for; repeating them adds no file."""
        content = "".join(f"{key}\n" for key in sorted(training_key(*training) for training in trainings)).encode()
        path = self.folder / "asked" / f"{hashlib.sha256(content).hexdigest()[:16]}.txt"
        with self._writing(path):
            write_first(path, content)

    def asked(self) -> set[str]:
        """`<arch>-seed<seed>` of all trainings that commands asked for."""
        paths = (self.folder / "asked").glob("[!.]*.txt")
        return {line for path in paths for line in path.read_text(encoding="utf-8", errors="replace").splitlines()}

    def record_progress(self, architecture: Architecture, seed: int, epoch: int, epochs: int) -> None:
        """Keep how far a training is, for `datagen.status`."""
        path = self.work_folder(architecture, seed) / PROGRESS
        with self._writing(path):
            write_atomically(path, json.dumps({"epoch": epoch, "epochs": epochs}).encode())

    def clear_partials(self, architecture: Architecture, seed: int) -> None:
        """Remove files that an earlier worker left unfinished; only the holder of the claim may."""
        for path in self.work_folder(architecture, seed).glob(".*.partial"):
            with suppress(OSError):  # it may be somebody else's
                path.unlink()

    def tidy(self, command: str) -> None:
        """Remove what killed workers left: unfinished files, claims of a command, and what entries outdate."""
        for folder in (self.folder, *(self.folder / name for name in ("entries", "failures", "asked", "claims"))):
            sweep_partials(folder)
        self.claims.sweep(command=command, finished=self._finished)
        for failure in (self.folder / "failures").glob("[!.]*.json"):
            if self._finished(failure.stem):
                failure.unlink(missing_ok=True)
        for marker in self.claims.folder.glob(".*.stop"):
            try:
                if time.time() - marker.stat().st_mtime > STALE_SECONDS:
                    marker.unlink(missing_ok=True)
            except OSError:
                continue

    @contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield
        except OSError as error:
            if isinstance(error, ResultsError):
                raise
            raise WriteError(
                f"writing {path} failed: {error.strerror or error}; what is finished is kept, the same command "
                "goes on from there"
            ) from error


def entry_of(manifest: Mapping[str, Any], path: Path) -> Entry:
    """Read an entry; it must be of the manifest's protocol and dataset."""
    entry = read_entry(path)
    if wrong := differences({key: manifest[key] for key in HASHES}, {key: entry.provenance.get(key) for key in HASHES}):
        raise ResultsError(f"{path} belongs to another store ({'; '.join(wrong)}); move it away")
    return entry


def _check(manifest: Mapping[str, Any]) -> None:
    protocol, dataset = manifest["protocol"], manifest["dataset"]
    check_protocol(protocol)
    SearchSpace.from_dict(protocol["space"])
    checked.line(dataset["name"])
    for purpose in ("train", "val", "test"):
        checked.line(dataset[purpose]["from"])
        checked.count(dataset[purpose]["images"])
    dataset["corruptions"]  # None where there are none
