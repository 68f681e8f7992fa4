"""The simulation against schedules worked by hand and against its expectation."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagen.planning.schedule import Jobs, NextPreemption, poisson, simulate


def scripted(times: Sequence[Sequence[float]]) -> NextPreemption:
    """Preemptions at given times, ascending for each GPU."""

    def following(gpu: int, time: float) -> float:
        position = bisect_right(times[gpu], time)
        return times[gpu][position] if position < len(times[gpu]) else float("inf")

    return following


def jobs(epoch: list[float], test: list[float], *, epochs: int, every: int = 1) -> Jobs:
    return Jobs(np.array(epoch, dtype=float), np.array(test, dtype=float), epochs, every)


def test_longest_first_without_preemptions() -> None:
    """Lengths 7, 6, 5, 4, 3 on two GPUs: 7 + 4 = 11 on one, 6 + 5 = 11, then 3 on the first: 14."""
    found = simulate(jobs([3, 7, 4, 6, 5], [0] * 5, epochs=1), gpus=2)
    assert (found.wall, found.work, found.tail) == (14, 25, 3)
    assert (found.lost, found.down, found.preemptions) == (0, 0, 0)


def test_more_gpus_than_trainings() -> None:
    found = simulate(jobs([2, 3], [1, 1], epochs=2), gpus=5)
    assert (found.wall, found.tail) == (7, 5 * 7 - 12)


def test_preemptions_by_hand() -> None:
    """Two GPUs, 10 to restart; A: 3 epochs of 10 and a test of 20 (50), B: 3 epochs of 8 and one of 6 (30).

    GPU 0 does A and is taken at 25: 2 epochs done, 5 lost; back at 35, the last epoch until
    45, the test until 65, but taken at 60: the test's 15 are lost; back at 70, done at 90.
    GPU 1 does B and is taken at 8, exactly at a checkpoint: nothing lost; back at 18, done at 40.
    The preemption at 40 finds it done.  Lost 20, of it 15 in a test; down 30; tail 50.
    """
    found = simulate(
        jobs([8, 10], [6, 20], epochs=3), gpus=2, next_preemption=scripted([[25, 60], [8, 40]]), restart=10
    )
    assert (found.wall, found.lost, found.lost_in_tests) == (90, 20, 15)
    assert (found.down, found.tail, found.preemptions) == (30, 50, 3)


def test_finished_attacks_of_a_test_are_kept() -> None:
    """An epoch of 10 and a test of 20 in parts of 4, 12 and 4; 5 to restart.

    Taken at 13: 3 of the first part are lost; back at 18, it ends at 22. Taken at 22: nothing is
    lost; back at 27, the second would end at 39. Taken at 38: its 11 are lost; back at 43, done at 59.
    """
    list_ = Jobs(np.array([10.0]), np.array([20.0]), 1, test_parts=(0.2, 0.6, 0.2))
    found = simulate(list_, gpus=1, next_preemption=scripted([[13, 22, 38]]), restart=5)
    assert (found.wall, found.lost, found.lost_in_tests, found.preemptions) == (59, 14, 14, 3)
    assert list_.longest_stretch == 12


def test_a_preemption_in_training_keeps_the_whole_test() -> None:
    list_ = Jobs(np.array([10.0]), np.array([20.0]), 2, test_parts=(0.5, 0.5))
    found = simulate(list_, gpus=1, next_preemption=scripted([[15, 38]]), restart=5)
    assert (found.wall, found.lost, found.lost_in_tests) == (40 + 5 + 5 + 5 + 8, 13, 8)


def test_a_preemption_while_the_gpu_is_away_does_not_count() -> None:
    found = simulate(jobs([10], [0], epochs=1), gpus=1, next_preemption=scripted([[4, 6, 9]]), restart=10)
    assert (found.wall, found.lost, found.preemptions) == (24, 4, 1)


def test_rarer_checkpoints_lose_more() -> None:
    """5 epochs of 10, taken at 35: with a checkpoint every 2 epochs 15 are lost, every epoch 5."""
    for every, lost in ((1, 5), (2, 15), (3, 5), (9, 35)):
        found = simulate(jobs([10], [2], epochs=5, every=every), gpus=1, next_preemption=scripted([[35]]), restart=1)
        assert (found.lost, found.wall) == (lost, 52 + lost + 1)
    # After the last epoch there is a checkpoint in any case.
    found = simulate(jobs([10], [5], epochs=5, every=4), gpus=1, next_preemption=scripted([[53]]), restart=1)
    assert (found.lost, found.lost_in_tests) == (3, 3)


@pytest.mark.parametrize(("every", "test", "longest"), [(1, 5, 10), (2, 5, 20), (9, 5, 30), (1, 25, 25), (9, 40, 40)])
def test_the_longest_stretch_between_checkpoints(every: int, test: float, longest: float) -> None:
    """3 epochs of up to 10: of one, two or all of them, or the test."""
    assert jobs([4, 10], [test, 1], epochs=3, every=every).longest_stretch == longest


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.tuples(st.floats(0.1, 50), st.floats(0, 80)), min_size=1, max_size=30),
    gpus=st.integers(1, 8),
    epochs=st.integers(1, 6),
    every=st.integers(1, 7),
    rate=st.sampled_from([0.0, 0.002, 0.01]),
    seed=st.integers(0, 5),
)
def test_bounds(lengths: list[tuple[float, float]], gpus: int, epochs: int, every: int, rate: float, seed: int) -> None:
    list_ = jobs([one[0] for one in lengths], [one[1] for one in lengths], epochs=epochs, every=every)
    source = poisson(rate, np.random.default_rng(seed))
    found = simulate(list_, gpus=gpus, next_preemption=source, restart=3.0)
    assert found.wall >= list_.seconds.sum() / gpus - 1e-6
    assert found.wall >= list_.seconds.max() - 1e-6
    assert found.lost >= -1e-6
    assert found.lost <= found.preemptions * list_.longest_stretch + 1e-6
    assert found.down == 3.0 * found.preemptions
    assert found.tail >= -1e-6
    assert gpus * found.wall == pytest.approx(found.work + found.lost + found.down + found.tail)
    if not rate:
        assert (found.lost, found.down, found.preemptions) == (0, 0, 0)


def test_the_mean_waste_is_what_theory_says() -> None:
    """Of a stretch of length L at rate r, (exp(r L) - 1) / r - L are lost, and exp(r L) - 1 attempts."""
    epochs, length, test, rate = 2000, 30.0, 120.0, 0.01
    rng = np.random.default_rng(7)
    found = [
        simulate(
            Jobs(np.array([length]), np.array([test]), epochs, test_parts=(0.75, 0.25)),
            gpus=1,
            next_preemption=poisson(rate, rng),
        )
        for _ in range(20)
    ]
    stretches = [(length, epochs), (0.75 * test, 1), (0.25 * test, 1)]
    lost = sum(n * ((np.exp(rate * stretch) - 1) / rate - stretch) for stretch, n in stretches)
    attempts = sum(n * (np.exp(rate * stretch) - 1) for stretch, n in stretches)
    assert np.mean([one.lost for one in found]) == pytest.approx(lost, rel=0.03)
    assert np.mean([one.preemptions for one in found]) == pytest.approx(attempts, rel=0.03)
