"""The published analyses of NARes (section 4), and some more, as one command on any table.

    python -m experiments.analyze [table=NAME] [figures=all] [out=figures] [leave_out=FLAGS]
                                  [val_images=N] [test_images=N] [dpi=300] [foot=true]

figures=2,3,anova   some of them; each is written as PDF and PNG with its numbers as CSV:
{figures}

leave_out=low_mode,objective_imputed
                    flags of architectures to leave out; none leaves nothing out. By
                    default these two, where the table has them: networks of a defective
                    training site and values that a model filled in are no evidence about
                    architecture.  Every figure says what was left out.
val_images, test_images
                    evaluation images behind an accuracy, for the part of the variance
                    that they explain; by default derived from the steps of the values.
foot=false          leaves out the line at the foot of every figure.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from experiments.analysis.catalogue import FIGURES, choose_figures
from experiments.analysis.figure import Figure, Numbers
from experiments.analysis.table_data import TableData, leave_out_flags
from experiments.plots.style import print_style, write_figure
from nasbench_ar import MissingEntryError, ResultsError, load
from nasbench_ar.system.command import docstring, run_command
from nasbench_ar.system.files import write_file
from nasbench_ar.system.key_values import parse_words

DPI = 300
LEAST_DPI, MOST_DPI = 30, 1200


def write(figure: Figure, numbers: Numbers, out: Path, dpi: int = DPI, *, foot: bool = True) -> list[Path]:
    """Write a figure's CSV files, PDF and PNG; `dpi` is for the PNG and for the clouds of points in the PDF."""
    paths = []
    for part, table in numbers.tables.items():
        path = out / (f"{figure.stem}_{part}.csv" if part else f"{figure.stem}.csv")
        write_file(path, table.to_csv(index=False, lineterminator="\n").encode())
        paths.append(path)
    drawing = figure.draw(numbers if foot else replace(numbers, note=""))
    with print_style():
        for suffix in (".pdf", ".png"):
            write_figure(drawing, out / f"{figure.stem}{suffix}", dpi=dpi)
            paths.append(out / f"{figure.stem}{suffix}")
    return paths


def usage() -> str:
    listed = "\n".join(f"  {name:<12} {figure.title}" for name, figure in FIGURES.items())
    return docstring(__name__).strip().replace("{figures}", listed)


def main(arguments: Sequence[str]) -> None:
    defaults: dict[str, str | int] = {"table": "", "figures": "all", "out": "figures", "leave_out": "", "dpi": DPI}
    defaults |= {"val_images": 0, "test_images": 0, "foot": True}
    given = parse_words(arguments, defaults, {"dpi": (LEAST_DPI, MOST_DPI)})
    chosen = choose_figures(given["figures"])
    oracle = load(given["table"] or None)
    images = {split: given[f"{split}_images"] for split in ("val", "test") if given[f"{split}_images"]}
    data = TableData.of(oracle, leave_out_flags(given["leave_out"]), images)
    out = Path(given["out"])
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultsError(f"cannot write to {out}: {error.strerror or error}") from error
    print(f"table {oracle.name}: {oracle.title}\n{data.note}")
    for figure in chosen:
        print(f"\n{figure.name}: {figure.title}")
        try:
            numbers = figure.numbers(data)
        except MissingEntryError as error:
            print(f"- skipped: {error} (it needs {figure.needs})")
            continue
        for line in numbers.lines:
            print(f"- {line}")
        paths = write(figure, numbers, out, given["dpi"], foot=given["foot"])
        print(f"  {', '.join(map(str, paths))}", flush=True)


if __name__ == "__main__":
    sys.exit(run_command(main))
