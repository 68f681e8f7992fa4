"""Tables of data frames: a made-up space with categories, read back number by number, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nasbench_ar import (
    Entry,
    Metric,
    MetricError,
    NasbenchError,
    Oracle,
    SpaceError,
    Table,
    TableError,
    TableWriter,
    load,
)
from nasbench_ar.frames import to_dataframe
from nasbench_ar.release.writer import release_gaps

ACCURACY = Metric("val_acc", "Val accuracy", "val", "%", True, "made up", searchable=True)
LOSS = Metric("val_mse", "Val MSE", "val", "", False, "made up", searchable=True)
SIZE = Metric("size_mb", "Size", "cost", "MB", False, "made up", searchable=True, before_training=True)
ABOUT: dict[str, Any] = {"name": "mine", "title": "made up", "provenance": "a test", "licence": "none"}


def frame_of(trainings: int = 2) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = [
        (optimizer, rate, seed, rng.uniform(50, 60), rng.uniform(0, 1e-3), 10.0 * rate)
        for optimizer in ("sgd", "adam", "lion")
        for rate in (0.001, 0.01, 0.1)
        for seed in range(trainings)
    ]
    return pd.DataFrame(rows, columns=["optimizer", "rate", "seed", "val_acc", "val_mse", "size_mb"])


@pytest.fixture
def oracle(tmp_path: Path) -> Oracle:
    given: dict[str, Any] = {"entries": ["optimizer", "rate"], "metrics": [ACCURACY, LOSS, SIZE], "seed": "seed"}
    return load(TableWriter.from_frame(frame_of(), tmp_path / "mine", **given, **ABOUT), quiet=True)


def test_every_number_comes_back(oracle: Oracle) -> None:
    frame = frame_of()
    assert oracle.table.default_objective == "val_acc"
    assert oracle.metrics == ("val_acc", "val_mse", "size_mb")
    assert [str(entry) for entry in oracle.space.entries] == ["optimizer={adam, lion, sgd}", "rate=[0.001, 0.01, 0.1]"]
    for row in frame.itertuples():
        assert oracle.query((row.optimizer, row.rate), "val_acc", seed=row.seed) == row.val_acc
    mean = frame.groupby(["optimizer", "rate"])["val_mse"].mean()
    assert oracle.optimum("val_mse") == (mean.idxmin(), pytest.approx(mean.min()))
    assert oracle.record("adam,0.01")["trainings"][1]["seed"] == 1
    oracle.table.verify()
    back = to_dataframe(oracle, by="training")
    assert back.columns.tolist() == ["arch_id", "arch", "optimizer", "rate", "seed", "val_acc", "val_mse", "size_mb"]
    merged = back.merge(frame, on=["optimizer", "rate", "seed"])
    assert (merged["val_acc_x"] == merged["val_acc_y"]).all()
    assert len(merged) == len(frame)


def test_a_limit_on_what_is_known_before_training_costs_no_query(oracle: Oracle) -> None:
    session = oracle.session(budget=9, constraints="size_mb<=0.1")
    assert session.space.size == 6
    assert "sgd,0.1" not in session.space
    measured = oracle.session(budget=9, constraints="val_mse<=0.0005")
    assert measured.space.size == 9
    vector = oracle.vector_session(["val_acc", "size_mb"], budget=9)
    assert vector.query("sgd,0.1")[1] == 1.0


def test_the_hash_covers_what_the_numbers_mean(oracle: Oracle, tmp_path: Path) -> None:
    upside_down = Metric("val_acc", "Val accuracy", "val", "%", False, "made up", searchable=True)
    given: dict[str, Any] = {"entries": ["optimizer", "rate"], "metrics": [upside_down, LOSS, SIZE], "seed": "seed"}
    other = Table(TableWriter.from_frame(frame_of(), tmp_path / "other", **given, **ABOUT))
    assert other.meta["files"] == oracle.table.meta["files"]
    assert other.content_hash != oracle.table.content_hash


def test_levels_may_be_given(tmp_path: Path) -> None:
    optimizer = Entry("optimizer", ("sgd", "lion", "adam", "none"))
    folder = TableWriter.from_frame(
        frame_of(1), tmp_path / "t", entries=[optimizer, "rate"], metrics=[LOSS, "test_pgd_acc"][:1], **ABOUT
    )
    oracle = Oracle(Table(folder))
    assert oracle.space.product_size == 12
    assert int(oracle.available("val_mse").sum()) == 9
    assert oracle.session(budget=3).space.size == 9
    with pytest.raises(NasbenchError, match="has no entry for none,0.1; it holds 9 of 12 architectures"):
        oracle.query("none,0.1", "val_mse")


def test_names_of_the_catalogue_need_no_definition(tmp_path: Path) -> None:
    frame = frame_of(1).rename(columns={"val_acc": "val_pgd_acc"})
    folder = TableWriter.from_frame(
        frame, tmp_path / "t", entries=["optimizer", "rate"], metrics=["val_pgd_acc"], **ABOUT
    )
    assert load(folder, quiet=True).label("val_pgd_acc") == "Val PGD20"
    assert "metrics" not in Table(folder).meta


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"entries": ["optimiser", "rate"]}, TableError, "no column 'optimiser'; it has optimizer, rate"),
        ({"entries": ["optimizer"], "seed": None}, TableError, "is there twice; rows of several trainings need seeds"),
        ({"entries": [Entry("optimizer", ("sgd",)), "rate"]}, SpaceError, "optimizer='adam' is not one of sgd"),
        ({"seed": "rate"}, TableError, "seeds are whole numbers"),
        ({"metrics": ["val_acc"]}, TableError, "'val_acc' is not in the catalogue"),
        ({"metrics": [Metric("optimizer", "x", "val", "", True, "x", searchable=True)]}, TableError, "than numbers"),
        ({"metrics": [Metric("rate", "x", "val", "", True, "x", searchable=True)]}, MetricError, "taken by another"),
        ({"metrics": [Metric("val_mse", "x", "val", "", True, "x")]}, TableError, "none of the metrics may guide"),
        ({"metrics": [Metric("Bad", "x", "val", "", True, "x")]}, (MetricError, TableError), "Bad"),
        ({"metrics": [Metric("seed", "x", "val", "", True, "x", True)]}, MetricError, "no name that has a meaning"),
        ({"metrics": [Metric("val_mse", "x", "vali", "", True, "x", True)]}, MetricError, "expected train, val, test"),
        ({"metrics": [Metric("val_mse", "x", "val", "", None, "x", True)]}, MetricError, "without a direction"),
        ({"metrics": [Metric("val_mse", "x", "test", "", True, "x", True)]}, MetricError, "may use no test metric"),
        ({"metrics": [Metric("val_mse", "x", "val", "", True, "x", True, True)]}, MetricError, "for metrics of split"),
        ({"metrics": [ACCURACY, ACCURACY]}, MetricError, "the name is taken"),
        ({"metrics": [ACCURACY, "macs"]}, TableError, "macs follows from a wide residual network"),
        (
            {"source": {"n": np.int64(3)}},
            TableError,
            "source: Object of type int64 is not JSON serializable; give plain",
        ),
        ({"default_objective": "val_mse"}, TableError, "unknown default objective"),
        ({"name": "a/b"}, TableError, "cannot name a table"),
    ],
)
def test_what_is_refused_leaves_nothing(tmp_path: Path, change: dict[str, Any], error: Any, message: str) -> None:
    given = {"entries": ["optimizer", "rate"], "metrics": [ACCURACY], "seed": "seed", **ABOUT} | change
    with pytest.raises(error, match=message):
        Table(TableWriter.from_frame(frame_of(), tmp_path / "mine", **given))
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_write_is_refused(tmp_path: Path) -> None:
    given = {"entries": ["optimizer", "rate"], "metrics": [ACCURACY], "seed": "seed", **ABOUT}
    with pytest.raises(TableError, match="the frame has no rows"):
        TableWriter.from_frame(frame_of()[:0], tmp_path / "mine", **given)
    with pytest.raises(TableError, match="column .* has no value in any row; leave the metric out"):
        TableWriter.from_frame(frame_of().assign(**{ACCURACY.name: np.nan}), tmp_path / "mine", **given)
    words, truths = np.array(["1_0"] * 18, dtype=object), np.array([True, None] * 9)
    dates = pd.to_datetime(["2020"] * 18), pd.to_timedelta([1] * 18, unit="s")
    for values in (*dates, np.full(18, 1 + 1j), words, truths, truths == True):  # noqa: E712
        with pytest.raises(TableError, match="val_acc holds something else than numbers: its type is"):
            TableWriter.from_frame(frame_of().assign(val_acc=values), tmp_path / "mine", **given)
    with pytest.raises(TableError, match="the frame has several columns 'val_acc'"):
        TableWriter.from_frame(pd.concat([frame_of(), frame_of()[["val_acc"]]], axis=1), tmp_path / "mine", **given)
    seeds = np.full(18, 2**63 + 5, dtype=np.uint64)
    with pytest.raises(TableError, match="seed 9223372036854775813 needs more than 63 bits"):
        TableWriter.from_frame(frame_of().assign(seed=seeds), tmp_path / "mine", **given)
    assert not list(tmp_path.iterdir())


def test_impossible_and_missing_numbers(tmp_path: Path) -> None:
    frame = frame_of(1)
    frame.loc[0, "val_acc"] = 101.0
    given: dict[str, Any] = {"entries": ["optimizer", "rate"], "metrics": [ACCURACY]}
    with pytest.raises(TableError, match="val_acc is 101.0 in a row, which it cannot be"):
        TableWriter.from_frame(frame, tmp_path / "mine", **given, **ABOUT)
    frame.loc[0, "val_acc"] = np.nan
    oracle = Oracle(Table(TableWriter.from_frame(frame, tmp_path / "mine", **given, **ABOUT)))
    assert oracle.searchable_space("val_acc").size == 8
    frame.loc[0, "rate"] = np.nan
    with pytest.raises(TableError, match="column rate lacks a level in 1 rows"):
        TableWriter.from_frame(frame, tmp_path / "mine", **given, **ABOUT)


def test_columns_without_levels(tmp_path: Path) -> None:
    frame = frame_of(1)
    given: dict[str, Any] = {"entries": ["optimizer", "rate"], "metrics": [ACCURACY]}
    lacking = frame.astype({"optimizer": "string"})
    lacking.loc[2, "optimizer"] = pd.NA
    with pytest.raises(TableError, match="column optimizer lacks a level in 1 rows"):
        TableWriter.from_frame(lacking, tmp_path / "mine", **given, **ABOUT)
    lists = frame.assign(optimizer=[[1, 2]] * len(frame))
    with pytest.raises(TableError, match=r"column optimizer holds \[1, 2\]; levels are numbers, booleans and texts"):
        TableWriter.from_frame(lists, tmp_path / "mine", **given, **ABOUT)


def test_metrics_from_a_generator(tmp_path: Path) -> None:
    metrics = (metric for metric in (ACCURACY, LOSS))
    folder = TableWriter.from_frame(
        frame_of(1), tmp_path / "mine", entries=["optimizer", "rate"], metrics=metrics, **ABOUT
    )
    assert Table(folder).scalar_names == ("val_acc", "val_mse")


def test_what_needs_networks_says_so(oracle: Oracle) -> None:
    with pytest.raises(SpaceError, match=r"^table mine in the authors' format: this needs wide residual networks"):
        release_gaps(oracle.table)
    with pytest.raises(MetricError, match="unknown metric 'macs'; choose from val_acc, val_mse, size_mb"):
        oracle.query("sgd,0.1", "macs")


@pytest.mark.parametrize(
    "damage",
    [
        {"metrics": 5},
        {"metrics": [{"name": "val_acc"}]},
        {"metrics": []},
        {"space": {"entries": [{"name": "optimizer", "choices": ["sgd", "sgd"], "ordered": False}]}},
        {"space": {"entries": []}},
    ],
)
def test_damaged_definitions(oracle: Oracle, damage: dict[str, Any]) -> None:
    import json

    path = oracle.table.folder / "meta.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | damage))
    with pytest.raises(TableError, match="damaged"):
        Table(oracle.table.folder)
