"""Noise of the validation set, by hand and by simulation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments import noise
from experiments.analysis import resampling
from experiments.races.noise import tied_with_best
from experiments.statistics.ranks import kendall
from nasbench_ar import MetricError, Oracle, Table, load
from tests.experiments.conftest import Command


def test_resampling_keeps_a_clear_winner_and_shuffles_equals() -> None:
    clear = resampling.resample(np.array([90.0, 10.0, 20.0]), draws=200)
    assert (clear.same_winner, clear.winners, clear.mean_regret) == (1.0, 1, 0.0)
    near = resampling.resample(np.full(8, 40.0) + np.arange(8) * 0.01, draws=400)
    assert near.winners == 8
    assert near.same_winner < 0.4
    assert 0 < near.mean_regret < 0.07


def test_resampling_has_one_seed() -> None:
    percent = np.linspace(35, 38, 50)
    assert resampling.resample(percent, draws=50, seed=3) == resampling.resample(percent, draws=50, seed=3)


def test_kendall_by_hand() -> None:
    # five pairs concordant, one discordant; the fifth entry is missing
    tau, pairs = kendall(np.array([1.0, 2, 3, 4, np.nan]), np.array([1.0, 3, 2, 4, 0]))
    assert (tau, pairs) == (pytest.approx(4 / 6), 4)


def test_selection_regret(table: Table) -> None:
    oracle = Oracle(table)
    chosen, value, regret = resampling.selection_regret(oracle, "val_pgd_acc", "test_pgd_acc")
    assert regret == 0, "the toy test metric follows the validation metric"
    assert value == oracle.optimum("test_pgd_acc")[1]
    assert oracle.space.index(chosen) % 3, "entries without a test value cannot be judged"


def test_report_of_the_embedded_table_reproduces_its_known_correlations() -> None:
    oracle = load("nares-figures", quiet=True)
    pairs = {("val_best_pgd_acc", "test_pgd_acc"): 0.39, ("val_best_clean_acc", "test_pgd_acc"): 0.37}
    pairs[("test_pgd_acc", "test_cw_acc")] = 0.57
    for (first, second), tau in pairs.items():
        assert kendall(oracle.column(first), oracle.column(second))[0] == pytest.approx(tau, abs=0.01)
    text = resampling.report(oracle, "val_best_pgd_acc", 2000, draws=20)
    assert "Optimum 5-14-11-16-11-12 at 38.80 %, standard error 1.09 points" in text
    assert "| Val PGD20, max over epochs" in text


def test_report_needs_a_validation_accuracy(table: Table) -> None:
    with pytest.raises(MetricError, match="it has val_pgd_acc, val_best_pgd_acc"):
        resampling.report(Oracle(table), "val_loss", 2000)


def test_tied_architectures_go_to_a_file(table: Table, tmp_path: Path, command: Command) -> None:
    out = tmp_path / "tied.csv"
    command.passes(noise.main, f"table={table.folder}", "images=2000", f"out={out}")
    lines = out.read_text().splitlines()
    oracle = Oracle(table)
    assert lines[0] == "arch_id,arch,value,points_below"
    assert lines[1].split(",")[1] == str(oracle.optimum("val_pgd_acc")[0])
    assert len(lines) - 1 == tied_with_best(oracle.column("val_pgd_acc")).sum()
    for wrong in (tmp_path / "no/where.csv", tmp_path / ("x" * 256), "."):
        err = command.fails(noise.main, f"table={table.folder}", "images=2000", f"out={wrong}")
        assert err.startswith(f"error: cannot write {wrong}: ")
        assert ".partial" not in err


def test_command(table: Table, command: Command) -> None:
    out = command.passes(noise.main, f"table={table.folder}", "images=500")[0]
    assert "500 images" in out
    for word in ("images=0", "images=x", "images=²", "images=99999999999999", "colour=red", "plain"):
        command.fails(noise.main, word)
    assert "selection regret" in command(noise.main, "--help")[1]
