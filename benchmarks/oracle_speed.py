"""What a look-up costs: start of a fresh process, single queries, vectorised queries.

    python -m benchmarks.oracle_speed [--repeats 5]

Uses the embedded table, so that anybody can repeat it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

import nasbench_ar
from benchmarks.environment import command_line, describe

METRIC = "val_best_pgd_acc"
COLD = f"""
import time
start = time.perf_counter()
import nasbench_ar
imported = time.perf_counter()
oracle = nasbench_ar.load("nares-figures", quiet=True)
loaded = time.perf_counter()
oracle.query("5-10-5-10-5-10", "{METRIC}")
asked = time.perf_counter()
import json
from benchmarks.environment import peak_memory_mib
print(json.dumps([imported - start, loaded - imported, asked - loaded, asked - start, peak_memory_mib()]))
"""
BARE = """
import numpy
from benchmarks.environment import peak_memory_mib
print(peak_memory_mib())
"""


def fresh(code: str) -> list[float]:
    """What `code` prints in a new process."""
    out = json.loads(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
    return out if isinstance(out, list) else [out]


def rate(ask: Callable[[], object], answers: int, repeats: int) -> list[float]:
    """Answers per second of each repeat, after one that is not counted."""
    ask()
    out = []
    for _ in range(repeats):
        start = time.perf_counter()
        ask()
        out.append(answers / (time.perf_counter() - start))
    return sorted(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    print(command_line("benchmarks.oracle_speed"))
    print(describe())

    fresh(COLD)  # fills the disk cache and writes bytecode
    runs = [fresh(COLD) for _ in range(args.repeats)]
    print(f"\nfresh process, median of {args.repeats} (least to most)")
    for column, label in enumerate(("import nasbench_ar", "load", "first query", "together")):
        values = sorted(run[column] for run in runs)
        print(f"  {label:<20} {statistics.median(values):7.3f} s ({values[0]:.3f} to {values[-1]:.3f})")
    print(
        f"  peak memory          {max(run[4] for run in runs):7.0f} MiB, of which NumPy alone {fresh(BARE)[0]:.0f} MiB"
    )

    oracle = nasbench_ar.load("nares-figures", quiet=True)
    rng = np.random.default_rng(0)
    indices = rng.integers(oracle.space.size, size=100_000)
    architectures = [oracle.space.from_index(int(i)) for i in indices]
    texts = [str(a) for a in architectures]

    def singly(given: list[nasbench_ar.Architecture] | list[str]) -> Callable[[], object]:
        return lambda: [oracle.query(a, METRIC) for a in given]

    def through_session() -> None:
        session = oracle.session(METRIC, budget=500)
        for architecture in architectures[:500]:
            session.score(architecture)

    kinds: list[tuple[str, Callable[[], object], int]] = [
        ("query, architecture", singly(architectures), len(architectures)),
        ("query, text", singly(texts), len(texts)),
        ("query_many, indices", lambda: oracle.query_many(indices=indices, name=METRIC), len(indices)),
        ("query_many, objects", lambda: oracle.query_many(architectures, METRIC), len(architectures)),
        ("session of 500", through_session, 500),
    ]
    print(f"\nanswers per second, median of {args.repeats} (least to most)")
    medians = {}
    for label, ask, answers in kinds:
        rates = rate(ask, answers, args.repeats)
        medians[label] = statistics.median(rates)
        print(f"  {label:<20} {medians[label]:13,.0f} ({rates[0]:,.0f} to {rates[-1]:,.0f})")
    ratio = medians["query_many, indices"] / medians["query, architecture"]
    print(f"  query_many with indices answers {ratio:.0f} times as fast as single queries")


if __name__ == "__main__":
    main()
