"""Race on a track: all that decides who is better is fixed, and stands in a small file.

    python -m experiments.track name=macs-10g runs=100
    python -m experiments.track name=macs-10g searcher=bananas runs=400
    python -m experiments.track name=macs-10g searcher=bananas searcher.members=10 entry=bananas-10
    python -m experiments.track name=all
    python -m experiments.track name=my-track.yaml searcher._target_=my_module.MySearcher

Without a searcher, or with `searcher=all`, the four of Table 2 take part and `largest`, which
needs no search where costs are known; on tracks of another kind those that are made for it.
A report is on all entries that the track's folder holds.  Results go to
`<out>/<table>/track-<name>/`.  Started again, the same command goes on where it stopped.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from experiments.plots.style import save_figure
from experiments.plots.track import draw_outcome
from experiments.races.complete import complete
from experiments.races.config import ALL, KEPT, RunConfig, help_text, parse_command_line, without_all
from experiments.races.noise import accuracies, images_behind
from experiments.races.track import ENDING, HYPERVOLUME, OPEN, Track, load_track, tracks
from experiments.results import recommendation, targets
from experiments.results.baselines import known_limits
from experiments.results.read import Stored, reported_after, searched
from experiments.results.recommendation import Choice, choices
from experiments.results.standings import course
from experiments.results.track import PREFIX, Outcome, judge_of, outcome_of
from experiments.results.track_text import as_csv, as_text, overview, rules_study
from experiments.tables import origin
from nasbench_ar import ConfigError, Oracle, ResultsError, load
from nasbench_ar.errors import shown
from nasbench_ar.system.command import run_command
from nasbench_ar.system.files import note, write_file
from nasbench_ar.system.key_values import paragraph, take_words
from searchers import BASELINES

PROGRAM = "python -m experiments.track"
RUNS = 100  # of a searcher, by default
FIXED = {field.name for field in fields(Track)} - {*OPEN, "name"}


def configuration(track: Track, words: Sequence[str], entry: str | None) -> RunConfig:
    given: dict[str, Any] = {"table": track.table, "runs": RUNS, "name": entry}
    config: RunConfig = parse_command_line(words, track.front, **given, **track.settings)
    return config


def carry_out(track: Track, config: RunConfig, oracle: Oracle) -> Path:
    """Complete the runs of one searcher; returns the track's folder."""
    folder = Path(config.out) / oracle.name / f"{PREFIX}{track.name}"
    try:
        with complete(config, oracle, folder):
            pass
    except ResultsError as error:
        raise ResultsError(str(error).replace("name=", "entry=")) from error
    return folder


def report(track: Track, folder: Path, *, foot: bool) -> tuple[Outcome, list[Choice]]:
    """Print and write what all entries in a track's folder are worth."""
    found, stored = outcome_of(track, folder)
    text, chosen, files = as_text(found), list[Choice](), {"track.csv": as_csv([found])}
    if stored and not track.several:
        chosen = choices(stored, list(dict.fromkeys([found.judge, *accuracies(found.oracle, "test")])))
        text += "\n" + recommendation.as_text([choice for choice in chosen if choice.metric == found.judge])
        files["recommendation.csv"] = recommendation.as_csv(chosen)
        if track.noise == "none":
            text += "\n" + targets.as_text(running_times(found, stored))
    print(text)
    for name, content in {"track.md": text, **files}.items():
        write_file(folder / name, content.encode())
    note = origin(found.oracle, *([found.judge] if found.judge != HYPERVOLUME else found.objective.split(",")))
    save_figure(draw_outcome(found), folder / "track.png", note=note if foot else "")
    print(f"{folder}: track.md .csv .png .pdf{', recommendation.csv' if chosen else ''}\n")
    return found, chosen


def running_times(found: Outcome, stored: Sequence[Stored]) -> list[targets.Reached]:
    """To the best of what may be chosen, by the objective."""
    oracle, queries = found.oracle, stored[0].race.queries
    column, best = searched(stored[0])
    maximize = bool(oracle.metric(found.objective).maximize)
    courses = [course(s.name, s.runs.seeds, column[reported_after(s.runs, queries)], best) for s in stored]
    images = images_behind(oracle, found.objective)
    return targets.reached(courses, column, queries, maximize=maximize, images=images)


def write_all(found: Sequence[tuple[Outcome, Sequence[Choice]]], out: Path) -> None:
    """All tracks in one table, and which rule recommends best; `largest` searches nothing that could be noisy."""
    outcomes = [outcome for outcome, _ in found]
    study = [
        (outcome, [choice for choice in chosen if choice.searcher not in BASELINES])
        for outcome, chosen in found
        if chosen
    ]
    text = f"{overview(outcomes)}\n{rules_study(study)}"
    print(text)
    write_file(out / "tracks.md", text.encode())
    write_file(out / "tracks.csv", as_csv(outcomes).encode())
    print(f"{out}: tracks.md .csv")


def usage() -> str:
    front = load_track("table2").front
    more = paragraph("name=", f"a track: {', '.join(tracks())}, {ALL}, or a file of your own")
    more += paragraph("entry=null", "name of the searcher among the entries; null takes its own")
    return help_text(PROGRAM, __name__, "docs/tracks.md", default=ALL, front=front, more=more)


def _own_keys(arguments: Sequence[str]) -> tuple[list[str], str, str | None]:
    why = "the track says it; for a race of your own write a track, or use run"
    own, words = take_words(arguments, {"name": "", "entry": ""}, FIXED, why)
    if not own["name"]:
        raise ConfigError(f"name= is missing: {', '.join(tracks())}, {ALL}, or a file *{ENDING}")
    return words, own["name"], own["entry"] or None


def main(arguments: Sequence[str]) -> None:
    words, name, entry = _own_keys(arguments)
    rest, everyone = without_all(words)
    if everyone and entry:
        raise ConfigError(f"entry={shown(entry)} is one searcher's name; say which by searcher=NAME")
    chosen = [load_track(track) for track in (tracks() if name == ALL else [name])]
    if name == ALL and not everyone:
        others = [track.name for track in chosen if track.several or track.fidelity]
        note(f"{', '.join(others)}: for searchers of another kind, left out")
        chosen = [track for track in chosen if track.name not in others]
    found, out = [], Path()
    for track in chosen:
        oracle = load(configuration(track, rest, entry).table, quiet=True)
        judge_of(track, oracle)  # before hours of runs
        known_limits(oracle, track.constraint)
        for one in track.searchers_in(oracle.space) if everyone else [""]:
            config = configuration(track, [*rest, f"searcher={one}"] if one else rest, entry)
            folder = carry_out(track, config, oracle)
        found.append(report(track, folder, foot=config.foot))
        out = folder.parent.parent
    if name == ALL:
        write_all(found, out)


if __name__ == "__main__":
    sys.exit(run_command(main, kept=KEPT))
