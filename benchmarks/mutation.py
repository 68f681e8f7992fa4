"""Mutation test of `nasbench_ar` and `searchers`: how many small faults put into them their own tests notice.

    pip install -e ".[test,mutation]"
    python -m benchmarks.mutation [--children 2] [--seconds 3] [--sample 500] [--again]

mutmut changes one thing at a time inside functions and methods (an operator, a number, a string, an argument, a
condition) and runs the tests of the two packages that call the changed function.  Its settings are in pyproject.toml,
its copy of the project and its verdicts in `mutants/`, where a stopped run is taken up again.  Two things are added:

- A function that everything uses would be tested by nearly all tests.  The mirror tests of its module come first, then
  the quickest others, until they would take `--seconds` together (the mirror tests two and a half times that).
  Fewer tests can only let more mutants live, so that the score is a lower bound.
- mutmut forks processes in which the packages are imported already.  Faults in what runs at import, and in what only
  child processes run, are unseen there; such mutants are tried again, with the mirror tests in a new process.

A mutant is noticed if a test fails or never ends.  Not counted out are mutants that change nothing anybody could see.
`--again` tries the unnoticed ones again, after tests were added.  `--sample` tries only so many of those that were not
tried yet, drawn at random; the scores of a package are then of its modules, weighted by their mutants, and modules
without any that was tried do not count.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.environment import command_line, describe

MUTANTS = Path("mutants")
STATS = MUTANTS / "mutmut-stats.json"
SECOND_LOOK = MUTANTS / "second-look.json"
PACKAGES = ("nasbench_ar", "searchers")
FIRST = "nasbench_ar.system.threads.*"  # few and quick: with these, mutmut makes all mutants and maps all tests
BOTH = "both packages"
WITHOUT_KITS = "  without the conformance kits"  # those are tests, and searchers are what tests them
UNNOTICED = ("survived", "no tests")
LIMIT_S = 240

IMPORT_ALL = """
import os, pkgutil, sys
os.environ["MUTANT_UNDER_TEST"] = "stats"
import nasbench_ar, searchers
from mutmut.state import state
for package in (nasbench_ar, searchers):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            __import__(module.name)
print(*state()._stats, sep="\\n")
"""


def mutmut(*arguments: str) -> None:
    """Run mutmut; its progress goes to a file, its failures to the caller."""
    with (MUTANTS.parent / "mutants.log").open("a") as log:
        done = subprocess.run(["mutmut", "run", *arguments], stdout=log, stderr=log, check=False)
    if done.returncode:
        sys.exit(f"error: mutmut ended with {done.returncode}: see mutants.log")


def limit_tests(seconds: float) -> None:
    """Keep per function the tests of its mirror file, then the quickest others, up to a time."""
    stats = json.loads(STATS.read_text())
    took = stats["duration_by_test"]
    for name, tests in stats["tests_by_mangled_function_name"].items():
        mirror = str(mirror_of(name))
        kept: list[str] = []
        spent = 0.0
        for test in sorted(tests, key=lambda test: (not test.startswith(mirror), took.get(test, 1.0), test)):
            limit = 2.5 * seconds if test.startswith(mirror) else seconds
            if not kept or spent + took.get(test, 1.0) <= limit:
                kept.append(test)
                spent += took.get(test, 1.0)
        stats["tests_by_mangled_function_name"][name] = kept
    STATS.write_text(json.dumps(stats, indent=1))


def mirror_of(mutant: str) -> Path:
    """The test file of the module that a mutant or a function is in, without its ending."""
    *folders, module = mutant.rpartition(".")[0].split(".")
    return Path("tests", *folders, f"test_{module.strip('_')}")


def verdicts() -> dict[str, str]:
    """What mutmut found for each mutant, corrected by the second look."""
    from mutmut.stats import status_by_exit_code

    found = {
        name: status_by_exit_code[code]
        for path in sorted(MUTANTS.rglob("*.meta"))
        for name, code in json.loads(path.read_text())["exit_code_by_key"].items()
    }
    return found | {name: verdict for name, verdict in second_look().items() if name in found}


def second_look() -> dict[str, str]:
    """Verdicts of mutants that were tried in a new process."""
    read: dict[str, str] = json.loads(SECOND_LOOK.read_text()) if SECOND_LOOK.exists() else {}
    return read


def forget_the_unnoticed() -> None:
    """Let mutmut, and the second look, try again what no test noticed."""
    SECOND_LOOK.write_text(json.dumps({k: v for k, v in second_look().items() if v not in UNNOTICED}))
    for path in MUTANTS.rglob("*.meta"):
        meta: dict[str, Any] = json.loads(path.read_text())
        codes = meta["exit_code_by_key"]
        meta["exit_code_by_key"] = {name: None if code in (0, 5, 33) else code for name, code in codes.items()}
        path.write_text(json.dumps(meta, indent=4))


def look_again(children: int) -> None:
    """Try in new processes what forked ones cannot see."""
    command = [sys.executable, "-c", IMPORT_ALL]
    at_import = set(subprocess.run(command, cwd=MUTANTS, capture_output=True, text=True, check=True).stdout.split())
    looked_at = second_look()
    unseen = {
        name: verdict
        for name, verdict in verdicts().items()
        if name not in looked_at
        and (verdict == "no tests" or (verdict == "survived" and name.rpartition("__mutmut_")[0] in at_import))
    }
    with ThreadPoolExecutor(children) as pool:
        for name, found in zip(unseen, pool.map(in_a_new_process, unseen, unseen.values()), strict=True):
            looked_at[name] = found
            SECOND_LOOK.write_text(json.dumps(looked_at, indent=1))


def in_a_new_process(name: str, verdict: str) -> str:
    """What becomes of a mutant where the packages are imported with it."""
    if not (tests := list(tests_beside(name))):
        return verdict
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--numprocesses=0", "-p", "no:cacheprovider", *tests]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"MUTANT_UNDER_TEST": name}
    try:
        run = subprocess.run(command, cwd=MUTANTS, env=environment, capture_output=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return "timeout"
    return {0: verdict, 5: verdict}.get(run.returncode, "killed")


def tests_beside(mutant: str) -> Iterator[str]:
    """The test files that mirror a mutant's module (`test_engine.py`, and what begins like it)."""
    mirror = mirror_of(mutant)
    for path in sorted((MUTANTS / mirror.parent).glob(f"{mirror.name}*.py")):
        yield str(path.relative_to(MUTANTS))


def untried(count: int) -> list[str]:
    """So many mutants without a verdict, drawn from a fixed seed."""
    waiting = sorted(name for name, verdict in verdicts().items() if verdict == "not checked")
    return random.Random(0).sample(waiting, min(count, len(waiting)))


def report(seconds: float) -> None:
    """Print the score of each module, of each package and of both."""
    rows: dict[str, Counter[str]] = {}
    for name, verdict in verdicts().items():
        module = name.rpartition(".")[0]
        for group in (module, *(group for group in (*PACKAGES, BOTH, WITHOUT_KITS) if belongs(module, group))):
            rows.setdefault(group, Counter())[verdict] += 1
    print(command_line("benchmarks.mutation"))
    print(describe("mutmut", "pytest", "hypothesis"))
    print(f"\nAt most {seconds:g} s of tests a function, {2.5 * seconds:g} s of its mirror tests.")
    columns = ("mutants", "tried", "failed", "endless", "unnoticed", "no test", "score")
    print(f"{'':34}" + "".join(f"{column:>10}" for column in columns))
    modules = sorted(row for row in rows if "." in row)
    for group in [*modules, *PACKAGES, BOTH, WITHOUT_KITS]:
        count = rows[group]
        tried = count.total() - count["not checked"]
        parts = (count.total(), tried, *(count[verdict] for verdict in ("killed", "timeout", "survived", "no tests")))
        within = [rows[m] for m in modules if m == group or (group not in modules and belongs(m, group))]
        within = [module for module in within if module.total() > module["not checked"]]
        noticed = sum(module.total() * share_noticed(module) for module in within)
        score = f"{noticed / sum(module.total() for module in within):.1%}" if within else "–"
        print(f"{group:34}" + "".join(f"{part:10,}" for part in parts) + f"{score:>10}")


def belongs(module: str, group: str) -> bool:
    """Whether a module counts for a line of the report."""
    return not module.endswith(".testing") if group == WITHOUT_KITS else group in (BOTH, module.partition(".")[0])


def share_noticed(count: Counter[str]) -> float:
    """Of the mutants that were tried, those that a test noticed."""
    return (count["killed"] + count["timeout"]) / (count.total() - count["not checked"])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--children", type=int, default=2, help="processes at once")
    parser.add_argument("--seconds", type=float, default=3, help="time for the tests of one function")
    parser.add_argument("--sample", type=int, help="try so many of those that were not tried yet; all by default")
    parser.add_argument("--again", action="store_true", help="try again what no test noticed")
    arguments = parser.parse_args()
    mutmut("--max-children", str(arguments.children), FIRST)
    if arguments.again:
        forget_the_unnoticed()
    limit_tests(arguments.seconds)
    names = [] if arguments.sample is None else untried(arguments.sample)
    if arguments.sample is None or names:
        mutmut("--max-children", str(arguments.children), *names)
    look_again(arguments.children)
    report(arguments.seconds)


if __name__ == "__main__":
    main()
