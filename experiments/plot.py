"""Pictures of trajectories, from stored results.

python -m experiments.plot results/nares-figures/bananas results/nares-figures/local_search
python -m experiments.plot DIR [DIR ...] [out=trajectories.png]

DIR is a result folder of a run, <out>/<table>/<searcher>; the picture's name ends in .png (a .pdf is written beside
it), .pdf or .svg.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.plots.fronts import draw_volumes
from experiments.plots.style import save_figure
from experiments.plots.trajectories import (
    draw_trajectories,
    reference_lines,
)
from experiments.races.checks import checked_config, limits_of, load_runs
from experiments.races.runner import Race
from experiments.races.store import RunStore
from experiments.results import fronts
from experiments.results.incumbents import Curve, incumbents
from experiments.results.judged import judge
from experiments.results.read import experiments_among, is_plain, read_contest, table_of
from experiments.tables import objective_axis, origin
from nasbench_ar import ConfigError, Oracle, ResultsError
from nasbench_ar.system.command import run_command
from nasbench_ar.system.keys import parse_words


def plot_results(folders: Sequence[Path], out: Path) -> None:
    """Lay the stored trajectories of several result folders over each other.

    Raises:
        ResultsError: when a folder holds no results, or they do not share table and objective.
    """
    contest = read_contest(folders)
    curves = [
        Curve(c.name, incumbents(c.runs.scores, maximize=contest.maximize)[:, : c.queries]) for c in contest.contestants
    ]
    queries = max(contestant.queries for contestant in contest.contestants)
    axes = draw_trajectories(
        curves,
        ylabel=objective_axis(contest.oracle, contest.objective),
        **reference_lines(contest.oracle, contest.objective, queries, contest.table_seed),  # type: ignore[arg-type]
    )
    save_figure(axes, out, note=origin(contest.oracle, contest.objective))


_SHARED_BY_SPECIAL = ("table", "table_hash", "objective", "table_seed", "constraint", "noise", "images")


def is_special(folder: Path) -> bool:
    """Whether a result folder needs this module.

    Raises:
        ResultsError: when it holds no results.
    """
    return not is_plain(checked_config(folder)["fingerprint"])


def plot_special(folders: Sequence[Path], out: Path) -> None:
    """Lay hypervolumes, or true values of feasible incumbents, over each other.

    Raises:
        ResultsError: when a folder holds no finished run, or they are not about the same.
    """
    configs = [checked_config(folder) for folder in folders]
    first = configs[0]["fingerprint"]
    for folder, config in zip(folders, configs, strict=True):
        differing = [key for key in _SHARED_BY_SPECIAL if config["fingerprint"].get(key) != first.get(key)]
        if differing:
            raise ResultsError(f"{folder} and {folders[0]} differ in {', '.join(differing)}: they share no axis")
        if not RunStore(folder).stored():
            raise ResultsError(f"{folder} holds no finished run")
    oracle = Oracle(table_of(folders[0], configs[0]))
    if "," in str(first["objective"]):
        axes = draw_volumes([fronts.stored_fronts(folder, oracle) for folder in folders])
    else:
        axes = _draw_judged(folders, configs, oracle)
    save_figure(axes, out, note=origin(oracle, *str(first["objective"]).split(",")))


def _draw_judged(folders: Sequence[Path], configs: Sequence[dict[str, Any]], oracle: Oracle) -> Any:
    curves, lines, longest = [], {}, 0
    for folder, config in zip(folders, configs, strict=True):
        marks, store = config["fingerprint"], RunStore(folder)
        race = Race(
            table=str(oracle.table.folder),
            objective=str(marks["objective"]),
            queries=int(marks["queries"]),
            searcher=str(marks["searcher"]["_target_"]),
            table_seed=marks["table_seed"],
            constraints=limits_of(marks),
            noise=str(marks.get("noise", "none")),
            images=int(marks.get("images", 1)),
        )
        runs = load_runs(store, marks, store.stored(), race.queries, oracle)
        judged = judge(oracle, race, runs)
        curves.append(Curve(str(config["name"]), judged.true[:, : race.queries]))
        longest = max(longest, race.queries)
        lines = judged.reference_lines(longest)
    label = objective_axis(oracle, race.objective)
    return draw_trajectories(curves, ylabel=label, **lines)  # type: ignore[arg-type]


def main(arguments: Sequence[str]) -> None:
    """The command."""
    words = [word for word in arguments if "=" in word and not Path(word).is_dir()]
    folders = [Path(word) for word in arguments if word not in words]
    out = Path(parse_words(words, {"out": "trajectories.png"})["out"])
    if not folders:
        raise ConfigError("expected result folders to draw, <out>/<table>/<searcher>; --help has an example")
    folders = [Path(folder) for folder in experiments_among([str(folder) for folder in folders])]
    special = any(map(is_special, folders))
    (plot_special if special else plot_results)(folders, out)
    print(f"{out} and .pdf" if out.suffix.lower() == ".png" else out)


if __name__ == "__main__":
    sys.exit(run_command(main))
