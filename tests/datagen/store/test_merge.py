"""Several stores as one: what goes together, what is the same, and what conflicts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from datagen import export
from datagen.export import export_table
from datagen.store.entry import Entry
from datagen.store.folder import EntryStore
from datagen.store.merge import merge
from nasbench_ar import Oracle, ResultsError, Table
from tests.datagen.conftest import Command
from tests.datagen.synthetic_entries import DATASET, PROTOCOL, SPACE, make_entry, make_store

ARCHS = list(SPACE)


def store_of(folder: Path, *entries: Entry) -> EntryStore:
    store = make_store(folder)
    for entry in entries:
        store.save(entry)
    return store


def elsewhere(entry: Entry) -> Entry:
    """The same results from another machine on another day."""
    changes = {"timestamp": "2025-01-01", "train_seconds": 1.0, "hardware": {"device": "cuda:1", "name": "Other"}}
    return replace(entry, provenance={**entry.provenance, **changes})


def test_architectures_and_seeds_of_all_stores(tmp_path: Path) -> None:
    first = store_of(tmp_path / "a", make_entry(ARCHS[3]), make_entry(ARCHS[5], seed=1))
    second = store_of(
        tmp_path / "b", make_entry(ARCHS[3], seed=1), make_entry(ARCHS[0]), elsewhere(make_entry(ARCHS[3]))
    )
    merged = merge([first, second])
    found = [(one.architecture, one.seed) for one in merged.listed]
    assert sorted(found) == sorted([(ARCHS[0], 0), (ARCHS[3], 0), (ARCHS[3], 1), (ARCHS[5], 1)])
    assert [one.arch_id for one in merged.listed] == sorted(one.arch_id for one in merged.listed)
    assert (merged.identical, merged.conflicts) == (1, [])
    exported = export_table([first, second], tmp_path / "table")
    oracle = Oracle(exported.table)
    assert (exported.table.rows, exported.identical) == (4, 1)
    assert [oracle.seeds(ARCHS[k]) for k in (0, 3, 5)] == [(0,), (0, 1), (1,)]
    values = [make_entry(ARCHS[3], seed=seed).test["test_pgd_acc"] for seed in (0, 1)]
    assert oracle.query(ARCHS[3], "test_pgd_acc") == pytest.approx(np.mean(values))
    assert oracle.query(ARCHS[3], "test_pgd_acc", seed=1) == pytest.approx(values[1])
    assert oracle.record(ARCHS[3])["trainings"][0]["gpu_type"] == "NVIDIA Toy"  # the first store's


def flip_mask(entry: Entry) -> Entry:
    mask = entry.masks["pgd"].copy()
    mask[7] = not mask[7]
    return replace(entry, masks={**entry.masks, "pgd": mask})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda e: replace(e, test={**e.test, "test_pgd_acc": e.test["test_pgd_acc"] + 0.5}),
            "test_pgd_acc 64.32 against 64.82, by 0.5 (",
        ),
        (
            lambda e: replace(
                e, curves={**e.curves, "val_loss": [v + 2 for v in e.curves["val_loss"][:2]] + e.curves["val_loss"][2:]}
            ),
            "val_loss at 2 of 3 places, by up to 2 (",
        ),
        (flip_mask, "mask pgd at 1 of 40 places, by up to 1 ("),
        (
            lambda e: replace(e, test={**e.test, "test_aa_standard_acc": 3.0}),
            "test_aa_standard_acc differs or is in one",
        ),
        (
            lambda e: replace(e, test={k: v + 1 for k, v in e.test.items()}),
            f" and {len(make_entry(ARCHS[4]).test) - 3} more (",
        ),
    ],
)
def test_conflicts_are_told_and_not_settled(
    change: Callable[[Entry], Entry], words: str, tmp_path: Path, command: Command
) -> None:
    entry = make_entry(ARCHS[4])
    entry = replace(entry, test={**entry.test, "test_pgd_acc": 64.32})
    first, second = store_of(tmp_path / "a", entry), store_of(tmp_path / "b", change(elsewhere(entry)))
    stores = f"store={first.folder},{second.folder}"
    code, out, err = command(stores, f"out={tmp_path / 'table'}", main=export.main)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    for part in (
        "1 trainings have different results",
        words,
        "1-2-1-1 with seed 0",
        str(first.folder),
        str(second.folder),
    ):
        assert part in err
    assert not (tmp_path / "table").exists()
    code, out, _ = command(stores, f"out={tmp_path / 'table'}", "conflicts=first", main=export.main)
    assert code == 0
    assert "the first store's is taken: 1-2-1-1 with seed 0" in out
    assert Oracle(Table(tmp_path / "table")).query(ARCHS[4], "test_pgd_acc") == 64.32


@pytest.mark.parametrize("held", ["first", "second"])
@pytest.mark.parametrize(
    "change",
    [
        lambda e: replace(e, best_epoch=(e.best_epoch + 1) % 3),
        lambda e: replace(e, corruption_acc=e.corruption_acc + 1),
        lambda e: replace(e, corruption_loss=e.corruption_loss + 1),
        lambda e: replace(e, corruption_acc=None, corruption_loss=None),
        lambda e: replace(e, masks={"clean": e.masks["clean"]}),
        lambda e: replace(e, sanity={**e.sanity, "zero_gradients": True}),
        lambda e: replace(e, details={**e.details, "zero_gradient_share": 0.5}),
        lambda e: replace(e, test={name: value for name, value in e.test.items() if name != "test_loss"}),
    ],
)
def test_everything_measured_may_conflict(change: Callable[[Entry], Entry], held: str, tmp_path: Path) -> None:
    entry = make_entry(ARCHS[4], corruptions=True)
    pair = (entry, change(entry)) if held == "first" else (change(entry), entry)
    merged = merge([store_of(tmp_path / name, one) for name, one in zip("ab", pair, strict=True)])
    assert (len(merged.conflicts), merged.identical) == (1, 0)


def test_at_most_ten_conflicts_are_listed(tmp_path: Path) -> None:
    entries = [make_entry(architecture) for architecture in ARCHS]
    first = store_of(tmp_path / "a", *entries)
    second = store_of(tmp_path / "b", *(replace(e, test={**e.test, "test_loss": 0.0}) for e in entries))
    with pytest.raises(ResultsError, match=r"^16 trainings have .* and 6 more$") as error:
        export_table([first, second], tmp_path / "table")
    assert str(error.value).count("test_loss") == 10


@pytest.mark.parametrize("part", ["protocol", "dataset"])
def test_other_protocols_and_images_are_refused(part: str, tmp_path: Path) -> None:
    first, second = store_of(tmp_path / "a", make_entry(ARCHS[0])), EntryStore(tmp_path / "b")
    contents = {"protocol": PROTOCOL, "dataset": DATASET}
    contents[part] = {**contents[part], "version": 3, "name": "toy.npz"}
    second.claim("toy", contents["protocol"], contents["dataset"])
    with pytest.raises(ResultsError, match=rf"b has another protocol or dataset than .*a \({part}\.") as error:
        merge([first, second])
    assert "version was" in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("notes.json", b"{}", "is not named as an entry is"),
        ("9-9-9-9-seed0.json", b"{}", "is not of this space"),
        ("1-1-1-1-seed0.json", b"{}", "is no entry"),
        ("1-1-1-1-seed0.json", b"[", "not valid JSON"),
        ("1-1-1-1-seed7.json", None, "restore its name"),
    ],
)
def test_files_that_are_no_entries(name: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    store = store_of(tmp_path / "a", make_entry(ARCHS[3]))
    path = store.folder / "entries" / name
    path.write_bytes(make_entry(ARCHS[0]).to_bytes() if content is None else content)
    with pytest.raises(ResultsError, match=message):
        export_table(store, tmp_path / "table")


def test_an_entry_of_another_store_is_refused(tmp_path: Path) -> None:
    entry = make_entry(ARCHS[3])
    store = store_of(tmp_path / "a", replace(entry, provenance={**entry.provenance, "protocol_sha256": "0" * 64}))
    with pytest.raises(ResultsError, match="belongs to another store"):
        export_table(store, tmp_path / "table")


def test_a_reformatted_entry_is_still_one(tmp_path: Path) -> None:
    store = store_of(tmp_path / "a", make_entry(ARCHS[3]))
    path = store.entry_path(ARCHS[3], 0)
    path.write_text(json.dumps(dict(sorted(json.loads(path.read_bytes()).items()))))
    assert export_table(store, tmp_path / "table").table.rows == 1


@pytest.mark.parametrize("text", ["a,", "a,a", "a,./a"])
def test_lists_of_stores(text: str, command: Command, tmp_path: Path) -> None:
    code, _, err = command(f"store={text}", f"out={tmp_path / 'x'}", main=export.main)
    assert code == 2
    assert f"store={text}: expected a folder, or different ones with a comma between" in err


def test_a_folder_with_a_comma_is_one_store(tmp_path: Path, command: Command) -> None:
    store = store_of(tmp_path / "a,b", make_entry(ARCHS[0]))
    assert command(f"store={store.folder}", f"out={tmp_path / 'x'}", main=export.main)[0] == 0


def test_entries_with_other_masks_are_refused(tmp_path: Path) -> None:
    entry = make_entry(ARCHS[1])
    other = replace(entry, masks={name: mask for name, mask in entry.masks.items() if name != "cw"})
    store = store_of(tmp_path / "store", make_entry(ARCHS[0]), other)
    with pytest.raises(ResultsError, match="has masks of clean, pgd, apgd-t; the entries before it of"):
        export_table(store, tmp_path / "table", masks=True)
    assert not (tmp_path / "table").exists()
