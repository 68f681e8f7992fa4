"""The guess is the ridge regression that scikit-learn fits."""

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.linear_model import Ridge

from nasbench_ar import NARES, Grid
from searchers.additive_guess import AdditiveGuess
from searchers.testing import SMALL, hilly


@pytest.mark.parametrize("space", [SMALL, NARES])
def test_it_is_ridge_regression_of_ranks(space: Grid) -> None:
    rng = np.random.default_rng(0)
    told = [space.from_index(int(k)) for k in rng.permutation(space.member_indices)[:60]]
    history = {architecture: round(hilly(architecture), 1) for architecture in told}
    assert len(set(history.values())) < len(history), "ties are wanted"
    ranks = (rankdata(list(history.values())) - 0.5) / len(history) - 0.5
    model = Ridge(alpha=1.0, fit_intercept=False).fit(space.one_hot(told).astype(float), ranks)
    candidates = [space.sample(rng) for _ in range(20)]
    guess = AdditiveGuess(space)
    half = dict(list(history.items())[:30])
    guess(half, candidates)  # a call before, with fewer scores and another one
    np.testing.assert_allclose(guess(history, candidates), model.predict(space.one_hot(candidates)), atol=1e-12)
    history[told[0]] += 1000.0
    np.testing.assert_array_equal(guess(history, candidates), AdditiveGuess(space)(history, candidates))
