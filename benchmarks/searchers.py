"""Whole-process seconds for 400 runs of 500 queries, each searcher as a user starts it.

    python -m benchmarks.searchers [--runs 400] [--repeats 3]

Prints the median over the repeats and the ratio to random search, which shares all
costs of starting, storing and reporting; and what a query takes alone, in this process:
ask, score, tell and recommend.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.environment import command_line, describe
from nasbench_ar import load
from searchers import SEARCHERS, search


def seconds(searcher: str, runs: int) -> float:
    """One timed call of the command, into an empty folder."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "experiments.run", f"searcher={searcher}", f"runs={runs}", f"out={out}"]
        start = time.perf_counter()
        subprocess.run([*command, "table=nares-figures"], check=True, capture_output=True)
        return time.perf_counter() - start


def microseconds_a_query(searcher: str, seeds: int = 40, queries: int = 500) -> list[float]:
    """Processor time of whole searches, ascending; the first is not counted, since it looks up what others reuse."""
    oracle = load("nares-figures", quiet=True)
    found = []
    for seed in range(seeds + 1):
        session = oracle.session(budget=queries)
        start = time.process_time()
        search(SEARCHERS[searcher](session.space, seed), session)
        found.append((time.process_time() - start) / queries * 1e6)
    return sorted(found[1:])


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
    print("\nprocessor microseconds a query, 40 searches of 500")
    print(f"{'searcher':24}{'median':>10}{'min':>8}{'max':>8}")
    for searcher in [name for name in SEARCHERS if name != "bananas"]:  # whose time goes into its predictors
        measured = microseconds_a_query(searcher)
        print(f"{searcher:24}{statistics.median(measured):10.1f}{measured[0]:8.1f}{measured[-1]:8.1f}")


if __name__ == "__main__":
    main()
