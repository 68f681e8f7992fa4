"""Predict a table of few trainings from one of many: another loss, other images, the same space.

    python -m experiments.transfer source=digits-729 target=mytable
    python -m experiments.transfer source=digits-729 target=mytable archs=design.txt

keys and defaults:
  source=                      name or folder of a table that much is known of; the best one at hand by default
  target=                      name or folder of a table of the same space
  objective=                   metric to predict; the target's own by default
  source_objective=            metric of the source; the same by default
  archs=                       file with an architecture a line: what may be seen of the target; all by default
  judges=                      file likewise: those whose values judge; all that are not seen by default
  leave_out=                   flags of the source, as in experiments.analyze: low_mode and objective_imputed by default
  seed_sd=0                    standard deviation of one training of the target around its architecture's mean;
                               0 takes all that effects do not explain for the architecture's own
  seed=0                       of the draws
  out=                         folder to write to; results/<target>/transfer by default
  foot=true                    end the picture with a line on where its numbers come from

A normal model takes the target for the source's main effects, pairs and deviations, each
scaled, and effects of its own, shrunk towards none as much as the trainings say.  Beside it
stand the mean, the source alone and the target alone.  It predicts every architecture, and says
what is lost when a search on the source chooses what is deployed on the target.

Writes transfer.md, predictions.csv (a line per architecture, with 95 % intervals), and
transfer.png and .pdf.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.analysis.measured import Measured
from experiments.analysis.table_data import flagged, leave_out_flags
from experiments.analysis.transfer import Source, Transfer, check_same_space, transfer
from experiments.analysis.transfer_report import as_csv, as_text, draw
from experiments.plots.style import print_style, save_drawing
from experiments.statistics.hierarchical import LEAST
from experiments.tables import origin
from nasbench_ar import ConfigError, MissingEntryError, load
from nasbench_ar.arrays import BoolArray
from nasbench_ar.system.command import run_command
from nasbench_ar.system.files import make_folder, write_file
from nasbench_ar.system.key_values import parse_words, read_list
from nasbench_ar.system.threads import single_threaded


def trainings(target: Measured, key: str, path: str) -> BoolArray:
    """(product_size,) bool: architectures of a file, `#` before comments, that the target has; all without a file."""
    if not path:
        return target.known
    out = np.zeros_like(target.known)
    out[target.oracle.space.indices(read_list(key, path))] = True
    return out & target.known


def predicted(
    source: str,
    target: str,
    *,
    objective: str = "",
    source_objective: str = "",
    archs: str = "",
    judges: str = "",
    leave_out: str = "",
    seed_sd: float = 0.0,
    seed: int = 0,
) -> Transfer:
    """What the command prints; arguments as its keys."""
    tables = load(source or None), load(target)
    metric = objective or tables[1].table.default_objective
    known = Measured.of(tables[0], source_objective or metric, flagged(tables[0], leave_out_flags(leave_out)))
    few = Measured.of(tables[1], metric, flagged(tables[1]))
    check_same_space(known, few)
    seen, judging = trainings(few, "archs", archs), trainings(few, "judges", judges)
    if (count := int(seen.sum())) < LEAST:
        raise MissingEntryError(f"archs={archs}: {count} of the {LEAST} trainings at least that are needed")
    with single_threaded():
        return transfer(Source.of(known), few, seen, judging, seed_sd, seed)


def main(arguments: Sequence[str]) -> None:
    names = ("source", "target", "objective", "source_objective", "archs", "judges", "leave_out")
    defaults = {**dict.fromkeys(names, ""), "seed_sd": 0.0, "seed": 0, "out": "", "foot": True}
    given = parse_words(arguments, defaults, {"seed": (0, 2**32 - 1)})
    if not given["target"]:
        raise ConfigError("target=: give the name or folder of the table to predict")
    out, foot = given.pop("out"), given.pop("foot")
    if out:
        make_folder(Path(out))  # before the work
    found = predicted(**given)
    source, target = found.source.measured.oracle, found.target.oracle
    text = as_text(found)
    print(text)
    folder = Path(out or Path("results") / target.name / "transfer")
    make_folder(folder)
    write_file(folder / "transfer.md", text.encode())
    write_file(folder / "predictions.csv", as_csv(found).encode())
    with print_style():
        note = "; ".join(dict.fromkeys(map(origin, (source, target)))) if foot else ""
        save_drawing(draw(found), folder / "transfer.png", note=note)
    print(f"{folder}: transfer.md predictions.csv transfer.png .pdf")


if __name__ == "__main__":
    sys.exit(run_command(main))
