"""Searchers compared on proper statistics, from stored runs.

    python -m experiments.compare results/nares-figures/bananas results/nares-figures/local_search
    python -m experiments.compare FOLDER FOLDER ... [key=value ...]
    python -m experiments.compare results/nares-figures/*       # what is no experiment is left out

keys and defaults:
  metric=objective             what is compared: the objective, or any metric of the table at the architecture
                               that a run would report
  at=                          budgets to compare at, as at=100,250,500; the whole budget by default
  difference=                  count the seeds that are needed to see this difference, as difference=0.1; by
                               default the observed one of each pair
  cliques=wilcoxon             what joins searchers in the picture of ranks: wilcoxon (Holm-adjusted) or nemenyi
  resamples=2000               of the bootstrap
  seed=0                       of the bootstrap and of the simulated experiments
  out=                         folder to write to; <results>/<table>/comparison by default, and
                               comparison-<metric> for another metric
  foot=true                    end pictures with a line on where their numbers come from
  ioh=                         folder to write the trajectories to for IOHinspector; none by default

Writes comparison.md, .csv and .tex, pairs.csv, targets.csv, recommendation.csv, and
anytime, ecdf, profile and ranks as .png, .pdf and .csv.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.plots.comparison import draw_anytime, draw_ecdf, draw_profile, draw_ranks, note
from experiments.plots.style import save_figure
from experiments.results import comparison_text, recommendation, targets
from experiments.results.comparison import CLIQUES, OBJECTIVE, Comparison, compare
from experiments.results.ioh import write_ioh
from experiments.results.read import experiments_among, read_all
from nasbench_ar import ConfigError
from nasbench_ar.system.command import run_command
from nasbench_ar.system.files import make_folder, write_file
from nasbench_ar.system.key_values import parse_words, whole_numbers

MOST_RESAMPLES = 10_000_000
DEFAULTS: dict[str, str | int] = {
    "metric": OBJECTIVE,
    "at": "",
    "difference": "",
    "cliques": CLIQUES[0],
    "resamples": 2000,
    "seed": 0,
    "out": "",
    "foot": True,
    "ioh": "",
}


def write_comparison(comparison: Comparison, folder: Path, *, foot: bool = True) -> list[str]:
    """Write every table and picture; returns the names of the files."""
    files = {
        "comparison.md": comparison_text.as_report(comparison),
        "comparison.csv": comparison_text.standings_csv(comparison),
        "comparison.tex": comparison_text.as_tex(comparison),
        "pairs.csv": comparison_text.pairs_csv(comparison),
        "anytime.csv": comparison_text.anytime_csv(comparison),
        "ecdf.csv": targets.ecdf_csv(comparison.ecdfs),
        "profile.csv": comparison_text.profile_csv(comparison),
        "ranks.csv": comparison_text.ranks_csv(comparison),
        "targets.csv": targets.as_csv(comparison.targets),
        "recommendation.csv": recommendation.as_csv(comparison.choices),
    }
    make_folder(folder)
    for name, text in files.items():
        write_file(folder / name, text.encode())
    pictures = {
        "anytime": draw_anytime(comparison).axes[0],
        "ecdf": draw_ecdf(comparison),
        "profile": draw_profile(comparison),
        "ranks": draw_ranks(comparison),
    }
    for name, axes in pictures.items():
        save_figure(axes, folder / f"{name}.png", note=note(comparison) if foot else "")
    return [*files, *(f"{name}.{kind}" for name in pictures for kind in ("png", "pdf"))]


def _folder(given: str, folders: Sequence[str], comparison: Comparison) -> Path:
    if given:
        return Path(given)
    name = "comparison" if comparison.metric == comparison.objective else f"comparison-{comparison.metric}"
    return Path(folders[0]).resolve().parent / name


def _number(key: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"{key}={text!r}: expected a number, as {key}=0.1") from None


def main(arguments: Sequence[str]) -> None:
    words = [word for word in arguments if "=" in word and not os.path.isdir(word)]
    folders = experiments_among([word for word in arguments if word not in words])
    given = parse_words(words, DEFAULTS, {"resamples": (1, MOST_RESAMPLES)})
    if given["ioh"] and given["metric"] != OBJECTIVE:
        raise ConfigError(f"ioh= writes the scores that guided the runs, not {given['metric']}; leave one of them out")
    comparison = compare(
        folders,
        metric=given["metric"],
        at=whole_numbers("at", given["at"]) if given["at"] else (),
        difference=_number("difference", given["difference"]) if given["difference"] else None,
        joined_by=given["cliques"],
        resamples=given["resamples"],
        seed=given["seed"],
    )
    folder = _folder(given["out"], folders, comparison)
    print(comparison_text.as_text(comparison))  # first, since the folder may be read-only
    names = write_comparison(comparison, folder, foot=given["foot"])
    print(f"{folder}: {' '.join(names)}")
    if given["ioh"]:
        write_ioh(read_all([Path(path) for path in folders]), Path(given["ioh"]))
        print(f"{given['ioh']}: trajectories of {len(folders)} searchers for IOHinspector")


if __name__ == "__main__":
    sys.exit(run_command(main))
