"""A table holds what it was given, and nothing that it cannot."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasbench_ar import SpaceError, Table, TableError
from tests.nasbench_ar.conftest import TOY, table_of, toy_writer


def test_late_columns_are_padded(tmp_path: Path) -> None:
    measured = {"val_pgd_acc": 1.0, "curves": {"val_pgd_acc": np.ones(2)}}
    columns: list[Any] = [{}, measured, {"flags": {"f": True}, "labels": {"l": "x"}}, {}]
    table = table_of(tmp_path / "t", *((TOY.from_index(k), values) for k, values in enumerate(columns)))
    np.testing.assert_array_equal(table.scalar("val_pgd_acc"), [np.nan, 1.0, np.nan, np.nan])
    np.testing.assert_array_equal(table.curve("val_pgd_acc"), [[np.nan] * 2, [1.0] * 2, [np.nan] * 2, [np.nan] * 2])
    assert table.flag("f").tolist() == [False, False, True, False]
    assert table.label("l").tolist() == ["", "", "x", ""]
    table.verify()


def test_more_rows_than_a_chunk(tmp_path: Path) -> None:
    with toy_writer(tmp_path / "t") as writer:
        for seed in range(700):
            writer.add(TOY.from_index(0), seed=seed, scalars={}, curves={"train_loss": np.full(3, seed)})
        assert len(writer) == 700
    np.testing.assert_array_equal(Table(tmp_path / "t").curve("train_loss"), np.arange(700)[:, None] * np.ones(3))


def test_refused_rows(tmp_path: Path) -> None:
    good = TOY.from_index(0)
    refusals: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"architecture": (9, 9, 9, 9)}, SpaceError, "D1=9"),
        ({"scalars": {"macs": 1.0}}, TableError, "'macs' is not a metric that this table stores"),
        ({"scalars": {"nonsense": 1.0}}, TableError, "'nonsense' is not a metric"),
        ({"scalars": {"val_pgd_acc": float("inf")}}, TableError, "val_pgd_acc is inf for 1-1-1-1, which it cannot be"),
        ({"scalars": {"val_pgd_acc": 100.5}}, TableError, "val_pgd_acc is 100.5 for 1-1-1-1, which it cannot be"),
        ({"scalars": {"best_epoch": 0.5}}, TableError, "best_epoch is 0.5"),
        ({"scalars": {"val_pgd_acc": "37.5"}}, TableError, "val_pgd_acc='37.5': expected a number"),
        *(
            ({"scalars": {"val_pgd_acc": v}}, TableError, "expected a number; leave out")
            for v in (None, [1.0], 2**5000)
        ),
        ({"scalars": {"val_pgd_acc": True}}, TableError, "val_pgd_acc=True: expected a number"),
        *(({"seed": seed}, TableError, "expected a whole number") for seed in (0.5, True, "3", None, 2**63)),
        ({"flags": {"f": "false"}}, TableError, "flag f='false': expected True or False"),
        ({"labels": {"l": None}}, TableError, "label l=None: expected text"),
        ({"flags": {"val_pgd_acc": True}}, TableError, "flag 'val_pgd_acc': a table has another column of this name"),
        ({"labels": {"arch": "x"}}, TableError, "label 'arch': a table has another column"),
        ({"corruption_acc": np.ones((2, 5))}, TableError, r"corruptions/acc.npy got shape \(2, 5\)"),
        ({"curves": {"nonsense": np.ones(3)}}, TableError, "unknown curve 'nonsense'; known: train_loss"),
        ({"curves": {"train_acc": np.ones(3), "val_loss": np.ones(4)}}, TableError, r"curve val_loss has shape \(4,\)"),
        ({"curves": {"train_acc": np.array([5.0, 101.0])}}, TableError, "a row has 101.0, which train_acc cannot be"),
        ({"curves": {"val_loss": np.array([5.0, np.inf])}}, TableError, "a row has inf, which val_loss cannot be"),
        ({"corruption_acc": np.full((19, 5), -1)}, TableError, "a row has -1.0, which test_corrupt_acc cannot be"),
        ({"corruption_loss": np.full((19, 5), np.inf)}, TableError, "a row has inf, which test_loss cannot be"),
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
    assert not list(tmp_path.glob(".*"))


def test_what_differs_is_kept_for_the_metrics_it_stores(tmp_path: Path) -> None:
    with toy_writer(tmp_path / "t", differs={"val_pgd_acc": "ten steps", "val_cw_acc": "ten steps"}) as writer:
        writer.add(TOY.from_index(0), seed=0, scalars={"val_pgd_acc": 1.0})
    assert Table(tmp_path / "t").meta["differs"] == {"val_pgd_acc": "ten steps"}


def test_annotations(tmp_path: Path) -> None:
    with toy_writer(tmp_path / "t") as writer:
        writer.add(TOY.from_index(0), seed=0, scalars={})
        with pytest.raises(TableError, match="source: Object of type int64"):
            writer.annotate(source={"n": np.int64(3)})
        writer.annotate(title="final", notes=("b", "c"), source={"sha256": "0"})
    meta = Table(tmp_path / "t").meta
    assert meta["title"] == "final"
    assert meta["notes"] == ["a note", "b", "c"]
    assert meta["source"] == {"file": "nowhere", "sha256": "0"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"title": None}, "title=None: expected text"),
        ({"notes": (3,)}, "expected text"),
        ({"notes": "abc"}, "notes='abc': expected several lines"),
        ({"differs": {"val_pgd_acc": 5}}, "expected text"),
        ({"default_objective": "val_pgd"}, "unknown default objective 'val_pgd'; known: "),
        ({"source": {("a", "b"): 1}}, "source: keys must be str.*; give plain texts"),
        ({"name": 5}, "5 cannot name a table"),
    ],
)
def test_what_would_make_a_table_unreadable_leaves_the_old_one(
    tmp_path: Path, words: dict[str, Any], message: str
) -> None:
    table_of(tmp_path / "t", (TOY.from_index(0), {"val_pgd_acc": 1.0}))
    with pytest.raises(TableError, match=message):
        toy_writer(tmp_path / "t", replace=True, **words)
    assert Table(tmp_path / "t").rows == 1
