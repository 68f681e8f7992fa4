"""The exact law of random search: over every order of a small table, and against other exact laws."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.results.baselines import RANDOM_SEARCH, Baseline
from experiments.results.incumbents import expected_best_of_n
from experiments.results.random_search import exact
from experiments.results.standings import regret_of_median

VALUES = st.lists(st.integers(0, 4), min_size=5, max_size=5)


@settings(max_examples=60, deadline=None)
@given(VALUES, st.lists(st.none() | st.integers(0, 4), min_size=5, max_size=5), st.booleans(), st.booleans())
def test_every_order(guide: list[int], judged: list[int | None], guided_up: bool, maximize: bool) -> None:
    """The first of the best by the objective is reported; what the table has no value of does not count."""
    objective = np.array([np.nan, *guide], dtype=np.float64)
    column = np.array([7.0, *judged], dtype=np.float64)  # the first is no member
    members = np.arange(1, 6, dtype=np.int32)
    optimum = float(np.nanmax(column) if maximize else np.nanmin(column))
    found = exact(objective, column, members, 7, [2, 7], 2.0, guided_up=guided_up, maximize=maximize)
    reported = np.array([after_each(order, objective, guided_up, 7) for order in permutations(members.tolist())])
    values = column[reported]
    regret = np.abs(values - optimum)
    for n in range(7):
        known = np.sort(regret[:, n][~np.isnan(regret[:, n])])
        assert found.mean[n] == pytest.approx(known.mean() if len(known) else math.nan, nan_ok=True)
        middle = known[(len(known) - 1) // 2] if len(known) else math.nan
        assert found.median[n] == pytest.approx(middle, nan_ok=True)
    for standing in found.standings:
        known = values[:, standing.budget - 1]
        known = known[~np.isnan(known)]
        expected = [known.mean(), (known == optimum).mean()] if len(known) else [math.nan] * 2
        assert [standing.mean, standing.solved] == pytest.approx(expected, nan_ok=True)
        means = found.mean[: standing.budget]
        area = means[~np.isnan(means)].mean() / 2 if not np.isnan(means).all() else math.nan
        assert standing.area == pytest.approx(area, nan_ok=True)
        assert (standing.name, standing.runs) == (RANDOM_SEARCH, None)
    ends = regret[:, -1][~np.isnan(regret[:, -1])]
    within = [(ends <= tau + 1e-9).mean() if len(ends) else math.nan for tau in found.profile.tau]
    assert found.profile.share == pytest.approx(within, nan_ok=True)


def after_each(order: tuple[int, ...], objective: np.ndarray, up: bool, queries: int) -> list[int]:
    """What a run of this order would report after each query; one that ends early keeps what it found."""
    out: list[int] = []
    for index in order:
        better = not out or (objective[index] - objective[out[-1]]) * (1 if up else -1) > 0
        out.append(index if better else out[-1])
    return out + [out[-1]] * (queries - len(out))


def test_the_objective_itself_is_the_expected_best_of_n() -> None:
    column = np.random.default_rng(3).random(200)
    members = np.arange(200, dtype=np.int32)
    unit = regret_of_median(column, float(column.max()))
    found = exact(column, column, members, 250, [100], unit, guided_up=True, maximize=True)
    best = expected_best_of_n(column, 250)
    assert found.mean == pytest.approx(column.max() - best, abs=1e-12)
    assert found.standings[0].area == pytest.approx((column.max() - best[:100]).mean() / unit)
    assert unit == column.max() - np.median(column)


def test_median_of_a_law_by_hand() -> None:
    law = Baseline("by hand", 0, np.array([0.25, 0.25, 0.3, 0.2]))
    assert law.median(np.array([4.0, 3.0, 1.0, 2.0])) == 2.0
    assert law.median(np.array([4.0, 3.0, np.nan, 2.0])) == 3.0
    assert math.isnan(law.median(np.full(4, np.nan)))
