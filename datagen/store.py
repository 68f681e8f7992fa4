"""A folder of entries that share one protocol and one dataset.

    manifest.json                     protocol, dataset and their hashes
    entries/5-10-5-10-5-10-seed0.json one file a training
    failures/...                      why a training has no entry
    work/5-10-5-10-5-10-seed0/        its checkpoints

The first run writes the manifest; later runs must have the same protocol and data, or
are refused with what differs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datagen.entry import Entry, read_entry
from datagen.identity import content_hash, differences
from nasbench_ar.architecture import Architecture
from nasbench_ar.errors import ResultsError, SpaceError
from nasbench_ar.files import write_atomically
from nasbench_ar.space import SearchSpace

FORMAT = "datagen-store"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"


class EntryStore:
    """One store.

    Args:
        folder: it need not exist before `claim`.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    # -- manifest --------------------------------------------------------------

    def claim(self, profile: str, protocol: Mapping[str, Any], dataset: Mapping[str, Any]) -> None:
        """Make sure that the store is of this protocol and dataset, or new.

        Raises:
            ResultsError: when it is of another one; lists the differences.
        """
        if (self.folder / MANIFEST).exists():
            stored = self.manifest()
            old = {"protocol": stored["protocol"], "dataset": stored["dataset"]}
            if found := differences(old, {"protocol": protocol, "dataset": dataset}):
                raise ResultsError(
                    f"{self.folder} holds entries of another protocol or dataset ({'; '.join(found)}); use another "
                    "store=, or the settings it was made with"
                )
            return
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise ResultsError(f"{self.folder} holds something else than a store; choose another store=")
        content = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "profile": profile,
            "protocol_sha256": content_hash(protocol),
            "dataset_sha256": content_hash(dataset),
            "protocol": protocol,
            "dataset": dataset,
        }
        self._write(MANIFEST, json.dumps(content, indent=1).encode() + b"\n")

    def manifest(self) -> dict[str, Any]:
        """The content of `manifest.json`.

        Raises:
            ResultsError: when there is none, or it is damaged.
        """
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
            version = content.get("format_version")
            raise ResultsError(f"{path} has format version {version!r}; this release reads {FORMAT_VERSION}")
        for part in ("protocol", "dataset"):
            if not isinstance(content.get(part), dict) or content_hash(content[part]) != content.get(f"{part}_sha256"):
                raise ResultsError(f"{path} is damaged: {part} does not match its hash; restore it")
        return content

    def space(self) -> SearchSpace:
        """The search space of the entries.

        Raises:
            ResultsError: when the manifest does not describe one.
        """
        try:
            return SearchSpace.from_dict(self.manifest()["protocol"]["space"])
        except (SpaceError, KeyError, TypeError) as error:
            raise ResultsError(f"{self.folder / MANIFEST} is damaged: {error}; restore it") from error

    # -- entries ---------------------------------------------------------------

    def _path(self, kind: str, architecture: Architecture, seed: int, suffix: str = "") -> Path:
        return self.folder / kind / f"{architecture}-seed{seed}{suffix}"

    def entry_path(self, architecture: Architecture, seed: int) -> Path:
        """Where an entry stands, or would stand."""
        return self._path("entries", architecture, seed, ".json")

    def work_folder(self, architecture: Architecture, seed: int) -> Path:
        """Where its checkpoints are."""
        return self._path("work", architecture, seed)

    def has(self, architecture: Architecture, seed: int) -> bool:
        """Whether there is a whole entry.

        Raises:
            ResultsError: when there is one and it is damaged.
        """
        path = self.entry_path(architecture, seed)
        if not path.exists():
            return False
        read_entry(path)
        return True

    def save(self, entry: Entry) -> Path:
        """Store an entry, atomically, and forget an earlier failure."""
        path = self.entry_path(entry.architecture, entry.seed)
        self._write(f"entries/{path.name}", entry.to_bytes())
        self._path("failures", entry.architecture, entry.seed, ".json").unlink(missing_ok=True)
        return path

    def entries(self) -> list[Entry]:
        """All entries, by arch_id and seed.

        Raises:
            ResultsError: when one of them is damaged or of another protocol.
        """
        manifest = self.manifest()
        hashes = {key: manifest[key] for key in ("protocol_sha256", "dataset_sha256")}
        found = []
        for path in sorted((self.folder / "entries").glob("[!.]*.json")):
            entry = read_entry(path)
            if wrong := differences(hashes, {key: entry.provenance.get(key) for key in hashes}):
                raise ResultsError(f"{path} belongs to another store ({'; '.join(wrong)}); move it away")
            found.append(entry)
        return sorted(found, key=lambda entry: (entry.arch_id, entry.seed))

    # -- failures --------------------------------------------------------------

    def record_failure(self, architecture: Architecture, seed: int, reason: str) -> None:
        """Keep why there is no entry; a later run tries again."""
        content = {"arch": str(architecture), "seed": seed, "reason": reason}
        name = self._path("failures", architecture, seed, ".json").name
        self._write(f"failures/{name}", json.dumps(content, indent=1).encode() + b"\n")

    def failures(self) -> dict[str, str]:
        """`<arch>-seed<seed>` -> reason, for every training without an entry."""
        paths = sorted((self.folder / "failures").glob("[!.]*.json"))
        return {path.stem: str(json.loads(path.read_bytes())["reason"]) for path in paths}

    def _write(self, name: str, content: bytes) -> None:
        path = self.folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content)
        except OSError as error:
            raise ResultsError(
                f"writing {path} failed: {error.strerror or error}; what is finished is kept, the same command "
                "goes on from there"
            ) from error
