"""What the engine adds to a task: empty tasks in a row on loky and on Dask, in one run.

    python -m benchmarks.engine_overhead [--tasks 1000] [--jobs 2] [--repeats 3]

Seconds from the first result to the last, divided by the number of tasks.  The start of
the pool or the cluster is the time to the first result in the first repeat (loky's pool
is kept for the others).  Dask stands on this machine, its messages go over the loopback
interface.
"""

from __future__ import annotations

import argparse
import statistics
import time

from benchmarks.environment import command_line, describe
from nasbench_ar.system.engine import ENGINES, Engine


def nothing(number: int) -> int:
    """An empty task."""
    return number


def seconds(engine: Engine, tasks: int) -> tuple[float, float]:
    """Until the first result, and from there to the last."""
    start = time.perf_counter()
    results = engine.run(nothing, [(number,) for number in range(tasks)])
    next(results)
    first = time.perf_counter()
    count = 1 + sum(1 for _ in results)
    last = time.perf_counter()
    if count != tasks:
        raise RuntimeError(f"{count} results of {tasks} tasks")
    return first - start, last - first


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in ENGINES}
    for _ in range(args.repeats):
        for name in ENGINES:
            measured[name].append(seconds(Engine(name, jobs=args.jobs), args.tasks))
    print(command_line("benchmarks.engine_overhead"))
    print(describe("joblib", "dask", "distributed"))
    print(f"\n{args.tasks} empty tasks, jobs={args.jobs}; {args.repeats} repeats in turn")
    print(f"{'engine':8}{'start s':>10}{'ms a task: median':>20}{'min':>8}{'max':>8}")
    for name, times in measured.items():
        each = [1000 * rest / (args.tasks - 1) for _, rest in times]
        print(f"{name:8}{times[0][0]:10.2f}{statistics.median(each):20.2f}{min(each):8.2f}{max(each):8.2f}")


if __name__ == "__main__":
    main()
