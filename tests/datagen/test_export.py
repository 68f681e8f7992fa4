"""From entries to a table that can be raced on, and to the authors' format."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch

from datagen import export
from datagen.config import AttackConfig, TrainConfig
from datagen.export import definitions, export_release, export_table
from datagen.store.folder import EntryStore
from datagen.training.checkpoint import load_checkpoint
from datagen.training.weights import load_network
from nasbench_ar import METRICS, Oracle, ResultsError, Table, TableError
from nasbench_ar.masks import load_masks
from nasbench_ar.metrics import CURVES
from nasbench_ar.release.importer import import_release
from nasbench_ar.system.files import partial_path
from nasbench_ar.system.process import Process
from tests.datagen.conftest import Command
from tests.datagen.synthetic_entries import DATASET, PROTOCOL, SPACE, make_entry, make_store
from tests.nasbench_ar.conftest import raising

ARCHS = list(SPACE)


def filled(folder: Path, *, corruptions: bool = False, device: str = "cuda") -> EntryStore:
    store = make_store(folder)
    for architecture in SPACE:
        store.save(make_entry(architecture, corruptions=corruptions, device=device))
    return store


def test_a_table_has_what_the_entries_have(tmp_path: Path) -> None:
    store = filled(tmp_path / "store", corruptions=True)
    exported = export_table(store, tmp_path / "mine")
    table, notes = exported.table, exported.notes
    oracle = Oracle(table)
    table.verify()
    assert (table.name, table.rows, table.space) == ("mine", 16, SPACE)
    assert table.default_objective == "val_pgd_acc"
    assert set(oracle.metrics) == set(METRICS)
    assert not any("corruption" in note for note in notes)
    for entry in store.entries():
        for name, value in entry.test.items():
            assert oracle.query(entry.architecture, name) == pytest.approx(value)
        for name in CURVES:
            np.testing.assert_array_equal(oracle.curve(entry.architecture, name), entry.curves[name])
            assert oracle.query(entry.architecture, name) == entry.curves[name][entry.best_epoch]
            if name.endswith("acc") and name.startswith("val"):
                best = oracle.query(entry.architecture, name.replace("val_", "val_best_"))
                assert best == max(entry.curves[name])
        assert entry.corruption_acc is not None
        np.testing.assert_array_equal(oracle.corruptions(entry.architecture)["fog"], entry.corruption_acc[4])
        record = oracle.record(entry.architecture)["trainings"][0]
        assert (record["gpu_type"], record["timestamp"]) == ("NVIDIA Toy", "2024-05-06")
        assert record["training_time_gpu_days"] == 0.05
        assert record["sanity_robust_above_clean"] is False


def test_a_partial_store_with_two_seeds(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    first, second = SPACE.from_index(3), SPACE.from_index(9)
    for architecture, seed in ((first, 0), (first, 1), (second, 0)):
        store.save(make_entry(architecture, seed=seed, test_aa_standard_acc=12.0))
    exported = export_table(store, tmp_path / "mine", name="partial")
    table, notes = exported.table, exported.notes
    oracle = Oracle(table)
    assert (table.name, oracle.seeds(first), oracle.seeds(second)) == ("partial", (0, 1), (0,))
    assert "1 of 3 entries failed a sanity check (flags sanity_*)." in notes
    assert any("test_aa_standard_acc" in note for note in notes)
    assert any("no corrupted images" in note for note in notes)
    assert oracle.flag("sanity_robust_above_clean")[3]
    assert table.meta["notes"] == notes
    assert "Partial: 2 of the 16 architectures of the space have been trained." in notes


def test_a_shared_gpu_has_no_time_in_gpu_days(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    for share in (False, True):
        entry = make_entry(ARCHS[share])
        config = {**entry.provenance.get("config", {}), "share": share}
        store.save(replace(entry, provenance={**entry.provenance, "config": config}))
    exported = export_table(store, tmp_path / "mine")
    days = Oracle(exported.table).to_dataframe()["training_time_gpu_days"]
    assert days.isna().tolist() == [False, True]
    wanted = "1 of 2 trainings ran with share=true, perhaps beside others on their GPU, and have no time in GPU-days."
    assert wanted in exported.notes
    assert not any("processor" in note for note in exported.notes)


def test_processor_time_is_not_called_gpu_days(tmp_path: Path) -> None:
    exported = export_table(filled(tmp_path / "store", device="cpu"), tmp_path / "mine")
    table, notes = exported.table, exported.notes
    assert "training_time_gpu_days" not in table.scalar_names
    assert "16 of 16 trainings ran on a processor and have no time in GPU-days." in notes


def test_definitions_say_what_is_not_the_papers() -> None:
    def manifest(data: dict[str, Any] | None = None, **changes: dict[str, Any]) -> dict[str, Any]:
        train = {**vars(TrainConfig()), "precision": "bf16", **changes.get("train", {})}
        attack = {**vars(AttackConfig()), "precision": "tf32", **changes.get("attack", {})}
        official = {"name": "CIFAR-10", "train": {"images": 50_000}, "val": {"from": "CIFAR-10.1 v6"}}
        return {"dataset": data or official, "protocol": {"version": 2, "train": train, "attack": attack}}

    assert definitions(manifest()) == {}
    assert definitions(manifest(attack={"autoattack": "none"})) == {}, "it changes which metrics there are, no metric"
    split = {"train": {"images": 48_000}, "val": {"from": "CIFAR-10 train, held out 48000..49999"}}
    held = definitions(manifest({"name": "CIFAR-10", **split}))
    assert held["val_pgd_acc"] == "trained on 48,000 images, held-out images"
    assert held["test_pgd_acc"] == held["train_acc"] == "trained on 48,000 images"
    other = definitions(manifest({"name": "mine.npz", "val": {"from": "mine.npz, val"}}, attack={"pgd_steps": 5}))
    assert other["test_pgd_acc"] == "mine.npz, pgd_steps=5"
    assert other["test_clean_acc"] == "mine.npz"
    for attack in ("fgsm", "pgd", "cw", "aa"):
        assert definitions(manifest(attack={"eps_255": 4.0}))[f"test_{attack}_acc"] == "eps_255=4.0"
        own = {"pgd": ["pgd_steps=5"], "cw": ["cw_steps=6"]}.get(attack)
        both = definitions(manifest(attack={"pgd_steps": 5, "cw_steps": 6}))
        assert both[f"test_{attack}_acc"] == ", ".join(own or ["best epoch by cw_steps=6"])
    chosen = definitions(manifest(attack={"cw_steps": 6}))  # by validation PGD-CW the best epoch is chosen
    assert chosen["test_clean_acc"] == chosen["best_epoch"] == chosen["val_pgd_acc"] == "best epoch by cw_steps=6"
    assert chosen["val_best_cw_acc"] == "cw_steps=6"
    assert not {"val_best_pgd_acc", "val_best_clean_acc"} & set(chosen), "the best of all epochs each"
    assert definitions(manifest(train={"epochs": 20}))["train_acc"] == "other training"
    assert "macs" not in other
    first = manifest()
    first["protocol"]["version"] = 1  # the head's batch norm did not decay, and there was no key for it
    del first["protocol"]["train"]["decay_head_norm"]
    differs = definitions(first)
    assert differs["test_clean_acc"] == differs["val_pgd_acc"] == "other training"
    assert differs["val_cw_loss"] == differs["val_pgd_loss"] == "other training, after the last step"


def test_the_authors_format(tmp_path: Path) -> None:
    store = filled(tmp_path / "store", corruptions=True)
    export_release(store, tmp_path / "mine.jsonl")
    lines = [orjson.loads(line) for line in (tmp_path / "mine.jsonl").read_bytes().splitlines()]
    assert [line["arch_id"] for line in lines] == list(range(1, 17))
    first, entry = lines[0], store.entries()[0]
    assert set(first) == {"arch_id", "arch", "MACs", "Params", "train", "test_best"}
    assert (first["MACs"], first["Params"]) == (entry.macs / 1e6, entry.params / 1e6)
    assert set(first["train"][0]) == {"seed", "gpu_type", "timestamp", "training_time", "best_epoch", *CURVES.values()}
    keys = "acc stable"
    wanted = {"test_clean_acc", "test_loss", "Linf_aa_acc", "corruptions", *(f"Linf_fgsm_{k}" for k in keys.split())}
    wanted |= {f"Linf_{attack}_{k}" for attack in ("pgd", "cw") for k in ("acc", "stable", "lip")}
    assert set(first["test_best"][0]) == wanted
    assert first["train"][0]["cw"] == entry.curves["val_cw_acc"]
    assert first["test_best"][0]["corruptions"]["fog"]["5"] == {
        "acc": entry.corruption_acc[4, 4],  # type: ignore[index]
        "loss": entry.corruption_loss[4, 4],  # type: ignore[index]
    }


def test_the_authors_format_is_read_back_as_the_same_table(tmp_path: Path) -> None:
    store = filled(tmp_path / "store", corruptions=True)
    direct = export_table(store, tmp_path / "direct").table
    notes = export_release(store, tmp_path / "mine.jsonl").notes
    again = import_release(tmp_path / "mine.jsonl", name="x", folder=tmp_path / "again", space=SPACE, progress=False)
    kept = [name for name in direct.scalar_names if name in again.scalar_names]
    lost = [name for name in direct.scalar_names if name not in kept]
    assert not lost or any(f"no field for {', '.join(lost)}:" in note for note in notes)
    for name in kept:
        np.testing.assert_allclose(again.scalar(name), direct.scalar(name), rtol=1e-12)
    for name in CURVES:
        np.testing.assert_array_equal(again.curve(name), direct.curve(name))


def test_the_command(tmp_path: Path, command: Command) -> None:
    store = filled(tmp_path / "store").folder
    words = [f"store={store}", f"out={tmp_path / 'mine'}"]
    code, out, err = command(*words, main=export.main)
    assert (code, err) == (0, "")
    assert "made by datagen: toy.npz, 16 trainings, protocol " in out
    assert command(*words, main=export.main) == (0, out, "")
    for name in ("mine.jsonl", "mine.JSONL"):
        code, out, _ = command(f"store={store}", f"out={tmp_path / name}", main=export.main)
        assert code == 0
        assert "in the authors' format" in out
        assert len((tmp_path / name).read_bytes().splitlines()) == 16
    assert command("--help", main=export.main)[1].startswith("From stores of entries")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "out= is missing"),
        (
            ["out=x", "stor=y"],
            "unknown key 'stor'; did you mean store? valid keys: store, out, name, masks, conflicts, replace",
        ),
        (["out=x", "conflicts=last"], "conflicts=last: expected error or first"),
        (["out=x", "store=nowhere"], "nowhere is no store"),
        (["out=x", "weights=ours", "masks=true"], "masks= is for a table; leave it out"),
        (["out=x.JSONL", "name=x"], "name= is for a table; leave it out"),
    ],
)
def test_wrong_words(words: list[str], message: str, command: Command) -> None:
    code, out, err = command(*words, main=export.main)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_store_that_is_a_loop(tmp_path: Path, command: Command) -> None:
    (tmp_path / "loop").symlink_to("loop")
    code, _, err = command("out=x", f"store={tmp_path / 'loop'}", main=export.main)
    assert code == 2
    assert "Too many levels of symbolic links" in err
    assert len(err.splitlines()) == 1


def test_an_empty_store(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="has no entry yet"):
        export_table(make_store(tmp_path / "store"), tmp_path / "mine")


def test_an_unwritable_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TableError, match="cannot write a table"):
        export_table(filled(tmp_path / "store"), tmp_path / "file/mine")


# -- exporting again -----------------------------------------------------------


@pytest.mark.parametrize("masks", [False, True])
def test_a_store_that_grew_replaces_its_table(masks: bool, tmp_path: Path) -> None:
    store, table = make_store(tmp_path / "store"), tmp_path / "table"
    store.save(make_entry(ARCHS[3], seed=1))
    export_table(store, table, name="first", masks=masks)
    store.save(make_entry(ARCHS[3]))
    store.save(make_entry(ARCHS[1], corruptions=True))
    grown = export_table(store, table)
    scratch = export_table(store, tmp_path / "scratch", name="first", masks=masks)
    assert grown.table.meta == scratch.table.meta
    assert (grown.table.rows, grown.table.name, grown.notes) == (3, "first", scratch.notes)
    assert (table / "masks.npz").exists() == masks
    if masks:
        assert (table / "masks.npz").read_bytes() == (tmp_path / "scratch/masks.npz").read_bytes()
        found = load_masks(table)
        for row, (index, seed) in enumerate(zip(found.arch_index, found.seeds, strict=True)):
            entry = make_entry(SPACE.from_index(int(index)), seed=int(seed), corruptions=bool(index == 1))
            np.testing.assert_array_equal(found.standing("cw")[row], entry.masks["cw"])


def test_masks_and_name_as_asked_for(tmp_path: Path) -> None:
    store, table = filled(tmp_path / "store"), tmp_path / "table"
    export_table(store, table)
    with pytest.raises(TableError, match="has no masks.npz; export the table again with masks=true"):
        load_masks(table)
    export_table(store, table, masks=True)
    assert load_masks(table).attacks == ("clean", "pgd", "cw", "apgd-t")
    (table / "masks.npz").write_bytes(b"PK")
    (table / "curves/val_loss.npy").write_bytes(b"damaged")
    export_table(store, table).table.verify()
    assert load_masks(table).images == 40
    assert export_table(store, table, masks=False, name="second").table.name == "second"
    assert not (table / "masks.npz").exists()
    export_table(store, table, masks=True)
    assert export_table(store, table, replace=True).table.name == "second", "as it is"
    assert load_masks(table).images == 40
    (table / "meta.json").write_text("damaged")
    with pytest.raises(TableError):
        export_table(store, table)
    assert export_table(store, table, masks=False, replace=True).table.name == "table"
    assert not (table / "masks.npz").exists()


def test_an_export_that_fails_keeps_the_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, table = make_store(tmp_path / "store"), tmp_path / "table"
    store.save(make_entry(ARCHS[3]))
    export_table(store, table, masks=True)
    store.save(make_entry(ARCHS[4]))
    monkeypatch.setattr(export.Masks, "save", raising(TableError("cannot write")))
    with pytest.raises(TableError, match="cannot write"):
        export_table(store, table)
    assert len(load_masks(table).seeds) == 1
    monkeypatch.undo()
    table.rename(partial_path(table).with_suffix(".replaced"))  # killed between two renames
    monkeypatch.setattr(Process, "surely_dead", lambda _: True)
    export_table(store, table)
    assert len(load_masks(table).seeds) == 2


def test_a_table_never_loses_trainings_unasked(tmp_path: Path) -> None:
    store, table = make_store(tmp_path / "store"), tmp_path / "table"
    for architecture in ARCHS[:2]:
        store.save(make_entry(architecture))
    before = export_table(store, table).table.content_hash
    store.entry_path(ARCHS[1], 0).unlink()
    with pytest.raises(TableError, match=r"1 of its 2 trainings are not in the stores.*replace=true"):
        export_table(store, table)
    store.save(make_entry(ARCHS[1], test_loss=0.25))
    with pytest.raises(TableError, match="or not with the same entry"):
        export_table(store, table)
    assert Table(table).content_hash == before
    assert export_table(store, table, replace=True).table.rows == 2


def test_another_table_is_never_replaced_unasked(tmp_path: Path) -> None:
    store, other = filled(tmp_path / "store"), EntryStore(tmp_path / "other")
    export_table(store, tmp_path / "table")
    other.claim("toy", {**PROTOCOL, "version": 3}, DATASET)
    entry = make_entry(ARCHS[0])
    changes = {"protocol_sha256": other.manifest()["protocol_sha256"]}
    other.save(replace(entry, provenance={**entry.provenance, **changes}))
    with pytest.raises(TableError, match="exists already and is another table"):
        export_table(other, tmp_path / "table")
    (tmp_path / "something").mkdir()
    with pytest.raises(TableError, match="is not a table"):
        export_table(store, tmp_path / "something")
    with pytest.raises(TableError, match="something else than a table"):
        export_table(store, tmp_path / "something", replace=True)


@pytest.mark.parametrize("names", ["ours", "authors"])
def test_networks_as_plain_state_dicts(words: list[str], command: Command, tmp_path: Path, names: str) -> None:
    assert command(*words, "archs=1-1-1-1,1-1-2-1")[0] == 0
    store, out = tmp_path / "store", tmp_path / "networks"
    shutil.rmtree(store / "work/1-1-2-1-seed0")
    code, text, _ = command(f"store={store}", f"out={out}", f"weights={names}", main=export.main)
    assert code == 0
    assert f"{out}: networks under {'our' if names == 'ours' else 'the authors'}" in text
    assert "best.pt is gone, and with it the network of 1-1-2-1-seed0" in text
    assert [path.name for path in out.iterdir()] == ["1-1-1-1-seed0.pth"]
    state = torch.load(out / "1-1-1-1-seed0.pth", weights_only=True)
    kept = load_checkpoint(store / "work/1-1-1-1-seed0/best.pt")["network"]
    assert len(state) == len(kept)
    assert torch.equal(state["stem.weight" if names == "ours" else "stem_conv.weight"], kept["stem.weight"])
    assert load_network(out / "1-1-1-1-seed0.pth").state_dict().keys() == kept.keys()


def test_a_network_is_of_the_entry_that_the_table_takes(words: list[str], command: Command, tmp_path: Path) -> None:
    assert command(*words, "archs=1-1-1-1")[0] == 0
    store, out = EntryStore(tmp_path / "store"), tmp_path / "networks"
    shutil.copytree(store.folder, tmp_path / "copy")
    copy = EntryStore(tmp_path / "copy")
    both = [f"store={store.folder},{copy.folder}", f"out={out}", "weights=ours"]
    shutil.rmtree(store.folder / "work")
    assert command(*both, main=export.main)[0] == 0  # the same results: either network will do
    [entry] = copy.entries()
    copy.entry_path(entry.architecture, 0).unlink()
    copy.save(replace(entry, test={**entry.test, "test_pgd_acc": 1.0}))
    assert "1 trainings have different results" in command(*both, main=export.main)[2]
    code, _, error = command(*both, "conflicts=first", main=export.main)
    gone = store.work_folder(entry.architecture, 0) / "best.pt"
    assert (code, f"{gone} is gone" in error) == (2, True)


def test_networks_that_are_gone_and_names_that_are_none(tmp_path: Path, command: Command) -> None:
    filled(tmp_path / "store")
    words = [f"store={tmp_path / 'store'}", f"out={tmp_path / 'networks'}"]
    code, _, error = command(*words, "weights=ours", main=export.main)
    assert (code, "has no entry with a checkpoint; " in error, "best.pt is gone" in error) == (2, True, True)
    code, _, error = command(*words, "weights=theirs", main=export.main)
    assert (code, "weights=theirs: expected ours or authors" in error) == (2, True)
    assert not (tmp_path / "networks").exists()
