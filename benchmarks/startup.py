"""How long commands take to start: two checkouts in turn, with the same Python and libraries.

    git worktree add ../before af65f6c
    python -m benchmarks.startup ../before . [--repeats 9]

Prints the times of both and their ratio: the second by the first.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.environment import command_line, describe

COMMANDS = {
    "experiments.run --help": ["--help"],
    "one run of five queries": ["searcher=random_search", "runs=1", "queries=5", "jobs=1", "table=nares-figures"],
}


def seconds(checkout: Path, words: list[str]) -> float:
    """Wall-clock time of `experiments.run` of a checkout, in an empty folder."""
    environment = os.environ | {"PYTHONPATH": str(checkout.resolve())}
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "experiments.run", *words],
            check=True,
            capture_output=True,
            cwd=folder,
            env=environment | {"NASBENCH_AR_HOME": str(Path(folder) / "home")},
        )
        return time.perf_counter() - start


def commit(checkout: Path) -> str:
    """The checkout's commit, shortened, and whether it was changed."""
    call = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(call, check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--repeats", type=int, default=9)
    args = parser.parse_args()
    print(command_line("benchmarks.startup"))
    print(describe("matplotlib", "pandas", "scipy"))
    checkouts = (args.first, args.second)
    print(f"\n{args.repeats} times in turn; seconds: best, median (most)")
    for name, words in COMMANDS.items():
        for checkout in checkouts:
            seconds(checkout, words)  # writes bytecode and fills the disk cache
        turns = [[seconds(checkout, words) for checkout in checkouts] for _ in range(args.repeats)]
        columns = [sorted(column) for column in zip(*turns, strict=True)]
        print(f"\n{name}")
        for checkout, values in zip(checkouts, columns, strict=True):
            print(f"  {commit(checkout):<24} {values[0]:6.2f}  {statistics.median(values):6.2f}  ({values[-1]:.2f})")
        best, median = (
            columns[1][0] / columns[0][0],
            statistics.median(columns[1]) / statistics.median(columns[0]),
        )
        print(f"  ratio                    {best:6.2f}  {median:6.2f}")


if __name__ == "__main__":
    main()
