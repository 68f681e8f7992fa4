"""Run every command at two commits with fixed seeds, and list what they print and write differently.

    python scripts/compare_outputs.py BEFORE AFTER [--keep FOLDER] [--lines 20]

A refactoring should end with `0 differ`.  Each commit is checked out beside the other and
run with the Python that runs this script.  Arrays are compared by value, pictures by
pixel, text by its lines, with folders, commits, source digests and times masked.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from searchers import ALL_SEARCHERS

RACE = "table=nares-figures jobs=1 runs=3 queries=60"
PLAIN = "results/nares-figures"
COMMANDS = [
    *(f"experiments.run searcher={name} {RACE}" for name in ALL_SEARCHERS if name != "published_bananas"),
    f"experiments.run searcher=published_bananas searcher.epochs=5 searcher.device=cpu {RACE}",
    f"experiments.run searcher=local_search {RACE} objective=val_best_pgd_acc,macs",
    f"experiments.run searcher=random_search {RACE} objective=val_best_pgd_acc,macs",
    f"experiments.run searcher=nsga2 {RACE} objective=val_best_pgd_acc,macs",
    f"experiments.run searcher=local_search {RACE} constraint=macs<=10e9 name=small",
    f"experiments.run searcher=regularized_evolution {RACE} noise=run name=evolution-noisy",
    f"experiments.run searcher=random_search {RACE} noise=query images=500 name=random-noisy",
    "experiments.run searcher=bananas table=digits-729 table_seed=0 jobs=2 runs=4 queries=40",
    f"experiments.table2 {RACE} out=four",
    f"experiments.table2 {RACE} out=four variant=both published_bananas_runs=0",
    f"experiments.plot {PLAIN}/bananas {PLAIN}/local_search",
    f"experiments.plot {PLAIN}/val_best_pgd_acc+macs/nsga2 {PLAIN}/val_best_pgd_acc+macs/random_search",
    f"experiments.plot {PLAIN}/evolution-noisy {PLAIN}/random-noisy",
    f"experiments.compare {PLAIN}/bananas {PLAIN}/local_search {PLAIN}/random_search resamples=200",
    f"experiments.compare {PLAIN}/bananas {PLAIN}/random_search metric=test_pgd_acc at=20,60 resamples=200",
    "experiments.analyze table=nares-figures dpi=60",
    "experiments.analyze table=digits-729 dpi=60 out=figures-digits",
    "experiments.findings",
    "experiments.noise table=nares-figures out=tied.csv",
    f"experiments.proxy searcher=random_search {RACE}",
    "experiments.audit runs=3 ensembles=1",
    "experiments.fidelity table=digits-729 runs=4 jobs=1",
    "experiments.fidelity table=digits-729 runs=2 jobs=1 searcher=asha workers=4 unit=gpu_days name=asha-4",
    "experiments.fidelity.compare results/digits-729/fidelity/asha results/digits-729/fidelity/hyperband",
    "experiments.report table=nares-figures figures=3,7",
    "datagen.plan gpus=8 preemptions_per_day=2",
    "datagen.run archs=1-2 profile=digits-729 train.epochs=2 train.steps=1 store=entries threads=1",
    "datagen.status store=entries archs=1-3",
    "datagen.export store=entries out=own",
    "datagen.export store=entries out=own.jsonl",
    "nasbench_ar info",
    "nasbench_ar query 11-16-11-16-11-16 test_pgd_acc --table nares-figures",
    "nasbench_ar export digits-729 digits.csv --by training",
    "nasbench_ar export own again.jsonl",
]
LONG = 10_000  # characters; such a line holds numbers, and masking it takes minutes
# Where a run was made, when, by which code, and how long it took.
MASKED = re.compile(
    r"\S*/nasbench_ar/data|\b[0-9a-f]{40,64}\b|\d{4}-\d\d-\d\d[T ]?[\d:.+Z]*"
    r"|[\d.,]+ ?(s|seconds|minutes|hours|days|MiB|GiB|images/s)\b"
    r"|(seconds|gpu_days|training_time|mib|host|commit|version)\S*\"?[:=] ?\S+"
)


def record(checkout: Path, folder: Path) -> None:
    """Run every command of a checkout in a folder; what it prints goes to `NN.txt`."""
    environment = os.environ | {
        "PYTHONPATH": str(checkout),
        "NASBENCH_AR_HOME": str(folder / "home"),
        "OMP_NUM_THREADS": "1",
    }
    for number, command in enumerate(COMMANDS):
        words = [sys.executable, "-m", *command.split()]
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        text = f"$ {command}\nexit code {done.returncode}\n{done.stdout}"
        (folder / f"{number:02}.txt").write_text(text if done.returncode == 0 else text + done.stderr)
        print(f"{checkout.name}: {command}", file=sys.stderr)


def lines_of(path: Path, folder: Path) -> list[str]:
    """A text file with what may differ between two runs of one commit masked."""
    text = path.read_text(encoding="utf-8", errors="replace").replace(str(folder), "FOLDER")
    return [line if len(line) > LONG else MASKED.sub("…", line) for line in text.splitlines()]


def arrays_of(path: Path) -> dict[str, Any]:
    """The arrays of a file by name."""
    return dict(np.load(path)) if path.suffix == ".npz" else {"array": np.load(path)}


def equal(first: Any, second: Any) -> bool:
    """Whether two arrays hold the same values of one kind; NaN equals NaN."""
    return first.dtype == second.dtype and np.array_equal(first, second, equal_nan=first.dtype.kind == "f")


def difference(before: Path, after: Path, folders: tuple[Path, Path]) -> list[str]:
    """What differs between two files: nothing, or lines for people."""
    if before.suffix in (".npz", ".npy"):
        old, new = arrays_of(before), arrays_of(after)
        unequal = [name for name in sorted(old.keys() & new.keys()) if not equal(old[name], new[name])]
        return [f"array {name}" for name in [*sorted(old.keys() ^ new.keys()), *unequal]]
    if before.suffix == ".png":
        first, second = (np.asarray(Image.open(path).convert("RGB")) for path in (before, after))
        return [] if np.array_equal(first, second) else [f"pixels, {first.shape} and {second.shape}"]
    if before.suffix == ".pdf":  # drawn from the same numbers as the picture beside it
        return []
    old, new = Counter(lines_of(before, folders[0])), Counter(lines_of(after, folders[1]))
    return [*(f"-{line}" for line in old - new), *(f"+{line}" for line in new - old)]


def report(before: Path, after: Path, most_lines: int) -> None:
    """Print what differs between two recorded folders."""
    old, new = ({p.relative_to(folder) for p in folder.rglob("*") if p.is_file()} for folder in (before, after))
    differing = 0
    for path in sorted(old ^ new):
        print(f"only {'before' if path in old else 'after'}: {path}")
    for path in sorted(old & new):
        found = difference(before / path, after / path, (before, after))
        if found:
            differing += 1
            print(f"differs: {path}", *found[:most_lines], sep="\n    ")
    print(f"{len(old & new)} files compared, {differing} differ, {len(old ^ new)} on one side only")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("before", help="commit")
    parser.add_argument("after", help="commit")
    parser.add_argument("--keep", type=Path, help="folder for the outputs; what it holds of a commit is not made again")
    parser.add_argument("--lines", type=int, default=20, help="shown of a file that differs")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folders = []
        for commit in (arguments.before, arguments.after):
            revision = subprocess.check_output(["git", "rev-parse", "--short=12", f"{commit}^{{commit}}"], text=True)
            name = revision.strip()
            folder = (arguments.keep or Path(temporary) / "outputs").resolve() / name
            folders.append(folder)
            if folder.exists():
                continue
            folder.mkdir(parents=True)
            checkout = Path(temporary) / name
            subprocess.run(["git", "worktree", "add", "--quiet", "--detach", checkout, name], check=True)
            try:
                record(checkout, folder)
            finally:
                subprocess.run(["git", "worktree", "remove", "--force", checkout], check=True)
        report(folders[0], folders[1], arguments.lines)


if __name__ == "__main__":
    main()
