"""Result folders that say what cannot be are refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from experiments.page.stored import read_races
from experiments.plot import plot_results
from experiments.races.checks import _check_race, checked_config
from experiments.races.store import CONFIG, RunStore
from experiments.results.read import read, read_all
from nasbench_ar import Oracle, ResultsError, Table, load
from searchers.trajectory import Trajectory
from tests.experiments.conftest import sign_runs, store_runs


@pytest.fixture
def folder(table: Table, tmp_path: Path) -> Path:
    return store_runs(tmp_path / "mine", table, {0: [0, 1], 4: [2, 3]})


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    config = RunStore(folder).read_config()
    change(config)
    (folder / CONFIG).write_text(yaml.safe_dump(config))
    sign_runs(folder)


def test_what_was_stored_is_read(folder: Path) -> None:
    assert checked_config(folder) == RunStore(folder).read_config()
    edit(folder, lambda c: c.update(name="no-break\u00a0space"))
    assert checked_config(folder)["name"] == "no-break\u00a0space"
    edit(folder, lambda c: c["fingerprint"].update(constraint="macs<=1e9", noise="run", images=5))
    assert checked_config(folder)["fingerprint"]["images"] == 5


def _objective(config: dict[str, Any], name: str) -> None:
    config["objective"] = config["fingerprint"]["objective"] = name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["fingerprint"].pop("table_hash"), r"fingerprint\.table_hash is None"),
        (lambda c: c["fingerprint"].update(table=["small"]), r"fingerprint\.table is \['small'\]"),
        (lambda c: c["fingerprint"].update(table="a\nb"), r"fingerprint\.table is 'a\\nb'"),
        (lambda c: _objective(c, "non sense"), r"fingerprint\.objective is 'non sense'"),
        (lambda c: _objective(c, "nonsense"), "unknown metric 'nonsense'; choose from macs"),
        (lambda c: _objective(c, "best_epoch"), "table small has no best_epoch; it has macs"),
        (lambda c: c["fingerprint"].update(objective="val_pgd_acc,"), r"fingerprint\.objective is"),
        (lambda c: c["fingerprint"].update(table_seed=True), r"fingerprint\.table_seed is True"),
        (lambda c: c["fingerprint"].update(queries=0), r"fingerprint\.queries is 0"),
        (lambda c: c["fingerprint"].update(queries=2.0), r"fingerprint\.queries is 2\.0"),
        (lambda c: c["fingerprint"].update(queries=2**31), r"fingerprint\.queries is 2147483648"),
        (lambda c: c["fingerprint"].update(searcher="x"), r"fingerprint\.searcher is 'x'"),
        (lambda c: c["fingerprint"].update(searcher={"size": 5}), r"fingerprint\.searcher is"),
        (lambda c: c["fingerprint"].update(constraint="macs"), r"fingerprint\.constraint is 'macs'"),
        (lambda c: c["fingerprint"].update(constraint=""), r"fingerprint\.constraint is ''"),
        (lambda c: c["fingerprint"].update(noise="none"), r"fingerprint\.noise is 'none'"),
        (lambda c: c["fingerprint"].update(images=-5), r"fingerprint\.images is -5"),
        (lambda c: c.update(name=None), "name is None"),
        (lambda c: c.update(name="\ud800"), r"name is '\\ud800'"),
        (lambda c: c.update(name="x" * 600), "name is 'xxx"),
        (lambda c: c.update(table_folder=5), "table_folder is 5"),
        (lambda c: c.update(allow_test_objective="no"), "allow_test_objective is 'no'"),
        (lambda c: c.update(computed_by=[5]), r"computed_by is \[5\]"),
        (lambda c: c.update(queries=7), "queries is 7, in the fingerprint 2"),
        (lambda c: c.update(objective="val_loss"), "objective is 'val_loss', in the fingerprint 'val_pgd_acc'"),
    ],
)
def test_damaged_configs(folder: Path, change: Callable[[dict[str, Any]], Any], message: str) -> None:
    edit(folder, change)
    with pytest.raises(ResultsError, match=rf"config\.yaml is damaged: {message}.*; remove the folder"):
        read_all([folder])


@pytest.mark.parametrize(
    ("objective", "marks", "message"),
    [
        ("val_pgd_acc", {"queries": 10**9}, r"fingerprint\.queries is 1000000000, table small has 81"),
        ("val_pgd_acc", {"constraint": "macs<=5"}, r"no architecture of table small keeps macs<=5: macs is 8\.8"),
        (
            "val_pgd_acc",
            {"constraint": "val_pgd_acc>=100"},
            "no architecture of table small keeps val_pgd_acc>=100",
        ),
        ("val_pgd_acc,test_aa_acc", {}, "table small has no test_aa_acc"),
        ("val_pgd_acc,macs", {"constraint": "macs<=5"}, r"no architecture of table small keeps macs<=5: macs is 8\.8"),
    ],
)
def test_races_that_no_table_can_have_had(
    objective: str, marks: dict[str, Any], message: str, table: Table, tmp_path: Path
) -> None:
    folder = store_runs(tmp_path / "mine", table, {0: [0, 1], 4: [2, 3]}, objective=objective, **marks)
    oracle = Oracle(table)
    readers: list[Callable[[], Any]] = [lambda: read(folder, oracle)]
    if "," not in objective and "constraint" not in marks:
        readers.append(lambda: read_all([folder]))
    for reader in readers:
        with pytest.raises(ResultsError, match=rf"config\.yaml is damaged: {message}"):
            reader()


def test_runs_of_the_other_command(folder: Path) -> None:
    with pytest.raises(ResultsError, match=r"holds runs of experiments\.run, not of experiments\.fidelity"):
        checked_config(folder, fidelity=True)
    edit(folder, lambda c: c["fingerprint"].update(budget=5))
    with pytest.raises(ResultsError, match=r"holds runs of experiments\.fidelity, not of experiments\.run"):
        checked_config(folder)


@pytest.mark.parametrize(
    ("arch_index", "reported", "wrong"),
    [([0, 81], 0, "architectures"), ([81, 0], 81, "architectures"), ([1, 0], 0, "scores")],
)
def test_runs_that_are_not_of_the_table(folder: Path, arch_index: list[int], reported: int, wrong: str) -> None:
    store = RunStore(folder)
    scores = store.load([0], 2).scores[0]
    queried = np.array(arch_index, dtype=np.int32)
    store.save(Trajectory(0, queried, scores, np.array([arch_index[0], reported], dtype=np.int32), 0))
    with pytest.raises(ResultsError, match=rf"the run of seed 0 in .*mine has {wrong} that table small has not"):
        read_all([folder])


READERS: dict[str, Callable[[Path, Oracle], Any]] = {
    "compare and plot": lambda folder, oracle: read_all([folder]),
    "report": lambda folder, oracle: read_races(folder.parent, oracle),
    "plot of fronts": lambda folder, oracle: plot_results([folder], folder.parent / "x.png"),
    "plot of noisy runs": lambda folder, oracle: plot_results([folder], folder.parent / "x.png"),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("damage", ["cut short", "empty", "incumbent"])
def test_every_reader_refuses_a_run_that_is_not_whole(reader: str, damage: str, folder: Path, table: Table) -> None:
    """None leaves it out: a report on fewer runs than there are would look like any other."""
    if reader == "plot of fronts":
        store_runs(folder, table, {0: [0, 1], 4: [2, 3]}, objective="val_pgd_acc,macs")
    if reader == "plot of noisy runs":
        edit(folder, lambda c: c["fingerprint"].update(noise="run", images=50))
    READERS[reader](folder, Oracle(table))
    path = folder / "runs/seed-000004.npz"
    if damage == "incumbent":
        with np.load(path) as pack:
            np.savez(path, **{**pack, "incumbent": pack["incumbent"] + np.int32(5)})
    else:
        path.write_bytes(path.read_bytes()[:100] if damage == "cut short" else b"")
    with pytest.raises(
        ResultsError, match=r"mine/runs/seed-000004\.npz is damaged \(.*\); remove it and run the command"
    ):
        READERS[reader](folder, Oracle(table))


def test_an_objective_without_direction_is_refused(tmp_path: Path) -> None:
    race = SimpleNamespace(queries=2, table_seed="mean", constraints=(), objectives=("best_epoch",))
    with pytest.raises(ResultsError, match="best_epoch has no better or worse, hence is no objective"):
        _check_race(tmp_path, race, load("digits-729", quiet=True))  # type: ignore[arg-type]
