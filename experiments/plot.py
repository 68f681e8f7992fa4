"""Pictures of trajectories, from stored results.

python -m experiments.plot results/nares-figures/bananas results/nares-figures/local_search
python -m experiments.plot DIR [DIR ...] [out=trajectories.png] [foot=true]

DIR is a result folder of a run, <out>/<table>/<searcher>; the picture's name ends in .png (a .pdf is written beside
it), .pdf or .svg.  `foot=false` leaves out the line at
its foot that says where the numbers come from.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.plots.fronts import draw_volumes
from experiments.plots.style import save_figure
from experiments.plots.trajectories import draw_trajectories, lines_of
from experiments.results.experiment import curve_of
from experiments.results.fronts import fronts_of
from experiments.results.incumbents import Curve
from experiments.results.judged import judge
from experiments.results.read import experiments_among, read_all
from experiments.tables import objective_axis, origin
from nasbench_ar import ConfigError
from nasbench_ar.system.command import run_command
from nasbench_ar.system.key_values import parse_words


def plot_results(folders: Sequence[Path], out: Path, *, foot: bool = True) -> None:
    """Draw the stored runs of several result folders in one picture.

    It shows incumbents of plain runs, true values of feasible incumbents under limits or noise, and hypervolumes for
    several objectives.
    """
    stored = read_all(folders)
    race, oracle = stored[0].race, stored[0].oracle
    if len(race.objectives) > 1:
        axes = draw_volumes([fronts_of(one) for one in stored])
    else:
        queries = max(one.race.queries for one in stored)
        curves = []
        for one in stored:
            judged = None if race.is_plain else judge(oracle, one.race, one.runs)
            best = curve_of(one.name, oracle, one.race, one.runs, judged).best
            curves.append(Curve(one.name, best[:, : one.race.queries]))
        lines = lines_of(oracle, race, judged, queries)
        axes = draw_trajectories(curves, ylabel=objective_axis(oracle, race.objective), **lines)  # type: ignore[arg-type]
    save_figure(axes, out, note=origin(oracle, *race.objectives) if foot else "")


def main(arguments: Sequence[str]) -> None:
    words = [word for word in arguments if "=" in word and not Path(word).is_dir()]
    folders = [Path(word) for word in arguments if word not in words]
    given = parse_words(words, {"out": "trajectories.png", "foot": True})
    out = Path(given["out"])
    if not folders:
        raise ConfigError("expected result folders to draw, <out>/<table>/<searcher>; --help has an example")
    folders = [Path(folder) for folder in experiments_among([str(folder) for folder in folders])]
    plot_results(folders, out, foot=given["foot"])
    print(f"{out} and .pdf" if out.suffix.lower() == ".png" else out)


if __name__ == "__main__":
    sys.exit(run_command(main))
