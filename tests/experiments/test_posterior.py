"""`python -m experiments.posterior`: what it prints, the tables it draws, what it refuses."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from experiments import posterior, run
from nasbench_ar import Oracle, Table, load
from tests.experiments.conftest import Command, table_writer, write_table


@pytest.fixture
def folder(table: Table) -> str:
    return f"table={table.folder}"


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posterior.posterior, "SHARES", (0.25, 1.0))


def test_a_range_with_its_files(folder: str, tmp_path: Path, command: Command) -> None:
    out, _ = command.passes(posterior.main, folder, f"out={tmp_path / 'p'}")
    assert "0 have several trainings, too few to tell the noise of one" in out
    assert "(25 % of the rest)" in out
    assert (tmp_path / "p/posterior.md").read_text().strip() in out
    assert {f.name for f in (tmp_path / "p").iterdir()} == {
        "posterior.md",
        "best.csv",
        "posterior.png",
        "posterior.pdf",
    }
    rows = list(csv.reader((tmp_path / "p/best.csv").read_text().splitlines()))
    assert np.array([row[2:] for row in rows[1:]], dtype=float).sum(axis=0).min() >= 0.95


def test_draws_are_tables_that_can_be_raced(folder: str, table: Table, tmp_path: Path, command: Command) -> None:
    out, _ = command.passes(posterior.main, folder, "seed_sd=0.3", "draw=2", f"out={tmp_path / 'd'}")
    assert "truths drawn, no measurements" in out
    first, second = (load(tmp_path / f"d/draw-0{k}", quiet=True) for k in (1, 2))
    measured = Oracle(table).column("val_pgd_acc")
    columns = [one.column("val_pgd_acc") for one in (first, second)]
    assert not np.isnan(columns).any()
    assert 0.1 < np.std(columns[0] - columns[1]) < 0.5
    assert np.nanstd(columns[0] - measured) == pytest.approx(0.3, rel=0.4)
    assert first.title.startswith("not measured: drawn from a posterior of table small, draw 1 of 2, seed 0")
    assert "not measurements" in first.table.meta["provenance"]
    assert first.table.meta["source"]["content"] == table.content_hash
    words = ["searcher=random_search", "runs=2", "queries=5", "noise=run", "images=1000", "jobs=1"]
    said, _ = command.passes(run.main, f"table={tmp_path / 'd/draw-01'}", *words, f"out={tmp_path / 'r'}")
    assert "not measured" in said


def test_draws_stay_within_percentages(tmp_path: Path, command: Command) -> None:
    rng = np.random.default_rng(0)
    with table_writer(tmp_path / "t", "high") as writer:
        writer.add_rows(range(81), [0] * 81, {"val_pgd_acc": np.minimum(99 + 2 * rng.random(81), 100)})
    command.passes(posterior.main, f"table={tmp_path / 't'}", "seed_sd=2", "draw=1", f"out={tmp_path / 'd'}")
    assert load(tmp_path / "d/draw-01", quiet=True).column("val_pgd_acc").max() == 100


def test_draws_of_a_loss_are_losses(folder: str, table: Table, tmp_path: Path, command: Command) -> None:
    words = ["objective=val_loss", "seed_sd=0.02", "draw=1", f"out={tmp_path / 'd'}"]
    command.passes(posterior.main, folder, *words)
    drawn = load(tmp_path / "d/draw-01", quiet=True).column("val_loss")
    assert drawn == pytest.approx(Oracle(table).column("val_loss"), abs=0.1)


def test_same_seed_same_draws(tmp_path: Path, command: Command) -> None:
    write_table(tmp_path / "t", absent=(3, 4))
    hashes = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        words = ["seed_sd=0.3", "draw=1", f"seed={seed}", f"out={tmp_path / name}"]
        command.passes(posterior.main, f"table={tmp_path / 't'}", *words)
        hashes.append(load(tmp_path / name / "draw-01", quiet=True).column("val_pgd_acc").tobytes())
    assert hashes[0] == hashes[1] != hashes[2]


def test_refusals(folder: str, tmp_path: Path, command: Command) -> None:
    assert "give the folder of the tables by out=" in command.fails(posterior.main, folder, "draw=2")
    said = command.fails(posterior.main, folder, "draw=2", f"out={tmp_path / 'd'}")
    assert "has no repeats to tell a training's noise; give seed_sd=" in said
    assert not (tmp_path / "d").exists()
    (tmp_path / "d/draw-02").mkdir(parents=True)
    said = command.fails(posterior.main, folder, "seed_sd=1", "draw=2", f"out={tmp_path / 'd'}")
    assert "draw-02 exists already; choose another out=" in said
    assert "table small has no such flag" in command.fails(posterior.main, folder, "leave_out=low_mode")
    assert "seed_sd='x': expected a number" in command.fails(posterior.main, folder, "seed_sd=x")
    said = command.fails(posterior.main, folder, "objective=val_loss", "images=9")
    assert "images=9: val_loss is no share of images" in said
    (tmp_path / "file").write_text("")
    assert "choose another out=" in command.fails(posterior.main, folder, "seed_sd=1", f"out={tmp_path / 'file'}")
