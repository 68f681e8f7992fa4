"""Result folders on common ground, and what runs would have reported along their way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments.races.store import Runs
from experiments.results.read import found_after, read_contest
from nasbench_ar import ResultsError, Table
from tests.experiments.conftest import store_runs, write_table

NAN = np.nan


def runs(scores: list[list[float]], reported: list[int]) -> Runs:
    """Run r queries the architectures 100 r, 100 r + 1, ..."""
    values = np.array(scores, dtype=np.float32)
    arch_index = np.arange(values.shape[1]) + 100 * np.arange(len(values))[:, None]
    arch_index[np.isnan(values)] = -1
    return Runs(
        seeds=np.arange(len(values)),
        arch_index=arch_index.astype(np.int32),
        scores=values,
        reported=np.array(reported, dtype=np.int32),
        repeats=np.zeros(len(values), dtype=np.int64),
        ended=("",) * len(values),
    )


def test_the_first_best_by_hand() -> None:
    found, rule = found_after(runs([[1, 3, 2, 3], [5, 4, 6, NAN]], [1, 102]), 4, maximize=True)
    assert rule == "first"
    assert found.tolist() == [[0, 1, 1, 1], [100, 100, 102, 102]]


def test_the_last_best_where_the_runs_reported_that() -> None:
    found, rule = found_after(runs([[1, 3, 2, 3], [5, 4, 6, NAN]], [3, 102]), 4, maximize=True)
    assert rule == "last"
    assert found.tolist() == [[0, 1, 1, 3], [100, 100, 102, 102]]


def test_minimised_objectives() -> None:
    found, _ = found_after(runs([[2, 3, 1, 1]], [2]), 4, maximize=False)
    assert found.tolist() == [[0, 0, 2, 2]]


def test_what_was_found_beyond_the_budget_does_not_count() -> None:
    found, rule = found_after(runs([[1, 2, 3, 4]], [3]), 2, maximize=True)
    assert (found.tolist(), rule) == ([[0, 1]], "first")


def test_short_runs_keep_what_they_had() -> None:
    for queries, expected in ((4, [0, 1, 1, 1]), (3, [0, 1, 1]), (2, [0, 1])):
        found, _ = found_after(runs([[1, 2]], [1]), queries, maximize=True)
        assert found.tolist() == [expected]


def test_a_searcher_with_a_choice_of_its_own() -> None:
    found, rule = found_after(runs([[1, 3, 2]], [2]), 3, maximize=True)
    assert (found.tolist(), rule) == ([[0, 1, 2]], "own")


def test_contestants_are_in_the_order_of_the_folders(table: Table, tmp_path: Path) -> None:
    folders = [store_runs(tmp_path / name, table, {3: [0, 1], 1: [2, 3]}) for name in ("b", "a")]
    contest = read_contest(folders)
    assert [c.name for c in contest.contestants] == ["b", "a"]
    assert contest.contestants[0].runs.seeds.tolist() == [1, 3]
    assert (contest.oracle.name, contest.objective, contest.maximize) == ("small", "val_pgd_acc", True)


def test_equal_names_are_told_apart_by_their_folders(table: Table, tmp_path: Path) -> None:
    folders = [store_runs(tmp_path / place / "a", table, {0: [0, 1]}) for place in ("x", "y")]
    assert [c.name for c in read_contest(folders).contestants] == [str(folder) for folder in folders]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"objective": "val_loss"}, "objective is 'val_loss', not 'val_pgd_acc'"),
        ({"table_hash": "other"}, "table_hash is 'other'"),
        ({"table_seed": 3}, "table_seed is 3, not 'mean'"),
    ],
)
def test_folders_that_differ_are_refused(table: Table, tmp_path: Path, changes: dict[str, object], said: str) -> None:
    first = store_runs(tmp_path / "a", table, {0: [0, 1]})
    second = store_runs(tmp_path / "b", table, {0: [0, 1]}, **changes)  # type: ignore[arg-type]
    with pytest.raises(ResultsError, match="share no axis") as error:
        read_contest([first, second])
    assert said in str(error.value)
    assert ";" in str(error.value)


def test_folders_that_cannot_be_read_are_refused(table: Table, tmp_path: Path) -> None:
    folder = store_runs(tmp_path / "a", table, {0: [0, 1]})
    with pytest.raises(ResultsError, match="given twice"):
        read_contest([folder, tmp_path / "x" / ".." / "a"])
    store_runs(tmp_path / "b", table, {0: [0, 1]})
    (tmp_path / "b/runs/seed-000000.npz").unlink()
    with pytest.raises(ResultsError, match="no finished run"):
        read_contest([folder, tmp_path / "b"])


def test_the_table_must_be_the_one_of_the_runs(table: Table, tmp_path: Path) -> None:
    folder = store_runs(tmp_path / "a", write_table(tmp_path / "gone"), {0: [0, 1]})
    (tmp_path / "gone").rename(tmp_path / "elsewhere")
    with pytest.raises(ResultsError, match=f"the results in {folder} were made on is no longer at '{tmp_path}/gone'"):
        read_contest([folder])
