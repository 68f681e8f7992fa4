"""Entries and the folder that holds them: round trip, damage, another protocol."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datagen.store.entry import Entry, read_entry
from datagen.store.failures import Failure
from datagen.store.folder import EntryStore
from datagen.store.identity import content_hash
from nasbench_ar import Architecture, ResultsError
from nasbench_ar.system.files import STALE_SECONDS
from nasbench_ar.system.process import machine
from tests.datagen.synthetic_entries import DATASET, PROTOCOL, SPACE, make_entry, make_store

A = Architecture(1, 1, 2, 2)


def test_an_entry_comes_back_exactly(tmp_path: Path) -> None:
    entry = make_entry(A, corruptions=True)
    (tmp_path / "e.json").write_bytes(entry.to_bytes())
    found = read_entry(tmp_path / "e.json")
    for field in fields(Entry):
        wanted, got = getattr(entry, field.name), getattr(found, field.name)
        if field.name == "masks":
            assert all((got[name] == mask).all() and got[name].dtype == bool for name, mask in wanted.items())
        else:
            np.testing.assert_equal(got, wanted)


def test_masks_of_any_length_come_back(tmp_path: Path) -> None:
    for n in (1, 7, 8, 9):
        mask = np.random.default_rng(n).random(n) < 0.5
        entry = replace(make_entry(A), masks={"clean": mask})
        (tmp_path / "e.json").write_bytes(entry.to_bytes())
        np.testing.assert_array_equal(read_entry(tmp_path / "e.json").masks["clean"], mask)


def rewritten(**changes: Any) -> bytes:
    """An entry with changed content and a right hash."""
    content = json.loads(make_entry(A).to_bytes())
    content = {**content, **changes}
    content.pop("sha256")
    return json.dumps({"sha256": content_hash(content), **content}).encode()


def without(name: str, **changes: Any) -> dict[str, Any]:
    """The provenance of an entry, less something."""
    return {key: value for key, value in {**make_entry(A).provenance, **changes}.items() if key != name}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not valid JSON"),
        (make_entry(A).to_bytes()[:-500], "not valid JSON"),
        (b"[1]", "is no entry"),
        (b'{"format": "else"}', "is no entry"),
        (make_entry(A).to_bytes().replace(b'"seed": 0', b'"seed": 1'), "does not match its hash"),
        (rewritten(format_version=9), "has format version 9; this release reads 1"),
        (rewritten(provenance=without("peak_memory_mib")), "is no whole entry .KeyError: 'peak_memory_mib'"),
        (rewritten(provenance=without("evaluation_batch")), "is no whole entry .KeyError: 'evaluation_batch'"),
        (rewritten(provenance=without("", peak_memory_mib="5")), "is no whole entry .*'5' is no finite number"),
        (rewritten(arch="1-2-3"), "is no whole entry .*pairs of positive integers"),
        (rewritten(best_epoch=99), "best_epoch is outside"),
        (rewritten(curves={}), "is no whole entry .KeyError"),
        (rewritten(masks={"images": 9, "bits": {"clean": "*"}}), "is no whole entry"),
        (rewritten(corruptions={"acc": [[1.0]], "loss": [[1.0]]}), "is no whole entry"),
        (rewritten(corruptions={"acc": np.zeros((19, 5)).tolist()}), "is no whole entry .KeyError: 'loss'"),
        (rewritten(masks={"images": 9, "bits": {"clean": "AA=="}}), "a mask of 9 images has 1 bytes"),
        (rewritten(seed=0.5), "0.5 is no whole number"),
        (rewritten(macs="7"), "'7' is no whole number"),
        (rewritten(test={"test_pgd_acc": "50"}), "'50' is no finite number"),
        (rewritten(sanity={"zero_gradients": 2}), "2 is neither true nor false"),
        (rewritten(provenance={}), "is no whole entry .KeyError: 'train_seconds'"),
        (make_entry(A).to_bytes().replace(b'"arch_id": ', b'"arch_id": NaN, "was": ', 1), "does not match its hash"),
    ],
)
def test_damaged_entries(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "e.json").write_bytes(content)
    with pytest.raises(ResultsError, match=message) as caught:
        read_entry(tmp_path / "e.json")
    assert "\n" not in str(caught.value)


def test_a_store(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    assert not store.has(A, 0)
    store.record_failure(store.failure(A, 0).failed("diverged", "cpu"))
    assert store.failures()["1-1-2-2-seed0"].last_error == "diverged"
    assert store.save(make_entry(A))
    assert store.has(A, 0)
    assert store.failures() == {}, "it did not fail in the end"
    store.save(make_entry(A, seed=1))
    store.save(make_entry(Architecture(1, 1, 1, 1)))
    assert [(str(entry.architecture), entry.seed) for entry in store.entries()] == [
        ("1-1-1-1", 0),
        ("1-1-2-2", 0),
        ("1-1-2-2", 1),
    ]
    assert store.space() == SPACE
    assert not list(tmp_path.rglob("*.partial"))


def test_the_same_protocol_may_go_on(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    before = (store.folder / "manifest.json").read_bytes()
    EntryStore(store.folder).claim("toy", PROTOCOL, DATASET)
    assert (store.folder / "manifest.json").read_bytes() == before


def test_another_protocol_is_refused_with_what_differs(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    before = (store.folder / "manifest.json").read_bytes()
    protocol = {**PROTOCOL, "train": {**PROTOCOL["train"], "epochs": 7}}
    dataset = {**DATASET, "corruptions": {"folder": "CIFAR-10-C"}}
    with pytest.raises(ResultsError) as caught:
        store.claim("toy", protocol, dataset)
    text = str(caught.value)
    assert "protocol.train.epochs was 3, is 7; dataset.corruptions was None, is {'folder'" in text
    assert "batch" not in text, "only what differs"
    assert text.endswith("use another store=, or the settings it was made with")
    with pytest.raises(ResultsError, match=r"version was 2, is 3\); use another store=; this release cannot add to it"):
        store.claim("toy", {**PROTOCOL, "version": 3}, DATASET)
    assert (store.folder / "manifest.json").read_bytes() == before


def test_foreign_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/cat.png").write_bytes(b"")
    (tmp_path / "file").write_text("")
    for name in ("photos", "file"):
        with pytest.raises(ResultsError, match="holds something else than a store; choose another store="):
            EntryStore(tmp_path / name).claim("toy", PROTOCOL, DATASET)
    (tmp_path / "empty").mkdir()
    EntryStore(tmp_path / "empty").claim("toy", PROTOCOL, DATASET)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "not valid JSON"),
        (b'{"format": "else"}', "does not describe a store"),
        (b'{"format": "datagen-store", "format_version": 3}', "has format version 3; this release reads 1"),
        (b'{"format": "datagen-store", "format_version": 1}', "protocol does not match its hash"),
        (
            b'{"format": "datagen-store", "format_version": 1, "protocol": {"a": NaN}}',
            "protocol does not match its hash",
        ),
    ],
)
def test_damaged_manifests(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(ResultsError, match=message):
        EntryStore(tmp_path).claim("toy", PROTOCOL, DATASET)


def test_a_changed_manifest_is_noticed(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    path = store.folder / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"epochs": 3', b'"epochs": 4'))
    with pytest.raises(ResultsError, match="protocol does not match its hash"):
        store.manifest()


def test_a_manifest_without_a_profile(tmp_path: Path) -> None:
    path = make_store(tmp_path / "store").folder / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"profile"', b'"was"'))
    with pytest.raises(ResultsError, match="profile=None is no name"):
        EntryStore(path.parent).manifest()


def signed_manifest(folder: Path, change: Callable[[dict[str, Any]], None]) -> EntryStore:
    """A store whose manifest has other content and the right hashes."""
    store = make_store(folder)
    path = folder / "manifest.json"
    content = json.loads(path.read_bytes())
    change(content)
    for part in ("protocol", "dataset"):
        content[f"{part}_sha256"] = content_hash(content[part])
    path.write_text(json.dumps(content))
    return store


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["protocol"]["train"].pop("steps"), "KeyError: 'steps'"),
        (lambda c: c["protocol"]["attack"].pop("pgd_steps"), "KeyError: 'pgd_steps'"),
        (lambda c: c["protocol"].pop("attack"), "KeyError: 'attack'"),
        (lambda c: c["protocol"]["train"].update(batch=0), "train.batch=0: expected an integer of at least 2"),
        (lambda c: c["protocol"]["train"].update(batch=2.5), "train.batch: 2.5 is no whole number"),
        (lambda c: c["protocol"]["train"].update(lr="0.1"), "train.lr: '0.1' is no finite number"),
        (lambda c: c["protocol"]["train"].update(flip=1), "train.flip: 1 is neither true nor false"),
        (lambda c: c["protocol"]["train"].update(lr_drops=[0.5, "a"]), "train.lr_drops: 'a' is no finite number"),
        (lambda c: c["protocol"]["train"].update(lr_drops=0.5), "TypeError: 'float' object is not iterable"),
        (lambda c: c["protocol"]["space"].pop("image_size"), "a space needs exactly the keys"),
        (lambda c: c["dataset"].pop("name"), "KeyError: 'name'"),
        (lambda c: c["dataset"].pop("val"), "KeyError: 'val'"),
        (lambda c: c["dataset"]["test"].update(images="40"), "'40' is no whole number"),
        (lambda c: c["dataset"]["train"].pop("from"), "KeyError: 'from'"),
        (lambda c: c["dataset"].pop("corruptions"), "KeyError: 'corruptions'"),
    ],
)
def test_a_manifest_that_lacks_what_commands_need(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    store = signed_manifest(tmp_path / "store", change)
    with pytest.raises(ResultsError, match=f"manifest.json is damaged: .*{re.escape(message)}.*; restore it"):
        store.manifest()


def test_whole_numbers_do_for_numbers(tmp_path: Path) -> None:
    signed_manifest(tmp_path / "store", lambda c: c["protocol"]["train"].update(lr=1)).manifest()


def test_links_that_lead_nowhere_are_no_entries_and_not_replaced(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    path = store.entry_path(A, 0)
    path.parent.mkdir()
    for target, reason in ((path.name, "Too many levels of symbolic links"), ("nothing", "No such file or directory")):
        path.symlink_to(target)
        with pytest.raises(ResultsError, match=f"cannot read {path}: {reason}"):
            store.has(A, 0)
        path.unlink()


B = Architecture(2, 1, 1, 1)


def test_an_entry_outdates_failures_and_progress(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    for architecture in (A, B):
        store.record_failure(Failure(str(architecture), 0).failed("diverged", "cpu"))
        store.record_progress(architecture, 0, 1, 3)
    kept = store.failure_path(A, 0).read_bytes()
    assert store.save(make_entry(A))
    assert not store.failure_path(A, 0).exists()
    assert not any(store.work_folder(A, 0).iterdir())
    assert list(store.failures()) == [f"{B}-seed0"]
    assert any(store.work_folder(B, 0).iterdir())
    # Another worker, believed dead, may still write one.
    store.failure_path(A, 0).write_bytes(kept)
    assert list(store.failures()) == [f"{B}-seed0"]
    store.tidy("mine")
    assert [path.stem for path in store.failure_path(A, 0).parent.iterdir()] == [f"{B}-seed0"]


def test_what_killed_workers_left_is_tidied_away(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    store.save(make_entry(A))
    for key, command in ((f"{A}-seed0", "theirs"), (f"{B}-seed0", "theirs"), (f"{B}-seed1", "mine")):
        store.claims.take(key, device="cpu", command=command)
        path = store.claims.path(key)
        path.write_text(json.dumps({**json.loads(path.read_bytes()), "pid": 999_999_999}))
    folders = [store.folder, *(store.folder / name for name in ("entries", "failures", "claims"))]
    for folder in folders:
        folder.mkdir(exist_ok=True)
        (folder / f".a.{machine()}-999999999-0123456789ab.partial").touch()
        (folder / f".a.{machine()}-{os.getpid()}-0123456789ab.partial").touch()
    store.tidy("mine")
    assert [path.stem for path in sorted(store.claims.folder.glob("[!.]*"))] == [f"{B}-seed0"], "it may be interrupted"
    for folder in folders:
        assert [path.name for path in folder.glob(".*")] == [f".a.{machine()}-{os.getpid()}-0123456789ab.partial"]


def test_the_one_who_holds_a_training_clears_unfinished_files(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    folder = store.work_folder(A, 0)
    folder.mkdir(parents=True)
    for name in (".last.pt.0123456789ab-1-0123456789ab.partial", "last.pt", ".hidden"):
        (folder / name).touch()
    store.clear_partials(A, 0)
    assert sorted(path.name for path in folder.iterdir()) == [".hidden", "last.pt"]


def test_entries_come_by_architecture_and_seed(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    for arch_id, seed in ((10, 0), (2, 1), (2, 0), (1, 5)):
        store.save(make_entry(SPACE.from_arch_id(arch_id), seed=seed))
    assert [(entry.arch_id, entry.seed) for entry in store.entries()] == [(1, 5), (2, 0), (2, 1), (10, 0)]


def test_a_manifest_that_another_command_is_writing_makes_no_foreign_folder(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store/.manifest.json.0123456789ab-1-0123456789ab.partial").touch()
    make_store(tmp_path / "store")


def test_only_old_requests_to_end_are_tidied_away(tmp_path: Path) -> None:
    """A worker of another command may still have to see a new one."""
    store = make_store(tmp_path / "store")
    for name, age in ((".new.stop", 0), (".recent.stop", STALE_SECONDS - 60), (".old.stop", STALE_SECONDS + 60)):
        marker = store.claims.folder / name
        marker.parent.mkdir(exist_ok=True)
        marker.touch()
        os.utime(marker, (time.time() - age,) * 2)
    store.tidy("mine")
    assert sorted(path.name for path in store.claims.folder.iterdir()) == [".new.stop", ".recent.stop"]


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"is no store: there is no manifest.json in it"):
        EntryStore(tmp_path / "nowhere").entries()


def test_an_entry_of_another_store_is_noticed(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    entry = make_entry(A)
    store.save(replace(entry, provenance={**entry.provenance, "dataset_sha256": "0"}))
    with pytest.raises(ResultsError, match="belongs to another store .dataset_sha256 was"):
        store.entries()


def test_a_damaged_entry_is_not_taken_for_none(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    store.save(make_entry(A))
    path = store.entry_path(A, 0)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ResultsError, match="remove it and run the command again"):
        store.has(A, 0)


def test_a_failed_write_says_that_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(tmp_path / "store")
    monkeypatch.setattr("os.fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(ResultsError, match="No space left on device; what is finished is kept"):
        store.save(make_entry(A))
    assert not store.entry_path(A, 0).exists()


def test_commands_that_begin_together_agree_on_the_manifest(tmp_path: Path) -> None:
    def claim(number: int) -> str:
        protocol = {**PROTOCOL, "train": {**PROTOCOL["train"], "lr": 0.1 + number % 2}}
        try:
            EntryStore(tmp_path / "store").claim("toy", protocol, DATASET)
        except ResultsError as error:
            return str(error)
        return ""

    for _ in range(20):
        with ThreadPoolExecutor(8) as pool:
            said = list(pool.map(claim, range(8)))
        assert [bool(text) for text in said] in ([False, True] * 4, [True, False] * 4)
        assert all("protocol.train.lr was" in text for text in said if text)
        assert [p.name for p in (tmp_path / "store").iterdir()] == ["manifest.json"]
        (tmp_path / "store/manifest.json").unlink()


def test_an_entry_is_never_replaced(tmp_path: Path) -> None:
    store = EntryStore(tmp_path / "store")
    store.claim("toy", PROTOCOL, DATASET)
    assert store.save(make_entry(A))
    first = store.entry_path(A, 0).read_bytes()
    assert not store.save(make_entry(A, device="cpu"))
    assert store.entry_path(A, 0).read_bytes() == first
