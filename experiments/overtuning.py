"""Whether more search hurts: regrets by validation and by test as runs go on, from stored runs.

    python -m experiments.overtuning results/nares-figures/bananas results/nares-figures/random_search
    python -m experiments.overtuning results/nares-figures/* metric=test_clean_acc

keys and defaults:
  metric=test_pgd_acc          a test metric of the table, read at the architecture that a run would report
  out=                         folder to write to; <results>/<table>/overtuning by default, and
                               overtuning-<metric> for another metric
  foot=true                    end the picture with a line on where its numbers come from

Per searcher and query: the incumbent's regret by the objective and by the test metric,
the share of the runs whose incumbent got worse on test, and by how much; and the query
after which more search hurt on average, where the runs show one.

Writes overtuning.md, ledger.csv (a line per searcher and query), turns.csv, and
overtuning.png and .pdf.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.plots.overtuning import draw_overtuning
from experiments.plots.style import save_figure
from experiments.results.overtuning import DEFAULT_METRIC, Ledgers, overtuning
from experiments.results.overtuning_text import as_text, ledger_csv, turns_csv
from experiments.results.read import experiments_among
from experiments.tables import origin
from nasbench_ar.system.command import run_command
from nasbench_ar.system.files import make_folder, write_file
from nasbench_ar.system.key_values import parse_words


def write(found: Ledgers, folder: Path, *, foot: bool = True) -> list[str]:
    """Write every table and the picture; returns the names of the files."""
    files = {"overtuning.md": as_text(found), "ledger.csv": ledger_csv(found), "turns.csv": turns_csv(found)}
    make_folder(folder)
    for name, text in files.items():
        write_file(folder / name, text.encode())
    note = origin(found.oracle, found.objective, found.metric) if foot else ""
    save_figure(draw_overtuning(found), folder / "overtuning.png", note=note)
    return [*files, "overtuning.png", ".pdf"]


def main(arguments: Sequence[str]) -> None:
    words = [word for word in arguments if "=" in word and not os.path.isdir(word)]
    given = parse_words(words, {"metric": DEFAULT_METRIC, "out": "", "foot": True})
    folders = experiments_among([word for word in arguments if word not in words])
    found = overtuning(folders, given["metric"])
    name = "overtuning" if found.metric == DEFAULT_METRIC else f"overtuning-{found.metric}"
    folder = Path(given["out"]) if given["out"] else Path(folders[0]).resolve().parent / name
    print(as_text(found))  # first, since the folder may be read-only
    names = write(found, folder, foot=given["foot"])
    print(f"{folder}: {' '.join(names)}")


if __name__ == "__main__":
    sys.exit(run_command(main))
