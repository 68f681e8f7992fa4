"""Race one searcher: seeded runs in parallel, then Table 2 and the trajectories (NARes, section 5).

    python -m experiments.run searcher=bananas runs=400
    python -m experiments.run searcher=local_search searcher.improvement=best queries=200
    python -m experiments.run searcher._target_=my_module.MySearcher
    python -m experiments.run searcher=nsga2 objective=val_best_pgd_acc,macs
    python -m experiments.run searcher=bananas "constraint=macs<=10e9" name=small
    python -m experiments.run searcher=bananas noise=run name=noisy
    python -m experiments.run searcher=bananas engine=dask dask=tcp://host:8786

Results go to `<out>/<table>/<searcher>/`.  Started again, the same command goes on
where it stopped.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from experiments.experiment import run_experiment, run_fronts
from experiments.races.config import KEPT, help_text, parse_command_line
from experiments.results.experiment import as_text
from nasbench_ar import load
from nasbench_ar.system.command import run_command


def usage() -> str:
    return help_text("python -m experiments.run", __name__, "docs/experiments.md and docs/searchers.md")


def main(arguments: Sequence[str]) -> None:
    config = parse_command_line(arguments)
    oracle = load(config.table)
    if "," in (config.objective or ""):
        print(run_fronts(config, oracle))
        return
    experiment = run_experiment(config, oracle)
    print(as_text(experiment))
    more = ", judged.csv" if experiment.judged else ""
    print(f"{experiment.folder}: summary.csv .md .tex, config.yaml, trajectories.npz, trajectory.png .pdf{more}")


if __name__ == "__main__":
    sys.exit(run_command(main, kept=KEPT))
