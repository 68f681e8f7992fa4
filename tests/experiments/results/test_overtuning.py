"""Overtuning: by hand, by brute force, and whether pure noise is taken for harm."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from experiments.results.overtuning import LEAST_SHARE, Ledger, ledger, turn
from experiments.results.standings import course
from experiments.statistics.intervals import binomial_interval, mean_interval
from nasbench_ar.arrays import FloatArray

NAN = math.nan
TEST = np.array([[50, 52, 51, 51], [50, NAN, 49, 53], [50, 50, 50, 49]])


def ledger_of(values: FloatArray, *, maximize: bool = True, unit: str = "%") -> Ledger:
    seeds = np.arange(len(values))
    seen = course("mine", seeds, np.full(values.shape, 30.0), 31.0)
    tested = course("mine", seeds, values, 60.0 if maximize else -60.0)
    return ledger(np.zeros(len(values), dtype=np.int32), seen, tested, maximize=maximize, unit=unit)


@pytest.mark.parametrize("maximize", [True, False])
def test_by_hand(maximize: bool) -> None:
    found = ledger_of(TEST if maximize else -TEST, maximize=maximize)
    np.testing.assert_array_equal(found.overtuning, [[0, 0, 1, 1], [0, NAN, 1, 0], [0, 0, 0, 1]])
    np.testing.assert_array_equal(found.relative, [1 / 2, 0, NAN], "the last run gained nothing to divide by")
    np.testing.assert_allclose(found.worse, [0, 0, 2 / 3, 2 / 3])
    np.testing.assert_allclose(found.worse_band[1], binomial_interval(0, 2))
    np.testing.assert_array_equal(found.test.known, [3, 2, 3, 3])
    np.testing.assert_allclose(found.test.mean, [10, 9, 10, 9])
    assert found.validation.mean.tolist() == [1.0] * 4
    assert found.counts.all()


def test_a_gain_counts_from_a_thousandth_of_the_scale() -> None:
    values = np.array([[50, 50.05, 50.0], [50, 50.2, 50.1]])
    np.testing.assert_allclose(ledger_of(values).relative, [NAN, 0.5])
    np.testing.assert_allclose(ledger_of(values, unit="").relative, [1, 0.5])


@settings(max_examples=100, deadline=None)
@given(arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 6)), elements=st.sampled_from([1, 2, 3, 4, NAN])))
def test_overtuning_by_brute_force(values: FloatArray) -> None:
    found = ledger_of(values)
    for run, row in enumerate(values.tolist()):
        for n in range(len(row)):
            earlier = [value for value in row[: n + 1] if not math.isnan(value)]
            expected = NAN if math.isnan(row[n]) else max(earlier) - row[n]
            assert found.overtuning[run, n] == pytest.approx(expected, nan_ok=True)
        first, last = row[0], row[-1]
        gain = max(value for value in row if not math.isnan(value)) - first if not math.isnan(first) else 0
        expected = (gain - (last - first)) / gain if gain and not math.isnan(last) else NAN
        assert found.relative[run] == pytest.approx(expected, nan_ok=True)
    for n, column in enumerate(values.T):
        known = int((~np.isnan(column)).sum())
        worse = sum(ot > 0 for ot in found.overtuning[:, n])
        assert found.worse[n] == pytest.approx(worse / known if known else NAN, nan_ok=True)


def test_one_half_chooses_and_the_other_measures() -> None:
    value = np.array([[1, 5, 2], [9, 4, 3], [1, 3, 2], [9, 6, 2]], dtype=np.float64)  # rows 1 and 3 measure
    found = turn(value)
    assert (found.query, found.loss.known, found.loss.mean) == (2, 2, 2.5)
    assert found.loss.interval == mean_interval(np.array([1.0, 4.0]))
    assert not found.harm, "two runs prove nothing"
    assert turn(np.repeat(value[[0, 1, 2, 3]], 20, axis=0)[np.argsort(np.tile(range(20), 4), kind="stable")]).harm


def test_what_cannot_be_judged() -> None:
    assert turn(TEST[:1]).query is None, "one run has no other half"
    missing = np.array([[1, 2], [1, 2], [1, NAN], [1, NAN], [1, NAN], [1, 2]])
    found = turn(missing)
    assert (found.query, found.loss.known, found.harm) == (None, 0, False), "two of three that choose have no end"
    assert turn(missing[[0, 2, 1, 3, 5, 4]]).query is None, "two of three that measure have none"
    few = np.array([[1.0, 1], [1, 1], [9, 1], [9, 1], [NAN, 1], [NAN, 1], [NAN, 1], [NAN, 1], [NAN, 1], [NAN, 1]])
    assert LEAST_SHARE == 0.5
    assert turn(few).query == 2, "a mean over two runs of five is none"


def test_copies_of_one_run_are_no_sample() -> None:
    found = ledger_of(np.tile([3.0, 5.0, 4.0], (6, 1)))
    assert (found.turn.query, found.turn.loss.mean, found.turn.harm) == (2, 1.0, False)
    assert np.isnan(found.worse_band).all()
    assert found.worse.tolist() == [0, 0, 1]


def test_noise_is_not_taken_for_harm_and_harm_is_found() -> None:
    """Incumbents whose test values have no trend: the best of 60 means lies above the last one in almost every race."""
    rng = np.random.default_rng(0)
    alarms = naive = found = 0
    for _ in range(300):
        fresh, change = rng.normal(size=(60, 60)), rng.random((60, 60)) < 0.1
        change[:, 0] = True
        last = np.maximum.accumulate(np.where(change, np.arange(60), 0), axis=1)
        value = np.take_along_axis(fresh, last, axis=1)
        alarms += turn(value).harm
        best = int(value.mean(axis=0).argmax())
        naive += mean_interval(value[:, best] - value[:, -1])[0] > 0
        found += turn(value - np.clip(np.arange(60) - 20, 0, None) / 20).harm
    assert alarms <= 16, "2.5 % of 300 are expected; more than 16 come once in a thousand"
    assert naive > 40, "without halves, one race in five is called harmful"
    assert found > 290
