"""Samplers of Optuna and optimisers of Nevergrad beside this project's searchers, with what a run costs.

    python -m benchmarks.other_libraries [--runs 100] [--out results/other-libraries]

Every searcher has its library's defaults.  CPU time is of one run in one process, linear
algebra on one thread, the median of three; libraries are loaded before.  Optuna's
Gaussian process, whose time grows with the cube of the queries, has fewer of them.
Started again, it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from benchmarks.environment import command_line, describe
from experiments.experiment import run_experiment
from experiments.races.config import RunConfig, target_of
from experiments.races.race import Race
from experiments.races.runner import run_once
from experiments.statistics.significance import holm, paired_wilcoxon
from experiments.tables import as_markdown
from nasbench_ar import load
from searchers import ALL_SEARCHERS, SEARCHERS, hyperparameters

OPTUNA = ("tpe", "nsga2", "random", "qmc")
SLOW = ("cmaes", "gp")
NEVERGRAD = ("TwoPointsDE", "DiscreteOnePlusOne", "NGOpt")
FEWER_QUERIES = {"optuna-gp": 100}
BUDGETS = (100, 200, 500)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--out", default="results/other-libraries")
    args = parser.parse_args()
    oracle = load("nares-figures", quiet=True)
    contests = {name: _searcher(name) for name in SEARCHERS}
    contests |= {f"optuna-{name}": _searcher("optuna", sampler=name) for name in OPTUNA}
    contests |= {f"nevergrad-{name}": _searcher("nevergrad", optimizer=name) for name in NEVERGRAD}
    contests |= {f"optuna-{name}": _searcher("optuna", sampler=name) for name in SLOW}
    reached: dict[str, np.ndarray] = {}
    seconds: dict[str, str] = {}
    for name, searcher in contests.items():
        queries = FEWER_QUERIES.get(name, BUDGETS[-1])
        config = RunConfig(runs=args.runs, queries=queries, out=args.out, name=name, searcher=searcher)
        best = run_experiment(config, oracle).curve.best
        reached[name] = best[:, [budget - 1 for budget in BUDGETS if budget <= queries]]
        seconds[name] = f"{_cpu_seconds(oracle.table.folder, searcher, queries):.2f}"
    best_of_ours = reached["bananas"]
    others = [name for name in reached if name != "bananas" and reached[name].shape[1] == len(BUDGETS)]
    p_values = holm([paired_wilcoxon(reached[n][:, -1], best_of_ours[: len(reached[n]), -1]) for n in others])
    adjusted = dict(zip(others, p_values, strict=True))
    lines = []
    for name, values in reached.items():
        cells = [f"{m:.3f} ± {s:.3f}" for m, s in zip(values.mean(axis=0), values.std(axis=0, ddof=1), strict=True)]
        cells += ["–"] * (len(BUDGETS) - len(cells))
        p_value = f"{adjusted[name]:.2g}" if name in adjusted else "–"
        lines.append([name, str(len(values)), *cells, p_value, seconds[name]])
    print(command_line("benchmarks.other_libraries"))
    print(describe("optuna", "cmaes", "nevergrad", "torch"))
    print(f"\n{oracle.table.default_objective} on {oracle.name}, mean ± std over the runs\n")
    header = ("searcher", "runs", *(f"{budget} queries" for budget in BUDGETS), "p at 500", "CPU s a run")
    print(as_markdown(header, lines))


def _searcher(name: str, **change: Any) -> dict[str, Any]:
    cls = ALL_SEARCHERS[name]
    return {"_target_": target_of(cls), **hyperparameters(cls), **change}


def _cpu_seconds(folder: object, searcher: dict[str, Any], queries: int) -> float:
    arguments = {key: value for key, value in searcher.items() if key != "_target_"}
    race = Race(str(folder), "val_best_pgd_acc", queries, searcher["_target_"], arguments)
    run_once(Race(str(folder), "val_best_pgd_acc", 12, searcher["_target_"], arguments), 0)  # loads the libraries
    taken = []
    for seed in range(1 if queries < BUDGETS[-1] else 3):
        start = time.process_time()
        run_once(race, seed)
        taken.append(time.process_time() - start)
    return float(np.median(taken))


if __name__ == "__main__":
    main()
