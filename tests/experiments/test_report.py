"""The HTML report: what is embedded, what is escaped, and which results are taken."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from experiments import report, run
from experiments.analysis.catalogue import choose_figures
from experiments.page import columns, document, series
from experiments.page.headline import headline
from experiments.page.stored import read_fronts, read_races
from experiments.plots.looks import COLOURS
from experiments.races.track import load_track
from experiments.results import overtuning_text, track_text
from experiments.results.comparison import compare as compare_folders
from experiments.results.fronts import front_cells, fronts_of
from experiments.results.incumbents import expected_best_of_n
from experiments.results.overtuning import overtuning
from experiments.results.track import outcome_of
from nasbench_ar import METRICS, ConfigError, Entry, Metric, Oracle, ResultsError, Table, TableWriter, load
from searchers import ALL_SEARCHERS
from tests.experiments.conftest import SPACE, Command, raced, store_runs, table_writer, write_table

ROOT = Path(report.__file__).resolve().parent
HOSTILE = "</script><script>alert(1)</script> <!-- & \u2028 'quoted'"


class Reader(HTMLParser):
    """Elements of a page: attributes, and the content of the scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words = ""
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "script":
            self.scripts[-1] += data
        elif self.inside != "style":
            self.words += data


@pytest.fixture
def results(table: Table, tmp_path: Path) -> Path:
    """Stored runs of a searcher, its own folder's name."""
    store_runs(tmp_path / "small/random_search", table, {0: [5, 80, 2], 1: [3, 4, 7]})
    return tmp_path / "small"


def page_of(table: Table, **more: Any) -> str:
    return document.render(document.Page(Oracle(table), **more))


def data_of(text: str) -> dict[str, Any]:
    return json.loads(Reader(text).scripts[0])


# -- columns ---------------------------------------------------------------------


def test_a_column_of_decimals_takes_two_bytes_a_value() -> None:
    values = np.array([38.8, np.nan, 0.05, 100.0, 0.0])
    packed = columns.pack(values)
    assert (packed["form"], packed["decimals"], packed["offset"]) == ("u16", 2, 0)
    stored = np.frombuffer(base64.b64decode(packed["data"]), "<u2")
    assert stored.tolist() == [3880, 65535, 5, 10000, 0]
    np.testing.assert_array_equal(columns.unpack(packed), values)


@pytest.mark.parametrize(
    ("values", "form"),
    [
        ([True, False], "u8"),
        ([1, 2, 3], "u16"),
        ([3361936896, 38774320128], "f64"),
        ([1 / 3, np.nan], "f32"),
        ([np.nan, np.nan], "u16"),
        ([-0.25, 0.5], "u16"),
        ([0.0, 65534.0], "u16"),
        ([0.0, 65535.0], "f64"),
    ],
)
def test_the_smallest_form_that_holds_a_column(values: list[float], form: str) -> None:
    packed = columns.pack(np.array(values))
    assert packed["form"] == form
    exact = np.array(values, dtype=np.float64)
    np.testing.assert_allclose(columns.unpack(packed), exact, rtol=0 if form != "f32" else 1e-7)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.just(np.nan), st.integers(-3000, 30000).map(lambda k: k / 100)), max_size=20))
def test_decimals_come_back_exactly(values: list[float]) -> None:
    exact = np.array(values, dtype=np.float64)
    np.testing.assert_array_equal(columns.unpack(columns.pack(exact)), exact)


def test_every_value_of_the_embedded_table_comes_back_exactly() -> None:
    oracle = load("nares-figures", quiet=True)
    data = columns.table_data(oracle)
    assert data["indices"] is None
    by_name = {column["name"]: column for column in data["columns"]}
    for name in oracle.metrics:
        np.testing.assert_array_equal(columns.unpack(by_name[name]["packed"]), oracle.column(name))
        assert by_name[name]["known"] == oracle.available(name).sum()
    np.testing.assert_array_equal(columns.unpack(by_name["low_mode"]["packed"]), oracle.flag("low_mode"))
    assert [name for name in by_name if by_name[name]["doubt"]] == ["low_mode", "objective_imputed"]
    first = [columns.unpack(by_name[name]["packed"])[0] for name in (*oracle.space.entry_names, "arch_id")]
    assert first == [4, 8, 4, 8, 4, 8, 1]


def test_a_partial_table_embeds_what_it_has(tmp_path: Path) -> None:
    table = write_table(tmp_path / "small", absent=(0, 7, 80))
    data = columns.table_data(Oracle(table))
    indices = np.frombuffer(base64.b64decode(data["indices"]), "<i4")
    assert len(indices) == 78
    assert not {0, 7, 80} & set(indices.tolist())
    column = next(c for c in data["columns"] if c["name"] == "test_pgd_acc")
    np.testing.assert_allclose(columns.unpack(column["packed"]), Oracle(table).column("test_pgd_acc")[indices], 1e-7)
    assert column["label"] == "Test PGD20 †", "says that it is measured otherwise"
    assert column["about"].endswith("; here: ten steps")


# -- the document ----------------------------------------------------------------


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


def test_bands_by_hand() -> None:
    best = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 9.0]])
    found = series.bands(best)
    np.testing.assert_allclose(found["mean"], [3, 5])
    half = 4.302652729911275 * 2 / np.sqrt(3)  # t of two degrees of freedom, standard deviation 2
    np.testing.assert_allclose([found["mean_low"][0], found["mean_high"][0]], [3 - half, 3 + half])
    np.testing.assert_allclose(found["median"], [3, 4])
    np.testing.assert_allclose([found["run_low"][0], found["run_high"][0]], [1.4, 4.6])
    alone = series.bands(best[:1])
    np.testing.assert_array_equal(alone["mean_low"], alone["mean_high"])


def test_the_curves_in_words_end_with_random_search(results: Path, table: Table) -> None:
    (race,), _ = read_races(results, Oracle(table))
    header, lines = series.curve_lines(race)
    exact = expected_best_of_n(Oracle(table).column("val_pgd_acc"), race.queries)
    assert header[1:] == ["1 query", f"{race.queries} queries"]
    assert lines[-1] == ["random search, exact", f"{exact[0]:.3f}", f"{exact[-1]:.3f}"]
    assert [line[0] for line in lines[:-1]] == ["random_search"]


@pytest.mark.usefixtures("real_pictures")
def test_stored_runs_are_on_the_page(results: Path, table: Table, tmp_path: Path, command: Command) -> None:
    words = (f"table={table.folder}", f"out={tmp_path}", "runs=2", "queries=3", "jobs=1", "searcher=local_search")
    command.passes(run.main, *words)
    for name, objective in (("published_random_search", "val_pgd_acc"), ("by_loss", "val_loss")):
        store_runs(results / name, table, {0: [7, 8, 9], 1: [9, 7, 1]}, objective=objective)
    out = tmp_path / "page.html"
    said, _ = command.passes(report.main, f"table={table.folder}", f"results={results}", f"out={out}", "figures=none")
    assert "8 stored runs" in said
    text = out.read_text(encoding="utf-8")
    data = data_of(text)
    assert [race["objective"] for race in data["races"]] == ["val_pgd_acc", "val_loss"], "the table's own first"
    first, by_loss = data["races"]
    assert [(s["name"], s["colour"], s["symbol"], s["published"]) for s in first["searchers"]] == [
        ("random_search", 0, "circle", False),
        ("local_search", 1, "square", False),
        ("published_random_search", 0, "circle", True),
    ]
    assert by_loss["searchers"][0]["symbol"] not in ("circle", "square"), "by_loss is a name of its own"
    stored = np.load(results / "local_search/trajectories.npz")
    finds = first["searchers"][1]["finds"]
    assert sorted(np.repeat(finds["at"], finds["runs"])) == sorted(stored["reported"])
    best = np.fmax.accumulate(stored["scores"].astype(float), axis=1)
    np.testing.assert_allclose(columns.unpack(first["searchers"][1]["bands"]["mean"]), best.mean(axis=0), 1e-6)
    assert by_loss["maximize"] is False
    assert by_loss["optimum"] == Oracle(table).optimum("val_loss")[1]
    summary = (results / "local_search/summary.md").read_text()
    mean = re.search(r"Val PGD20 \(objective\) +\| +(\S+ ± \S+) ", summary)
    assert mean is not None
    assert mean.group(1) in Reader(text).words
    assert "The authors' searchers as they behave" in Reader(text).words


@pytest.mark.usefixtures("real_pictures")
def test_comparison_and_analyses_are_on_the_page(results: Path, table: Table) -> None:
    store_runs(results / "local_search", table, {0: [40, 41, 42], 1: [3, 60, 7]})
    page = report.make_page(Oracle(table), results, choose_figures("4,correlations"))
    assert [section.title for section in page.sections] == ["Comparison", "Overtuning", "Analyses"]
    comparison, _, analyses = page.sections
    expected = compare_folders([results / name for name in ("random_search", "local_search")])
    assert [line[0] for line in comparison.tables[0][2]] == [
        s.name for s in (*sorted(expected.standings, key=lambda s: s.regret), *expected.random_search.standings)
    ]
    assert comparison.tables[1][2][0][2] == f"{expected.pairs[0].advantage:.3f}"
    assert [picture.title for picture in analyses.pictures] == ["Rank correlations between all metrics"]
    assert any("no stable accuracy" in line for line in analyses.outro)
    images = [attributes for tag, attributes in Reader(document.render(page)).elements if tag == "img"]
    assert len(images) == 6
    for image in images:
        assert image["alt"]
        with Image.open(io.BytesIO(base64.b64decode(str(image["src"]).partition("base64,")[2]))) as picture:
            ratio = int(image["width"] or 0) / int(image["height"] or 0)
            assert picture.width / picture.height == pytest.approx(ratio, 0.02)


@pytest.mark.usefixtures("real_pictures")
def test_overtuning_is_on_the_page(results: Path, table: Table) -> None:
    [section] = report.make_page(Oracle(table), results).sections
    found = overtuning([results / "random_search"])
    [(title, header, lines)] = section.tables
    assert title.startswith("Incumbents after 3 queries, guided by Val PGD20")
    assert (header, lines) == overtuning_text.table_lines(found)
    assert set(overtuning_text.verdict(found).splitlines()) < set(section.outro)


def test_overtuning_without_a_test_metric_is_named(tmp_path: Path) -> None:
    with table_writer(tmp_path / "small", "small") as writer:
        for index in range(SPACE.size):
            writer.add(SPACE.from_index(index), seed=0, scalars={"val_best_pgd_acc": index, "val_pgd_acc": index})
    table = Table(tmp_path / "small")
    store_runs(tmp_path / "r/random_search", table, {0: [5, 80, 2]})
    page = report.make_page(Oracle(table), tmp_path / "r")
    [line] = page.left_out
    assert line.startswith("overtuning of random_search: metric=test_pgd_acc: expected a test metric of table")
    assert not page.sections


@pytest.mark.usefixtures("real_pictures")
def test_tracks_are_on_the_page(tmp_path: Path) -> None:
    oracle = load("nares-figures", quiet=True)
    track = load_track("macs-7g")
    for name in ("random_search", "largest"):
        folder = raced("macs-7g", f"searcher={name}", "runs=3", f"out={tmp_path}")
    shutil.copytree(folder, folder.parent / "track-macs-10g")
    (folder.parent / "track-mine").mkdir()
    (folder.parent / "track-noisy").mkdir()
    page = report.make_page(oracle, folder.parent)
    [section] = page.sections
    found, _ = outcome_of(track, folder)
    overview, board = section.tables
    assert overview[2] == track_text.overview_lines([found])
    assert board == (track_text.title_of(found), *track_text.table_lines(found))
    assert [picture.title for picture in section.pictures] == ["Track macs-7g"]
    other, mine, noisy = page.left_out
    assert other.startswith("track-macs-10g: track-macs-10g/largest: its runs are not of track macs-10g (queries")
    assert mine == "track-mine: no track of the toolkit; python -m experiments.track reports it"
    assert noisy == "track-noisy: it has no entry with a configuration"
    assert str(tmp_path) not in "".join(page.left_out)


@pytest.mark.usefixtures("real_pictures")
def test_equal_inputs_give_equal_pages(results: Path, table: Table, tmp_path: Path) -> None:
    pages = []
    for name in ("a.html", "b.html"):
        report.write_page(report.make_page(Oracle(Table(table.folder)), results), tmp_path / name)
        pages.append((tmp_path / name).read_bytes())
    assert pages[0] == pages[1]
    for folder in (tmp_path, table.folder):
        assert str(folder).encode() not in pages[0], "no path of the machine"


@pytest.mark.usefixtures("real_pictures")
def test_fronts_are_shown_and_what_other_commands_report_is_named(results: Path, table: Table) -> None:
    both = {"objective": "val_pgd_acc,macs", "searcher": {"_target_": "searchers.nsga2.NSGA2"}}
    store_runs(results / "val_pgd_acc+macs/nsga2", table, {0: [5, 80, 2], 1: [3, 4, 7]}, **both)
    for name in ("fidelity/asha", "proxy/bananas/val_loss", "track-macs/bananas", "attic/bananas", ".trash/bananas"):
        store_runs(results / name, table, {0: [5, 80, 2]})
    page = report.make_page(Oracle(table), results)
    section = next(section for section in page.sections if section.key.startswith("front"))
    assert section.title == "Fronts: Val PGD20, MACs"
    ((_, header, lines),) = section.tables
    assert header == ("Mean ± std over runs", "nsga2")
    (stored,) = read_fronts(results, Oracle(table))[0][0]
    assert [line[1] for line in lines] == [cell[1] for cell in front_cells(fronts_of(stored))]
    assert [picture.title for picture in section.pictures] == [
        "Hypervolume against queries",
        "Front of NSGA-II, the median run",
    ]
    assert page.left_out == (
        "track-macs: no track of the toolkit; python -m experiments.track reports it",
        "attic/bananas: lies in a folder inside; give results= with attic at its end for a page of it",
        "fidelity: python -m experiments.fidelity.compare reports what is in it",
        "proxy: python -m experiments.proxy reports what is in it",
    )
    shutil.rmtree(results / "random_search")
    assert report.make_page(Oracle(table), results).sections, "fronts alone make a page"
    other = Oracle(write_table(results.parent / "other", shift=1.0))
    assert "val_pgd_acc+macs/nsga2: made on another table" in "".join(read_fronts(results, other)[1])


def test_results_of_another_table_are_left_out(results: Path, table: Table, tmp_path: Path) -> None:
    other = Oracle(write_table(tmp_path / "other", shift=1.0))
    said = ["random_search: made on another table, or another state of it (small)"]
    assert read_races(results, other) == ([], said)
    with pytest.raises(ResultsError, match=r"no stored runs of table small .*another state"):
        report.make_page(other, results)
    shutil.rmtree(results / "random_search/runs")
    assert read_races(results, Oracle(table))[1] == ["random_search: no finished run"]


@pytest.mark.parametrize("key", ["name", "table_folder"])
def test_damaged_results_are_named(results: Path, table: Table, key: str) -> None:
    config = results / "random_search/config.yaml"
    config.write_text(re.sub(rf"^{key}:", "nothing:", config.read_text(), flags=re.MULTILINE))
    with pytest.raises(ResultsError, match=r"config\.yaml is damaged"):
        report.make_page(Oracle(table), results)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["out=page.txt"], "ending in .html"),
        (["figures=nothing"], "figures=nothing: no such figure; there are all, 2, 3"),
        (["table=nowhere"], "no table 'nowhere'"),
        (["table=nares-figures", "results=nowhere", "figures=none"], "no stored runs of table nares-figures"),
        (["table=nares-figures", "results=" + "x" * 256, "figures=none"], "x: File name too long"),
    ],
)
def test_wrong_words(command: Command, words: list[str], said: str) -> None:
    assert said in command.fails(report.main, *words)


def test_a_page_that_cannot_be_written(
    table: Table, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder.html").mkdir()
    monkeypatch.setattr(report, "make_page", lambda *_: pytest.fail("found out after all the work"))
    for out, why in (("nowhere/page.html", "No such file"), ("folder.html", "Is a directory")):
        err = command.fails(report.main, f"table={table.folder}", f"out={tmp_path / out}", "figures=none")
        assert re.fullmatch(rf"error: cannot write out=.*: {why}.*; give the name of a page .*", err)
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".html"] == ["folder.html"]


def test_a_disk_that_fills_meanwhile(table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(report, "write_atomically", full)
    with pytest.raises(ResultsError, match=r"cannot write out=.*No space"):
        report.write_page(report.make_page(Oracle(table)), tmp_path / "page.html")


def test_the_embedded_table_makes_a_small_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = report.make_page(load("nares-figures", quiet=True))
    assert not page.races
    assert report.write_page(page, tmp_path / "page.html") < document.MOST_BYTES
    assert {column["name"] for column in data_of((tmp_path / "page.html").read_text())["table"]["columns"]} <= {
        *METRICS,
        *page.oracle.space.entry_names,
        *page.oracle.table.flag_names,
        "arch_id",
    }


@pytest.fixture
def categories(tmp_path: Path) -> Oracle:
    """Of unordered texts, numbers far from each other, and truths, without costs."""
    levels = [(kind, size, flag) for kind in ("=a", "b c") for size in (1, 1000) for flag in (False, True)][:-1]
    frame = pd.DataFrame(
        [(*level, float(k)) for k, level in enumerate(levels)], columns=["kind", "size", "flag", "val_acc"]
    )
    metric = Metric("val_acc", "Val accuracy", "val", "%", True, "made up", searchable=True)
    entries = [Entry("kind", ("=a", "b c"), ordered=False), Entry("size", (1, 1000)), Entry("flag", (False, True))]
    about = {"name": "mine", "title": "made up", "provenance": "a test", "licence": "none"}
    return Oracle(Table(TableWriter.from_frame(frame, tmp_path / "mine", entries=entries, metrics=[metric], **about)))


@pytest.mark.usefixtures("real_pictures")
def test_a_table_of_other_architectures(categories: Oracle, tmp_path: Path, command: Command) -> None:
    data = columns.table_data(categories)
    assert data["separator"] == ","
    assert data["entries"] == [
        {"name": "kind", "choices": ["=a", "b c"], "places": [0, 1]},
        {"name": "size", "choices": ["1", "1000"], "places": [0, 1]},
        {"name": "flag", "choices": ["False", "True"], "places": [0, 1]},
    ]
    by_name = {column["name"]: columns.unpack(column["packed"]).tolist() for column in data["columns"]}
    assert by_name["kind"] == [0, 0, 0, 0, 1, 1, 1]
    assert by_name["flag"] == [0, 1, 0, 1, 0, 1, 0]
    assert by_name["arch_id"] == [1, 2, 3, 4, 5, 6, 7]
    common = ("jobs=1", f"out={tmp_path}", "runs=2", "queries=3", "quiet=true")
    for searcher in ("random_search", "local_search"):
        command.passes(run.main, f"table={categories.table.folder}", f"searcher={searcher}", *common)
    words = (f"table={categories.table.folder}", f"results={tmp_path / 'mine'}", f"out={tmp_path / 'p.html'}")
    assert "4 stored runs" in command.passes(report.main, *words)[0]
    text = Reader((tmp_path / "p.html").read_text()).words
    assert "Not drawn: they need wide residual networks." in text
    assert "best of 7 architectures by Val accuracy after 3 queries" in text
    assert "Comparison" in text


def test_levels_stand_at_their_values_where_these_are_near() -> None:
    for choices, ordered, expected in (
        ((4, 5, 7, 9, 11), True, [4, 5, 7, 9, 11]),
        ((4, 5, 7), False, [0, 1, 2]),
        ((16, 64, 1024), True, [0, 1, 2]),
        ((0.001, 0.01), True, [0, 1]),
    ):
        assert columns.places(Entry("e", choices, ordered)).tolist() == expected
