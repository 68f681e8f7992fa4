"""How well do the trainings of a table tell which architecture is best?

    python -m experiments.posterior table=digits-729
    python -m experiments.posterior table=nares-figures objective=test_pgd_acc out=posterior
    python -m experiments.posterior table=nares-figures seed_sd=0.41 draw=20 out=draws
    python -m experiments.run table=draws/draw-03 searcher=bananas noise=run images=14000

keys and defaults:
  table=, objective=           as everywhere
  seed_sd=0                    standard deviation of one training around its architecture's mean on the same
                               images, in the unit of the objective; 0 takes it from repeats, with its
                               interval, or shows a range where the table has none
  images=0                     evaluation images that each network had for itself; adds binomial noise
  leave_out=                   flags, as in experiments.analyze: low_mode and objective_imputed by default
  draw=0                       tables to draw; needs repeats or seed_sd, and out
  out=                         folder for posterior.md, best.csv, a picture and the draws
  seed=0                       of the draws
  foot=true                    end the picture with a line on where its numbers come from

A normal model of main effects, pairs and each architecture's own deviation
(`experiments/statistics/hierarchical.py`) gives standard deviations over the grid and the best value, with
95 % intervals; P(best) of the table's best ± its Monte Carlo error; the size of the smallest set that holds the
best with 95 %; the expected regret of the table's best, and the least of any architecture.  `images=` in the last
column is what `noise=run images=` takes for the same noise.

A drawn table holds truths that the trainings leave possible, not measurements, and its text says so.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.analysis import posterior
from experiments.analysis.measured import Measured
from experiments.analysis.posterior import Known, Line, Setting
from experiments.analysis.table_data import flagged, leave_out_flags
from experiments.plots.style import print_style, save_drawing
from experiments.tables import csv_text, origin
from nasbench_ar import METRICS, ConfigError, TableWriter, load
from nasbench_ar.arrays import FloatArray
from nasbench_ar.system.command import run_command
from nasbench_ar.system.files import make_folder, write_file
from nasbench_ar.system.key_values import parse_words

MOST_DRAWS = 1000


def write_draws(found: Known, setting: Setting, draws: int, seed: int, out: Path) -> None:
    """`out`/draw-01, ...: tables of the truth of every architecture."""
    data, rng = found.data, np.random.default_rng(seed)
    for k in range(1, draws + 1):
        means, spreads = found.conditional(rng)
        truth = means + spreads * rng.standard_normal(len(means))
        _write_draw(data, setting, data.sign * truth, f"draw {k} of {draws}, seed {seed}", _folder(out, k))


def _folder(out: Path, k: int) -> Path:
    return out / f"draw-{k:02d}"


def _write_draw(data: Measured, setting: Setting, truth: FloatArray, which: str, folder: Path) -> None:
    oracle, metric = data.oracle, data.oracle.metric(data.metric)
    if metric.unit == "%":
        truth = np.clip(truth, 0.0, 100.0)
    with TableWriter(
        folder,
        name=f"{oracle.name[:80]}-{folder.name}",
        title=f"not measured: drawn from a posterior of table {oracle.name}, {which}",
        provenance=f"Drawn from a posterior of table {oracle.name} ({data.metric}, one training's standard deviation "
        f"{setting.deviation:.4g}), {which}: values that its trainings leave possible, not measurements.",
        space=oracle.space,
        default_objective=data.metric,
        licence=oracle.table.meta["licence"],
        source={"table": oracle.name, "content": oracle.table.content_hash},
        metrics=() if data.metric in METRICS else (metric,),
    ) as writer:
        every = np.arange(len(truth))
        writer.add_rows(every, np.zeros_like(every), {data.metric: truth})


def write_report(data: Measured, lines: Sequence[Line], text: str, out: Path, *, foot: bool) -> str:
    """posterior.md, best.csv (every architecture of a credible set) and the picture; returns their names."""
    listed = sorted({int(k) for line in lines for k in line.chosen})
    names = [f"one training {line.setting.deviation:.4g}" for line in lines]
    rows = [
        [
            str(data.oracle.space.from_index(k)),
            float(data.shown[k]),
            *(float(line.found.chances[k]) for line in lines),
        ]
        for k in listed
    ]
    write_file(out / "posterior.md", f"{text}\n".encode())
    write_file(out / "best.csv", csv_text(["arch", data.metric, *names], rows).encode())
    if len(lines) == 1:
        return "posterior.md best.csv"
    with print_style():
        note = origin(data.oracle, data.metric) if foot else ""
        save_drawing(posterior.draw(data, lines), out / "posterior.png", note=note)
    return "posterior.md best.csv posterior.png posterior.pdf"


def main(arguments: Sequence[str]) -> None:
    defaults = {"table": "", "objective": "", "seed_sd": 0.0, "images": 0, "leave_out": "", "draw": 0, "out": ""}
    ranges = {"draw": (0, MOST_DRAWS), "images": (0, 10_000_000)}
    given = parse_words(arguments, {**defaults, "seed": 0, "foot": True}, ranges)
    out, draws = Path(given["out"]), given["draw"]
    if draws and not given["out"]:
        raise ConfigError(f"draw={draws}: give the folder of the tables by out=")
    if taken := [_folder(out, k) for k in range(1, draws + 1) if _folder(out, k).exists()]:
        raise ConfigError(f"{taken[0]} exists already; choose another out=")
    oracle = load(given["table"] or None)
    data = Measured.of(
        oracle,
        given["objective"] or oracle.table.default_objective,
        flagged(oracle, leave_out_flags(given["leave_out"])),
    )
    chosen = posterior.settings(data, given["seed_sd"], given["images"])
    if draws and len(chosen) > 1:
        raise ConfigError(f"draw={draws}: table {oracle.name} has no repeats to tell a training's noise; give seed_sd=")
    if given["out"]:
        make_folder(out)
    lines = posterior.study(data, chosen, given["seed"])
    text = posterior.as_text(data, lines)
    print(text)
    if given["out"]:
        print(f"\n{out}: {write_report(data, lines, text, out, foot=given['foot'])}")
    if draws:
        write_draws(lines[0].known, chosen[0], draws, given["seed"], out)
        print(f"{_folder(out, 1)} to {_folder(out, draws).name}: truths drawn, no measurements")


if __name__ == "__main__":
    sys.exit(run_command(main))
