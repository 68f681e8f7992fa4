import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasbench_ar import MetricError, Table, TableError
from nasbench_ar.system.files import file_sha256
from tests.nasbench_ar.conftest import EPOCHS, TOY, table_of, toy_cells, toy_curves, toy_writer, write_toy


def edit_meta(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path = folder / "meta.json"
    meta = json.loads(path.read_text())
    change(meta)
    path.write_text(json.dumps(meta))


def replace_array(folder: Path, file: str, array: np.ndarray) -> None:
    """As if it had been written with the table: the hash fits."""
    np.save(folder / file, array)
    edit_meta(folder, lambda meta: meta["files"][file].update(sha256=file_sha256(folder / file)))


def test_round_trip(toy_table: Table) -> None:
    table = toy_table
    assert table.rows == 16
    assert table.space == TOY
    assert table.epochs == EPOCHS
    assert table.arch_index.tolist() == [0, 0, *range(1, 15)]
    assert table.seeds.tolist() == [3, 0, *[0] * 14]
    assert table.corruption_kinds == ("acc",)
    assert table.flag_names == ("odd",)
    assert table.label_names == ("gpu_type",)
    assert table.label("gpu_type")[2] == "gpu1"
    assert table.flag("odd").sum() == 7
    np.testing.assert_array_equal(table.curve("val_cw_acc")[0], toy_curves(0, 3)["val_cw_acc"])
    np.testing.assert_array_equal(table.corruptions("acc")[1], toy_cells(0, 0))
    assert np.isnan(table.corruptions("acc")[6]).all()
    assert np.isnan(table.scalar("test_pgd_acc")[6])
    assert table.scalar("test_pgd_acc")[0] == 53.0
    table.verify()
    assert "16 rows" in repr(table)


def test_equal_numbers_have_equal_hashes_wherever_they_stand(tmp_path: Path, toy_table: Table) -> None:
    assert write_toy(tmp_path / "elsewhere").content_hash == toy_table.content_hash
    assert table_of(tmp_path / "other", (TOY.from_index(0), {})).content_hash != toy_table.content_hash


def test_a_table_travels_to_workers_as_its_folder(toy_table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    toy_table.curve("val_pgd_acc")
    packed = pickle.dumps(toy_table)
    assert len(packed) < 500
    monkeypatch.chdir("/")
    assert pickle.loads(packed).rows == 16


@pytest.mark.parametrize(
    ("kind", "of_toy", "of_none"),
    [
        ("scalar", "has no test_aa_acc; it has macs, params, ", "it has macs, params$"),
        ("curve", "no curve of test_aa_acc over the epochs; curves: train_loss", "curves: none at all$"),
        ("corruptions", "no corruption cells of kind 'test_aa_acc'; it has acc", "it has none$"),
        ("flag", "no flag 'test_aa_acc'; flags: odd", "flags: none$"),
        ("label", "no label 'test_aa_acc'; labels: gpu_type", "labels: none$"),
    ],
)
def test_unknown_columns(toy_table: Table, tmp_path: Path, kind: str, of_toy: str, of_none: str) -> None:
    bare = table_of(tmp_path / "bare", (TOY.from_index(0), {}))
    assert bare.epochs == 0
    bare.verify()
    for table, message in ((toy_table, of_toy), (bare, of_none)):
        with pytest.raises(MetricError, match=message):
            getattr(table, kind)("test_aa_acc")


def test_impossible_losses_of_corruptions(tmp_path: Path) -> None:
    cells = np.ones((19, 5))
    table = table_of(tmp_path / "t", (TOY.from_index(0), {"corruption_loss": cells}))
    table.verify()
    cells[3, 2] = np.inf
    replace_array(table.folder, "corruptions/loss.npy", cells[None])
    with pytest.raises(TableError, match=r"corruptions/loss\.npy: row 0 holds inf, which test_loss cannot be"):
        Table(table.folder).verify()


@pytest.mark.parametrize(
    "file",
    [
        *("arch_index", "seed", "scalars/val_pgd_acc", "curves/train_acc"),
        "corruptions/acc",
        "flags/odd",
        "labels/gpu_type",
    ],
)
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "garbage", "zip", "flipped"])
def test_damaged_arrays(toy_table: Table, file: str, damage: str) -> None:
    file += ".npy"
    path = toy_table.folder / file
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        flipped = content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]
        contents = {"empty": b"", "truncated": content[:-4], "garbage": b"hello", "zip": b"PK\x03\x04" + bytes(99)}
        path.write_bytes(contents.get(damage, flipped))
    table = Table(toy_table.folder)
    with pytest.raises(TableError, match=f"is damaged: {file}.*import it again or restore"):
        table.verify()
    table = Table(toy_table.folder)
    with pytest.raises(TableError, match=f"is damaged: {file}"):
        use_everything(table)


def use_everything(table: Table) -> None:
    _ = (table.arch_index, table.seeds, table.scalar("val_pgd_acc"), table.curve("train_acc"))
    _ = (table.corruptions("acc"), table.flag("odd"), table.label("gpu_type"))


@pytest.mark.parametrize(
    ("file", "array", "message"),
    [
        ("scalars/val_pgd_acc.npy", np.zeros(15), r"holds float64 \(15,\); expected float64 \(16,\)"),
        ("scalars/val_pgd_acc.npy", np.zeros((16, 1)), r"holds float64 \(16, 1\); expected float64 \(16,\)"),
        ("scalars/val_pgd_acc.npy", np.zeros(16, dtype=np.float32), "holds float32"),
        ("scalars/val_pgd_acc.npy", np.zeros(16, dtype=np.int64), "holds int64"),
        ("curves/train_acc.npy", np.zeros(16), r"expected float64 \(16, 'any'\)"),
        ("curves/train_acc.npy", np.zeros((16, EPOCHS), dtype=np.float32), "holds float32"),
        ("curves/train_acc.npy", np.zeros((15, EPOCHS)), r"expected float64 \(16, 'any'\)"),
        ("corruptions/acc.npy", np.zeros((16, 19, 4)), r"expected float64 \(16, 19, 5\)"),
        ("corruptions/acc.npy", np.zeros((16, 19, 5), dtype=np.float32), "holds float32"),
        ("flags/odd.npy", np.zeros(16), "expected bool"),
        ("labels/gpu_type.npy", np.zeros(16), "expected <U"),
        ("arch_index.npy", np.zeros(16), "expected int32"),
        ("arch_index.npy", np.full(16, 16, dtype=np.int32), "holds indices outside the space"),
        ("arch_index.npy", np.full(16, -1, dtype=np.int32), "holds indices outside the space"),
        ("curves/train_acc.npy", np.zeros((16, EPOCHS + 1)), "they differ in length;"),
        # The first architecture has two rows.
        ("seed.npy", np.zeros(16, dtype=np.int64), "an architecture has two rows of the same seed;"),
    ],
)
def test_wrong_arrays_with_a_right_hash(toy_table: Table, file: str, array: np.ndarray, message: str) -> None:
    replace_array(toy_table.folder, file, array)
    with pytest.raises(TableError, match=f" is damaged: ({file}|curves): .*{message}"):
        Table(toy_table.folder).verify()


@pytest.mark.parametrize(
    ("file", "value"),
    [
        ("scalars/val_pgd_acc.npy", 1e300),
        ("scalars/val_pgd_acc.npy", -0.01),
        ("scalars/val_loss.npy", np.inf),
        ("scalars/training_time_gpu_days.npy", -1.0),
        ("scalars/best_epoch.npy", 2.5),
        ("scalars/best_epoch.npy", np.inf),
        ("curves/val_cw_acc.npy", 100.01),
        ("curves/val_cw_lip.npy", -np.inf),
        ("corruptions/acc.npy", 101.0),
    ],
)
def test_impossible_values_with_a_right_hash(toy_table: Table, file: str, value: float) -> None:
    array = np.load(toy_table.folder / file)
    array.reshape(16, -1)[6, -1] = value
    replace_array(toy_table.folder, file, array)
    with pytest.raises(TableError, match=re.escape(f"{file}: row 6 holds {value}, which")):
        Table(toy_table.folder).verify()
    table = Table(toy_table.folder)
    group, _, name = file.removesuffix(".npy").partition("/")
    read = {"scalars": table.scalar, "curves": table.curve, "corruptions": table.corruptions}[group]
    for _ in range(2):  # the refused array is not kept for the second time
        with pytest.raises(TableError, match="cannot be"):
            read(name)


def test_pickles_are_not_opened(toy_table: Table) -> None:
    file = "scalars/val_pgd_acc.npy"
    replace_array(toy_table.folder, file, np.array([object()] * 16))
    with pytest.raises(TableError, match=r"not a whole \.npy file"):
        Table(toy_table.folder).scalar("val_pgd_acc")


def test_unreadable_array(toy_table: Table) -> None:
    path = toy_table.folder / "scalars/val_pgd_acc.npy"
    path.unlink()
    path.mkdir()
    with pytest.raises(TableError, match=r"cannot read .*val_pgd_acc\.npy: Is a directory"):
        Table(toy_table.folder).scalar("val_pgd_acc")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.pop("format"), "does not describe a table of format"),
        (lambda m: m.update(format="other"), "does not describe a table of format"),
        (lambda m: m.update(format_version=2), "has format version 2; this release reads version 1"),
        (lambda m: m.pop("format_version"), "has format version None"),
        (lambda m: m.update(rows="16"), "'rows' is missing or not a int"),
        (lambda m: m.update(rows=True), "'rows' is missing or not a int"),
        (lambda m: m.update(rows=0), "names no rows"),
        (lambda m: m.update(rows=10**30), None),
        (lambda m: m.update(name=None), "'name' is missing or not a str"),
        (lambda m: m.update(files=[]), "'files' is missing or not a dict"),
        (lambda m: m["files"].pop("seed.npy"), "names no rows"),
        (lambda m: m["files"].update({"/etc/passwd": {"sha256": "0"}}), "bad entry '/etc/passwd'"),
        (lambda m: m["files"].update({"scalars/../../x.npy": {"sha256": "0"}}), "bad entry"),
        (lambda m: m["files"].update({"scalars/val_loss.npy": {}}), "bad entry"),
        (lambda m: m["files"].update({"scalars/val_loss.npy": "x"}), "bad entry"),
        (lambda m: m["files"].update({"a\0b": {"sha256": "0"}}), "is damaged"),
        (lambda m: m["files"].update({"scalars/val_best_pgd_acc.npy": {"sha256": 5}}), "does not match the hash"),
        (lambda m: m["files"].update({"scalars/test_aa_acc.npy": {"sha256": "0"}}), "No such file"),
        (lambda m: m["files"].update({"flags/x": {"sha256": "0"}}), "bad entry 'flags/x'"),
        (lambda m: m["files"].update({"flags/x\ny.npy": {"sha256": "0"}}), "bad entry"),
        (lambda m: m["files"].update({f"flags/{'9' * 5000}.npy": {"sha256": "0"}}), r"bad entry 'flags/9+\.\.\. in"),
        (lambda m: m.update(notes=["fine", 5]), "'notes' and 'differs' hold texts only"),
        (lambda m: m["differs"].update(val_loss=[]), "'notes' and 'differs' hold texts only"),
        (lambda m: m.update(title="\ud800"), "surrogates not allowed"),
        (lambda m: m["space"].update(unit_channels=10**12), "costs reach beyond"),
        (lambda m: m.update(default_objective="x"), "unknown default objective 'x'"),
        (lambda m: m["space"].pop("stages"), "a space needs exactly the keys"),
        (lambda m: m["space"].update(stages=10**9), "too large"),
        (lambda m: m["space"].update(depth_choices=[2, 1]), "depth_choices"),
        (lambda m: m["space"].update(stages=1), "holds indices outside the space"),
    ],
)
def test_damaged_meta(toy_table: Table, change: Callable[[dict[str, Any]], Any], message: str | None) -> None:
    edit_meta(toy_table.folder, change)
    with pytest.raises(TableError, match=message):
        Table(toy_table.folder).verify()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_meta_that_is_no_object(toy_table: Table, content: bytes) -> None:
    (toy_table.folder / "meta.json").write_bytes(content)
    with pytest.raises(TableError, match=r"meta\.json"):
        Table(toy_table.folder)


def test_no_table_at_all(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path, tmp_path / "absent", tmp_path / "file"):
        with pytest.raises(TableError, match=r"is not a table: there is no meta\.json"):
            Table(place)
    (tmp_path / "meta.json").mkdir()
    with pytest.raises(TableError, match="cannot read"):
        Table(tmp_path)


@pytest.mark.parametrize("name", ["", "../../escaped", "a/b", ".hidden"])
def test_a_name_cannot_lead_out_of_a_folder(toy_table: Table, tmp_path: Path, name: str) -> None:
    edit_meta(toy_table.folder, lambda meta: meta.update(name=name))
    for open_it in (lambda: Table(toy_table.folder), lambda: toy_writer(tmp_path / "other", name=name)):
        with pytest.raises(TableError, match="cannot name a table"):
            open_it()
