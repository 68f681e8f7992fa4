"""One HTML page on a table: its landscape, Table 2, trajectories, comparison, overtuning, tracks and analyses.

usage: python -m experiments.report [key=value ...]

keys and defaults:
  table=                       name or folder of a table; the best one at hand
  out=report.html              page to write
  results=results/<table>      folder of stored runs, one folder a searcher
  figures=all                  analyses to draw: all, none, or some of {figures}
  title=                       of the page; the table's name by default
  author=                      who made it
  date=                        when; today by default
  quiet=false                  say nothing of progress

The page loads nothing from anywhere: it may be mailed, archived, and read offline on a
laptop or a phone.  Equal inputs, the date among them, give equal bytes.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from experiments.analysis.catalogue import FIGURES, choose_figures
from experiments.analysis.figure import Figure
from experiments.page.document import MOST_BYTES, Page, render
from experiments.page.sections import (
    analysis_section,
    comparison_sections,
    front_section,
    overtuning_section,
    track_section,
)
from experiments.page.stored import read_fronts, read_races
from experiments.races import provenance
from nasbench_ar import ConfigError, Oracle, ResultsError, load
from nasbench_ar.system import versions
from nasbench_ar.system.command import docstring, run_command
from nasbench_ar.system.extras import require
from nasbench_ar.system.files import try_writing, write_atomically
from nasbench_ar.system.key_values import parse_words

HTML = ".html"
LIBRARIES = ("plotly", "jinja2")  # their versions are in the page
DEFAULTS: dict[str, str | int] = {
    "table": "",
    "out": "report.html",
    "results": "",
    "figures": "all",
    "title": "",
    "author": "",
    "date": "",
    "quiet": False,
}
NO_FIGURES = "none"


def make_page(
    oracle: Oracle,
    results: Path | None = None,
    figures: Sequence[Figure] = (),
    *,
    title: str = "",
    author: str = "",
    date: str = "",
) -> Page:
    """Gather what a report shows; `results` is `results/<table>` by default, which may be absent."""
    folder = Path("results") / oracle.name if results is None else results
    races, left_out = read_races(folder, oracle)
    hurt, unjudged = overtuning_section(races)
    track, unranked = track_section(folder, oracle)
    left_out += [*unjudged, *unranked]
    fronts, others = read_fronts(folder, oracle)
    left_out += others
    if results is not None and not (races or track or fronts):
        why = f" ({'; '.join(left_out)})" if left_out else ""
        raise ResultsError(
            f"results={results}: no stored runs of table {oracle.name} in folders below it{why}; "
            "expected the folder <out>/<table> of experiments.run or experiments.table2"
        )
    of_fronts = [front_section(f"fronts-{number}", group) for number, group in enumerate(fronts)]
    further = [*comparison_sections(races), *of_fronts, hurt, track, analysis_section(oracle, figures)]
    return Page(
        oracle=oracle,
        races=tuple(races),
        left_out=tuple(left_out),
        sections=tuple(section for section in further if section),
        commit=provenance.git_commit(),
        versions=provenance.library_versions() | versions.versions(LIBRARIES),
        title=title,
        author=author,
        date=date,
    )


def write_page(page: Page, out: Path) -> int:
    """Write the page, atomically; returns its size in bytes."""
    content = render(page).encode()
    with _writing(out):
        write_atomically(out, content)
    return len(content)


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ResultsError(
            f"cannot write out={out}: {error.strerror or error}; give the name of a page in a folder that is there"
        ) from error


def usage() -> str:
    return docstring(__name__).strip().replace("{figures}", ", ".join(FIGURES))


def main(arguments: Sequence[str]) -> None:
    words = parse_words(arguments, DEFAULTS)
    for library in LIBRARIES:  # before the analyses, which take a while
        require("python -m experiments.report", library)
    out = Path(words["out"])
    if out.suffix.lower() != HTML:
        raise ConfigError(f"out={words['out']!r}: expected the name of a page, ending in {HTML}")
    with _writing(out):
        try_writing(out)
    if words["figures"] != NO_FIGURES and not words["quiet"]:
        print("nasbench-ar: drawing the analyses takes a while; figures=none leaves them out", file=sys.stderr)
    figures = [] if words["figures"] == NO_FIGURES else choose_figures(words["figures"])
    oracle = load(words["table"] or None, quiet=words["quiet"])
    page = make_page(
        oracle,
        Path(words["results"]) if words["results"] else None,
        figures,
        title=words["title"],
        author=words["author"],
        date=words["date"] or datetime.date.today().isoformat(),
    )
    for line in page.left_out:
        print(f"nasbench-ar: left out {line}", file=sys.stderr)
    size = write_page(page, out)
    runs = sum(len(experiment.runs.seeds) for race in page.races for experiment in race.experiments)
    print(f"{out}: {size / 1e6:.1f} MB, {runs:,} stored runs")
    if size > MOST_BYTES:
        print(f"nasbench-ar: {out} is larger than {MOST_BYTES / 1e6:.0f} MB and may open slowly", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(run_command(main))
