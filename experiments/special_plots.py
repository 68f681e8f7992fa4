"""`experiments.plot` for stored runs with several objectives, a constraint or noise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments import fronts, plot
from experiments.contestants import is_plain, table_of
from experiments.judged import judge
from experiments.runner import Race
from experiments.store import RunStore
from experiments.stored_config import checked_config, limits_of, load_runs
from nasbench_ar import Oracle, ResultsError

SHARED = ("table", "table_hash", "objective", "table_seed", "constraint", "noise", "images")


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
        differing = [key for key in SHARED if config["fingerprint"].get(key) != first.get(key)]
        if differing:
            raise ResultsError(f"{folder} and {folders[0]} differ in {', '.join(differing)}: they share no axis")
        if not RunStore(folder).stored():
            raise ResultsError(f"{folder} holds no finished run")
    oracle = Oracle(table_of(folders[0], configs[0]))
    if "," in str(first["objective"]):
        axes = fronts.draw_volumes([fronts.stored_fronts(folder, oracle) for folder in folders])
    else:
        axes = _draw_judged(folders, configs, oracle)
    plot.save_figure(axes, out, note=plot.origin(oracle, *str(first["objective"]).split(",")))


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
        curves.append(plot.Curve(str(config["name"]), judged.true[:, : race.queries]))
        longest = max(longest, race.queries)
        lines = judged.reference_lines(longest)
    label = plot.objective_axis(oracle, race.objective)
    return plot.draw_trajectories(curves, ylabel=label, **lines)  # type: ignore[arg-type]
