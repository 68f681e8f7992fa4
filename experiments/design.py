"""Choose architectures to train under another loss or on other images, so that few say most of all.

    python -m experiments.design n=64 table=digits-729 out=design.txt
    python -m datagen.plan archs=design.txt profile=digits-729 train.loss=trades
    python -m datagen.run archs=design.txt profile=digits-729 train.loss=trades store=entries

keys and defaults:
  n=64                         architectures to choose
  table=                       name or folder of the source, a table that much is known of; the best one at hand
  objective=                   its metric; the table's own by default
  leave_out=                   flags, as in experiments.analyze: low_mode and objective_imputed by default
  seed=0                       of the search
  out=design.txt               file with an architecture a line, which datagen takes as archs=

The choice is I-optimal: it makes the mean variance, over the whole space, of what
`experiments.transfer` predicts for a target as small as exchanges of one architecture by
another can.  The target's own main effects, pairs and deviations are taken to vary as much as
the source's do.  Networks are balanced in MACs: as many from each eighth of the space.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.analysis.measured import Measured
from experiments.analysis.table_data import flagged, leave_out_flags
from experiments.analysis.transfer import Designs, Source, designed
from experiments.statistics.hierarchical import LEAST
from experiments.tables import as_markdown, number, plus_minus
from nasbench_ar import ConfigError, load
from nasbench_ar.system.command import run_command
from nasbench_ar.system.files import make_folder, write_file
from nasbench_ar.system.key_values import parse_words
from nasbench_ar.system.threads import single_threaded

MOST = 1000


def as_text(found: Designs) -> str:
    """How well this choice and random ones predict, in the unit of the source's metric."""
    rows = [
        ["at random", plus_minus(float(found.random.mean()), float(found.random.std(ddof=1)))],
        ["this choice", number(found.error)],
    ]
    return (
        as_markdown([f"{len(found.chosen)} trainings", "error of effects"], rows)
        + "Root mean square over the space, of a target whose own parts vary as the source's. A value scatters around "
        f"them by {number(found.rest)} besides.\n"
    )


def main(arguments: Sequence[str]) -> None:
    defaults = {"n": 64, "table": "", "objective": "", "leave_out": "", "seed": 0, "out": "design.txt"}
    given = parse_words(arguments, defaults, {"n": (LEAST, MOST), "seed": (0, 2**32 - 1)})
    oracle = load(given["table"] or None)
    if given["n"] > oracle.space.size:
        raise ConfigError(f"n={given['n']}: the space of table {oracle.name} has {oracle.space.size} architectures")
    marks = flagged(oracle, leave_out_flags(given["leave_out"]))
    measured = Measured.of(oracle, given["objective"] or oracle.table.default_objective, marks)
    with single_threaded():
        found = designed(Source.of(measured), given["n"], given["seed"])
    space, path = oracle.space, Path(given["out"])
    about = f"# {given['n']} of {space.size} architectures, by {measured.metric} of table {oracle.name}"
    lines = [f"{about} ({oracle.table.content_hash[:12]}), seed {given['seed']}"]
    lines += [str(space.from_index(int(index))) for index in np.sort(found.chosen)]
    make_folder(path.parent)
    write_file(path, ("\n".join(lines) + "\n").encode())
    print(as_text(found))
    print(path)


if __name__ == "__main__":
    sys.exit(run_command(main))
