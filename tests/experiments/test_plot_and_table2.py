"""Pictures and the table of all searchers."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from experiments import analyze, compare, overtuning, plot, proxy, run, suite, table2, track
from experiments.fidelity import __main__ as fidelity
from experiments.fidelity import compare as fidelity_compare
from experiments.plots import style
from experiments.plots.looks import looks
from experiments.plots.style import save_figure
from experiments.plots.trajectories import draw_trajectories
from experiments.races.config import parse_command_line
from experiments.results import table2 as side_by_side
from experiments.results.experiment import Experiment
from experiments.results.incumbents import Curve
from experiments.statistics.intervals import spread
from nasbench_ar import Oracle, ResultsError, Table
from searchers import ALL_SEARCHERS, BASELINES, SEARCHERS
from tests.experiments.conftest import Command, store_runs
from tests.experiments.fidelity.conftest import write_climbing


def words(table: Table, out: Path, *more: str) -> list[str]:
    return [f"table={table.folder}", f"out={out}", "runs=6", "queries=40", "jobs=1", *more]


@pytest.mark.usefixtures("real_pictures")
def test_curves_carry_what_they_are_given(tmp_path: Path) -> None:
    best = np.maximum.accumulate(np.random.default_rng(0).random((5, 30)), axis=1)
    axes = draw_trajectories(
        [Curve("one_thing", best)], ylabel="accuracy", optimum=1.0, random_expectation=best.mean(axis=0)
    )
    mean, expectation, optimum = axes.get_lines()
    assert mean.get_color() == looks(["one_thing"])[0].colour
    np.testing.assert_allclose(mean.get_ydata(), best.mean(axis=0))
    np.testing.assert_allclose(expectation.get_ydata(), best.mean(axis=0))
    assert set(optimum.get_ydata()) == {1.0}
    assert axes.get_ylabel() == "accuracy"
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["one thing (5\u00a0runs)", "random search, exact mean", "optimum of the table (1.00)"]
    save_figure(axes, tmp_path / "picture.png", note="made up")
    assert (tmp_path / "picture.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "picture.pdf").read_bytes()[:5] == b"%PDF-"
    axes = draw_trajectories([Curve("x", best)], ylabel="accuracy")
    with pytest.raises(ResultsError, match="cannot write"):
        save_figure(axes, tmp_path / "nowhere/picture.png", note="made up")


@pytest.fixture
def folders(table: Table, tmp_path: Path) -> list[Path]:
    """Of two searchers whose names look like formulas, and of one on another objective."""
    runs = {0: [3, 4, 5], 1: [5, 80, 6]}
    return [
        store_runs(tmp_path / "small" / name, table, runs, objective=objective)
        for name, objective in (("$x^$", "val_pgd_acc"), ("$_{$", "val_pgd_acc"), ("loss", "val_loss"))
    ]


@pytest.mark.usefixtures("real_pictures")
def test_plot_lays_results_over_each_other(folders: list[Path], tmp_path: Path, command: Command) -> None:
    assert command.passes(plot.main, *folders[:2], f"out={tmp_path / 'both.png'}")[0].strip() == (
        f"{tmp_path / 'both.png'} and .pdf"
    )
    assert (tmp_path / "both.png").read_bytes()[:4] == b"\x89PNG"
    command.passes(plot.main, *folders[:2], f"out={tmp_path / 'one.pdf'}")
    assert (tmp_path / "one.pdf").read_bytes()[:5] == b"%PDF-"
    for wrong in (f"out={tmp_path / 'both.gif'}", f"out={tmp_path / 'both'}"):
        assert "ends in .png, .pdf or .svg" in command.fails(plot.main, *folders[:2], wrong)
    assert "share no axis" in command.fails(plot.main, *folders)
    command.passes(compare.main, *folders[:2], "resamples=10", f"out={tmp_path / 'c'}")


def test_the_foot_of_every_picture_can_be_left_out(
    table: Table, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    feet: list[str] = []
    monkeypatch.setattr(Figure, "supxlabel", lambda self, text, **_: feet.append(text))
    folders = [store_runs(tmp_path / "small" / name, table, {0: [3, 4, 5], 1: [5, 80, 6]}) for name in ("a", "b")]
    climbing = write_climbing(tmp_path / "climbing").folder
    (tmp_path / "mine.yaml").write_text(f"about: Made up.\ntable: {table.folder}\nqueries: 9\n")
    (tmp_path / "suite.yaml").write_text(f"- {{task: one, family: first, use: tuning, table: {table.folder}}}\n")
    few = ("jobs=1", f"out={tmp_path / 'r'}", "runs=2")
    small = (f"table={table.folder}", *few, "queries=9")
    asha = (f"table={climbing}", *few, "budget=90", "searcher=asha")
    for pictures, main, *words in (
        (1, run.main, *small, "searcher=random_search"),
        (2, run.main, *small, "searcher=nsga2", "objective=val_pgd_acc,macs"),
        (1 + len((*SEARCHERS, *BASELINES)), table2.main, *small),
        (1, proxy.main, *small, "searcher=random_search", "search_on=val_pgd_acc,val_loss"),
        (1, track.main, f"name={tmp_path / 'mine.yaml'}", *few, "searcher=random_search"),
        (1, suite.main, f"suite={tmp_path / 'suite.yaml'}", *few, "queries=50", "searcher=random_search"),
        (1, fidelity.main, *asha),
        (1, fidelity_compare.main, tmp_path / "r/climbing/fidelity/asha", f"out={tmp_path / 'f'}"),
        (1, plot.main, *folders, f"out={tmp_path / 'p.png'}"),
        (4, compare.main, *folders, "resamples=10"),
        (1, overtuning.main, *folders),
        (2, analyze.main, f"table={table.folder}", f"out={tmp_path / 'a'}", "figures=2,6", "dpi=30"),
    ):
        command.passes(main, *words)
        assert (len(feet), all(feet)) == (pictures, True), main.__module__
        feet.clear()
        command.passes(main, *words, "foot=false")
        assert feet == [], main.__module__


def test_plot_takes_words_as_the_others_do(tmp_path: Path, command: Command) -> None:
    assert "[out=trajectories.png]" in command.passes(plot.main, "--help")[0]
    for words, said in (
        (["out=x.png"], "expected result folders"),
        ([tmp_path, "colour=red"], "unknown key 'colour'; valid keys: out"),
        ([tmp_path], "holds no results"),
    ):
        assert said in command.fails(plot.main, *words)


@pytest.mark.usefixtures("real_pictures")
def test_the_legend_of_many_hides_no_curve_and_the_axis_ends_with_the_budget() -> None:
    rng = np.random.default_rng(0)
    names = (*ALL_SEARCHERS, "mine", "yours")[:9]
    curves = [Curve(name, np.maximum.accumulate(rng.random((5, 30 + 10 * k)), axis=1)) for k, name in enumerate(names)]
    axes = draw_trajectories(curves, ylabel="accuracy", random_expectation=curves[0].best[0])
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    legend = axes.get_legend().get_window_extent()
    assert legend.x0 > axes.get_window_extent().x1
    assert legend.x1 <= figure.bbox.x1
    assert axes.get_xlim() == (1, 30), "what runs queried beyond their budget is not drawn"
    marks = [(line.get_color(), str(line.get_linestyle()), line.get_marker()) for line in axes.get_lines()[:9]]
    assert len(set(marks)) == 9


@pytest.mark.usefixtures("real_pictures")
def test_users_text_is_no_formula_and_the_users_settings_do_not_matter(tmp_path: Path) -> None:
    best = np.maximum.accumulate(np.random.default_rng(0).random((5, 30)), axis=1)
    with mpl.rc_context({"text.usetex": True}):
        axes = draw_trajectories([Curve("$x^$", best), Curve("a$b_$", best)], ylabel="$y^$ (%)")
        save_figure(axes, tmp_path / "picture.png", note="table $t^$: made up")
    assert (tmp_path / "picture.pdf").exists()
    assert not any(text.get_usetex() for text in axes.get_figure(root=True).findobj(Text))  # type: ignore[union-attr]


@pytest.mark.usefixtures("real_pictures")
def test_a_searcher_may_have_any_name(table: Table, tmp_path: Path, command: Command) -> None:
    more = ("searcher=random_search", "runs=2", "queries=5", "name=$x^$")
    command.passes(run.main, *words(table, tmp_path, *more))
    assert (tmp_path / "small/$x^$/trajectory.pdf").exists()


def test_no_backend_of_the_users_is_asked_for(tmp_path: Path) -> None:
    script = "from nasbench_ar.system import command; command.run_command(lambda _: __import__('pylab'), [])"
    environment = os.environ | {"MPLBACKEND": "nonsense"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_table2_runs_all_and_prints_all(table: Table, tmp_path: Path, command: Command) -> None:
    out = command.passes(table2.main, *words(table, tmp_path))[0]
    for name in (*SEARCHERS, *BASELINES):
        assert name in out
        assert (tmp_path / "small" / name / "summary.csv").exists()
    tex = (tmp_path / "small/table2.tex").read_text()
    assert r"\caption{Accuracy (\%) of the best architecture found: 6 runs of 40 queries" in tex
    assert all(sign in tex for sign in ("$\\approx$: not sig", "Bold: best", r"\label{tab:table2}", "& BANANAS"))
    assert r"$\dagger$} measured otherwise than in the paper: ten steps." in tex
    assert "Test PGD20†" in out
    assert "Test PGD20 (ten steps)" not in out
    assert {"table2.md", "table2.csv", "table2.tex", "table2.png", "table2.pdf"} <= {
        p.name for p in (tmp_path / "small").iterdir()
    }
    assert "Not in this table" in out
    assert "published" not in out.split("Mean ± standard")[0], "another space has no published line"
    lines = list(csv.DictReader(io.StringIO((tmp_path / "small/table2.csv").read_text())))
    runs = {line["searcher"]: line["runs"] for line in lines if line["metric"] == "val_pgd_acc"}
    assert runs == {**dict.fromkeys([*SEARCHERS, *BASELINES], "6"), "one of the 50 largest": ""}
    assert len(lines) == 2 * len(runs)


@pytest.fixture(scope="module")
def experiments(table: Table, tmp_path_factory: pytest.TempPathFactory) -> list[Experiment]:
    config = parse_command_line(words(table, tmp_path_factory.mktemp("table2")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "LAYOUT", None)
        return table2.run_all(config, Oracle(table))


def test_best_is_bold_and_ties_are_marked(experiments: list[Experiment]) -> None:
    best, p_values = side_by_side.compare(experiments, 0)
    means = [e.rows[0].spread.mean for e in experiments]
    assert best == int(np.argmax(means))
    assert np.isnan(p_values[best])
    _, lines = side_by_side.table_lines(experiments)
    assert [cell.startswith("**") for cell in lines[0][2:]] == [k == best for k in range(6)]
    twin = [experiments[0], replace(experiments[0])]
    assert side_by_side.compare(twin, 0)[1][1] == 1.0


def test_rows_with_few_values_are_not_compared(experiments: list[Experiment]) -> None:
    values = np.array([99.0, *[np.nan] * 5])
    rows = list(experiments[1].rows)
    rows[1] = replace(rows[1], values=values, spread=spread(values))
    changed = [experiments[0], replace(experiments[1], rows=rows), *experiments[2:]]
    assert side_by_side.compare(changed, 1)[0] is None
    line = side_by_side.table_lines(changed)[1][1]
    assert line[3] == "99.00 [1]"
    assert "**" not in "".join(line)
    few = [line.split(",") for line in side_by_side.as_csv(changed).splitlines() if "local_search" in line][1]
    assert few[-3:] == ["1", "", ""]


ALONE = (
    "table2 is the published comparison, without limits and noise; use python -m experiments.run for each searcher, "
    "and experiments.plot"
)


@pytest.mark.parametrize("word", ["searcher=bananas", "searcher.steps=3", "name=x"])
def test_table2_runs_every_searcher(command: Command, word: str) -> None:
    assert "runs every searcher" in command.fails(table2.main, word)


@pytest.mark.parametrize("word", ["constraint=macs<=10e9", "noise=run", "images=500"])
def test_table2_has_neither_limits_nor_noise(word: str, command: Command) -> None:
    assert command.fails(table2.main, word) == f"error: {word!r}: {ALONE}"
    assert word.partition("=")[0] not in command.passes(table2.main, "--help")[0].split()
