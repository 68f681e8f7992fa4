import errno
import json
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasbench_ar import MetricError, SpaceError, Table, TableError, TableWriter
from nasbench_ar import table_writer as writer_module
from nasbench_ar.files import file_sha256, write_atomically
from nasbench_ar.metrics import CORRUPTIONS
from tests.nasbench_ar.conftest import EPOCHS, TOY, toy_cells, toy_curves, toy_writer, write_toy

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def hidden(folder: Path) -> list[str]:
    return [p.name for p in folder.parent.iterdir() if p.name.startswith(".")]


def edit_meta(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path = folder / "meta.json"
    meta = json.loads(path.read_text())
    change(meta)
    path.write_text(json.dumps(meta))


# -- what was written is read ------------------------------------------------


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


def test_late_columns_are_padded(tmp_path: Path) -> None:
    with toy_writer(tmp_path / "t") as writer:
        writer.add(TOY.architecture(0), seed=0, scalars={})
        writer.add(TOY.architecture(1), seed=0, scalars={"val_pgd_acc": 1.0}, curves={"val_pgd_acc": np.ones(2)})
        writer.add(TOY.architecture(2), seed=0, scalars={}, flags={"f": True}, labels={"l": "x"})
    table = Table(tmp_path / "t")
    np.testing.assert_array_equal(table.scalar("val_pgd_acc"), [np.nan, 1.0, np.nan])
    np.testing.assert_array_equal(table.curve("val_pgd_acc"), [[np.nan] * 2, [1.0] * 2, [np.nan] * 2])
    assert table.flag("f").tolist() == [False, False, True]
    assert table.label("l").tolist() == ["", "", "x"]
    table.verify()


def test_more_rows_than_a_chunk(tmp_path: Path) -> None:
    with toy_writer(tmp_path / "t") as writer:
        for seed in range(700):
            writer.add(TOY.architecture(0), seed=seed, scalars={}, curves={"train_acc": np.full(3, seed)})
        assert len(writer) == 700
    np.testing.assert_array_equal(Table(tmp_path / "t").curve("train_acc"), np.arange(700)[:, None] * np.ones(3))


def test_equal_numbers_have_equal_hashes_wherever_they_stand(tmp_path: Path, toy_table: Table) -> None:
    assert write_toy(tmp_path / "elsewhere").content_hash == toy_table.content_hash
    with toy_writer(tmp_path / "other") as writer:
        writer.add(TOY.architecture(0), seed=0, scalars={"val_pgd_acc": 1.0})
    assert Table(tmp_path / "other").content_hash != toy_table.content_hash


def test_a_table_travels_to_workers_as_its_folder(toy_table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    toy_table.curve("val_pgd_acc")
    packed = pickle.dumps(toy_table)
    assert len(packed) < 500
    monkeypatch.chdir("/")
    assert pickle.loads(packed).rows == 16


def test_unknown_columns(toy_table: Table) -> None:
    asked: list[tuple[Callable[[str], Any], str]] = [
        (toy_table.scalar, "has no test_aa_acc; it has macs, params"),
        (toy_table.curve, "no curve of test_aa_acc over the epochs; curves: train_loss"),
        (toy_table.corruptions, "no corruption cells of kind 'test_aa_acc'; it has acc"),
        (toy_table.flag, "no flag 'test_aa_acc'; flags: odd"),
        (toy_table.label, "no label 'test_aa_acc'; labels: gpu_type"),
    ]
    for ask, message in asked:
        with pytest.raises(MetricError, match=message):
            ask("test_aa_acc")


# -- what the writer refuses -------------------------------------------------


def test_refused_rows(tmp_path: Path) -> None:
    good = TOY.architecture(0)
    refusals: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"architecture": (9, 9, 9, 9)}, SpaceError, "D1=9"),
        ({"scalars": {"macs": 1.0}}, TableError, "'macs' is not a metric that a table stores"),
        ({"scalars": {"nonsense": 1.0}}, TableError, "'nonsense' is not a metric"),
        ({"scalars": {"val_pgd_acc": float("inf")}}, TableError, "val_pgd_acc is inf for 1-1-1-1, which it cannot be"),
        ({"scalars": {"val_pgd_acc": 100.5}}, TableError, "val_pgd_acc is 100.5 for 1-1-1-1, which it cannot be"),
        ({"scalars": {"best_epoch": 0.5}}, TableError, "best_epoch is 0.5"),
        ({"curves": {"nonsense": np.ones(3)}}, TableError, "unknown curve 'nonsense'; known: train_loss"),
        ({"curves": {"train_acc": np.ones(3), "val_loss": np.ones(4)}}, TableError, r"curve val_loss has shape \(4,\)"),
        ({"corruption_acc": np.ones((5, 19))}, TableError, r"got shape \(5, 19\); expected \(19, 5\)"),
    ]
    for k, (change, kind, message) in enumerate(refusals):
        call: dict[str, Any] = {"architecture": good, "seed": 0, "scalars": {}} | change
        with pytest.raises(kind, match=message), toy_writer(tmp_path / f"t{k}") as writer:
            writer.add(call.pop("architecture"), **call)
        assert not (tmp_path / f"t{k}").exists()
    with toy_writer(tmp_path / "twice") as writer:
        writer.add(good, seed=4, scalars={})
        with pytest.raises(TableError, match="1-1-1-1 with seed 4 is there twice"):
            writer.add(good, seed=4, scalars={})
    with pytest.raises(TableError, match="nothing to write"), toy_writer(tmp_path / "t"):
        pass
    assert not hidden(tmp_path / "t")


def test_annotations(tmp_path: Path) -> None:
    with toy_writer(tmp_path / "t") as writer:
        writer.add(TOY.architecture(0), seed=0, scalars={})
        writer.annotate(title="final", notes=("b", "c"), source={"sha256": "0"})
    meta = Table(tmp_path / "t").meta
    assert meta["title"] == "final"
    assert meta["notes"] == ["a note", "b", "c"]
    assert meta["source"] == {"file": "nowhere", "sha256": "0"}


# -- whole or not at all -----------------------------------------------------


def test_an_existing_table_is_kept_unless_told_otherwise(tmp_path: Path, toy_table: Table) -> None:
    with pytest.raises(TableError, match=r"exists already.*--replace"):
        toy_writer(toy_table.folder)
    with toy_writer(toy_table.folder, replace=True) as writer:
        writer.add(TOY.architecture(7), seed=0, scalars={})
    assert Table(toy_table.folder).arch_index.tolist() == [7]
    assert not hidden(toy_table.folder)


def test_replacing_never_touches_what_is_no_table(tmp_path: Path) -> None:
    precious = tmp_path / "thesis"
    precious.mkdir()
    (precious / "chapter1.tex").write_text("x")
    for target in (precious, precious / "chapter1.tex"):
        with pytest.raises(TableError, match="something else than a table"):
            toy_writer(target, replace=True)
    assert (precious / "chapter1.tex").read_text() == "x"


def _full_disk_when_appending(monkeypatch: pytest.MonkeyPatch) -> None:
    def flush(self: Any) -> None:
        raise FULL

    monkeypatch.setattr(writer_module._RowFile, "flush", flush)


def _full_disk_when_saving(monkeypatch: pytest.MonkeyPatch) -> None:
    def save(*args: Any, **kwargs: Any) -> None:
        raise FULL

    monkeypatch.setattr(np, "save", save)


def _full_disk_when_syncing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(handle: int) -> None:
        raise FULL

    monkeypatch.setattr(os, "fsync", fsync)


def _full_disk_for_meta(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*args: Any) -> None:
        raise FULL

    monkeypatch.setattr(writer_module, "write_atomically", write)


def _no_rename_to_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self.name.endswith(".partial"):
            raise FULL
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize(
    "damage",
    [
        _full_disk_when_appending,
        _full_disk_when_saving,
        _full_disk_when_syncing,
        _full_disk_for_meta,
        _no_rename_to_the_target,
    ],
)
def test_a_full_disk_changes_nothing(
    damage: Callable[[pytest.MonkeyPatch], None], replace: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "toy"
    before = write_toy(folder).content_hash if replace else None
    with monkeypatch.context() as patch:
        damage(patch)
        with pytest.raises(TableError, match="No space left on device; nothing was changed there") as caught:
            write_toy(folder, replace=replace)
    assert "\n" not in str(caught.value)
    assert not hidden(folder)
    if replace:
        assert Table(folder).content_hash == before
        Table(folder).verify()
    else:
        assert not folder.exists()


def test_a_failure_while_closing_does_not_hide_the_first_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk fails again when buffered data are flushed by close."""

    class Failing:
        def __init__(self, stream: Any) -> None:
            self.stream = stream

        def __getattr__(self, name: str) -> Any:
            return getattr(self.stream, name)

        def close(self) -> None:
            self.stream.close()
            raise FULL

    original = writer_module._RowFile.__init__

    def init(self: Any, *args: Any) -> None:
        original(self, *args)
        self._file = Failing(self._file)

    monkeypatch.setattr(writer_module._RowFile, "__init__", init)
    writer = toy_writer(tmp_path / "t")
    with pytest.raises(RuntimeError, match="the first"), writer:
        _add_and_raise(writer, RuntimeError("the first"))
    assert not hidden(tmp_path / "t")


def _add_and_raise(writer: TableWriter, error: BaseException) -> None:
    writer.add(TOY.architecture(0), seed=0, scalars={}, curves={"train_acc": np.ones(3)})
    raise error


def test_an_exception_in_the_block_leaves_nothing(tmp_path: Path) -> None:
    writer = toy_writer(tmp_path / "t")
    with pytest.raises(KeyboardInterrupt), writer:
        _add_and_raise(writer, KeyboardInterrupt())
    assert list(tmp_path.glob("[.t]*")) == []


def test_unwritable_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TableError, match=r"cannot write a table at .*Not a directory"):
        toy_writer(tmp_path / "file" / "table")


def test_write_atomically_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    write_atomically(path, b"old")
    _full_disk_when_syncing(monkeypatch)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


# -- damage ------------------------------------------------------------------


@pytest.mark.parametrize("file", ["arch_index.npy", "seed.npy", "scalars/val_pgd_acc.npy", "curves/train_acc.npy"])
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "garbage", "zip", "flipped"])
def test_damaged_arrays(toy_table: Table, file: str, damage: str) -> None:
    path = toy_table.folder / file
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        flipped = bytearray(content)
        flipped[-3] ^= 1
        path.write_bytes(
            {
                "empty": b"",
                "truncated": content[:-4],
                "garbage": b"hello",
                "zip": b"PK\x03\x04" + bytes(99),
                "flipped": bytes(flipped),
            }[damage]
        )
    table = Table(toy_table.folder)
    with pytest.raises(TableError, match=f"is damaged: {file}.*import it again or restore"):
        table.verify()
    table = Table(toy_table.folder)
    if file.startswith("curves/") and damage == "flipped":
        return  # large arrays are compared with their hash by verify only
    with pytest.raises(TableError, match=f"is damaged: {file}"):
        _ = (table.arch_index, table.seeds, table.scalar("val_pgd_acc"), table.curve("train_acc"))


@pytest.mark.parametrize(
    ("file", "array"),
    [
        ("scalars/val_pgd_acc.npy", np.zeros(15)),
        ("scalars/val_pgd_acc.npy", np.zeros((16, 1))),
        ("scalars/val_pgd_acc.npy", np.zeros(16, dtype=np.float32)),
        ("scalars/val_pgd_acc.npy", np.zeros(16, dtype=np.int64)),
        ("curves/train_acc.npy", np.zeros(16)),
        ("curves/train_acc.npy", np.zeros((15, EPOCHS))),
        ("curves/train_acc.npy", np.zeros((16, EPOCHS + 1))),
        ("corruptions/acc.npy", np.zeros((16, 19, 4))),
        ("flags/odd.npy", np.zeros(16)),
        ("labels/gpu_type.npy", np.zeros(16)),
        ("arch_index.npy", np.zeros(16)),
        ("arch_index.npy", np.full(16, 16, dtype=np.int32)),
        ("arch_index.npy", np.full(16, -1, dtype=np.int32)),
        ("seed.npy", np.zeros(16, dtype=np.int64)),  # index 0 twice with seed 0
    ],
)
def test_wrong_arrays_with_a_right_hash(toy_table: Table, file: str, array: np.ndarray) -> None:
    np.save(toy_table.folder / file, array)
    edit_meta(toy_table.folder, lambda m: m["files"][file].update(sha256=file_sha256(toy_table.folder / file)))
    with pytest.raises(TableError, match="is damaged"):
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
    np.save(toy_table.folder / file, array)
    edit_meta(toy_table.folder, lambda m: m["files"][file].update(sha256=file_sha256(toy_table.folder / file)))
    with pytest.raises(TableError, match=re.escape(f"{file}: row 6 holds {value}, which")):
        Table(toy_table.folder).verify()
    if file.startswith("scalars/"):
        table = Table(toy_table.folder)
        for _ in range(2):  # the refused array is not kept for the second time
            with pytest.raises(TableError, match="cannot be"):
                table.scalar(file.removeprefix("scalars/").removesuffix(".npy"))


def test_pickles_are_not_opened(toy_table: Table) -> None:
    file = "scalars/val_pgd_acc.npy"
    np.save(toy_table.folder / file, np.array([object()] * 16), allow_pickle=True)
    edit_meta(toy_table.folder, lambda m: m["files"][file].update(sha256=file_sha256(toy_table.folder / file)))
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


def test_corruption_order_is_the_catalogues(toy_table: Table) -> None:
    assert toy_table.corruptions("acc").shape == (16, len(CORRUPTIONS), 5)


@pytest.mark.parametrize("name", ["", "../../escaped", "a/b", ".hidden"])
def test_a_name_cannot_lead_out_of_a_folder(toy_table: Table, tmp_path: Path, name: str) -> None:
    meta = json.loads((toy_table.folder / "meta.json").read_text())
    (toy_table.folder / "meta.json").write_text(json.dumps(meta | {"name": name}))
    with pytest.raises(TableError, match="cannot name a table"):
        Table(toy_table.folder)
    with pytest.raises(TableError, match="cannot name a table"):
        TableWriter(
            tmp_path / "other",
            name=name,
            title="",
            provenance="",
            space=TOY,
            default_objective="val_pgd_acc",
            licence="",
            source={},
        )
