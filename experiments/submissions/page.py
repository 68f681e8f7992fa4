"""The leaderboard in Markdown and as an HTML page that loads nothing.

What stands in submissions may come from anybody: every cell is escaped.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

from experiments.races.track import HYPERVOLUME
from experiments.results.track import Outcome, Place, outcome
from experiments.results.track_text import KNOWN, OVERVIEW, overview_lines, title_of
from experiments.submissions.check import Checked
from experiments.submissions.entry import LEAST_RUNS, LEAST_SLOW_RUNS, Entry
from experiments.tables import as_markdown, definitions, interval, mean_text, number, plus_minus, share_text

LEVEL = 0.01
TITLE = "Leaderboard"
ABOUT = (
    "Written by experiments.leaderboard from submissions that it has verified: every score is the table's, limits and "
    "budgets are kept, and the first runs were carried out again where the code is installed. How to take part: "
    "docs/submitting.md.",
    "Rank: 1 + the number of entries that are better and told apart (Wilcoxon signed-rank, paired by seed, "
    f"Holm-adjusted over all pairs of the track, p < {LEVEL}). An entry is better than another only where that one "
    "stands in its line. CPU: processor seconds of a run, on the machine of who submitted it. Tuned on: tables that "
    "the searcher's arguments were chosen on; what was tuned on the table of the track has an advantage there.",
    f"Runs: at least {LEAST_RUNS}; {LEAST_SLOW_RUNS} where one takes longer than a processor second. Pairs are "
    f"compared on the seeds that both have, so that fewer runs tell fewer entries apart. {KNOWN}",
)
HEADER = ("Entry", "Rank", "Runs", "Judge", "95 % interval", "Better than", "CPU", "Tuned on", "Re-run")
CODE = ("Entry", "Searcher", "Computed by", "Contact")
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~&#!$])")


@dataclass(frozen=True)
class Board:
    """One track: its line among all tracks, its title, what it is about, its tables and what stands below them."""

    overview: tuple[str, ...]
    title: str
    about: tuple[str, ...]
    header: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    code: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def boards(passed: Sequence[Checked]) -> list[Board]:
    """A board for every track that has a submission, by name."""
    by_track: dict[str, list[Checked]] = {}
    for one in passed:
        by_track.setdefault(one.track.name, []).append(one)
    return [_board(by_track[name]) for name in sorted(by_track)]


def _board(entries: Sequence[Checked]) -> Board:
    track, oracle = entries[0].track, entries[0].oracle
    found = outcome(track, oracle, [one.entrant for one in entries], level=LEVEL)
    by_name = {one.entry.entry: one for one in entries}
    lines = [_line(place, by_name[place.entrant.name], found) for place in found.places]
    for reference in found.references:
        worth = plus_minus(reference.mean, reference.std, found.digits) + share_text(reference.share)
        lines.append((f"({reference.name})", "", "", worth, *[""] * (len(HEADER) - 4)))
    code = [
        (one.entry.entry, _code(one.entry), ", ".join(c[:12] for c in one.entry.commits), one.entry.contact or "–")
        for one in (by_name[place.entrant.name] for place in found.places)
    ]
    header = tuple(found.heading if name == "Judge" else name for name in HEADER)
    told = f"{found.told_apart} of {found.pairs} pairs are told apart."
    notes = [f"{told} Lines in brackets need no submission (docs/tracks.md)."]
    if found.judge != HYPERVOLUME and (daggers := definitions(oracle, [found.judge])):
        notes.append(f"{daggers}.")
    about = (track.about, f"Table {oracle.name} ({oracle.table.content_hash[:12]}): {oracle.title}")
    [line] = overview_lines([found])
    return Board(tuple(line), title_of(found), about, header, tuple(lines), tuple(code), tuple(notes))


def _code(entry: Entry) -> str:
    """The class, its arguments unless they are the toolkit's defaults, and the libraries that it borrows from."""
    race = entry.race
    given = "" if entry.default else ", ".join(f"{name}={value}" for name, value in race.arguments.items())
    borrowed = [(name, version) for name, version in race.libraries.items() if name not in ("python", "nasbench-ar")]
    return "; ".join([race.searcher + (f"({given})" if given else ""), *(f"{k} {v}" for k, v in borrowed)])


def _line(place: Place, one: Checked, found: Outcome) -> tuple[str, ...]:
    name, spread = place.entrant.name, place.entrant.spread
    beaten = [other.entrant.name for other in found.places if name in other.better]
    return (
        name,
        "–" if place.rank is None else str(place.rank),
        str(len(place.entrant.values)),
        mean_text(spread, len(place.entrant.values), digits=found.digits),
        interval(spread.interval, found.digits + 1),
        ", ".join(beaten) or "–",
        number(one.entry.cpu_seconds),
        ", ".join(one.entry.tuned_on) or "none",
        f"no: {one.not_rerun}" if one.not_rerun else f"{one.rerun} of {len(one.entrant.values)}",
    )


def as_markdown_page(found: Sequence[Board], refused: Sequence[str]) -> str:
    parts = [f"# {TITLE}", *ABOUT, _table(OVERVIEW, [board.overview for board in found])]
    for board in found:
        parts += [f"## {_plain(board.title)}", *map(_plain, board.about)]
        parts += [_table(board.header, board.lines), *map(_plain, board.notes), _table(CODE, board.code)]
    if refused:
        parts += ["## Left out", "\n".join(f"- {_plain(line)}" for line in refused)]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return as_markdown([*map(_plain, header)], [[*map(_plain, line)] for line in lines])


def _plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return _SPECIAL.sub(r"\\\1", text)


def as_html(found: Sequence[Board], refused: Sequence[str]) -> str:
    parts = [f"<h1>{TITLE}</h1>", *map(_paragraph, ABOUT)]
    parts += [_html_table(OVERVIEW, [board.overview for board in found])]
    for board in found:
        parts += [f"<h2>{html.escape(board.title)}</h2>", *map(_paragraph, board.about)]
        parts += [_html_table(board.header, board.lines), *map(_paragraph, board.notes), _html_table(CODE, board.code)]
    if refused:
        items = "".join(f"<li>{html.escape(line)}</li>" for line in refused)
        parts += ["<h2>Left out</h2>", f"<ul>{items}</ul>"]
    return _PAGE.format(title=TITLE, style=_STYLE, body="\n".join(parts))


def _paragraph(text: str) -> str:
    return f"<p>{html.escape(text)}</p>"


def _html_table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(row(line, "td") for line in lines)
    return f'<div class="wide" tabindex="0"><table>{row(header, "th")}{body}</table></div>'


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title><style>{style}</style></head>
<body>
{body}
</body></html>
"""
_STYLE = """
:root { color-scheme: light dark; }
body { margin: 0 auto; max-width: 76rem; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
p, li { max-width: 48rem; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.9rem; overflow-wrap: normal; }
td:nth-child(-n + 5) { white-space: nowrap; }
th, td { padding: 0.3rem 0.6rem; border-bottom: 1px solid #8886; text-align: left; vertical-align: top; }
"""
