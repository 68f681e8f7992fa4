"""Races with several objectives or under constraints, end to end; plain runs stay as they were."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from experiments import plot, run, table2
from experiments.plots.trajectories import draw_trajectories
from experiments.races.race import Race
from experiments.races.store import Runs, RunStore
from experiments.results import fronts
from experiments.results.judged import judge
from nasbench_ar import Metric, Oracle, Table, TableWriter
from nasbench_ar.pareto import non_dominated
from tests.experiments.conftest import Command
from tests.experiments.test_run import words
from tests.files import rows_of
from tests.nasbench_ar.test_from_frame import ABOUT

TWO = "objective=val_pgd_acc,macs"
FILES = {"summary.csv", "summary.md", "summary.tex", "config.yaml", "trajectories.npz", "front.csv"}


def test_anytime_volume_by_hand() -> None:
    points = np.full((4, 2), np.nan)
    points[:3] = [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
    cloud = fronts.Cloud(("a", "b"), points, points, np.zeros(2))
    asked = np.array([[0.5, 0.25], [0.25, 0.25], [np.nan, np.nan], [0.25, 0.75], [0.5, 0.75]])
    assert fronts.anytime_volumes(asked, cloud).tolist() == [0.125, 0.125, 0.125, 0.25, 0.375]
    assert cloud.volume == 0.25
    assert cloud.front.tolist() == [0, 1, 2]
    runs = Runs(
        seeds=np.array([0]),
        arch_index=np.array([[2, 1, -1]], dtype=np.int32),
        scores=np.zeros((1, 3), dtype=np.float32),
        incumbent=np.array([[2, 2, 2]], dtype=np.int32),
        repeats=np.array([0]),
        ended=("early",),
    )
    found = fronts.measure("x", cloud, runs)
    assert found.volumes.tolist() == [[0.0, 1.0, 1.0]]
    assert found.on_front.tolist() == [[True, True, False]]
    assert found.exact.tolist() == [[False, True, True]]


@pytest.mark.parametrize("values", [[[1, 5], [2, 5], [3, 5]], [[1, 3], [3, 1]], [[4, 4]]])
def test_a_front_without_a_volume_has_no_shares(values: list[list[float]], tmp_path: Path, command: Command) -> None:
    metrics = [Metric(name, name, "val", "", True, "made up", searchable=True) for name in ("val_a", "val_b")]
    frame = pd.DataFrame(values, columns=["val_a", "val_b"]).assign(k=range(len(values)))
    table = TableWriter.from_frame(frame, tmp_path / "mine", entries=["k"], metrics=metrics, **ABOUT)
    asked = (f"table={table}", "objective=val_a,val_b", "queries=1", "runs=3", "jobs=1", f"out={tmp_path}")
    out, _ = command.passes(run.main, "searcher=random_search", *asked)
    assert "there is no hypervolume to share" in out
    assert next(line for line in out.splitlines() if "Hypervolume, share" in line).split("|")[2].strip() == "–"


@pytest.mark.usefixtures("real_pictures")
def test_nsga2_from_the_command_line(table: Table, tmp_path: Path, command: Command) -> None:
    out = command.passes(run.main, *words(table, tmp_path, "searcher=nsga2", TWO, "queries=81"))[0]
    folder = tmp_path / "small/val_pgd_acc+macs/nsga2"
    assert {p.name for p in folder.iterdir()} == FILES | {
        "runs",
        "front.png",
        "front.pdf",
        "hypervolume.png",
        "hypervolume.pdf",
    }
    assert "nsga2: 4 runs of 81 queries, objectives val_pgd_acc, macs" in out
    pack = np.load(folder / "trajectories.npz")
    np.testing.assert_allclose(pack["hypervolume"][:, -1], 1.0, err_msg="the whole space was queried")
    assert (np.diff(pack["hypervolume"], axis=1) >= 0).all()
    oracle = Oracle(table)
    points = np.stack([oracle.column("val_pgd_acc"), -oracle.column("macs")], axis=1)
    assert set(pack["exact_front"].tolist()) == set(np.flatnonzero(non_dominated(points)).tolist())
    assert pack["exact_found"].all()
    rows = rows_of(folder / "front.csv")
    assert len(rows) == len(pack["exact_front"])
    assert all(float(row["found"]) == 1 for row in rows)
    assert float(rows[0]["val_pgd_acc"]) == oracle.optimum("val_pgd_acc")[1]
    before = (folder / "summary.csv").read_bytes()
    command.passes(run.main, *words(table, tmp_path, "searcher=nsga2", TWO, "queries=81"))
    assert (folder / "summary.csv").read_bytes() == before


def test_random_search_and_the_common_picture(table: Table, tmp_path: Path, command: Command) -> None:
    folders = []
    for name in ("nsga2", "random_search"):
        command.passes(run.main, *words(table, tmp_path, f"searcher={name}", TWO))
        folders.append(tmp_path / "small/val_pgd_acc+macs" / name)
    config = yaml.safe_load((folders[1] / "config.yaml").read_text())
    assert config["fingerprint"]["searcher"]["_target_"] == "searchers.vector.VectorRandomSearch"
    command.passes(plot.main, *folders, f"out={tmp_path / 'x.png'}")
    assert (tmp_path / "x.png").read_bytes()[:4] == b"\x89PNG"
    command(run.main, *words(table, tmp_path))
    assert "share no axis" in command.fails(plot.main, folders[0], tmp_path / "small/random_search")


def test_three_objectives(table: Table, tmp_path: Path, command: Command) -> None:
    pytest.importorskip("moocore")
    more = ("searcher=nsga2", "objective=val_pgd_acc, macs, params")
    out = command.passes(run.main, *words(table, tmp_path, *more))[0]
    assert (tmp_path / "small/val_pgd_acc+macs+params/nsga2/front.png").exists()
    assert "objectives val_pgd_acc, macs, params" in out


def test_a_known_cost_restricts_every_searcher(table: Table, tmp_path: Path, command: Command) -> None:
    oracle = Oracle(table)
    macs = oracle.column("macs")
    limit = int(np.median(macs))
    allowed = macs <= limit
    for name in ("random_search", "local_search", "regularized_evolution", "bananas", "published_local_search"):
        out, err = command.passes(run.main, *words(table, tmp_path, f"searcher={name}", f"constraint=macs<={limit}"))
        pack = np.load(tmp_path / "small" / name / "trajectories.npz")
        assert allowed[pack["arch_index"][pack["arch_index"] >= 0]].all()
        assert f"{(~allowed).sum()} of 81 architectures are beyond it and left out of the space" in err
        assert "4 of 4 runs found a feasible architecture" in out
    best = oracle.column("val_pgd_acc")[allowed].max()
    rows = rows_of(tmp_path / "small/bananas/summary.csv")
    assert float(rows[0]["optimum"]) == pytest.approx(best)


def test_a_measured_limit(table: Table, tmp_path: Path, command: Command) -> None:
    oracle = Oracle(table)
    loss = oracle.column("val_loss")
    limit = float(np.quantile(loss, 0.9))  # the loss falls with the accuracy: what keeps val_loss>= is poor
    out = command.passes(run.main, *words(table, tmp_path, f"constraint=val_loss>={limit:.6f}"))[0]
    allowed = loss >= float(f"{limit:.6f}")
    best = oracle.column("val_pgd_acc")[allowed].max()
    assert f"best feasible value {best:.6g}" in out
    pack = np.load(tmp_path / "small/random_search/trajectories.npz")
    found = pack["feasible_found"]
    np.testing.assert_array_equal(found, np.logical_or.accumulate(allowed[pack["arch_index"]], axis=1))
    worst = oracle.column("val_pgd_acc")[allowed].min()
    np.testing.assert_allclose(pack["true_incumbent"][~found], worst)
    ends = found[:, -1]
    assert allowed[pack["reported"][ends]].all()
    np.testing.assert_allclose(
        pack["true_incumbent"][ends, -1], oracle.column("val_pgd_acc")[pack["reported"][ends]], rtol=1e-6
    )
    command.passes(plot.main, tmp_path / "small/random_search", f"out={tmp_path / 'x.png'}")
    race = Race(str(table.folder), "val_pgd_acc", 20, "x.Y", constraints=(f"val_loss>={limit:.6f}",))
    judged = judge(oracle, race, RunStore(tmp_path / "small/random_search").load(range(4), 20))
    lines = judged.reference_lines(81)
    assert lines["optimum"] == pytest.approx(best)
    axes = draw_trajectories(judged.curves("random_search"), ylabel="y", **lines)  # type: ignore[arg-type]
    assert f"best that keeps the limits ({best:.2f})" in [text.get_text() for text in axes.get_legend().get_texts()]
    assert lines["random_expectation"][[0, -1]].tolist() == pytest.approx([judged.counted.mean(), best])  # type: ignore[index]
    assert sorted(np.unique(judged.counted)) == sorted(np.unique(oracle.column("val_pgd_acc")[allowed]))
    small = replace(judged, true=judged.optimum - np.full((2, 1), 2e-4))
    assert small.lines()[-1] == "Regret of the incumbent, true value: 0.0002 (95 % interval 0.0002 to 0.0002)."


def test_only_known_costs_leave_architectures_out(table: Table, tmp_path: Path, command: Command) -> None:
    macs = Oracle(table).column("macs")
    limit = int(np.median(macs))
    err = command.passes(run.main, *words(table, tmp_path, f"constraint=macs<={limit},val_loss<=1.9"))[1]
    left_out = int((macs > limit).sum())
    assert f"nasbench-ar: macs<={limit}: {left_out} of 81 architectures are beyond it and left out of the space" in err


def test_fronts_under_a_limit(table: Table, tmp_path: Path, command: Command) -> None:
    out = command.passes(run.main, *words(table, tmp_path, "constraint=val_loss<=1.3", "searcher=nsga2", TWO))[0]
    assert "front, reference point and volumes are of what keeps it" in out
    out = command.passes(run.main, *words(table, tmp_path, "constraint=val_loss<=1.3"))[0]
    assert "Best within limits" in out
    assert "Table optimum" not in out
    (written,) = tmp_path.glob("small/*/summary.tex")
    assert r"Best within\\limits" in written.read_text()
    pack = np.load(tmp_path / "small/val_pgd_acc+macs/nsga2/trajectories.npz")
    assert (Oracle(table).column("val_loss")[pack["exact_front"]] <= 1.3).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (f"searcher=bananas {TWO}", "bananas takes one objective; several are for searcher=nsga2"),
        ("searcher=nsga2 objective=val_pgd_acc,test_pgd_acc", "test_pgd_acc is a test metric and may not guide"),
        ("searcher=nsga2 objective=val_pgd_acc,", "unknown metric ''"),
        ("searcher=nsga2 objective=macs,macs", "expected two or more different metrics"),
        ("constraint=macs<5", "expected metric<=number or metric>=number"),
        ("constraint=macs<=5", "no architecture of table small keeps macs<=5: macs is"),
        ("constraint=test_pgd_acc>=5", "test_pgd_acc is a test metric"),
        ("constraint=val_cw_acc>=5", "has no val_cw_acc"),
        ("searcher.population=0 searcher=nsga2", "population=0"),
    ],
)
def test_errors(table: Table, tmp_path: Path, command: Command, change: str, message: str) -> None:
    assert message in command.fails(run.main, *words(table, tmp_path / "out", *change.split()))
    assert not (tmp_path / "out").exists()


def test_table2_takes_one_objective(table: Table, tmp_path: Path, command: Command) -> None:
    assert "several objectives are for python -m experiments.run alone" in command.fails(
        table2.main, f"table={table.folder}", f"out={tmp_path}", "runs=2", "queries=5", TWO
    )


def test_plain_runs_keep_their_fingerprint(table: Table, tmp_path: Path, command: Command) -> None:
    command(run.main, *words(table, tmp_path))
    config = yaml.safe_load((tmp_path / "small/random_search/config.yaml").read_text())
    keys = ["table", "table_hash", "objective", "queries", "table_seed", "searcher", "source", "version"]
    assert list(config["fingerprint"]) == keys, "a new key would make all stored results invalid"
    assert config["fingerprint"]["searcher"] == {"_target_": "searchers.random_search.RandomSearch"}


def test_a_borrowed_searcher_has_its_library_in_the_fingerprint(table: Table, tmp_path: Path, command: Command) -> None:
    optuna = pytest.importorskip("optuna")
    command.passes(run.main, *words(table, tmp_path, "searcher=optuna", "searcher.sampler=random"))
    config = yaml.safe_load((tmp_path / "small/optuna/config.yaml").read_text())
    assert config["fingerprint"]["libraries"]["optuna"] == optuna.__version__
