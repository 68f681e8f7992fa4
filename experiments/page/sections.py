"""Parts of the page that other commands make: the comparison of searchers, and the analyses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.analysis.figure import Figure
from experiments.analysis.table_data import TableData
from experiments.page.pictures import Picture, picture
from experiments.page.stored import Race
from experiments.plots.comparison import column_style, draw_anytime, draw_ecdf, draw_profile, draw_ranks
from experiments.plots.style import print_style
from experiments.results import comparison_text, recommendation, targets
from experiments.results.comparison import compare
from experiments.tables import PUBLISHED
from nasbench_ar import MissingEntryError, Oracle

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
    for number, race in enumerate(races):
        for part in race.parts:
            if len(part) < 2:
                continue
            as_published = part[0].name.startswith(PUBLISHED)
            title = "Comparison of the authors' searchers" if as_published else "Comparison"
            title += f" on {race.objective}" if len(races) > 1 else ""
            key = f"comparison-{number}" + ("-published" if as_published else "")
            out.append(_comparison(key, title, [str(experiment.folder) for experiment in part]))
    return out


def _comparison(key: str, title: str, folders: Sequence[str]) -> Section:
    comparison = compare(folders)
    budget = comparison.budgets[-1]
    heading = (
        "Regret against queries",
        "Share of the targets reached",
        "Share of the runs within a regret",
        "Mean ranks",
    )
    with column_style():
        drawings = (
            draw_anytime(comparison),
            draw_ecdf(comparison).get_figure(root=True),
            draw_profile(comparison).get_figure(root=True),
            draw_ranks(comparison).get_figure(root=True),
        )
        pictures = [picture(d, words) for d, words in zip(drawings, heading, strict=True) if d is not None]
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
        pictures=tuple(pictures),
    )


def analysis_section(oracle: Oracle, figures: Sequence[Figure]) -> Section | None:
    """The chosen figures of `experiments.analyze`, as far as the table has what they need; None for none."""
    if not figures:
        return None
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
