"""Result folders on common ground, and what runs would have reported along their way."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from experiments.results.read import read, read_all, refuse_special, reported_after
from nasbench_ar import ResultsError, Table
from tests.experiments.conftest import store_runs, write_table


def test_what_was_reported_within_the_budget(table: Table, tmp_path: Path) -> None:
    folder = store_runs(tmp_path / "a", table, {0: [4, 3, 2, 1], 1: [7, 8]}, reported={1: 8})
    runs = read_all([folder])[0].runs
    first, second = runs.incumbent.tolist()
    assert second == [7, 8, 8, 8], "a run that ended keeps what it had"
    assert reported_after(runs, 2).tolist() == [first[:2], [7, 8]]
    assert reported_after(runs, 6).tolist() == [first + first[-1:] * 2, [7, 8, 8, 8, 8, 8]]


def test_contestants_are_in_the_order_of_the_folders(table: Table, tmp_path: Path) -> None:
    folders = [store_runs(tmp_path / name, table, {3: [0, 1], 1: [2, 3]}) for name in ("b", "a")]
    stored = read_all(folders)
    assert [one.name for one in stored] == ["b", "a"]
    assert stored[0].runs.seeds.tolist() == [1, 3]
    assert {(one.oracle.name, one.race.objective) for one in stored} == {("small", "val_pgd_acc")}


def test_equal_names_are_told_apart_by_the_folders_above(table: Table, tmp_path: Path) -> None:
    folders = [store_runs(tmp_path / place, table, {0: [0, 1]}) for place in ("x/1/a", "y/1/a", "x/2/a", "b")]
    assert [one.name for one in read_all(folders)] == ["x/1/a", "y/1/a", "2/a", "b"]


def test_a_renamed_folder_has_its_new_name(table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = store_runs(tmp_path / "old", table, {0: [0, 1]})
    copy = shutil.copytree(old, tmp_path / "copy")
    assert [one.name for one in read_all([old, copy])] == ["old", "copy"]
    monkeypatch.chdir(copy)
    assert read(Path()).name == "copy"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"objective": "val_loss"}, "objective is 'val_loss', not 'val_pgd_acc'"),
        ({"table_hash": "other"}, "table_hash is 'other'"),
        ({"table_seed": 3}, "table_seed is 3, not 'mean'"),
    ],
)
def test_folders_that_differ_are_refused(table: Table, tmp_path: Path, changes: dict[str, object], said: str) -> None:
    first = store_runs(tmp_path / "a", table, {0: [0, 1]})
    second = store_runs(tmp_path / "b", table, {0: [0, 1]}, **changes)  # type: ignore[arg-type]
    with pytest.raises(ResultsError, match="share no axis") as error:
        read_all([first, second])
    assert said in str(error.value)
    assert ";" in str(error.value)


def test_folders_that_cannot_be_read_are_refused(table: Table, tmp_path: Path) -> None:
    folder = store_runs(tmp_path / "a", table, {0: [0, 1]})
    with pytest.raises(ResultsError, match="given twice"):
        read_all([folder, tmp_path / "x" / ".." / "a"])
    store_runs(tmp_path / "b", table, {0: [0, 1]})
    (tmp_path / "b/runs/seed-000000.npz").unlink()
    with pytest.raises(ResultsError, match="no finished run"):
        read_all([folder, tmp_path / "b"])


def test_what_has_no_values_of_the_table(table: Table, tmp_path: Path) -> None:
    plain = store_runs(tmp_path / "a", table, {0: [0, 1]})
    refuse_special([plain])
    for marks in ({"constraint": "macs<=1e9"}, {"noise": "run", "images": 5}, {"objective": "val_pgd_acc,macs"}):
        special = store_runs(tmp_path / "b", table, {0: [0, 1]}, **marks)  # type: ignore[arg-type]
        with pytest.raises(ResultsError, match=r"b: searched with several objectives, limits or noise"):
            refuse_special([plain, special])


def test_the_table_must_be_the_one_of_the_runs(table: Table, tmp_path: Path) -> None:
    folder = store_runs(tmp_path / "a", write_table(tmp_path / "gone"), {0: [0, 1]})
    (tmp_path / "gone").rename(tmp_path / "elsewhere")
    with pytest.raises(ResultsError, match=f"the results in {folder} were made on is no longer at '{tmp_path}/gone'"):
        read_all([folder])
