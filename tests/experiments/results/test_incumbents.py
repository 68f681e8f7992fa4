"""The expectation of random search, by brute force."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.results.incumbents import expected_best_of_n


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
