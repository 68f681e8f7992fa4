"""Lay stored multi-fidelity runs side by side: a table, curves and a picture.

    python -m experiments.fidelity.compare results/digits-729/fidelity/asha results/digits-729/fidelity/hyperband
    python -m experiments.fidelity.compare DIR [DIR ...] [out=fidelity] [foot=true]

Writes `<out>.md`, `.csv`, `.png`, `.pdf` and `<out>_curves.csv`.  The runs must share
table, objective, budget and its unit; the number of simulated machines may differ.
`foot=false` leaves out the line at the foot of the picture.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.fidelity import report
from experiments.fidelity.experiment import write_report
from experiments.races.trace_store import TraceStore
from experiments.results.read import experiments_among
from experiments.results.traces import read_all_results
from nasbench_ar import ConfigError
from nasbench_ar.system.command import run_command
from nasbench_ar.system.key_values import parse_words


def main(arguments: Sequence[str]) -> None:
    words = [word for word in arguments if word.startswith(("out=", "foot="))]
    folders = [Path(word) for word in experiments_among([word for word in arguments if word not in words])]
    if not folders:
        raise ConfigError("no result folder given; expected <out>/<table>/fidelity/<searcher>, one or more")
    given = parse_words(words, {"out": "fidelity", "foot": True})
    out = Path(given["out"])
    if not out.name:
        raise ConfigError(f"out={str(out)!r}: expected the beginning of file names")
    results = read_all_results(folders)
    print(report.as_text(results))  # first, since the folder may be read-only
    written = write_report(results, TraceStore(out.parent), out.name, foot=given["foot"])
    print(f"{out.parent}: {' '.join(written)}")


if __name__ == "__main__":
    sys.exit(run_command(main))
