import csv
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nasbench_ar import ConfigError, Entry, Grid, Oracle, Table, TableError
from nasbench_ar.frames import to_dataframe, write_csv
from nasbench_ar.release.writer import write_release
from tests.nasbench_ar.conftest import FULL, TOY, partial_of_a_dead_process, raising, toy_cells, toy_writer

Record = dict[str, Any]


def test_frame_by_architecture(toy: Oracle) -> None:
    frame = to_dataframe(toy)
    assert len(frame) == 15
    identity = ["arch_id", "arch", "D1", "W1", "D2", "W2", "macs", "params"]
    assert list(frame.columns) == [*identity, *toy.table.scalar_names, "odd"]
    assert frame["arch_id"].is_monotonic_increasing
    for _, row in frame.iterrows():
        architecture = TOY.parse(row["arch"])
        assert tuple(row[["D1", "W1", "D2", "W2"]]) == architecture
        assert (row["macs"], row["params"]) == (TOY.macs(architecture), TOY.params(architecture))
        assert row["arch_id"] == TOY.arch_id(architecture)
        assert row["val_cw_lip"] == toy.query(architecture, "val_cw_lip")
    assert frame.loc[frame["arch"] == "1-3-1-3", "test_pgd_acc"].isna().all()
    assert frame["test_pgd_acc"].isna().sum() == 1
    assert frame.loc[frame["arch"] == "1-1-1-1", "test_pgd_acc"].item() == 51.5
    assert frame["macs"].dtype == frame["arch_id"].dtype == np.int64
    assert frame["odd"].dtype == bool
    pd.testing.assert_frame_equal(to_dataframe(toy.table), frame)


def test_frame_by_training(toy: Oracle) -> None:
    frame = to_dataframe(toy, by="training")
    assert len(frame) == 16
    assert frame.loc[frame["arch"] == "1-1-1-1", "seed"].tolist() == [3, 0]
    assert frame.loc[frame["arch"] == "1-1-1-1", "test_pgd_acc"].tolist() == [53.0, 50.0]
    assert frame.loc[frame["arch"] == "2-3-2-1", "gpu_type"].item() == "gpu14"
    assert frame["test_corrupt_acc"].iloc[0] == toy_cells(0, 3).mean()


def test_frame_by_something_else(toy: Oracle) -> None:
    with pytest.raises(ConfigError, match="by='seed': expected 'architecture' or 'training'"):
        to_dataframe(toy, by="seed")  # type: ignore[arg-type]


def test_csv_is_exact(toy: Oracle, tmp_path: Path) -> None:
    write_csv(toy.table, tmp_path / "x.csv")
    frame = to_dataframe(toy)
    with (tmp_path / "x.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == list(frame.columns)
    assert len(rows) == len(frame)
    for name in frame.columns:
        written, expected = [row[name] for row in rows], frame[name].tolist()
        if name in ("arch", "odd"):
            assert written == [str(value) for value in expected]
        else:
            assert [float(text) if text else None for text in written] == [v if v == v else None for v in expected]
    write_csv(toy, tmp_path / "x.csv", by="training")
    assert len((tmp_path / "x.csv").read_text().splitlines()) == 17


@pytest.mark.parametrize("write", [write_csv, write_release])
def test_a_full_disk_keeps_the_old_file(
    write: Any, toy_table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out"
    target.write_text("old")
    monkeypatch.setattr(os, "fsync", raising(FULL))
    with pytest.raises(TableError, match="No space left on device; nothing was changed"):
        write(toy_table, target)
    assert target.read_text() == "old"
    assert not list(tmp_path.glob(".out*"))


@pytest.mark.parametrize("write", [write_csv, write_release])
def test_what_a_killed_export_left_goes_with_the_next_one(write: Any, toy_table: Table, tmp_path: Path) -> None:
    target = tmp_path / "out"
    for name in ("out", "other"):
        partial_of_a_dead_process(tmp_path / name).touch()
    write(toy_table, target)
    assert [path.name.split(".")[1] for path in tmp_path.glob(".*.partial")] == ["other"]


@pytest.mark.parametrize("write", [write_csv, write_release])
def test_no_such_folder(write: Any, toy_table: Table, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"cannot write .*x: No such file or directory"):
        write(toy_table, tmp_path / "absent" / "x")


def test_a_damaged_table_is_told_apart_from_a_bad_target(toy_table: Table, tmp_path: Path) -> None:
    (toy_table.folder / "curves" / "val_loss.npy").unlink()
    with pytest.raises(TableError, match=r"is damaged: curves/val_loss\.npy"):
        write_release(toy_table, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_levels_are_as_they_are(tmp_path: Path) -> None:
    """Not turned into fractions because another entry has some."""
    entries = [Entry("n", (2**53, 2**53 + 1)), Entry("rate", (0.5, 1)), Entry("p", (0.1, 0.2)), Entry("k", ("x",))]
    grid = Grid(entries)
    writer = toy_writer(tmp_path / "t", space=grid, differs={})
    with writer:
        for architecture in grid:
            writer.add(architecture, seed=0, scalars={"val_pgd_acc": 1.0})
    write_csv(Table(tmp_path / "t"), tmp_path / "t.csv")
    frame = to_dataframe(Table(tmp_path / "t"))
    assert [tuple(levels) for levels in frame[list(grid.entry_names)].itertuples(index=False)] == list(map(tuple, grid))
    rows = [line.split(",") for line in (tmp_path / "t.csv").read_text().splitlines()[1:]]
    assert {row[-5] for row in rows} == {str(2**53), str(2**53 + 1)}
    assert {row[-4] for row in rows} == {"0.5", "1"}
