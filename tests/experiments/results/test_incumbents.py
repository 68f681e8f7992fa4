"""Incumbents and the expectation of random search, by hand and by brute force."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.results.incumbents import expected_best_of_n, incumbents


def test_incumbents_by_hand() -> None:
    scores = np.array([[1.0, 3.0, 2.0, 5.0], [4.0, 1.0, np.nan, np.nan]])
    np.testing.assert_array_equal(incumbents(scores), [[1, 3, 3, 5], [4, 4, 4, 4]])
    np.testing.assert_array_equal(incumbents(scores, maximize=False), [[1, 1, 1, 1], [4, 1, 1, 1]])


@pytest.mark.parametrize("scores", [np.zeros(3), np.array([[np.nan, 1.0]])])
def test_incumbents_refuse_what_has_none(scores: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected|no incumbent"):
        incumbents(scores)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=8), st.booleans())
def test_expectation_equals_the_mean_over_all_subsets(values: list[int], maximize: bool) -> None:
    best = max if maximize else min
    exact = [np.mean([best(subset) for subset in combinations(values, n)]) for n in range(1, len(values) + 1)]
    computed = expected_best_of_n(np.array(values, dtype=float), len(values) + 2, maximize=maximize)
    np.testing.assert_allclose(computed, [*exact, exact[-1], exact[-1]], rtol=1e-12)


@pytest.mark.parametrize("values", [[], [1.0, np.nan]])
def test_expectation_needs_a_complete_column(values: list[float]) -> None:
    with pytest.raises(ValueError, match="complete column"):
        expected_best_of_n(np.array(values), 3)
