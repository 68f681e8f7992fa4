"""Exports in the authors' format, read back by our importer and as the authors read them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

import nasbench_ar
from nasbench_ar import NARES, Oracle, SearchSpace, Table, TableError
from nasbench_ar.frames import to_dataframe
from nasbench_ar.release.importer import import_release
from nasbench_ar.release.writer import release_gaps, write_release
from tests.nasbench_ar.conftest import TOY, table_of
from tests.nasbench_ar.release.synthetic_release import make_record, write_jsonl

Record = dict[str, Any]


def bring(path: Path, name: str, space: SearchSpace = NARES) -> Table:
    return import_release(path, name=name, progress=False, space=space)


def read_lines(path: Path) -> list[Record]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def all_arrays(table: Table) -> dict[str, np.ndarray]:
    out = {"index": table.arch_index, "seeds": table.seeds}
    for names, read in (
        (table.scalar_names, table.scalar),
        (table.curve_names, table.curve),
        (table.corruption_kinds, table.corruptions),
        (table.flag_names, table.flag),
        (table.label_names, table.label),
    ):
        out |= {f"{read.__name__}:{name}": read(name) for name in names}
    return out


def records() -> list[Record]:
    """By arch_id; with one and several seeds, complete and partial, and an odd best epoch."""
    out = [make_record(NARES.from_arch_id(k), epochs=5, seeds=(0,)) for k in (1, 7, 300, 301, 302, 15625)]
    out[1] = make_record(NARES.from_arch_id(7), epochs=5, seeds=(9, 2, 5))
    out[2]["test_best"][0]["corruptions"].pop("fog")
    out[2]["test_best"][0]["corruptions"]["snow"]["2"].pop("loss")
    out[2]["test_best"][0].pop("test_loss")
    out[3].pop("test_best")
    out[3]["train"][0].pop("training_time")
    out[4]["train"][0]["best_epoch"] = 0
    return out


def test_round_trip_of_the_authors_format(tmp_path: Path) -> None:
    original = records()
    first = bring(write_jsonl(tmp_path / "a.jsonl", original), "a")
    assert release_gaps(first) == (
        "the authors' format has no field for best_epoch_not_first_maximum, the table's notes: left out",
        "null, since the table has no value: training_time (of 1 trainings)",
    )
    write_release(first, tmp_path / "b.jsonl")
    written = read_lines(tmp_path / "b.jsonl")
    assert (written[3].pop("test_best"), written[3]["train"][0].pop("training_time")) == ([{}], None)
    assert written == original
    second = bring(tmp_path / "b.jsonl", "b")
    expected = all_arrays(first)
    assert all_arrays(second).keys() == expected.keys()
    for name, array in all_arrays(second).items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)
    assert second.content_hash == first.content_hash


def test_lines_come_by_arch_id_and_trainings_of_an_architecture_together(tmp_path: Path) -> None:
    shuffled = [make_record(NARES.from_arch_id(k), epochs=2, seeds=(s,)) for k, s in ((9, 4), (2, 0), (9, 1))]
    table = bring(write_jsonl(tmp_path / "a.jsonl", shuffled), "a")
    write_release(table, tmp_path / "b.jsonl")
    written = read_lines(tmp_path / "b.jsonl")
    assert [r["arch_id"] for r in written] == [2, 9]
    assert [t["seed"] for t in written[1]["train"]] == [4, 1]
    assert written[1]["test_best"] == shuffled[0]["test_best"] + shuffled[2]["test_best"]


def test_tests_keep_the_order_of_the_trainings(tmp_path: Path) -> None:
    record = make_record(NARES.from_arch_id(1), epochs=2, seeds=(4, 6))
    kept = record["test_best"].pop()
    record["test_best"] = [{"seed": 6, **kept}]
    table = bring(write_jsonl(tmp_path / "a.jsonl", [record]), "a")
    write_release(table, tmp_path / "b.jsonl")
    assert read_lines(tmp_path / "b.jsonl")[0]["test_best"] == [{}, kept]
    assert bring(tmp_path / "b.jsonl", "b").content_hash == table.content_hash


def test_other_spaces(tmp_path: Path) -> None:
    space = SearchSpace((1, 2), (3,), stages=4)
    original = [make_record(space.from_arch_id(k), epochs=2, space=space) for k in range(1, space.size + 1)]
    table = bring(write_jsonl(tmp_path / "a.jsonl", original), "a", space)
    write_release(table, tmp_path / "b.jsonl")
    assert read_lines(tmp_path / "b.jsonl") == original
    frame = to_dataframe(table)
    assert list(frame.columns[:12]) == "arch_id arch D1 W1 D2 W2 D3 W3 D4 W4 macs params".split()  # noqa: SIM905
    assert frame["arch_id"].tolist() == list(range(1, 17))


def as_the_authors_read(path: Path) -> list[Record]:
    """Access to every documented field: those of a training must be there, those of a test may be missing."""
    out = []
    for record in read_lines(path):
        train, test = record["train"][0], record["test_best"][0]
        found = {"arch_id": record["arch_id"], "macs": record["MACs"] * 1e6, "params": record["Params"] * 1e6}
        found["arch"] = [record["arch"][name] for name in ("D1", "W1", "D2", "W2", "D3", "W3")]
        found |= {key: train[key] for key in ("seed", "gpu_type", "timestamp", "training_time", "best_epoch")}
        curves = "train_loss train_acc val_loss val_acc pgd pgd_stable pgd_lip pgd_loss cw cw_stable cw_lip cw_loss"
        found |= {key: train[key][train["best_epoch"]] for key in curves.split()}
        found |= {key: test.get(key) for key in ("test_clean_acc", "test_loss")}
        for attack, kinds in (
            ("fgsm", "acc stable"),
            ("pgd", "acc stable lip"),
            ("cw", "acc stable lip"),
            ("aa", "acc"),
        ):
            found |= {f"Linf_{attack}_{kind}": test.get(f"Linf_{attack}_{kind}") for kind in kinds.split()}
        corruptions = test.get("corruptions", {}).values()
        found["corruptions"] = [cell.get("acc") for severities in corruptions for cell in severities.values()]
        out.append(found)
    return out


def test_the_authors_loader_reads_an_imported_release(tmp_path: Path) -> None:
    original = records()
    table = bring(write_jsonl(tmp_path / "a.jsonl", original), "a")
    write_release(table, tmp_path / "b.jsonl")
    found = as_the_authors_read(tmp_path / "b.jsonl")
    assert [line["training_time"] for line in found] == [r["train"][0].get("training_time") for r in original]
    assert found[3]["Linf_pgd_acc"] is None
    assert len(found[0]["corruptions"]) == 95


def test_the_authors_loader_reads_digits_729(tmp_path: Path) -> None:
    table = nasbench_ar.open_table("digits-729")
    lost, differs, nulls = release_gaps(table)
    assert lost.startswith("the authors' format has no field for entry_sha256, sanity_aa_above_cw, ")
    assert "test_fgsm_acc, test_fgsm_stable, test_aa_acc (scikit-learn digits, other training, eps_255=24.0)" in differs
    assert nulls == "null, since the table has no value: training_time (of 802 trainings)"
    write_release(table, tmp_path / "x.jsonl")
    found = as_the_authors_read(tmp_path / "x.jsonl")
    assert [line["arch_id"] for line in found] == list(range(1, 730))
    assert {line["training_time"] for line in found} == {None}
    assert all(line["gpu_type"] and line["timestamp"] for line in found)
    oracle = Oracle(table)
    for line in found:
        seed = line["seed"]
        for key, name in (("pgd", "val_pgd_acc"), ("cw_lip", "val_cw_lip"), ("Linf_aa_acc", "test_aa_acc")):
            assert line[key] == oracle.query(line["arch"], name, seed=seed)
    again = bring(tmp_path / "x.jsonl", "again", table.space)
    np.testing.assert_array_equal(Oracle(again).column("test_pgd_acc"), oracle.column("test_pgd_acc"))


def test_a_table_without_curves_says_what_is_lost(tmp_path: Path) -> None:
    table = nasbench_ar.open_table("nares-figures")
    assert release_gaps(table) == (
        "the authors' format has no field for val_best_clean_acc, val_best_pgd_acc, val_best_cw_acc, "
        "low_mode, objective_imputed, test_clean_acc_agree, test_pgd_acc_agree, val_best_clean_acc_agree, "
        "val_best_cw_acc_agree, val_best_pgd_acc_agree, the table's notes: left out",
        "null, since the table has no value: gpu_type (of 15625 trainings), timestamp (of 15625 trainings), "
        "training_time (of 15625 trainings)",
        "the authors' loader cannot read the file, which lacks what it needs: best_epoch, train_loss, train_acc, "
        "val_loss, val_acc, pgd, pgd_stable, pgd_lip, pgd_loss, cw, cw_stable, cw_lip, cw_loss",
    )
    write_release(table, tmp_path / "x.jsonl")
    written = read_lines(tmp_path / "x.jsonl")
    assert [r["arch_id"] for r in written] == list(range(1, 15626))
    assert written[0]["train"] == [{"seed": 0, "gpu_type": None, "timestamp": None, "training_time": None}]
    oracle = Oracle(table)
    for record in written[:50]:
        (test,) = record["test_best"]
        for key, name in (("Linf_pgd_acc", "test_pgd_acc"), ("Linf_aa_acc", "test_aa_acc")):
            index = NARES.index(list(record["arch"].values()))
            assert test.get(key, np.nan) == pytest.approx(oracle.column(name)[index], nan_ok=True)
    with pytest.raises(KeyError, match="best_epoch"):
        as_the_authors_read(tmp_path / "x.jsonl")
    with pytest.raises(TableError, match=r"line 1: train\[0\] has no field 'train_loss'"):
        bring(tmp_path / "x.jsonl", "again")


def test_gaps_of_other_tables(tmp_path: Path) -> None:
    scalars = {"val_pgd_acc": 1.0, "val_cw_acc": 2.0, "test_corrupt_acc": 3.0, "best_epoch": 1, "test_pgd_acc": 4}
    first = TOY.from_index(0), scalars | {"curves": {"val_cw_acc": np.ones(2)}}
    table = table_of(tmp_path / "t", first, (TOY.from_index(1), {"labels": {"gpu_type": "x"}}))
    lost, differs, nulls, needed = release_gaps(table)
    assert lost == "the authors' format has no field for val_pgd_acc, test_corrupt_acc, the table's notes: left out"
    assert differs == "the file does not say what differs from the published definitions: val_pgd_acc (ten steps)"
    assert "gpu_type (of 1 trainings), timestamp (of 2 trainings), training_time (of 2 trainings)" in nulls
    assert "lacks what it needs: arch.D3, arch.W3, best_epoch, train_loss, " in needed
    assert ", cw, " in needed  # one of the trainings has none
    write_release(table, tmp_path / "x.jsonl")
    nothing = dict.fromkeys(("gpu_type", "timestamp", "training_time"))
    expected = {"seed": 0, **nothing, "best_epoch": 1, "cw": [1.0, 1.0]}
    assert json.loads((tmp_path / "x.jsonl").read_text().splitlines()[0])["train"] == [expected]


def test_values_whose_source_is_not_whole(tmp_path: Path) -> None:
    whole = np.ones((19, 5))
    broken = np.where(np.arange(95).reshape(19, 5) == 7, np.nan, whole)
    scalars = {"test_corrupt_acc": 1.0, "val_cw_acc": 2.0}
    first = TOY.from_index(0), scalars | {"corruption_acc": whole, "curves": {"val_cw_acc": np.ones(2)}}
    second = TOY.from_index(1), scalars | {"corruption_acc": broken}
    lost, partly, *_ = release_gaps(table_of(tmp_path / "t", first, second, (TOY.from_index(2), scalars)))
    assert lost == "the authors' format has no field for the table's notes: left out"
    assert partly == (
        "left out, since curves or corruptions are not whole: val_cw_acc (of 2 trainings), "
        "test_corrupt_acc (of 2 trainings)"
    )
