"""One HTML file that loads nothing: the template, the style and the scripts, filled in.

Jinja escapes everything in the template; data for the scripts is JSON in which no character can end its element.  A
content security policy in the page allows its own scripts by their hashes, no other, and no connection to anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import numpy as np

from experiments.page import columns, series
from experiments.page.headline import headline, introduction
from experiments.page.sections import Section
from experiments.page.stored import Race, called
from experiments.results import table2
from experiments.tables import PUBLISHED, number
from nasbench_ar import ConfigError, Oracle
from nasbench_ar.describe import extent

SCRIPTS = (
    "data.js",
    "theme.js",
    "chart.js",
    "link.js",
    "selection.js",
    "landscape.js",
    "trajectories.js",
    "pictures.js",
    "start.js",
)
MOST_BYTES = 8_000_000
_ASSETS = "experiments.page"


@dataclass(frozen=True)
class Page:
    """What a report is about; texts may be empty, the title then is the table's name."""

    oracle: Oracle
    races: tuple[Race, ...] = ()
    left_out: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()
    commit: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    title: str = ""
    author: str = ""
    date: str = ""


def render(page: Page) -> str:
    """The whole document; equal pages give equal text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(_ASSETS, "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    scripts = [plotly_script(), "".join(asset(name) for name in SCRIPTS)]
    for script in scripts:
        _refuse_end_of_script(script)
    called_races = zip(page.races, called(page.races), strict=True)
    races = [_race_context(race, name, number) for number, (race, name) in enumerate(called_races)]
    names = list(dict.fromkeys(name for race in page.races for name in race.names))
    signs = dict(zip(names, series.signs(names), strict=True))
    data = {"table": columns.table_data(page.oracle), "races": [series.race_data(race, signs) for race in page.races]}
    return environment.get_template("report.html").render(
        policy=_policy(scripts),
        style=asset("report.css"),
        plotly=scripts[0],
        program=scripts[1],
        data=data,
        facts=_facts(page),
        meta=page.oracle.table.meta,
        title=page.title or page.oracle.name,
        byline=[text for text in (page.author, page.date, f"table {page.oracle.name}: {page.oracle.title}") if text],
        author=page.author,
        headline=headline(page.oracle, page.races),
        introduction=introduction(page.oracle, page.races),
        otherwise=_otherwise(page.oracle),
        dagger=columns.OTHERWISE,
        listing=_listing(page.oracle),
        races=races,
        left_out=page.left_out,
        sections=page.sections,
        code=[("commit", page.commit or "not a checkout"), *page.versions.items()],
    )


def asset(name: str) -> str:
    return (resources.files(_ASSETS) / "assets" / name).read_text(encoding="utf-8")


def plotly_script() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def _refuse_end_of_script(script: str) -> None:
    if "</script" in script.lower() or "<!--" in script:
        raise ConfigError("a script of the page would end its own element; install another version of plotly")


def _policy(scripts: Sequence[str]) -> str:
    """Only these scripts run, and nothing is fetched; plotly compiles its shaders' callers, hence `unsafe-eval`."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src {allowed} 'unsafe-eval'; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _facts(page: Page) -> list[tuple[str, str]]:
    table = page.oracle.table
    space = table.space
    seeds = np.unique(table.seeds)
    listed = ", ".join(map(str, seeds[:5])) + (", …" if len(seeds) > 5 else "")
    source = [
        (f"source {key}", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        for key, value in table.meta["source"].items()
    ]
    return [
        ("space", f"{space.product_size:,} architectures: {extent(space)}"),
        ("content", f"{len(columns.present(page.oracle)):,} architectures, {table.rows:,} trainings, seeds {listed}"),
        ("default objective", f"{page.oracle.label(table.default_objective)} ({table.default_objective})"),
        *source,
        ("hash of the numbers", table.content_hash),
    ]


def _otherwise(oracle: Oracle) -> dict[str, list[str]]:
    """What the table measures otherwise than the paper: how -> metrics."""
    out: dict[str, list[str]] = {}
    for name in oracle.metrics:
        if differs := oracle.table.meta["differs"].get(name):
            out.setdefault(differs, []).append(name)
    return out


def _listing(oracle: Oracle) -> tuple[list[str], list[list[str]]]:
    total = len(columns.present(oracle))
    lines = []
    for name in oracle.metrics:
        metric = oracle.metric(name)
        known = total if name in oracle.space.known_costs else int(oracle.available(name).sum())
        best = ["–", "–"]
        if metric.maximize is not None and known:
            architecture, value = oracle.optimum(name)
            best = [f"{value:,.0f}" if abs(value) >= 1e5 else number(value), str(architecture)]
        about = metric.description + (f" ({metric.unit})" if metric.unit in ("%", "GPU-days") else "")
        lines.append([name, oracle.label(name), about, f"{known:,}", f"{total - known:,}", *best])
    return ["Metric", "Label", "Definition", "Values", "Missing", "Best", "Architecture"], lines


def _race_context(race: Race, name: str, number: int) -> dict[str, Any]:
    oracle = race.experiments[0].oracle
    tables = []
    for part in race.parts:
        header, lines = table2.table_lines(part)
        as_published = part[0].name.startswith(PUBLISHED)
        title = "The authors' searchers as they behave" if as_published else "Searchers"
        tables.append({"title": title, "header": header, "lines": lines, "legend": table2.legend(part)})
    return {
        "key": f"race-{number}",
        "name": name,
        "objective": race.objective,
        "label": oracle.label(race.objective),
        "queries": race.queries,
        "table_seed": race.table_seed,
        "runs": [(e.name, len(e.runs.seeds)) for e in race.experiments],
        "tables": tables,
        "curves": series.curve_lines(race),
        "computed_by": race.computed_by,
    }
