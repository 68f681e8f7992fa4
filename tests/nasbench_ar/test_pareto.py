"""Fronts, ranks, crowding and hypervolume, by hand and against brute force."""

import itertools
import sys

import numpy as np
import pytest

from nasbench_ar import ConfigError
from nasbench_ar.pareto import crowding_distance, hypervolume, non_dominated, non_dominated_ranks

# Higher is better. A and B are equal; C is dominated by A, D by A and C, E only by F.
POINTS = np.array([[4.0, 2.0], [4.0, 2.0], [3.0, 2.0], [3.0, 1.0], [1.0, 3.0], [1.0, 5.0]])


def dominates(p: np.ndarray, q: np.ndarray) -> bool:
    return bool((p >= q).all() and (p > q).any())


def test_front_and_ranks_by_hand() -> None:
    assert non_dominated(POINTS).tolist() == [True, True, False, False, False, True]
    assert non_dominated_ranks(POINTS).tolist() == [0, 0, 1, 2, 1, 0]


def test_nothing_has_no_front() -> None:
    for function in (non_dominated, non_dominated_ranks, crowding_distance):
        assert function(np.empty((0, 2))).tolist() == []


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
def test_ranks_against_the_definition(objectives: int) -> None:
    points = np.random.default_rng(objectives).integers(0, 5, (60, objectives)).astype(float)
    ranks = non_dominated_ranks(points)
    for k, point in enumerate(points):
        above = [ranks[i] for i, other in enumerate(points) if dominates(other, point)]
        assert ranks[k] == (max(above) + 1 if above else 0)


def test_crowding_by_hand() -> None:
    front = np.array([[0.0, 10.0], [1.0, 6.0], [4.0, 4.0], [10.0, 0.0]])
    # second point: (4 - 0) / 10 + (10 - 4) / 10; third: (10 - 1) / 10 + (6 - 0) / 10
    np.testing.assert_allclose(crowding_distance(front), [np.inf, 1.0, 1.5, np.inf])
    flat = np.array([[0.0, 7.0], [1.0, 7.0], [4.0, 7.0]])
    assert crowding_distance(flat).tolist() == [np.inf, 1.0, np.inf], "an objective without range crowds nobody"


def test_hypervolume_in_two_dimensions_by_hand() -> None:
    # strips from the right: 1 wide 1 high, 2 wide 2 high, 1 wide 4 high
    points = np.array([[4.0, 1.0], [3.0, 2.0], [1.0, 4.0], [2.0, 1.5], [5.0, -1.0], [3.0, 2.0]])
    assert hypervolume(points, np.zeros(2)) == pytest.approx(1 * 1 + 2 * 2 + 1 * 4)
    assert hypervolume(points, np.array([2.0, 0.5])) == pytest.approx(1 * 1.5 + 1 * 0.5)
    assert hypervolume(points, np.array([6.0, 0.0])) == 0.0
    assert hypervolume(np.array([[3.0], [5.0]]), np.array([1.0])) == 4.0


def test_hypervolume_in_three_dimensions_by_hand() -> None:
    pytest.importorskip("moocore")
    # boxes 2x2x1 and 1x1x3 share 1x1x1
    points = np.array([[2.0, 2.0, 1.0], [1.0, 1.0, 3.0]])
    assert hypervolume(points, np.zeros(3)) == pytest.approx(4 + 3 - 1)


@pytest.mark.parametrize("objectives", [2, 3])
def test_hypervolume_against_counted_cells(objectives: int) -> None:
    if objectives > 2:
        pytest.importorskip("moocore")
    points = np.random.default_rng(3).integers(0, 6, (12, objectives)).astype(float)
    cells = itertools.product(range(6), repeat=objectives)
    counted = sum(any((point > cell).all() for point in points) for cell in cells)
    assert hypervolume(points, np.zeros(objectives)) == pytest.approx(counted)


def test_three_objectives_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "moocore", None)
    with pytest.raises(
        ConfigError, match=r"the hypervolume of 3 objectives needs moocore, .*: pip install 'nasbench-ar\[objectives\]'"
    ):
        hypervolume(np.ones((1, 3)), np.zeros(3))
