"""A discrete-event simulation of trainings on GPUs that may be preempted.

A free GPU takes the longest training that nobody has begun.  A preemption loses all work
since the last checkpoint: the last kept epoch, or the last finished attack of the test.
After a restart the machine goes on with the same training.  All times
are seconds; preemptions of a GPU that has nothing left to do do not count.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nasbench_ar.arrays import FloatArray

NextPreemption = Callable[[int, float], float]  # (GPU, time) -> the first one later than that


@dataclass(frozen=True)
class Jobs:
    """Trainings in any order: (n,) float64 seconds of an epoch with its validation, and of the test.

    Each writes a checkpoint every `checkpoint_epochs` epochs, after the last, and after each part of its test.
    `test_parts` are their shares of the test.
    """

    epoch_seconds: FloatArray
    test_seconds: FloatArray
    epochs: int
    checkpoint_epochs: int = 1
    test_parts: tuple[float, ...] = (1.0,)

    @property
    def seconds(self) -> FloatArray:
        """(n,) float64, undisturbed."""
        return self.epochs * self.epoch_seconds + self.test_seconds

    @property
    def longest_stretch(self) -> float:
        """The longest piece of work between two checkpoints."""
        epochs = min(self.checkpoint_epochs, self.epochs)
        return float(max((epochs * self.epoch_seconds).max(), max(self.test_parts) * self.test_seconds.max()))


@dataclass(frozen=True)
class Schedule:
    """One simulated course; all but `preemptions` in seconds, and all but `wall` of GPU time.

    Attributes:
        wall: until the last training is done.
        work: what all trainings need undisturbed.
        lost: work lost, of which `lost_in_tests` in tests.
        down: spent on restarts.
        tail: some GPUs had nothing left while others worked.
    """

    wall: float
    work: float
    lost: float
    lost_in_tests: float
    down: float
    tail: float
    preemptions: int


def never(gpu: int, time: float) -> float:
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


def simulate(jobs: Jobs, *, gpus: int, next_preemption: NextPreemption = never, restart: float = 0.0) -> Schedule:
    """Carry out all trainings, longest first; a preempted GPU goes on `restart` seconds later."""
    totals = jobs.seconds
    epochs, every = jobs.epochs, jobs.checkpoint_epochs
    free = [(0.0, gpu) for gpu in range(gpus)]
    lost = lost_in_tests = down = 0.0
    preemptions = 0
    for job in np.argsort(-totals, kind="stable").tolist():
        time, gpu = free[0]
        epoch_seconds, done = float(jobs.epoch_seconds[job]), 0
        parts = deque(share * float(jobs.test_seconds[job]) for share in jobs.test_parts)
        while True:
            taken = next_preemption(gpu, time)
            left = (epochs - done) * epoch_seconds + sum(parts)
            if time + left <= taken:
                time += left
                break
            finished = epochs - done
            if epoch_seconds > 0:
                finished = min(finished, int((taken - time) / epoch_seconds))
            reached = done + finished
            kept = reached if reached == epochs else reached - reached % every
            gone = taken - time - (kept - done) * epoch_seconds
            if kept == epochs:
                while len(parts) > 1 and gone >= parts[0]:
                    gone -= parts.popleft()
                lost_in_tests += gone
            lost += gone
            done, time = kept, taken + restart
            down += restart
            preemptions += 1
        heapq.heapreplace(free, (time, gpu))
    wall = max(time for time, _ in free)
    tail = gpus * wall - sum(time for time, _ in free)
    return Schedule(wall, float(totals.sum()), lost, lost_in_tests, down, tail, preemptions)
