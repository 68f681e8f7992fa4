"""The document: what its first screen says, and that nothing in a table can break it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from experiments import report
from experiments.page import document, series
from experiments.page.headline import headline
from experiments.page.stored import read_races
from experiments.plots.looks import COLOURS
from experiments.results.incumbents import expected_best_of_n
from nasbench_ar import ConfigError, Oracle, Table
from searchers import ALL_SEARCHERS
from tests.experiments.conftest import store_runs, write_table
from tests.experiments.page.pages import Reader, page_of

ROOT = Path(report.__file__).resolve().parent
HOSTILE = "</script><script>alert(1)</script> <!-- & \u2028 'quoted'"


def test_the_page_names_the_table_and_its_worth(table: Table) -> None:
    text = Reader(page_of(table, commit="abc", versions={"numpy": "2.0"})).words
    for part in ("small", "made-up numbers", "made up", "Licence: none", "ten steps", table.content_hash, "abc", "2.0"):
        assert part in text, part
    assert "python -m experiments.table2 runs=400 table=small" in text


@pytest.mark.usefixtures("real_pictures")
def test_the_first_screen_says_result_author_and_date(table: Table, results: Path) -> None:
    oracle = Oracle(table)
    column, optimum = oracle.column("val_pgd_acc"), oracle.optimum("val_pgd_acc")[1]
    best = np.argsort(-column)[:2].tolist()
    store_runs(results / "local_search", table, {0: [5, best[0]], 1: [4, best[1]]})  # the other searcher misses them
    text = document.render(report.make_page(oracle, results, title="Mine", author="A. N. Author", date="2026-11-26"))
    words = " ".join(Reader(text).words.split())
    assert words.startswith("Mine · NASBench-AR report ")
    assert "A. N. Author, 2026-11-26, table small: made-up numbers" in words
    end, chance = column[best].mean(), expected_best_of_n(column, 2)[-1]
    assert (
        f"Local search ends {optimum - end:.2f} points below the best of 81 architectures by Val PGD20 after 2 "
        f"queries, at {end:.2f} % in the mean of 2 runs; random search ends {optimum - chance:.2f} points below it."
    ) in words
    assert "how near 2 search algorithms, trying them one by one, come to the best" in words
    tags = [attributes for tag, attributes in Reader(text).elements if tag == "meta" and "name" in attributes]
    said = {tag["name"]: tag["content"] for tag in tags}
    assert said["author"] == "A. N. Author"
    assert str(said["description"]).startswith("Local search ends ")


def test_without_runs_the_first_screen_names_the_best(table: Table) -> None:
    best, value = Oracle(table).optimum("val_pgd_acc")
    reader = Reader(page_of(table))
    words = " ".join(reader.words.split())
    assert words.startswith("small · NASBench-AR report ")
    assert f"The best of 81 architectures by Val PGD20 is {best}, with {value:.2f} %." in words
    assert "search algorithm" not in words
    assert not any(attributes.get("name") == "author" for _, attributes in reader.elements)


def test_lower_is_better_too(table: Table, tmp_path: Path) -> None:
    store_runs(tmp_path / "small/by_loss", table, {0: [5, 80, 2]}, objective="val_loss")
    races, _ = read_races(tmp_path / "small", Oracle(table))
    column = Oracle(table).column("val_loss")
    behind = column[[5, 80, 2]].min() - column.min()
    assert f"By loss ends {behind:.2f} above the best of 81" in headline(Oracle(table), races)


def test_nothing_a_table_says_can_break_the_page(tmp_path: Path) -> None:
    folder = write_table(tmp_path / "small").folder
    meta = json.loads((folder / "meta.json").read_text())
    for key in ("title", "provenance", "licence"):
        meta[key] = HOSTILE
    meta["notes"], meta["differs"] = [HOSTILE], {"test_pgd_acc": HOSTILE}
    (folder / "meta.json").write_text(json.dumps(meta))
    text = page_of(Table(folder), left_out=(HOSTILE,), commit=HOSTILE, title=HOSTILE, author=HOSTILE, date=HOSTILE)
    reader = Reader(text)
    assert len(reader.scripts) == 3, "one of data, the library, the program; none that a table brought"
    assert json.loads(reader.scripts[0])["table"]["title"] == HOSTILE
    # title, provenance, note, licence, two of differs, left out, commit; of the page: title, twice, author, date
    assert reader.words.count(HOSTILE) == 8 + 4


def test_the_page_loads_nothing(table: Table) -> None:
    text = page_of(table)
    reader = Reader(text)
    for tag, attributes in reader.elements:
        assert not any(name.startswith("on") for name in attributes), f"{tag} has an inline handler"
        for name in ("src", "href", "srcset", "action", "data"):
            assert (attributes.get(name) or "data:").startswith(("data:", "#")), (tag, attributes)
    own = text.replace(document.plotly_script(), "")
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", own), "only the name space of SVG"
    assert "@import" not in own
    assert "url(" not in own
    policy = next(a["content"] for tag, a in reader.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    for script in reader.scripts[1:]:
        assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy


def test_a_script_that_would_end_its_element_is_refused(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "plotly_script", lambda: "'</SCRIPT>'")
    with pytest.raises(ConfigError, match="plotly"):
        page_of(table)


def test_colours_are_those_of_the_other_pictures() -> None:
    light = document.asset("report.css").partition("@media")[0]
    assert tuple(re.findall(r"--series-\d+: (#\w{6})", light)) == COLOURS


def test_a_searcher_keeps_its_sign_whoever_is_beside_it() -> None:
    together = dict(zip(ALL_SEARCHERS, series.signs(list(ALL_SEARCHERS)), strict=True))
    for name, sign in together.items():
        assert series.signs([name]) == series.signs([name, "mine"])[:1] == [sign]
    assert len({str(sign) for sign in together.values()}) == len(together)
    plain = [sign for sign in together.values() if not sign["published"]]
    assert len({sign["colour"] for sign in plain}) == len({sign["symbol"] for sign in plain}) == len(plain)
    twin = together["published_bananas"]
    assert (twin["colour"], twin["symbol"]) == (together["bananas"]["colour"], together["bananas"]["symbol"])
    assert twin["dashes"]
    shapes = re.search(r"const SHAPES = \{(.*?)\n\}", document.asset("chart.js"), re.DOTALL)
    assert shapes
    assert set(re.findall(r'^  "?([\w-]+)"?:', shapes[1], re.MULTILINE)) == set(series.SYMBOLS.values())


def test_package_data_names_every_asset() -> None:
    folder = ROOT / "page" / "assets"
    settings = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    listed = {path for pattern in settings["experiments.page"] for path in folder.parent.glob(pattern)}
    assert listed == set(folder.iterdir())
    there = {path.name for path in listed if path.suffix not in (".py", "")}
    assert there == {*document.SCRIPTS, "report.html", "report.css"}


# -- stored runs -----------------------------------------------------------------
