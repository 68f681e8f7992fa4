"""Entries of several stores as one list: same protocol and images required, duplicates merged, conflicts found.

Of entries with the same training (architecture and seed) and equal measured values, the
first store's counts; times and machines may differ.  Unequal ones conflict, and only the
user can decide.  Files are read whole only if needed: thousands compare in a second.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datagen.store.entry import Entry, read_entry
from datagen.store.folder import EntryStore, entry_of
from datagen.store.identity import differences
from nasbench_ar import Architecture, SearchSpace
from nasbench_ar.errors import ResultsError, SpaceError

_NAME = re.compile(r"(\d+(?:-\d+)+)-seed(\d+)")
_SHA256 = re.compile(rb'"sha256": *"([0-9a-f]{64})"')
_HEAD_BYTES = 120
SHOWN = 10


@dataclass(frozen=True)
class Listed:
    """An entry by its name and the content hash that its head states."""

    architecture: Architecture
    arch_id: int
    seed: int
    path: Path
    sha256: str


@dataclass
class Merged:
    """The trainings of all stores, by arch_id and seed, with the first store's manifest.

    `identical` counts entries left out as duplicates; `conflicts` has a line for each training whose results differ,
    and `disputed` the arch_id and seed of these.
    """

    manifest: dict[str, Any]
    space: SearchSpace
    listed: list[Listed]
    identical: int = 0
    conflicts: list[str] = field(default_factory=list)
    disputed: set[tuple[int, int]] = field(default_factory=set)

    def read(self, listed: Listed) -> Entry:
        """Read an entry; check that it is of the training and protocol that its place says."""
        entry = entry_of(self.manifest, listed.path)
        if (entry.architecture, entry.seed) != (listed.architecture, listed.seed):
            raise ResultsError(f"{listed.path} holds {entry.architecture} with seed {entry.seed}; restore its name")
        return entry


def merge(stores: Sequence[EntryStore]) -> Merged:
    """Put stores together, the first ones first."""
    manifests = [store.manifest() for store in stores]
    first = manifests[0]
    for store, manifest in zip(stores[1:], manifests[1:], strict=True):
        old, new = ({key: one[key] for key in ("protocol", "dataset")} for one in (first, manifest))
        if wrong := differences(old, new):
            raise ResultsError(
                f"{store.folder} has another protocol or dataset than {stores[0].folder} ({'; '.join(wrong)}); "
                "export them to tables of their own"
            )
    merged = Merged(first, stores[0].space(), [])
    found: dict[tuple[int, int], Listed] = {}
    for store in stores:
        for listed in list_entries(store, merged.space):
            known = found.setdefault((listed.arch_id, listed.seed), listed)
            if known is listed:
                continue
            conflict = "" if known.sha256 == listed.sha256 else _conflict(merged, known, listed)
            if conflict:
                merged.conflicts.append(conflict)
                merged.disputed.add((listed.arch_id, listed.seed))
            else:
                merged.identical += 1
    merged.listed = [found[key] for key in sorted(found)]
    return merged


def list_entries(store: EntryStore, space: SearchSpace) -> Iterator[Listed]:
    """The entries of a store, by their names."""
    for path in sorted((store.folder / "entries").glob("[!.]*.json")):
        if (name := _NAME.fullmatch(path.stem)) is None:
            raise ResultsError(f"{path} is not named as an entry is, <arch>-seed<k>.json; move it away")
        try:
            architecture = Architecture.parse(name[1])
            arch_id = space.arch_id(architecture)
        except SpaceError as error:
            raise ResultsError(f"{path} is not of this space ({error}); move it away") from None
        yield Listed(architecture, arch_id, int(name[2]), path, _stated_hash(path))


def _stated_hash(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            stated = _SHA256.search(stream.read(_HEAD_BYTES)) or _SHA256.search(path.read_bytes())
    except OSError as error:
        raise ResultsError(f"cannot read {path}: {error.strerror or error}") from error
    if stated is None:
        read_entry(path)  # says what is wrong with it
        raise ResultsError(f"{path} is damaged: it has no hash; restore it")
    return stated[1].decode()


def _conflict(merged: Merged, first: Listed, second: Listed) -> str:
    """What two entries of a training disagree on, in one line; nothing when they agree."""
    results = [_results(merged.read(listed)) for listed in (first, second)]
    names = [name for name in {**results[0], **results[1]} if results[0].get(name) != results[1].get(name)]
    if not names:
        return ""
    shown = []
    for name in names[:3]:
        a, b = (result.get(name) for result in results)
        if isinstance(a, float) and isinstance(b, float):
            shown.append(f"{name} {a:g} against {b:g}, by {abs(a - b):.3g}")
        elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
            gaps = [abs(x - y) for x, y in zip(a, b, strict=True)]
            count = sum(gap > 0 for gap in gaps)
            shown.append(f"{name} at {count} of {len(gaps)} places, by up to {max(gaps):.3g}")
        else:
            shown.append(f"{name} differs or is in one of them only")
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return f"{first.architecture} with seed {first.seed}: {', '.join(shown)}{more} ({first.path} against {second.path})"


def _results(entry: Entry) -> dict[str, Any]:
    """Everything measured, numbers first; not where, when or how long it ran."""
    cells = {"corruption acc": entry.corruption_acc, "corruption loss": entry.corruption_loss}
    return {
        **entry.test,
        "best_epoch": float(entry.best_epoch),
        **entry.curves,
        **{name: None if grid is None else grid.ravel().tolist() for name, grid in cells.items()},
        **{f"mask {name}": mask.astype(float).tolist() for name, mask in entry.masks.items()},
        **{f"sanity {name}": float(failed) for name, failed in entry.sanity.items()},
        **{f"detail {name}": value for name, value in entry.details.items()},
    }
