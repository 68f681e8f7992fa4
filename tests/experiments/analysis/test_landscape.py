"""Optima, basins and walks of landscapes that are enumerated by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from experiments.analysis import landscape
from experiments.analysis.landscape import ascend, neighbour_correlation, neighbour_table, uphill_walks
from experiments.analysis.table_data import TableData
from nasbench_ar import Oracle, SearchSpace, Table
from tests.experiments.conftest import SPACE, table_writer

# A 2 x 3 board; neighbours share a row or a column:
#   5 1 3
#   2 4 0
BOARD = np.array([5.0, 1, 3, 2, 4, 0])


def test_neighbours_are_those_of_the_space() -> None:
    space = SearchSpace(depth_choices=(1, 2, 3), width_choices=(1, 4), stages=2)
    table = neighbour_table([len(space.choices(p)) for p in range(4)])
    for index in range(space.size):
        assert table[index].tolist() == [space.index(n) for n in space.neighbours(space.from_index(index))]


def test_optima_and_basins_by_hand() -> None:
    found = ascend(BOARD, (2, 3))
    # 5 and 4 are the optima. 1 sees 5, 3, 4: to 5. 3 sees 5, 1, 0: to 5. 2 sees 5, 4, 0: to 5. 0 sees 3, 2, 4: to 4.
    assert found.optima.tolist() == [0, 4]
    assert found.target.tolist() == [0, 0, 0, 0, 4, 4]
    assert found.basins.tolist() == [4, 2]
    assert found.steps.tolist() == [0, 1, 1, 1, 0, 1]
    assert found.reach_best == pytest.approx(4 / 6)
    assert not found.flat.any()


def test_walks_by_hand() -> None:
    walks = uphill_walks(BOARD, (2, 3))
    # from 3: only 5; from 2: 5 or 4; from 1: 5, 3 (then 5) or 4; from 0: 3 (then 5), 2 (half) or 4
    one, zero = (1 + 1 + 0) / 3, (1 + 0.5 + 0) / 3
    np.testing.assert_allclose(walks[0], [1, one, 1, 0.5, 0, zero], atol=1e-12)
    np.testing.assert_allclose(walks[1], [0, 1 + 1 / 3, 1, 1, 0, 1 + 2 / 3], atol=1e-12)
    np.testing.assert_allclose(walks[2], 4 + walks[0], atol=1e-12)


def test_what_is_missing_is_no_neighbour() -> None:
    board = BOARD.copy()
    board[0] = np.nan
    found = ascend(board, (2, 3))
    # now 3 is an optimum too (sees 1 and 0), and 2 leads to 4
    assert found.optima.tolist() == [4, 2]
    assert found.target.tolist() == [-1, 4, 2, 4, 4, 4]
    assert (found.size, found.reach_best) == (5, pytest.approx(4 / 5))
    assert np.isnan(uphill_walks(board, (2, 3))[2][0])


def test_equal_neighbours_make_flat_optima() -> None:
    found = ascend(np.array([1.0, 1.0, 0.0]), (3,))
    assert found.optima.tolist() == [0, 1]
    assert found.flat.tolist() == [True, True]
    assert found.best.tolist() == [True, True]
    assert found.target.tolist() == [0, 1, 0]
    assert found.reach_best == 1


def test_long_ascents_end() -> None:
    values = np.arange(16.0)  # binary counting: steepest ascent sets the highest bit that is missing
    found = ascend(values, (2,) * 4)
    assert found.optima.tolist() == [15]
    assert found.steps.tolist() == [4 - bin(i).count("1") for i in range(16)]
    np.testing.assert_allclose(uphill_walks(values, (2,) * 4)[1], found.steps)


def test_walks_agree_with_simulation() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=27)
    near = neighbour_table((3, 3, 3))
    expected = uphill_walks(values, (3, 3, 3))
    start = int(values.argmin())
    ends = []
    for _ in range(2000):
        here = start
        while (better := near[here][values[near[here]] > values[here]]).size:
            here = int(rng.choice(better))
        ends.append(values[here])
    assert np.mean(ends) == pytest.approx(expected[2][start], abs=4 * np.std(ends) / np.sqrt(2000))


def test_neighbour_correlation_of_smooth_and_of_alternating_values() -> None:
    assert neighbour_correlation(np.array([0.0, 1, 1, 0]), (2, 2)) == pytest.approx(-1)
    assert neighbour_correlation(np.arange(25.0), (5, 5)) > 0


def test_ties_make_as_many_optima_of_the_control_as_of_the_values(tmp_path: Path) -> None:
    """Whole numbers, half of them ties; all that is not additive is noise."""
    rng = np.random.default_rng(3)
    with table_writer(tmp_path / "t", "ties") as writer:
        values = np.round(30 + rng.normal(0, 1, SPACE.size))
        writer.add_rows(range(SPACE.size), np.zeros(SPACE.size, dtype=int), {"val_pgd_acc": values})
    numbers = landscape.numbers(TableData.of(Oracle(Table(tmp_path / "t"))))
    facts = dict(numbers.tables["summary"].itertuples(index=False))
    assert facts["of_them_with_an_equal_neighbour"] > facts["local_optima"] / 2
    assert abs(facts["local_optima"] - facts["unstructured_optima_mean"]) < 3 * facts["unstructured_optima_std"]


def test_a_loss_is_correlated_with_distance_as_its_values_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with table_writer(tmp_path / "t", "losses", objective="val_loss") as writer:
        for index in range(SPACE.size):
            architecture = SPACE.from_index(index)
            loss = 3 - 0.05 * sum(architecture) + rng.normal(0, 0.1)
            writer.add(architecture, seed=0, scalars={"val_loss": loss, "val_pgd_acc": 40.0})
    found = landscape.numbers(TableData.of(Oracle(Table(tmp_path / "t"))))
    starts, facts = found.tables["starts"], dict(found.tables["summary"].itertuples(index=False))
    expected = spearmanr(starts["val_loss"], starts["distance_to_best"]).statistic
    assert expected > 0.2
    assert facts["fitness_distance_spearman"] == pytest.approx(expected)
