"""Race one searcher: seeded runs in parallel, then Table 2 and the trajectories (NARes, section 5).

    python -m experiments.run searcher=bananas runs=400
    python -m experiments.run searcher=local_search searcher.improvement=best queries=200
    python -m experiments.run searcher._target_=my_module.MySearcher
    python -m experiments.run searcher=nsga2 objective=val_best_pgd_acc,macs
    python -m experiments.run searcher=bananas "constraint=macs<=10e9" name=small
    python -m experiments.run searcher=bananas noise=run name=noisy
    python -m experiments.run searcher=bananas engine=dask dask=tcp://host:8786
    python -m experiments.run config=results/nares-figures/bananas out=again runs=100

Results go to `<out>/<table>/<searcher>/`.  Started again, the same command goes on
where it stopped.  `config=` takes a stored race, on the very same table, and what stands
beside it changes it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.experiment import run_experiment, run_fronts
from experiments.races.checks import checked_config
from experiments.races.config import KEPT, RunConfig, help_text, parse_command_line
from experiments.races.race import Race, without_budget
from experiments.races.store import CONFIG
from experiments.results.experiment import as_text
from experiments.results.read import table_of
from nasbench_ar import load
from nasbench_ar.system.command import run_command
from nasbench_ar.system.key_values import checked_value, paragraph, split_words, take_words


def usage() -> str:
    more = paragraph("config=", "result folder whose race is run again")
    return help_text("python -m experiments.run", __name__, "docs/experiments.md and docs/searchers.md", more=more)


def _configuration(words: Sequence[str]) -> RunConfig:
    """What words say; `config=` replaces the defaults by the race that it names."""
    own, given = take_words(words, {"config": None})
    stored = {} if own["config"] is None else _stored(Path(own["config"]), dict(split_words(given)))
    config: RunConfig = parse_command_line(given, **stored)
    return config


def _stored(folder: Path, given: Mapping[str, str]) -> dict[str, Any]:
    """What a stored race says of the keys, beside the words given."""
    folder = folder.parent if folder.name == CONFIG else folder
    stored = checked_config(folder)
    race = Race.of_config(stored)
    known: dict[str, Any] = {"table": str(table_of(folder, race).folder), "name": stored["name"]}
    known |= {key: stored[key] for key in ("objective", "queries", "runs", "seed", "table_seed") if key in stored}
    known |= {"allow_test_objective": race.allow_test_objective}
    known |= {"constraint": ",".join(race.constraints)} if race.constraints else {}
    if "none" not in (race.noise, given.get("noise")):
        known |= {"noise": race.noise, "images": race.images}
    known = {key: checked_value(RunConfig, key, value) for key, value in known.items()}
    if {"searcher", "searcher._target_"} & given.keys():
        return known | {"name": None}
    return known | {"searcher": {"_target_": race.searcher, **without_budget(race)}}


def main(arguments: Sequence[str]) -> None:
    config = _configuration(arguments)
    oracle = load(config.table, quiet=config.quiet)
    if "," in (config.objective or ""):
        print(run_fronts(config, oracle))
        return
    experiment = run_experiment(config, oracle)
    print(as_text(experiment))
    more = ", judged.csv" if experiment.judged else ""
    print(f"{experiment.folder}: summary.csv .md .tex, config.yaml, trajectories.npz, trajectory.png .pdf{more}")


if __name__ == "__main__":
    sys.exit(run_command(main, kept=KEPT))
