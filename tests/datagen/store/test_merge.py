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
from nasbench_ar import Oracle, ResultsError, Table, TableError
from nasbench_ar.masks import load_masks
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
    assert (exported.new, exported.kept, exported.identical) == (4, 0, 1)
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
            " and 8 more (",
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
    contents[part] = {**contents[part], "version": 2, "name": "toy.npz"}
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
    assert export_table(store, tmp_path / "table").new == 1
    assert not export_table(store, tmp_path / "table").changed


# -- exporting again -----------------------------------------------------------


def fingerprint(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


@pytest.mark.parametrize("masks", [False, True])
def test_adding_equals_exporting_from_scratch(masks: bool, tmp_path: Path) -> None:
    store, table = make_store(tmp_path / "store"), tmp_path / "table"
    order = np.random.default_rng(3).permutation(16)
    for begin, end in ((0, 5), (5, 6), (6, 16)):
        for k in order[begin:end]:
            store.save(make_entry(ARCHS[k], seed=int(k) % 2, corruptions=k > 3, test_aa_standard_acc=1.0))
        grown = export_table(store, table, masks=masks)
        assert (grown.new, grown.kept, grown.changed) == (end - begin, begin, True)
        scratch = export_table(store, tmp_path / f"scratch{end}", masks=masks, name="table")
        assert Table(table).content_hash == scratch.table.content_hash
        assert grown.notes == scratch.notes == Table(table).meta["notes"]
        assert any("test_aa_standard_acc" in note for note in grown.notes)
        assert Table(table).meta == scratch.table.meta
        if masks:
            found = load_masks(table)
            assert (table / "masks.npz").read_bytes() == (tmp_path / f"scratch{end}/masks.npz").read_bytes()
            for row, index in enumerate(found.arch_index):
                entry = make_entry(SPACE.from_index(int(index)), seed=int(found.seeds[row]), corruptions=True)
                if entry.architecture in [ARCHS[k] for k in order if k > 3]:
                    np.testing.assert_array_equal(found.standing("cw")[row], entry.masks["cw"])


def test_nothing_new_leaves_the_table_alone(tmp_path: Path, command: Command) -> None:
    store = store_of(tmp_path / "store", make_entry(ARCHS[0]), make_entry(ARCHS[1]))
    words = [f"store={store.folder}", f"out={tmp_path / 'table'}", "masks=true"]
    assert "2 new trainings, 0 already in the table" in command(*words, main=export.main)[1]
    before = fingerprint(tmp_path / "table")
    for again in (words, words[:2]):
        code, out, _ = command(*again, main=export.main)
        assert code == 0
        assert "nothing new: all 2 trainings are in the table already" in out
        assert fingerprint(tmp_path / "table") == before
    store.save(make_entry(ARCHS[2]))
    assert "1 new trainings, 2 already in the table" in command(*words[:2], main=export.main)[1]
    assert load_masks(tmp_path / "table").standing("pgd").shape == (3, 40)  # kept up without being asked for again


def test_only_new_entries_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_of(tmp_path / "store", *(make_entry(a) for a in ARCHS[:5]))
    export_table(store, tmp_path / "table")
    store.save(make_entry(ARCHS[7]))
    read: list[str] = []
    from datagen.store import merge as module

    real = module.read_entry
    monkeypatch.setattr(module, "read_entry", lambda path: (read.append(path.stem), real(path))[1])
    export_table(store, tmp_path / "table")
    assert read == [f"{ARCHS[7]}-seed0"]


def test_masks_come_and_go(tmp_path: Path) -> None:
    store, table = store_of(tmp_path / "store", make_entry(ARCHS[0])), tmp_path / "table"
    export_table(store, table)
    with pytest.raises(TableError, match="has no masks.npz; export the table again with masks=true"):
        load_masks(table)
    added = export_table(store, table, masks=True)
    assert (added.new, added.kept, added.changed) == (0, 1, True)
    assert load_masks(table).attacks == ("clean", "pgd", "cw", "apgd-t")
    (table / "masks.npz").write_bytes(b"PK")
    assert export_table(store, table).changed  # a damaged one is made again
    assert load_masks(table).images == 40
    assert export_table(store, table, masks=False).changed
    assert not (table / "masks.npz").exists()
    export_table(store, table, masks=True)
    export_table(store, table, replace=True)  # anew, as if nothing had been there
    assert not (table / "masks.npz").exists()


def test_a_table_never_loses_trainings_unasked(tmp_path: Path) -> None:
    store, table = store_of(tmp_path / "store", make_entry(ARCHS[0]), make_entry(ARCHS[1])), tmp_path / "table"
    export_table(store, table)
    before = fingerprint(table)
    store.entry_path(ARCHS[1], 0).unlink()
    with pytest.raises(TableError, match=r"1 of its 2 trainings are not in the stores.*replace=true"):
        export_table(store, table)
    store.save(make_entry(ARCHS[1], test_loss=0.25))
    with pytest.raises(TableError, match="or not with the same entry"):
        export_table(store, table)
    assert fingerprint(table) == before
    assert export_table(store, table, replace=True).new == 2


def test_another_table_is_never_replaced_unasked(tmp_path: Path) -> None:
    other = EntryStore(tmp_path / "other")
    other.claim("toy", {**PROTOCOL, "version": 2}, DATASET)
    store = store_of(tmp_path / "store", make_entry(ARCHS[0]))
    export_table(store, tmp_path / "table")
    (other.folder / "entries").mkdir()
    entry = make_entry(ARCHS[0])
    manifest = other.manifest()
    changed = replace(entry, provenance={**entry.provenance, "protocol_sha256": manifest["protocol_sha256"]})
    other.save(changed)
    with pytest.raises(TableError, match="exists already and is another table"):
        export_table(other, tmp_path / "table")
    (tmp_path / "something").mkdir()
    with pytest.raises(TableError, match="is not a table"):
        export_table(store, tmp_path / "something")
    with pytest.raises(TableError, match="something else than a table"):
        export_table(store, tmp_path / "something", replace=True)


def test_a_damaged_table_is_not_built_on(tmp_path: Path) -> None:
    store, table = store_of(tmp_path / "store", make_entry(ARCHS[0])), tmp_path / "table"
    export_table(store, table)
    path = table / "curves/val_loss.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    store.save(make_entry(ARCHS[1]))
    with pytest.raises(TableError, match="is damaged"):
        export_table(store, table)
    export_table(store, table, replace=True).table.verify()


def test_a_new_name_is_a_change(tmp_path: Path) -> None:
    store, table = store_of(tmp_path / "store", make_entry(ARCHS[0])), tmp_path / "table"
    export_table(store, table, name="first")
    assert not export_table(store, table).changed
    again = export_table(store, table, name="second")
    assert (again.changed, again.new, again.table.name) == (True, 0, "second")
    store.save(make_entry(ARCHS[1]))
    assert export_table(store, table).table.name == "second"


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
