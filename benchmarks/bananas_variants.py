"""BANANAS' options against its defaults: objective reached after 100, 200 and 500 queries.

    python -m benchmarks.bananas_variants [--runs 100] [--out results/variants]

Every variant changes what its name says and nothing else.  p: Wilcoxon signed-rank
against the defaults, paired by seed, Holm-adjusted over all variants, at 500 queries.
Started again, it goes on where it stopped.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from benchmarks.environment import command_line, describe
from experiments.experiment import run_experiment
from experiments.races.config import RunConfig, target_of
from experiments.statistics.significance import holm, paired_wilcoxon
from experiments.tables import as_markdown
from nasbench_ar import load
from searchers import SEARCHERS, Bananas, hyperparameters

VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "weight_decay=0": {"weight_decay": 0.0},
    "weight_decay=1": {"weight_decay": 1.0},
    "weight_decay=5": {"weight_decay": 5.0},
    "weight_decay=20": {"weight_decay": 20.0},
    "steps=5": {"steps": 5},
    "steps=10": {"steps": 10},
    "steps=40": {"steps": 40},
    "hidden=8": {"hidden": 8},
    "hidden=32": {"hidden": 32},
    "hidden=64": {"hidden": 64},
    "members=3": {"members": 3},
    "members=10": {"members": 10},
    "acquisition=ucb": {"acquisition": "ucb"},
    "acquisition=ei": {"acquisition": "ei"},
    "acquisition=mean": {"acquisition": "mean"},
    "pool=500": {"pool": 500},
    "batch=5": {"batch": 5},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--out", default="results/variants")
    args = parser.parse_args()
    oracle = load("nares-figures", quiet=True)
    base = {"_target_": target_of(Bananas), **hyperparameters(Bananas)}
    contests = {f"bananas-{name}": base | change for name, change in VARIANTS.items()}
    for name, cls in SEARCHERS.items():
        if name != "bananas":
            contests[name] = {"_target_": target_of(cls), **hyperparameters(cls)}
    reached: dict[str, np.ndarray] = {}
    for name, searcher in contests.items():
        config = RunConfig(runs=args.runs, out=args.out, name=name, searcher=searcher)
        runs = run_experiment(config, oracle).runs
        reached[name] = np.maximum.accumulate(runs.scores[: args.runs], axis=1)[:, [99, 199, 499]]
    default = reached["bananas-defaults"]
    others = [name for name in reached if name != "bananas-defaults"]
    adjusted = dict(zip(others, holm([paired_wilcoxon(reached[n][:, 2], default[:, 2]) for n in others]), strict=True))
    lines = []
    for name, values in reached.items():
        cells = [f"{m:.3f} ± {s:.3f}" for m, s in zip(values.mean(axis=0), values.std(axis=0, ddof=1), strict=True)]
        lines.append([name.removeprefix("bananas-"), *cells, f"{adjusted[name]:.2g}" if name in adjusted else "–"])
    print(command_line("benchmarks.bananas_variants"))
    print(describe("scipy"))
    print(f"\n{oracle.table.default_objective} on {oracle.name}, mean ± std over {args.runs} runs\n")
    print(as_markdown(("variant", "100 queries", "200 queries", "500 queries", "p at 500"), lines))


if __name__ == "__main__":
    main()
