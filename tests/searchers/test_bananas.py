"""BANANAS: candidates, acquisition, rounds."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from nasbench_ar import NARES, SearchSpace
from searchers import Bananas
from searchers.bananas import ACQUISITIONS, log_closeness
from searchers.testing import SMALL, hilly, trajectory


def started(space: SearchSpace = NARES, **arguments: Any) -> Bananas:
    searcher = Bananas(space, 0, **({"first_steps": 5, "steps": 2} | arguments))
    for architecture in searcher.ask_batch():
        searcher.tell(architecture, hilly(architecture))
    return searcher


def test_rounds_grow_with_what_is_known() -> None:
    searcher = started(first_steps=1, steps=1)
    sizes = [len(searcher.history)]
    while len(searcher.history) < 140:
        batch = searcher.ask_batch()
        assert not set(batch) & set(searcher.history)
        for architecture in batch:
            searcher.tell(architecture, hilly(architecture))
        sizes.append(len(set(batch)))
    assert sizes == [10, *[1] * 10, *[2] * 5, *[3] * 4, *[4] * 2, 5, 5, *[6] * 2, 7, 7, 8, 9, 10, 10, 10, 10]


def test_candidates_are_unseen_neighbours_of_the_best() -> None:
    searcher = started(parents=2, mutations=10, pool=12)
    best = sorted(searcher.history, key=searcher.history.__getitem__)[-2:]
    candidates = [NARES.from_index(int(i)) for i in searcher._draw_candidates()]
    assert 0 < len(set(candidates)) == len(candidates) <= 12
    assert all(any(c in NARES.neighbours(parent) for parent in best) for c in candidates)


def test_mutations_are_uniform_over_neighbours() -> None:
    searcher = started(SMALL)
    center = SMALL.index("1-2-3-4")
    drawn = searcher._mutate(np.full(8000, center))
    neighbours = SMALL.indices(SMALL.neighbours("1-2-3-4"))
    counts = np.array([(drawn == n).sum() for n in neighbours])
    assert counts.sum() == 8000
    assert np.all(np.abs(counts - 1000) < 5 * np.sqrt(1000))


def test_finds_the_optimum_of_an_additive_landscape() -> None:
    searcher = Bananas(NARES, 0)
    while len(searcher.history) < 200:
        proposed = searcher.ask()
        searcher.tell(proposed, float(sum(proposed)) / 10)
    assert searcher.best()[0] == (11, 16, 11, 16, 11, 16)


def test_a_shift_and_a_scale_of_scores_change_nothing() -> None:
    one, other = started(), Bananas(NARES, 0, first_steps=5, steps=2)
    for architecture in other.ask_batch():
        other.tell(architecture, 2.0 * hilly(architecture) + 8.0)  # exact in binary
    assert one.ask_batch() == other.ask_batch()


def test_predictions_have_the_unit_of_the_scores() -> None:
    searcher = started(SMALL, first_steps=400)
    searcher.ask()
    seen = SMALL.indices(searcher.history)
    predicted = searcher.predict(seen)
    assert predicted.shape == (5, len(seen))
    scores = np.array(list(searcher.history.values()))
    assert stats.pearsonr(predicted.mean(axis=0), scores).statistic > 0.5
    assert abs(predicted.mean() - scores.mean()) < scores.std()
    searcher.predictor.predict = lambda x: log_closeness(scores)[None]  # type: ignore[method-assign]
    np.testing.assert_allclose(searcher.predict(seen)[0], scores, rtol=1e-6)


@given(
    arrays(np.float64, st.integers(1, 30), elements=st.floats(-1e6, 1e6)), st.floats(1e-3, 1e3), st.floats(-1e3, 1e3)
)
def test_log_closeness_is_of_no_unit(scores: np.ndarray, factor: float, shift: float) -> None:
    found = log_closeness(scores)
    assert found.max() == 0
    order = np.argsort(scores, kind="stable")
    assert (np.diff(found[order]) >= 0).all()
    if np.ptp(scores) > 1e-3 * np.abs(scores).max() and np.median(scores.max() - scores) > 1e-3 * np.ptp(scores):
        np.testing.assert_allclose(log_closeness(factor * scores + shift), found, rtol=1e-3, atol=1e-3)


def test_log_closeness_by_hand() -> None:
    np.testing.assert_allclose(log_closeness(np.array([4.0, 2.0, 0.0])), [0, -np.log(4), -np.log(7)])
    np.testing.assert_allclose(log_closeness(np.array([1.0, 1.0, 0.0])), [0, 0, -np.log(4)])
    np.testing.assert_array_equal(log_closeness(np.array([7.0, 7.0])), [0, 0])
    low, worst = (log_closeness(np.array([9.0, 8.0, 7.0, 6.0, last])) for last in (0.0, -1e9))
    np.testing.assert_array_equal(low[:4], worst[:4])


def test_acquisitions_against_closed_forms() -> None:
    rng = np.random.default_rng(0)
    predictions = rng.normal(size=(5, 400))
    mean, deviation = predictions.mean(axis=0), predictions.std(axis=0)
    np.testing.assert_allclose(ACQUISITIONS["mean"](rng, predictions), mean)
    np.testing.assert_allclose(ACQUISITIONS["ucb"](rng, predictions), mean + deviation)
    draws = np.array([ACQUISITIONS["its"](rng, predictions) for _ in range(2000)])
    assert np.abs((draws.mean(axis=0) - mean) / deviation).max() < 5 / np.sqrt(2000)
    assert stats.kstest(((draws - mean) / deviation).ravel()[:5000], "norm").pvalue > 1e-3
    sampled = np.maximum(rng.normal(mean[:3], deviation[:3], size=(400_000, 3)), 0).mean(axis=0)
    np.testing.assert_allclose(ACQUISITIONS["ei"](rng, predictions[:, :3]), sampled, atol=5e-3)


def test_the_predictor_is_the_one_asked_for() -> None:
    given = {"members": 3, "hidden": 7, "learning_rate": 0.02, "weight_decay": 4.0}
    predictor = Bananas(SMALL, 0, **given).predictor  # type: ignore[arg-type]
    assert {name: getattr(predictor, name) for name in given} == given


def test_the_first_fit_is_long_and_the_next_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    searcher = Bananas(SMALL, 0, starts=4, batch=3, first_steps=9, steps=2)
    fits: list[tuple[int, int]] = []
    fit = searcher.predictor.fit
    monkeypatch.setattr(searcher.predictor, "fit", lambda x, y, steps: (fits.append((len(x), steps)), fit(x, y, steps)))
    trajectory(searcher, 13)
    assert fits == [(4, 9), (5, 2), (6, 2), (8, 2), (10, 2)]


def test_predictors_shrink_more_the_more_is_known() -> None:
    searcher = Bananas(NARES, 0, starts=50, first_steps=0, steps=0, weight_decay=4.0)
    used = {}
    while len(searcher.history) < 220:
        known = len(searcher.history)
        for architecture in searcher.ask_batch():
            searcher.tell(architecture, hilly(architecture))
        used[known] = searcher.predictor.weight_decay
    del used[0]
    assert used == {known: 4.0 * known / 200 if known < 200 else 4.0 for known in used}
    assert used[50] == 1.0


def test_only_entries_with_a_choice_are_mutated() -> None:
    space = SearchSpace(depth_choices=(1, 2), width_choices=(3,), stages=2)
    searcher = Bananas(space, 0, starts=2, batch=1, steps=1)
    assert searcher._mutable.tolist() == [0, 2]
    assert len(trajectory(searcher, 9)) == 4
