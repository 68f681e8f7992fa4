"""What becomes of a list of trainings on GPUs that may be taken away: a discrete-event simulation.

A free GPU takes the longest training that nobody has begun.  Where it is preempted, all
work since the last checkpoint is lost: since the last kept epoch, or since the test
began, which is repeated whole.  The machine comes back after a restart and goes on with
the same training, until none is left.

    found = simulate(jobs, gpus=8, next_preemption=poisson(2 / 86_400, rng), restart=600)

All times are seconds; a GPU's preemptions after it has nothing left to do do not count.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nasbench_ar.arrays import FloatArray

NextPreemption = Callable[[int, float], float]  # (GPU, time) -> the first one later than that


@dataclass(frozen=True)
class Jobs:
    """Trainings in any order.

    Attributes:
        epoch_seconds: (n,) float64, of one epoch with its validation.
        test_seconds: (n,) float64, of the test after the last epoch.
        epochs: how many each has.
        checkpoint_epochs: a checkpoint is written after so many epochs, and after the last.
    """

    epoch_seconds: FloatArray
    test_seconds: FloatArray
    epochs: int
    checkpoint_epochs: int = 1

    @property
    def seconds(self) -> FloatArray:
        """(n,) float64, undisturbed."""
        return self.epochs * self.epoch_seconds + self.test_seconds

    @property
    def longest_stretch(self) -> float:
        """The longest piece of work between two checkpoints."""
        epochs = min(self.checkpoint_epochs, self.epochs)
        return float(max((epochs * self.epoch_seconds).max(), self.test_seconds.max()))


@dataclass(frozen=True)
class Schedule:
    """One simulated course.

    Attributes:
        wall: seconds until the last training is done.
        work: seconds of GPU time that all trainings need undisturbed.
        lost: seconds of GPU time whose work was lost.
        lost_in_tests: of these, spent on tests.
        down: seconds of GPU time spent on restarts.
        tail: seconds of GPU time during which some GPUs had nothing left and others worked.
        preemptions: how many.
    """

    wall: float
    work: float
    lost: float
    lost_in_tests: float
    down: float
    tail: float
    preemptions: int


def never(gpu: int, time: float) -> float:
    """No preemption."""
    return float("inf")


def poisson(per_second: float, rng: np.random.Generator) -> NextPreemption:
    """Preemptions without memory, at a constant rate on every GPU."""
    if not per_second:
        return never
    gaps: list[float] = []

    def following(gpu: int, time: float) -> float:
        if not gaps:
            gaps.extend(rng.exponential(1 / per_second, 4096).tolist())
        return time + gaps.pop()

    return following


def scripted(times: Sequence[Sequence[float]]) -> NextPreemption:
    """Preemptions at given times, ascending for each GPU."""

    def following(gpu: int, time: float) -> float:
        position = bisect_right(times[gpu], time)
        return times[gpu][position] if position < len(times[gpu]) else float("inf")

    return following


def simulate(jobs: Jobs, *, gpus: int, next_preemption: NextPreemption = never, restart: float = 0.0) -> Schedule:
    """Carry out all trainings, longest first.

    Args:
        jobs: the trainings.
        gpus: how many work on them.
        next_preemption: when each is taken away.
        restart: seconds from a preemption until the GPU goes on.
    """
    totals = jobs.seconds
    epochs, every = jobs.epochs, jobs.checkpoint_epochs
    free = [(0.0, gpu) for gpu in range(gpus)]
    lost = lost_in_tests = down = 0.0
    preemptions = 0
    for job in np.argsort(-totals, kind="stable").tolist():
        time, gpu = free[0]
        epoch_seconds, test_seconds, done = float(jobs.epoch_seconds[job]), float(jobs.test_seconds[job]), 0
        while True:
            taken = next_preemption(gpu, time)
            left = (epochs - done) * epoch_seconds + test_seconds
            if time + left <= taken:
                time += left
                break
            finished = epochs - done
            if epoch_seconds > 0:
                finished = min(finished, int((taken - time) / epoch_seconds))
            reached = done + finished
            kept = reached if reached == epochs else reached - reached % every
            gone = taken - time - (kept - done) * epoch_seconds
            lost += gone
            lost_in_tests += gone if kept == epochs else 0.0
            done, time = kept, taken + restart
            down += restart
            preemptions += 1
        heapq.heapreplace(free, (time, gpu))
    wall = max(time for time, _ in free)
    tail = gpus * wall - sum(time for time, _ in free)
    return Schedule(wall, float(totals.sum()), lost, lost_in_tests, down, tail, preemptions)
