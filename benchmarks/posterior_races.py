"""Does the order of searchers hold where the truth is known?  Races on draws from the posterior of `nares-figures`.

    python -m benchmarks.posterior_races [--draws 20] [--seeds 5] > benchmarks/results/posterior_races.txt

On each draw, and on the table taken for the truth, searchers see the noise of one training (`noise=run`).  Regret is of
true values.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.environment import command_line, describe
from experiments import posterior
from experiments.analysis.measured import Measured
from experiments.analysis.posterior import Known, settings
from experiments.analysis.table_data import flagged
from experiments.races.config import target_of
from experiments.races.race import Race
from experiments.races.runner import run_once
from experiments.statistics.intervals import mean_interval
from experiments.tables import as_markdown
from nasbench_ar import load
from nasbench_ar.arrays import FloatArray
from searchers import SEARCHERS, hyperparameters
from searchers.trajectory import Trajectory

METRIC, QUERIES = "val_best_pgd_acc", 200
TRAINING = 0.29, 0.41, 0.5  # standard deviation of one; 25, 50 and 75 % of what is beside the effects


def regret(folder: Path, searcher: str, images: int, seed: int) -> float:
    cls = SEARCHERS[searcher]
    race = Race(str(folder), METRIC, QUERIES, target_of(cls), hyperparameters(cls), noise="run", images=images)
    column = load(folder, quiet=True).column(METRIC)
    run = run_once(race, seed)
    assert isinstance(run, Trajectory)
    return float(np.nanmax(column) - column[run.reported])


def raced(folders: list[Path], images: int, seeds: int) -> FloatArray:
    """(searchers, folders) mean regret over the seeds."""
    found = [[[regret(f, name, images, k) for k in range(seeds)] for f in folders] for name in SEARCHERS]
    return np.array(found).mean(axis=2)


def with_interval(values: FloatArray) -> str:
    low, high = mean_interval(values)
    return f"{values.mean():.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    oracle = load("nares-figures", quiet=True)
    data = Measured.of(oracle, METRIC, flagged(oracle))
    best = float(np.nanmax(data.values))
    lines = []
    for training in TRAINING:
        images = round(best * (100 - best) / training**2)
        seeds = range(arguments.draws * arguments.seeds)
        table = [[regret(oracle.table.folder, name, images, k) for k in seeds] for name in SEARCHERS]
        with TemporaryDirectory() as out:
            [setting] = settings(data, training)
            posterior.write_draws(Known.of(data, setting), setting, arguments.draws, 0, Path(out))
            draws = raced(sorted(Path(out).iterdir()), images, arguments.seeds)
        first = draws.argmin(axis=0)
        for k, name in enumerate(SEARCHERS):
            cells = [with_interval(np.array(table[k])), with_interval(draws[k]), with_interval(draws[k] - draws[-1])]
            lines.append([f"{training}, {name}", *cells, f"{(first == k).sum()} of {arguments.draws}"])
    print(command_line("benchmarks.posterior_races"))
    print(describe("scipy"))
    runs = f"{arguments.draws} draws of {arguments.seeds} seeds, as many runs on the table"
    print(f"\n{METRIC}, {QUERIES} queries, {runs}\n")
    header = ["One training, searcher", "Regret on the table (95 %)", "on draws", "minus BANANAS", "first"]
    print(as_markdown(header, lines))


if __name__ == "__main__":
    main()
