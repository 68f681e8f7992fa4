"""Damaged files of a store: entries, manifest, failures, claims, progress and the account of a GPU."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from datagen.export import definitions
from datagen.planning.workload import images_of_store, workload
from datagen.status import as_json, as_text
from datagen.store.claims import Holder
from datagen.store.entry import Entry, read_entry
from datagen.store.failures import Failure, read_failure
from datagen.store.folder import EntryStore
from datagen.store.identity import content_hash
from datagen.store.merge import Merged, merge
from datagen.workers import sharing
from datagen.workers.progress import Status, look
from datagen.workers.sharing import Ticket
from nasbench_ar import Architecture, ResultsError, SearchSpace
from nasbench_ar.metrics import CURVES
from nasbench_ar.system.process import Process
from tests.datagen.synthetic_entries import make_entry, make_store
from tests.fuzzing import Damages, Files, Reader, byte_damage, document_damage, to_json

ENTRY_BYTES = Reader("datagen: entries, bytes", ResultsError, both=False)
ENTRY = Reader("datagen: entries, values with the right hash", ResultsError)
MERGE = Reader("datagen: merge, damaged heads and entries", ResultsError)
MANIFEST_BYTES = Reader("datagen: manifest.json, bytes", ResultsError)
MANIFEST = Reader("datagen: manifest.json, values with the right hashes", ResultsError)
FAILURE = Reader("datagen: failures", ResultsError)
STATUS = Reader("datagen: claims, progress and failures, as status shows them", ResultsError, both=False)
TICKETS = Reader("datagen: account of a GPU", ResultsError)

ONE = Architecture(1, 1, 1, 1)
ENTRY_FILE = "entries/1-1-1-1-seed0.json"
FAILURE_FILE = "failures/1-1-1-2-seed0.json"
CLAIM_FILE = "claims/1-1-2-1-seed0.json"
PROGRESS_FILE = "work/1-1-2-1-seed0/progress.json"


def write_everything(folder: Path) -> Path:
    """A store with two entries, a failure, and a training that this process claims."""
    store = make_store(folder)
    for architecture, corruptions in ((ONE, True), (Architecture(2, 1, 1, 1), False)):
        store.save(make_entry(architecture, corruptions=corruptions))
    store.record_failure(Failure("1-1-1-2", 0).failed("diverged", "cpu").interrupted())
    store.claims.take("1-1-2-1-seed0", device="cpu", command="c")
    store.record_progress(Architecture(1, 1, 2, 1), 0, 1, 3)
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = write_everything(tmp_path_factory.mktemp("fuzz") / "store")
    return Files(folder, "manifest.json", ENTRY_FILE, FAILURE_FILE, CLAIM_FILE, PROGRESS_FILE)


def changed(whole: bytes, change: Damages, sign: Callable[[Any], None] = lambda _: None) -> bytes:
    """A damaged JSON document, with hashes made anew where that can be."""
    document = change(json.loads(whole))
    with suppress(TypeError, ValueError, KeyError, AttributeError, RecursionError):  # nothing that has a hash
        sign(document)
    return to_json(document)


DAMAGE = st.booleans().flatmap(lambda raw: st.tuples(st.just(raw), byte_damage() if raw else document_damage()))


def either(whole: bytes, damage: tuple[bool, Damages]) -> bytes:
    """Damage to bytes or to values."""
    raw, change = damage
    return change(whole) if raw else changed(whole, change)


# -- entries ---------------------------------------------------------------------


def is_sound(entry: Entry) -> None:
    """Whatever was written there, these are numbers of one training, and they survive being stored."""
    assert type(entry.architecture) is Architecture
    whole = (entry.arch_id, entry.seed, entry.macs, entry.params, entry.best_epoch)
    assert all(type(number) is int and number >= 0 for number in whole)
    assert list(entry.curves) == list(CURVES)
    assert {len(curve) for curve in entry.curves.values()} == {len(entry.curves["val_cw_acc"])}
    assert entry.best_epoch < len(entry.curves["val_cw_acc"])
    numbers = [*entry.test.values(), *entry.details.values(), *(v for curve in entry.curves.values() for v in curve)]
    assert all(type(number) is float and math.isfinite(number) for number in numbers)
    assert (entry.corruption_acc is None) == (entry.corruption_loss is None)
    for grid in (entry.corruption_acc, entry.corruption_loss):
        assert grid is None or (grid.shape == (19, 5) and np.isfinite(grid).all())
    assert entry.masks
    assert len({len(mask) for mask in entry.masks.values()}) == 1
    assert all(mask.dtype == bool for mask in entry.masks.values())
    assert all(type(failed) is bool for failed in entry.sanity.values())
    again = json.loads(entry.to_bytes())
    assert again.pop("sha256") == content_hash(again)


@ENTRY_BYTES.fuzz(change=byte_damage())
def test_damaged_entries(files: Files, change: Damages) -> None:
    files.write({ENTRY_FILE: change(files[ENTRY_FILE])})
    path = files.folder / ENTRY_FILE
    whole = make_entry(ONE, corruptions=True).to_bytes()

    def is_the_same(entry: Entry) -> None:
        assert entry.to_bytes() == whole, "damage that changes nothing but white space"

    ENTRY_BYTES.check(lambda: read_entry(path), is_the_same, names=path)


def sign_entry(document: Any) -> None:
    document.pop("sha256", None)
    document["sha256"] = content_hash(document)


@ENTRY.fuzz(change=document_damage())
def test_entries_with_other_values(files: Files, change: Damages) -> None:
    files.write({ENTRY_FILE: changed(files[ENTRY_FILE], change, sign_entry)})
    path = files.folder / ENTRY_FILE
    ENTRY.check(lambda: read_entry(path), is_sound, names=path)


@MERGE.fuzz(damage=DAMAGE, signed=st.booleans())
def test_merging_with_a_damaged_store(
    files: Files, tmp_path_factory: pytest.TempPathFactory, damage: tuple[bool, Damages], signed: bool
) -> None:
    raw, change = damage
    content = files[ENTRY_FILE]
    content = changed(content, change, sign_entry) if signed and not raw else either(content, damage)
    files.write({ENTRY_FILE: content})
    other = tmp_path_factory.getbasetemp() / "other"
    if not other.exists():
        make_store(other).save(make_entry(ONE, corruptions=True))

    def read() -> tuple[Merged, list[Entry]]:
        merged = merge([EntryStore(other), EntryStore(files.folder)])
        return merged, [merged.read(listed) for listed in merged.listed]

    def holds(found: tuple[Merged, list[Entry]]) -> None:
        merged, entries = found
        assert [entry.architecture for entry in entries] == [ONE, Architecture(2, 1, 1, 1)]
        assert merged.identical + len(merged.conflicts) == 1
        assert all(len(line.splitlines()) == 1 for line in merged.conflicts)
        for entry in entries:
            is_sound(entry)

    MERGE.check(read, holds)


# -- manifest --------------------------------------------------------------------


def plan_with_manifest(store: EntryStore) -> tuple[dict[str, Any], SearchSpace]:
    """What plans and tables ask of a manifest."""
    manifest, space = store.manifest(), store.space()
    definitions(manifest)
    protocol = manifest["protocol"]
    workload(protocol["train"], protocol["attack"], images_of_store(manifest), batch=500)
    return manifest, space


def use_manifest(store: EntryStore) -> tuple[dict[str, Any], SearchSpace, list[Entry], Status]:
    """All that is asked of a manifest."""
    return *plan_with_manifest(store), store.entries(), look(store)


def manifest_holds(found: tuple[dict[str, Any], SearchSpace, list[Entry], Status]) -> None:
    manifest, space, entries, status = found
    assert len(entries) == 2
    assert all(entry.architecture in space for entry in entries)
    as_text(status)
    assert status.profile == manifest["profile"]


def sign_manifest(document: Any) -> None:
    for part in ("protocol", "dataset"):
        document[f"{part}_sha256"] = content_hash(document[part])


@MANIFEST_BYTES.fuzz(change=byte_damage())
def test_damaged_manifests(files: Files, change: Damages) -> None:
    files.write({"manifest.json": change(files["manifest.json"])})
    MANIFEST_BYTES.check(lambda: use_manifest(EntryStore(files.folder)), manifest_holds)


@MANIFEST.fuzz(change=document_damage())
def test_manifests_with_other_values(files: Files, change: Damages) -> None:
    files.write({"manifest.json": changed(files["manifest.json"], change, sign_manifest)})
    store = EntryStore(files.folder)

    def holds(found: tuple[dict[str, Any], SearchSpace]) -> None:
        manifest, space = found
        assert SearchSpace.from_dict(space.to_dict()) == space
        assert isinstance(manifest["profile"], str)
        for part in ("protocol", "dataset"):
            assert content_hash(manifest[part]) == manifest[f"{part}_sha256"]

    MANIFEST.check(lambda: plan_with_manifest(store), holds, names=files.folder)


# -- what accompanies work ----------------------------------------------------------


def failure_holds(failure: Failure | None) -> None:
    assert failure is not None
    counts = (failure.seed, failure.attempts, failure.interruptions)
    assert all(type(count) is int and count >= 0 for count in counts)
    assert type(failure.arch) is str
    assert all(type(value) is str for line in failure.errors for value in line.values())
    assert type(failure.last_error) is str
    assert failure.failed("again", "cpu").attempts == failure.attempts + 1
    failure.to_bytes()


@FAILURE.fuzz(damage=DAMAGE)
def test_damaged_failures(files: Files, damage: tuple[bool, Damages]) -> None:
    files.write({FAILURE_FILE: either(files[FAILURE_FILE], damage)})
    path = files.folder / FAILURE_FILE
    FAILURE.check(lambda: read_failure(path), failure_holds, names=path)


@STATUS.fuzz(damage=DAMAGE, name=st.sampled_from([CLAIM_FILE, PROGRESS_FILE, FAILURE_FILE]))
def test_status_of_a_store_with_damaged_files(files: Files, damage: tuple[bool, Damages], name: str) -> None:
    """Workers go by these, and whoever looks must see the rest: no damage stops either."""
    files.write({name: either(files[name], damage)})
    store = EntryStore(files.folder)

    def read() -> Status:
        holder = store.claims.holder("1-1-2-1-seed0")
        assert isinstance(holder, Holder)
        assert store.claims.free(holder) in (True, False)
        assert len(str(holder).splitlines()) == 1
        return look(store)

    def holds(status: Status) -> None:
        assert [one.arch for one in status.running] in ([], ["1-1-2-1"])
        for one in status.running:
            assert one.epoch is None or one.epochs is None or 0 <= one.epoch < one.epochs
        assert as_text(status).strip()
        assert json.loads(json.dumps(as_json(status), allow_nan=False))["store"] == str(files.folder)

    STATUS.check(read, holds)
    assert not STATUS.refused, "status showed an error instead of the store"


@TICKETS.fuzz(damage=DAMAGE)
def test_damaged_account_of_a_gpu(tmp_path_factory: pytest.TempPathFactory, damage: tuple[bool, Damages]) -> None:
    path = tmp_path_factory.getbasetemp() / "tickets.json"
    tickets = [Ticket("a", Process.this(), 1000, held=True), Ticket("b", Process("m", 12, 34), 500)]
    path.write_bytes(either(json.dumps([asdict(ticket) for ticket in tickets]).encode(), damage))

    def holds(tickets: list[Ticket]) -> None:
        for ticket in tickets:
            assert ticket.owner.surely_dead() in (True, False)
            assert type(ticket.bytes) is int
            assert ticket.bytes >= 0
            assert json.loads(json.dumps(asdict(ticket), allow_nan=False))

    TICKETS.check(lambda: sharing._read(path), holds, names=path)
