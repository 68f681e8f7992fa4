"""Parts of the page that other commands make: comparisons, tracks, overtuning and the analyses."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.analysis.figure import Figure
from experiments.analysis.table_data import TableData
from experiments.page.pictures import Picture, picture
from experiments.page.stored import Race, called
from experiments.plots.comparison import column_style, draw_anytime, draw_ecdf, draw_profile, draw_ranks
from experiments.plots.fronts import draw_front, draw_volumes
from experiments.plots.overtuning import draw_overtuning
from experiments.plots.style import print_style
from experiments.plots.track import draw_outcome
from experiments.races.checks import stored_race
from experiments.races.track import load_track, tracks
from experiments.results import comparison_text, overtuning_text, recommendation, targets
from experiments.results.comparison import compare
from experiments.results.fronts import front_cells, fronts_of
from experiments.results.overtuning import overtuning
from experiments.results.read import Stored, entries_in
from experiments.results.track import PREFIX, Outcome, outcome_of
from experiments.results.track_text import KNOWN, OVERVIEW, RANKS, legend, overview_lines, table_lines, title_of
from experiments.submissions.check import race_of
from experiments.tables import PUBLISHED, proper_name, short_label
from nasbench_ar import MetricError, MissingEntryError, NasbenchError, Oracle, ResultsError, SearchSpace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Lines = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Section:
    """Tables and pictures; `key` is for links, `tables` are (title, header, lines), `outro` explains their words."""

    key: str
    title: str
    intro: tuple[str, ...] = ()
    tables: tuple[tuple[str, Sequence[str], Lines], ...] = ()
    outro: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()


def comparison_sections(races: Sequence[Race]) -> list[Section]:
    """One section for each part of a race that has two searchers or more."""
    out = []
    for number, (race, name) in enumerate(zip(races, called(races), strict=True)):
        for part in race.parts:
            if len(part) < 2:
                continue
            as_published = part[0].name.startswith(PUBLISHED)
            title = "Comparison of the authors' searchers" if as_published else "Comparison"
            title += f" on {name}" if len(races) > 1 else ""
            key = f"comparison-{number}" + ("-published" if as_published else "")
            out.append(_comparison(key, title, [str(experiment.folder) for experiment in part]))
    return out


def _comparison(key: str, title: str, folders: Sequence[str]) -> Section:
    comparison = compare(folders)
    budget = comparison.budgets[-1]
    with column_style():
        pictures = (
            picture(draw_anytime(comparison), "Regret against queries"),
            _picture(draw_ecdf(comparison), "Share of the targets reached"),
            _picture(draw_profile(comparison), "Share of the runs within a regret"),
            _picture(draw_ranks(comparison), "Mean ranks"),
        )
    return Section(
        key=key,
        title=title,
        intro=comparison.notes,
        tables=(
            ("Searchers", comparison_text.STANDING_HEADER, comparison_text.standing_lines(comparison, budget)),
            ("Pairs of searchers", comparison_text.PAIR_HEADER, comparison_text.pair_lines(comparison, budget)),
            *([("Running times", *targets.table_lines(comparison.targets))] if comparison.targets else []),
            ("What runs end with", *recommendation.table_lines(comparison.choices)),
        ),
        outro=(
            comparison_text.ranking_text(comparison, budget),
            comparison_text.legend(comparison),
            *([targets.legend(comparison.targets)] if comparison.targets else []),
            recommendation.LEGEND,
        ),
        pictures=pictures,
    )


def front_section(key: str, group: Sequence[Stored]) -> Section:
    """How much of the exact front each searcher finds."""
    race, oracle = group[0].race, group[0].oracle
    found = [fronts_of(one) for one in group]
    cells = [front_cells(fronts) for fronts in found]
    lines = [[measure[0][0], *(cell[1] for cell in measure)] for measure in zip(*cells, strict=True)]
    cloud = found[0].cloud
    worst = ", ".join(f"{name} {value:.6g}" for name, value in zip(cloud.objectives, cloud.worst, strict=True))
    limits = f" Limits: {', '.join(race.constraints)}." if race.constraints else ""
    pictures = [_picture(draw_volumes(found), "Hypervolume against queries")]
    pictures += [
        _picture(draw_front(fronts, oracle), f"Front of {proper_name(fronts.name)}, the median run") for fronts in found
    ]
    runs = ", ".join(f"{fronts.name} {len(fronts.runs.seeds)}" for fronts in found)
    return Section(
        key=key,
        title=f"Fronts: {', '.join(short_label(oracle, name) for name in race.objectives)}",
        intro=(
            f"Searches with several objectives ({', '.join(race.objectives)}), {race.queries} queries a run.{limits} "
            f"The exact front has {len(cloud.front)} architectures. Runs: {runs}.",
        ),
        tables=(("Found", ("Mean ± std over runs", *(fronts.name for fronts in found)), lines),),
        outro=(f"Hypervolumes are above the reference point, the worst of each objective: {worst}.",),
        pictures=tuple(pictures),
    )


def analysis_section(oracle: Oracle, figures: Sequence[Figure]) -> Section | None:
    """The chosen figures of `experiments.analyze`, as far as the table has what they need; None for none."""
    if not figures:
        return None
    if not isinstance(oracle.space, SearchSpace):
        return Section("analyses", "Analyses", ("Not drawn: they need wide residual networks.",))
    data = TableData.of(oracle)
    pictures, absent = [], []
    for figure in figures:
        title = figure.title[:1].upper() + figure.title[1:]
        try:
            numbers = figure.numbers(data)
        except MissingEntryError as error:
            absent.append(f"Not drawn: {title}: {error}.")
            continue
        drawing = figure.draw(numbers)
        with print_style():
            pictures.append(picture(drawing, title, numbers.lines))
    note = data.note[:1].upper() + data.note[1:] + "."
    return Section("analyses", "Analyses", (note,), outro=tuple(absent), pictures=tuple(pictures))


def overtuning_section(races: Sequence[Race]) -> tuple[Section | None, list[str]]:
    """Whether more search hurt, of every part of a race; and a line on each that cannot be judged."""
    tables, verdicts, pictures, left_out = [], [], [], []
    for race, part in ((one, part) for one in races for part in one.parts):
        names = ", ".join(experiment.name for experiment in part)
        try:
            found = overtuning([experiment.folder for experiment in part])
        except (MetricError, ResultsError) as error:
            left_out.append(f"overtuning of {names}: {_within(error, part[0].folder.parent)}")
            continue
        seed = "" if race.table_seed == "mean" else f"; training seed {race.table_seed}"
        title = overtuning_text.heading(found) + seed
        tables.append((title, *overtuning_text.table_lines(found)))
        verdicts.append([*overtuning_text.verdict(found).splitlines(), *found.notes])
        with column_style():
            pictures.append(_picture(draw_overtuning(found), f"Regrets of {names}"))
    if not tables:
        return None, left_out
    headings = [[f"{title}:"] if len(tables) > 1 else [] for title, _, _ in tables]
    outro = [line for heading, lines in zip(headings, verdicts, strict=True) for line in (*heading, *lines)]
    outro.append(overtuning_text.legend(found))
    return Section("overtuning", "Overtuning", (), tuple(tables), tuple(outro), tuple(pictures)), left_out


def track_section(folder: Path, oracle: Oracle) -> tuple[Section | None, list[str]]:
    """What the entries of every track in the results of a table are worth; and a line on each that is left out."""
    outcomes, left_out = [], []
    for path in sorted(found for found in folder.glob(f"{PREFIX}*") if found.is_dir()):
        try:
            outcomes.append(_outcome(path, oracle))
        except NasbenchError as error:
            left_out.append(f"{path.name}: {_within(error, folder)}")
    if not outcomes:
        return None, left_out
    with column_style():
        pictures = [_picture(draw_outcome(found), f"Track {found.track.name}") for found in outcomes]
    return Section(
        "tracks",
        "Tracks",
        ("Races that fix limits, budget, what a search sees and who judges, one folder of stored runs each.",),
        (
            ("All tracks", OVERVIEW, overview_lines(outcomes)),
            *((title_of(found), *table_lines(found)) for found in outcomes),
        ),
        (RANKS, KNOWN, legend(outcomes)),
        tuple(pictures),
    ), left_out


def _within(error: NasbenchError, folder: Path) -> str:
    """What an error says, without the path of the results."""
    return str(error).replace(f"{folder}{os.sep}", "")


def _picture(axes: Axes, title: str) -> Picture:
    figure = axes.get_figure(root=True)
    assert figure is not None
    return picture(figure, title)


def _outcome(folder: Path, oracle: Oracle) -> Outcome:
    """Of a track of the toolkit, whose runs are of it as it is now, and of this table."""
    name = folder.name.removeprefix(PREFIX)
    if name not in tracks():
        raise ResultsError("no track of the toolkit; python -m experiments.track reports it")
    track = load_track(name)
    if not (entries := entries_in(folder)):
        raise ResultsError("it has no entry with a configuration")
    for entry in entries:
        race_of(entry, stored_race(entry, fidelity=track.fidelity)[0].fingerprint, track, oracle)
    return outcome_of(track, folder)[0]
