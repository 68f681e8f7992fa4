"""What the noise of a finite validation set does to a search, from the table alone.

    python -m experiments.noise [table=NAME] [objective=METRIC] [images=N] [out=tied.csv]

The objective is measured on as many images as the table tells (2,000 of CIFAR-10.1 v6 for the
networks of NARes, section 3.2); where it does not, give `images=`.  This treats the table's
values as true rates and asks what chance alone would change:

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
from experiments.races.config import MOST_IMAGES
from experiments.races.noise import images_of, tied_with_best
from experiments.tables import csv_text
from nasbench_ar import Oracle, load
from nasbench_ar.system.command import run_command
from nasbench_ar.system.files import write_file
from nasbench_ar.system.key_values import parse_words


def write_tied(oracle: Oracle, objective: str, images: int, path: Path) -> None:
    """Write the tied architectures, best first."""
    column = oracle.column(objective)
    maximize = bool(oracle.metric(objective).maximize)
    tied = np.flatnonzero(tied_with_best(column, images, maximize=maximize))
    best_first = tied[np.argsort(-column[tied] if maximize else column[tied], kind="stable")].tolist()
    lines: list[list[object]] = []
    for index in best_first:
        architecture, value = oracle.space.from_index(index), float(column[index])
        behind = abs(float(column[best_first[0]]) - value)
        lines.append(
            [oracle.space.arch_id(architecture), str(architecture), float(f"{value:.4g}"), float(f"{behind:.4g}")]
        )
    write_file(path, csv_text(["arch_id", "arch", "value", "points_behind"], lines).encode())


def main(arguments: Sequence[str]) -> None:
    given = parse_words(arguments, {"table": "", "objective": "", "images": 0, "out": ""}, {"images": (1, MOST_IMAGES)})
    oracle = load(given["table"] or None)
    objective = given["objective"] or oracle.table.default_objective
    images = images_of(oracle, given["images"] or None)
    print(report(oracle, objective, images))
    if given["out"]:
        write_tied(oracle, objective, images, Path(given["out"]))
        print(given["out"])


if __name__ == "__main__":
    sys.exit(run_command(main))
