"""Whole-process seconds for 400 runs of 500 queries, each searcher as a user starts it.

    python -m benchmarks.searchers [--runs 400] [--repeats 3]

Prints the median over the repeats and the ratio to random search, which shares all
costs of starting, storing and reporting.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.environment import command_line, describe
from searchers import SEARCHERS


def seconds(searcher: str, runs: int) -> float:
    """One timed call of the command, into an empty folder."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "experiments.run", f"searcher={searcher}", f"runs={runs}", f"out={out}"]
        start = time.perf_counter()
        subprocess.run([*command, "table=nares-figures"], check=True, capture_output=True)
        return time.perf_counter() - start


def main() -> None:
    """Time every searcher in turn, so that drift of the machine meets all alike."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    print(command_line("benchmarks.searchers"))
    print(describe("joblib", "scipy", "matplotlib"))
    times: dict[str, list[float]] = {searcher: [] for searcher in SEARCHERS}
    for _ in range(args.repeats):
        for searcher in SEARCHERS:
            times[searcher].append(seconds(searcher, args.runs))
    print(f"\n{args.runs} runs x 500 queries, whole process, jobs=-1, table nares-figures")
    print(f"{'searcher':24}{'median s':>10}{'min s':>8}{'max s':>8}{'x random search':>18}")
    baseline = statistics.median(times["random_search"])
    for searcher, measured in times.items():
        median = statistics.median(measured)
        print(f"{searcher:24}{median:10.1f}{min(measured):8.1f}{max(measured):8.1f}{median / baseline:18.1f}")


if __name__ == "__main__":
    main()
