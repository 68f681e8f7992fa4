"""What the noise of a finite validation set does to a search, from the table alone.

    python -m experiments.noise [table=NAME] [objective=METRIC] [images=2000] [out=tied.csv]

The objective is measured on 2,000 images (CIFAR-10.1 v6; NARes, section 3.2).  This
treats the table's values as true rates and asks what chance alone would change:

- how far the test metrics of the architecture chosen by validation stay behind the
  table's best (selection regret);
- which architectures are statistically tied with the optimum, and how often it would
  win again if the validation images were drawn anew (binomial resampling, independent
  between architectures: an assumption that overstates the noise of differences, since
  all networks see the same images); `out=` writes them all to a CSV file;
- how far validation and test agree on ranks (Kendall's tau-b).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.analysis.resampling import report
from experiments.races.noise import IMAGES, tied_with_best
from nasbench_ar import Oracle, load
from nasbench_ar.system.command import run_command
from nasbench_ar.system.files import write_file
from nasbench_ar.system.key_values import parse_words

MOST_IMAGES = 10_000_000


def write_tied(oracle: Oracle, objective: str, images: int, path: Path) -> None:
    """Write the tied architectures, best first."""
    column = oracle.column(objective)
    tied = np.flatnonzero(tied_with_best(column, images))
    tied = tied[np.argsort(-column[tied], kind="stable")]
    lines = ["arch_id,arch,value,points_below"]
    for index in tied.tolist():
        architecture, value = oracle.space.from_index(index), float(column[index])
        below = float(np.nanmax(column)) - value
        lines.append(f"{oracle.space.arch_id(architecture)},{architecture},{value:.4g},{below:.4g}")
    write_file(path, ("\n".join(lines) + "\n").encode())


def main(arguments: Sequence[str]) -> None:
    given = parse_words(
        arguments, {"table": "", "objective": "", "images": IMAGES, "out": ""}, {"images": (1, MOST_IMAGES)}
    )
    oracle = load(given["table"] or None)
    objective = given["objective"] or oracle.table.default_objective
    print(report(oracle, objective, given["images"]))
    if given["out"]:
        write_tied(oracle, objective, given["images"], Path(given["out"]))
        print(given["out"])


if __name__ == "__main__":
    sys.exit(run_command(main))
