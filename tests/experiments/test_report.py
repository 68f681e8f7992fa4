"""The HTML report: which results are taken, and what of them is on the page."""

from __future__ import annotations

import base64
import io
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from experiments import report, run
from experiments.analysis.catalogue import choose_figures
from experiments.page import columns, document, series
from experiments.page.stored import read_fronts, read_races
from experiments.plots.trajectories import draw_trajectories
from experiments.races.track import load_track
from experiments.results import overtuning_text, track_text
from experiments.results.comparison import compare as compare_folders
from experiments.results.fronts import front_cells, fronts_of
from experiments.results.incumbents import expected_best_of_n
from experiments.results.overtuning import overtuning
from experiments.results.track import outcome_of
from nasbench_ar import METRICS, Entry, Metric, Oracle, ResultsError, Table, TableWriter, load
from tests.experiments.conftest import SPACE, Command, raced, store_runs, table_writer, write_table
from tests.experiments.page.pages import Reader, data_of


def test_bands_by_hand() -> None:
    best = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 9.0]])
    found = series.bands(best, 9.0)
    np.testing.assert_allclose(found["mean"], [3, 5])
    half = 4.302652729911275 * 2 / np.sqrt(3)  # t of two degrees of freedom, standard deviation 2
    np.testing.assert_allclose([found["mean_low"][0], found["mean_high"][0]], [3 - half, 3 + half])
    np.testing.assert_allclose(found["median"], [3, 4])
    np.testing.assert_allclose([found["run_low"][0], found["run_high"][0]], [1.4, 4.6])
    alone = series.bands(best[:1], 9.0)
    np.testing.assert_array_equal(alone["mean_low"], alone["mean_high"])


def test_runs_that_all_found_the_best_have_a_regret_of_0() -> None:
    optimum = 0.1
    assert np.full(3, optimum).mean() != optimum, "a mean is rounded"
    for name, values in series.bands(np.full((3, 2), optimum), optimum).items():
        sent = columns.unpack(series._packed(values))
        assert (sent == optimum).all(), name


def test_the_curves_in_words_end_with_random_search(results: Path, table: Table) -> None:
    (race,), _ = read_races(results, Oracle(table))
    header, lines = series.curve_lines(race)
    exact = expected_best_of_n(Oracle(table).column("val_pgd_acc"), race.queries)
    assert header[1:] == ["1 query", f"{race.queries} queries"]
    assert lines[-1] == ["random search, exact", f"{exact[0]:.3f}", f"{exact[-1]:.3f}"]
    assert [line[0] for line in lines[:-1]] == ["random_search"]


def test_small_losses_and_large_costs_are_printed_with_their_digits(tmp_path: Path) -> None:
    with table_writer(tmp_path / "small", "small") as writer:
        for index in range(SPACE.size):
            writer.add(SPACE.from_index(index), seed=0, scalars={"val_loss": 1e-4 + 1e-6 * index, "val_pgd_acc": 1.0})
    oracle = Oracle(Table(tmp_path / "small"))
    for name in ("a", "b"):
        store_runs(tmp_path / "r" / name, oracle.table, {0: [3, 2], 1: [5, 2]}, objective="val_loss")
        store_runs(tmp_path / "macs" / name, oracle.table, {0: [3, 2]}, objective="macs")
    (race,), _ = read_races(tmp_path / "r", oracle)
    assert [line[1:] for line in series.curve_lines(race)[1][:2]] == [["0.000104", "0.000102"]] * 2
    assert [line[5] for line in document._listing(oracle)[1] if line[0] == "val_loss"] == ["0.0001"]
    labels = draw_trajectories([race.experiments[0].curve], ylabel="", optimum=1e-4).get_legend_handles_labels()[1]
    assert labels[-1] == "optimum of the table (0.0001)"
    assert "val_loss 0.000102 on average" in repr(race.experiments[0])
    compared = compare_folders([tmp_path / "r" / name for name in ("a", "b")])
    assert "a 0.000102, b 0.000102" in repr(compared)
    assert "best of the table 0.0001" in compared._repr_html_()
    (race,), _ = read_races(tmp_path / "macs", oracle)
    assert [line[1] for line in series.curve_lines(race)[1][:2]] == [f"{oracle.column('macs')[3]:.3e}"] * 2


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


@pytest.mark.usefixtures("real_pictures")
def test_races_that_differ_in_budget_or_training_seed_are_told_apart(results: Path, table: Table) -> None:
    for name, queries, seed in (("b", 3, "mean"), ("c", 2, "mean"), ("d", 2, "mean"), ("e", 2, 0)):
        store_runs(results / name, table, {0: [5, 80, 2][:queries], 1: [3, 4, 7][:queries]}, table_seed=seed)
    page = report.make_page(Oracle(table), results)
    apart = ["2 queries", "3 queries", "2 queries, training seed 0"]
    words = Reader(document.render(page)).words
    for more in apart:
        assert words.count(f"Race on val_pgd_acc, {more}\n") == 1, "in the links"
        assert words.count(f"Table 2 and trajectories: val_pgd_acc, {more}\n") == 1, "as a heading"
    *comparisons, hurt = page.sections
    assert [section.title for section in comparisons] == [f"Comparison on val_pgd_acc, {more}" for more in apart[:2]]
    headings = [title for title, _, _ in hurt.tables]
    assert len(set(headings)) == 3
    at = [hurt.outro.index(f"{heading}:") for heading in headings]
    assert at == sorted(at)
    assert all(hurt.outro[k + 1].startswith(("No harm", "More search", "Too few")) for k in at)


@pytest.mark.usefixtures("real_pictures")
def test_a_copied_folder_has_one_name_on_the_page(results: Path, table: Table) -> None:
    shutil.copytree(results / "random_search", results / "again")
    page = report.make_page(Oracle(table), results)
    assert page.races[0].names == ["random_search", "again"]
    comparison, hurt = page.sections
    for section in (comparison, hurt):
        assert {line[0] for line in section.tables[0][2][:2]} == {"random_search", "again"}
    assert str(results) not in document.render(page)


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
    assert "one at random: no search; exact mean and standard deviation over the architectures that may be" in text
    assert "Comparison" in text
