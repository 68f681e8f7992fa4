"""How every reader of the project deals with thousands of damaged files and odd words.

    python -m benchmarks.fuzz [--cases 10000] [--seed 1] [tests/nasbench_ar ...]

Runs the tests marked `fuzz` in this process, with so many cases for each reader, and
prints how the cases ended.  A reader must refuse a case with the error it documents, in
one line that names the file, or read it and give an answer that holds; anything else
fails the run, and what pytest prints repeats the case.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from collections.abc import Iterable

import pytest

from benchmarks.environment import command_line, describe
from tests.fuzzing import CASES_VARIABLE, READERS, Reader


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, help="of hypothesis; drawn where none is given, and printed")
    parser.add_argument("tests", nargs="*", default=["tests"], help="files or folders; all tests by default")
    args = parser.parse_args()
    seed = secrets.randbelow(2**32) if args.seed is None else args.seed

    os.environ[CASES_VARIABLE] = str(args.cases)  # read when the tests are imported
    start = time.perf_counter()
    # What pytest says goes to standard error, so that the table alone can be kept.
    output, sys.stdout = sys.stdout, sys.stderr
    try:
        code = pytest.main(
            [
                "-q",
                "--numprocesses=0",  # the counts of all readers in this process
                "-m",
                "fuzz",
                "-W",
                "ignore::pytest.PytestAssertRewriteWarning",
                f"--hypothesis-seed={seed}",
                "-p",
                "no:cacheprovider",
                *args.tests,
            ]
        )
    finally:
        sys.stdout = output
    seconds = time.perf_counter() - start

    print(command_line("benchmarks.fuzz"))
    print(describe("hypothesis", "orjson", "pyyaml", "torch"))
    print(f"cases of each reader: {args.cases:,}; seed of hypothesis: {seed}; {seconds:.0f} s in all\n")
    print(table(READERS.values()))
    print(f"\n{'every case ended as documented' if code == 0 else 'FAILED: see what pytest printed'}")
    return int(code)


def table(readers: Iterable[Reader]) -> str:
    """One line per reader, in the order of the tests."""
    rows: list[tuple[str, ...]] = [("reader", "cases", "read", "refused", "seconds", "refused by")]
    for reader in readers:
        refused = reader.refused.total()
        numbers = (reader.read + refused, reader.read, refused, round(reader.seconds))
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in reader.refused.most_common())
        rows.append((reader.name, *(f"{number:,}" for number in numbers), kinds))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:5], widths[1:5]), row[5]]).rstrip() for row in rows
    )


if __name__ == "__main__":
    sys.exit(main())
