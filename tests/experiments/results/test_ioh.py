"""Trajectories for IOHinspector: as text, and read back by it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from experiments import compare as command_line
from experiments.results.ioh import write_ioh
from experiments.results.read import Stored, read_all
from experiments.results.standings import course
from experiments.results.targets import reached
from nasbench_ar import Oracle, Table
from tests.experiments.conftest import SPACE, Command, store_runs

QUERIES = 12


def random_runs(count: int, seed: int) -> dict[int, list[int]]:
    rng = np.random.default_rng(seed)
    return {run: rng.permutation(SPACE.size)[:QUERIES].tolist() for run in range(count)}


@pytest.fixture(params=["val_pgd_acc", "val_loss"])
def stored(request: pytest.FixtureRequest, table: Table, tmp_path: Path) -> list[Stored]:
    """Twenty runs of one, and of another with a run that ended early and one that went on too long."""
    odd = random_runs(20, 1)
    odd[3], odd[4] = odd[3][:5], [*odd[4], next(k for k in range(SPACE.size) if k not in odd[4])]
    runs = {"even": random_runs(20, 0), "odd": odd}
    return read_all(
        [
            store_runs(tmp_path / name, table, queried, objective=request.param, queries=QUERIES)
            for name, queried in runs.items()
        ]
    )


def observed(one: Stored) -> np.ndarray:
    """(runs, queries) best score so far; the last where a run had ended."""
    column = one.oracle.column(one.race.objective)
    best = np.maximum if one.race.objective == "val_pgd_acc" else np.minimum
    rows = []
    for queried in one.runs.arch_index[:, :QUERIES]:
        row = best.accumulate(column[queried[queried >= 0]])
        rows.append(np.pad(row, (0, QUERIES - len(row)), mode="edge"))
    return np.array(rows)


def test_iohinspector_reads_the_same_numbers(stored: list[Stored], tmp_path: Path) -> None:
    iohinspector = pytest.importorskip("iohinspector")
    write_ioh(stored, tmp_path / "out")
    manager = iohinspector.DataManager()
    manager.add_folder(str(tmp_path / "out"))
    maximize = stored[0].race.objective == "val_pgd_acc"
    assert {(f.name, f.maximization) for f in manager.functions} == {(stored[0].race.objective, maximize)}
    assert (manager.n_runs, manager.dimensions) == (40, (4,))
    data = manager.load(monotonic=False, include_meta_data=True).to_pandas().sort_values(["run_id", "evaluations"])
    for one in stored:
        expected = observed(one)
        found = np.full(expected.shape, np.nan)
        mine = data[data.algorithm_name == one.name]
        for run, evaluations, y in zip(mine.run_id, mine.evaluations, mine.raw_y, strict=True):
            before = found[run - 1, evaluations - 1]
            found[run - 1, evaluations - 1 :] = (np.fmax if maximize else np.fmin)(before, y)
        np.testing.assert_array_equal(found, expected)
        lengths = np.minimum((one.runs.arch_index >= 0).sum(axis=1), QUERIES)
        for _, line in mine.groupby("run_id").first().iterrows():
            assert line.suite == one.oracle.name
        assert mine.groupby("run_id").evals.first().tolist() == lengths.tolist()
        assert mine.groupby("run_id").best_y.first().tolist() == expected[:, -1].tolist()


def test_its_expected_running_times_are_those_of_targets(stored: list[Stored], tmp_path: Path) -> None:
    pytest.importorskip("iohinspector")
    from iohinspector import DataManager
    from iohinspector.metrics import aggregate_running_time

    write_ioh(stored, tmp_path / "out")
    manager = DataManager()
    manager.add_folder(str(tmp_path / "out"))
    data = manager.load(include_meta_data=True)
    column = stored[0].oracle.column(stored[0].race.objective)
    maximize = stored[0].race.objective == "val_pgd_acc"
    courses = [course(one.name, one.runs.seeds, observed(one), 0.0) for one in stored]
    found = [r for r in reached(courses, column, QUERIES, maximize=maximize) if r.runs]
    assert len(found) == 2
    for one in found:
        theirs = aggregate_running_time(
            data,
            f_min=one.target.value,
            f_max=one.target.value,
            scale_f_log=False,
            eval_max=QUERIES,
            maximization=maximize,
        )
        line = theirs[theirs.algorithm_name == one.searcher].iloc[0]
        assert (line.ERT, line.success_count) == (pytest.approx(one.expected), one.successes)


def test_the_files_by_hand(table: Table, tmp_path: Path) -> None:
    column = Oracle(table).column("val_pgd_acc")
    worst, middle, best = np.argsort(column)[[0, 40, -1]].tolist()
    runs = {0: [middle, worst, best], 7: [best, middle, worst]}
    write_ioh(read_all([store_runs(tmp_path / "mine", table, runs)]), tmp_path / "out")
    folder = tmp_path / "out/1-mine"
    meta = json.loads((folder / "IOHprofiler_f1_val_pgd_acc.json").read_text())
    values = {name: float(column[k]) for name, k in (("worst", worst), ("middle", middle), ("best", best))}
    assert (folder / meta["scenarios"][0]["path"]).read_text().splitlines() == [
        *("evaluations raw_y", f"1 {values['middle']!r}", f"3 {values['best']!r}"),
        *("evaluations raw_y", f"1 {values['best']!r}", f"3 {values['worst']!r}"),  # the last, as it was
    ]
    x = SPACE.vectors(indices=[best])[0].tolist()
    assert meta["scenarios"][0]["runs"] == [
        {"instance": 1, "evals": 3, "best": {"evals": evaluations, "y": values["best"], "x": x}}
        for evaluations in (3, 1)
    ]
    assert (meta["algorithm"]["name"], meta["suite"], meta["maximization"]) == ("mine", "small", True)


def test_command(table: Table, tmp_path: Path, command: Command) -> None:
    folders = [store_runs(tmp_path / name, table, random_runs(3, seed)) for seed, name in enumerate("ab")]
    words = [*folders, "resamples=10", f"ioh={tmp_path / 'out'}"]
    assert "trajectories of 2 searchers" in command.passes(command_line.main, *words)[0]
    written = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.*")}
    assert len(written) == 4
    command.passes(command_line.main, *words)
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.*")} == written, "the same again"
    shutil.copytree(tmp_path / "out/1-a", tmp_path / "out/3-c")
    assert "would be read together with these runs; choose another folder" in command.fails(command_line.main, *words)
    assert "leave one of them out" in command.fails(command_line.main, *words, "metric=val_loss")
    (tmp_path / "file").write_text("")
    assert "cannot write" in command.fails(command_line.main, *folders, f"ioh={tmp_path / 'file'}")
