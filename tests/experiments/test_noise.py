"""Noise of the validation set, by hand and by simulation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments import noise
from experiments.analysis import resampling
from experiments.races.noise import tied_with_best
from experiments.results.targets import targets_of
from experiments.results.track import scored_anew
from experiments.statistics.ranks import kendall
from nasbench_ar import Metric, MetricError, Oracle, Table, TableWriter, load
from tests.experiments.conftest import Command
from tests.nasbench_ar.test_from_frame import ABOUT


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
    assert lines[0] == "arch_id,arch,value,points_behind"
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


@pytest.fixture
def mirrored(tmp_path: Path) -> Oracle:
    """The same values as accuracies and as errors."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": np.repeat(range(8), 8), "b": np.tile(range(8), 8)})
    frame["val_acc"] = np.round(70 + frame.a / 2 + 0.7 * frame.b + rng.normal(0, 1, 64), 2)
    frame["val_err"] = 100 - frame.val_acc
    metrics = [
        Metric("val_acc", "Val accuracy", "val", "%", True, "made up", searchable=True),
        Metric("val_err", "Val error", "val", "%", False, "made up", searchable=True),
    ]
    given: dict[str, Any] = {
        "entries": ["a", "b"],
        "metrics": metrics,
        "source": {"dataset": {"val": {"images": 2000}}},
    }
    return Oracle(Table(TableWriter.from_frame(frame, tmp_path / "mine", **given, **ABOUT)))


def test_errors_are_accuracies_upside_down(mirrored: Oracle, tmp_path: Path) -> None:
    accuracy, error = mirrored.column("val_acc"), mirrored.column("val_err")
    tied = tied_with_best(accuracy)
    assert 1 < tied.sum() < 40
    assert tied_with_best(error, maximize=False).tolist() == tied.tolist()
    up = targets_of(accuracy, maximize=True, images=2000)
    down = targets_of(error, maximize=False, images=2000)
    assert [one.rank for one in down] == [one.rank for one in up]
    assert [100 - one.value for one in down] == pytest.approx([one.value for one in up])

    draws = {"images": 2000, "draws": 3000}
    of_accuracy = resampling.resample(accuracy, **draws)
    of_error = resampling.resample(error, **draws, maximize=False)
    assert of_error.same_winner == pytest.approx(of_accuracy.same_winner, abs=0.05)
    assert of_error.mean_regret == pytest.approx(of_accuracy.mean_regret, abs=0.05)
    best = resampling.report(mirrored, "val_err", 2000, draws=50).split("| expected best | ")[1].split()
    assert float(best[0]) == pytest.approx(error.mean(), abs=0.005)
    assert "not significantly above it" in resampling.report(mirrored, "val_err", 2000, draws=50)

    everyone = np.arange(64, dtype=np.int32)
    found = [scored_anew(mirrored, name, everyone, accuracy) for name in ("val_acc", "val_err")]
    for rule in ("observed", "model"):
        assert found[1][rule].mean == pytest.approx(found[0][rule].mean, abs=0.25)

    paths = [tmp_path / "accuracy.csv", tmp_path / "error.csv"]
    for name, path in zip(("val_acc", "val_err"), paths, strict=True):
        noise.write_tied(mirrored, name, 2000, path)
    by_accuracy, by_error = (pd.read_csv(path) for path in paths)
    assert by_error["arch"].tolist() == by_accuracy["arch"].tolist()
    assert by_error["points_behind"].tolist() == pytest.approx(by_accuracy["points_behind"].tolist())
