"""Search on one metric, judge by another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments import proxy
from nasbench_ar import Oracle, Table, parse_constraints
from tests.experiments.conftest import Command
from tests.files import rows_of


def test_percentiles_by_hand() -> None:
    column = np.array([1.0, 2.0, 2.0, 4.0])
    values = np.array([1.0, 2.0, 4.0, np.nan])
    # 0 below and 1 equal; 1 below and 2 equal; 3 below and 1 equal
    np.testing.assert_allclose(proxy.percentile_of(values, column), [12.5, 50.0, 87.5, np.nan])


def test_a_cell_by_hand(table: Table) -> None:
    oracle = Oracle(table)
    reported = np.array([0, 5, 8], dtype=np.int32)
    column = oracle.column("val_loss")
    cell = proxy.score(oracle, reported, "macs", "val_loss")
    np.testing.assert_allclose(cell.regrets, column[reported] - column.min())
    expected = [100 * ((column > column[k]).sum() + 0.5) / 81 for k in reported]
    np.testing.assert_allclose(cell.percentiles, expected)
    judged = proxy.score(oracle, reported, "macs", "test_pgd_acc")
    assert np.isnan(judged.regrets).tolist() == [True, False, False], "every third has no test value"
    assert judged.runs == 2


def test_the_matrix(table: Table, tmp_path: Path, command: Command) -> None:
    words = [f"table={table.folder}", f"out={tmp_path}", "runs=3", "queries=81", "jobs=1", "searcher=random_search"]
    out = command.passes(proxy.main, *words)[0]
    folder = tmp_path / "small/proxy/random_search"
    rows = rows_of(folder / "matrix.csv")
    objectives = ["macs", "params", "val_loss", "val_pgd_acc", "val_best_pgd_acc"]
    assert sorted({row["search_on"] for row in rows}) == sorted(objectives)
    assert {row["score_on"] for row in rows} == {*objectives, "test_pgd_acc"}
    for row in rows:
        if row["search_on"] == row["score_on"]:
            assert float(row["regret_mean"]) == 0, "the whole space was queried"
            assert float(row["percentile_mean"]) > 99
    by_accuracy = next(r for r in rows if (r["search_on"], r["score_on"]) == ("val_pgd_acc", "val_loss"))
    assert float(by_accuracy["regret_mean"]) == pytest.approx(0), "the loss falls strictly as the accuracy rises"
    assert "| searched on" in out
    assert (folder / "matrix.png").read_bytes()[:4] == b"\x89PNG"
    assert "3 runs are stored in" in command.passes(proxy.main, *words, "search_on=val_loss,macs")[1]
    assert len((folder / "matrix.csv").read_text().splitlines()) == 1 + 2 * 6


def test_under_limits_by_hand(table: Table) -> None:
    oracle = Oracle(table)
    limits = parse_constraints("macs<=1e8")
    allowed = oracle.column("macs") <= 1e8
    assert 5 < allowed.sum() < 76
    column = oracle.column("val_loss")
    best = int(np.flatnonzero(allowed)[column[allowed].argmin()])
    breaks = int(np.flatnonzero(~allowed)[0])
    cell = proxy.score(oracle, np.array([best, breaks], dtype=np.int32), "macs", "val_loss", limits=limits)
    assert cell.regrets[0] == 0
    assert cell.percentiles[0] == pytest.approx(100 * (1 - 0.5 / allowed.sum()))
    assert cell.runs == 1, "what breaks a limit does not count"


def test_the_matrix_says_what_was_not_allowed_or_not_seen(table: Table, tmp_path: Path, command: Command) -> None:
    words = [f"table={table.folder}", f"out={tmp_path}", "runs=2", "jobs=1", "searcher=random_search"]
    words.append("search_on=val_pgd_acc")
    out = command.passes(proxy.main, *words, "queries=20", "constraint=macs<=1e8", "noise=run", "images=50")[0]
    assert "Constraint macs<=1e+08: regret is from the best that keeps it" in out.replace("100000000", "1e+08")
    assert "Noise run: the searchers saw draws of 50 images; regret is of true values." in out
    written = (tmp_path / "small/proxy/random_search/matrix.md").read_text()
    assert "Constraint" in written
    assert "Noise" in written


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("objective=macs", "choose some by search_on=a,b"),
        ("search_on=test_pgd_acc", "may not guide a search"),
        ("search_on=macs,pgd", "unknown metric 'pgd'"),
        ("search_on=val_cw_acc", "has no val_cw_acc"),
        ("search_on=macs,macs", "macs is there twice"),
        ("search_on=macs,test_pgd_acc", "test_pgd_acc may not guide a search; rows: macs, params, val_loss"),
        ("search_on=", "unknown metric ''"),
        ("search_on=macs,", "unknown metric ''"),
    ],
)
def test_errors(table: Table, tmp_path: Path, command: Command, word: str, message: str) -> None:
    assert message in command.fails(proxy.main, f"table={table.folder}", f"out={tmp_path}", word)
    assert not list(tmp_path.iterdir())


def test_help(command: Command) -> None:
    assert "search_on=METRIC" in command(proxy.main, "--help")[1]


def test_the_colours_say_what_they_are_of() -> None:
    rows = [[proxy.Cell("macs", "macs", np.zeros(1), np.full(1, 90.0))]]
    (bar,) = proxy.draw_matrix(rows, "within the limits").figure.axes[1:]
    assert bar.get_ylabel() == "mean percentile within the limits"
