"""`python -m experiments.compare`: numbers by hand, files, refusals."""

from __future__ import annotations

import errno
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments import compare as command_line
from experiments import run
from experiments.plots import comparison as pictures
from experiments.results import comparison_text
from experiments.results.comparison import Comparison, compare
from experiments.statistics.intervals import binomial_interval, mean_interval
from experiments.statistics.significance import holm, paired_wilcoxon
from nasbench_ar import ConfigError, Metric, MetricError, Oracle, ResultsError, Table, TableWriter
from tests.experiments.conftest import Command, store_runs
from tests.files import rows_of
from tests.nasbench_ar.test_from_frame import ABOUT, ACCURACY

QUERIES = 12
FILES = {"comparison.md", "comparison.csv", "comparison.tex", "pairs.csv", "recommendation.csv", "targets.csv"} | {
    f"{name}.{kind}" for name in ("anytime", "ecdf", "profile", "ranks") for kind in ("csv", "png", "pdf")
}


def queried(oracle: Oracle, skill: float, seeds: range) -> dict[int, list[int]]:
    """Distinct architectures per seed, the better the more skill."""
    column = oracle.column("val_pgd_acc")
    out = {}
    for seed in seeds:
        rng = np.random.default_rng([seed, int(100 * skill)])
        noise = rng.gumbel(size=len(column))
        out[seed] = np.argsort(-(skill * column + noise))[:QUERIES][::-1].tolist()
    return out


@pytest.fixture(scope="module")
def stored(table: Table, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    results = tmp_path_factory.mktemp("results")
    skills = {"poor": 0.0, "fair": 0.5, "good": 1.0}
    return [
        store_runs(results / name, table, queried(Oracle(table), skill, range(25))) for name, skill in skills.items()
    ]


@pytest.fixture
def folders(stored: list[Path], tmp_path: Path) -> list[Path]:
    """Result folders of one's own."""
    shutil.copytree(stored[0].parent, tmp_path / "results")
    return [tmp_path / "results" / folder.name for folder in stored]


@pytest.fixture(scope="module")
def comparison(stored: list[Path]) -> Comparison:
    return compare(stored, at=(6, 12), resamples=100)


def test_courses_by_definition(comparison: Comparison, table: Table) -> None:
    column = Oracle(table).column("val_pgd_acc")
    poor = comparison.courses[0]
    order = queried(Oracle(table), 0.0, range(25))
    for row, seed in enumerate(poor.seeds.tolist()):
        assert poor.values[row].tolist() == np.maximum.accumulate(column[order[seed]]).tolist()
    assert (np.diff(poor.mean) <= 1e-12).all()
    assert poor.known.tolist() == [25] * QUERIES
    assert tuple(poor.mean_band[3]) == pytest.approx(mean_interval(poor.regret[:, 3]))
    assert poor.median_band[5].tolist() == pytest.approx(np.quantile(poor.regret[:, 5], (0.25, 0.75)))
    assert comparison.optimum == column.max()


def test_standings_by_definition(comparison: Comparison, table: Table) -> None:
    assert [(s.budget, s.name) for s in comparison.standings[3:]] == [(12, "poor"), (12, "fair"), (12, "good")]
    good = comparison.standings[-1]
    ends = comparison.courses[2].values[:, 11]
    assert (good.runs, good.mean, good.median) == (25, ends.mean(), np.median(ends))
    assert (good.std, good.interval) == (ends.std(ddof=1), mean_interval(ends))
    assert good.regret == pytest.approx(comparison.optimum - ends.mean())
    found = int((ends == comparison.optimum).sum())
    assert 0 < found < 25
    assert (good.solved, good.solved_interval) == (found / 25, binomial_interval(found, 25))
    column = Oracle(table).column("val_pgd_acc")
    areas = (column.max() - comparison.courses[2].values.mean(axis=1)) / (column.max() - np.median(column))
    assert (good.area, *good.area_interval) == pytest.approx((areas.mean(), *mean_interval(areas)))
    early = (column.max() - comparison.courses[2].values[:, :6]).mean() / (column.max() - np.median(column))
    assert comparison.standings[2].area == pytest.approx(early), "within its budget"


def test_pairs_by_definition(comparison: Comparison) -> None:
    assert [(p.budget, {p.first, p.second}) for p in comparison.pairs[:3]] == [
        (6, {"poor", "fair"}),
        (6, {"poor", "good"}),
        (6, {"fair", "good"}),
    ]
    pair = next(p for p in comparison.pairs if p.budget == 12 and {p.first, p.second} == {"poor", "good"})
    good, poor = comparison.courses[2].values[:, 11], comparison.courses[0].values[:, 11]
    assert (pair.first, pair.second, pair.pairs) == ("good", "poor", 25)
    assert pair.advantage == pytest.approx((good - poor).mean())
    assert pair.p_value == paired_wilcoxon(good, poor)
    for budget in (6, 12):
        family = [p for p in comparison.pairs if p.budget == budget]
        assert [p.p_holm for p in family] == holm([p.p_value for p in family])
        assert min(p.p_holm for p in family) == pytest.approx(3 * min(p.p_value for p in family))
    assert pair.superiority == pytest.approx(((good[:, None] > poor) + (good[:, None] == poor) / 2).mean())
    assert pair.superiority_interval[0] < pair.superiority < pair.superiority_interval[1]
    assert pair.cliffs_delta == pytest.approx(2 * pair.superiority - 1)
    assert pair.cohens_d == pytest.approx((good - poor).mean() / (good - poor).std(ddof=1))
    assert pair.seeds_t is not None
    assert pair.seeds_wilcoxon == pytest.approx(pair.seeds_t, abs=6)


def test_ranks_and_profiles_by_definition(comparison: Comparison) -> None:
    ranking = comparison.rankings[-1]
    ends = np.column_stack([c.values[:, -1] for c in comparison.courses])
    wins = (ends[:, None, :] > ends[:, :, None]).sum(axis=2) + (ends[:, None, :] == ends[:, :, None]).sum(axis=2) / 2
    assert list(ranking.average.values()) == pytest.approx((wins + 0.5).mean(axis=0))
    assert (ranking.seeds, ranking.budget) == (25, 12)
    for profile, course in zip(comparison.profiles, comparison.courses, strict=True):
        assert profile.share[-1] == 1
        assert profile.share[0] == (course.regret[:, -1] == 0).mean()
        assert (profile.band[:, 0] <= profile.share).all()
        assert (profile.share <= profile.band[:, 1]).all()


def test_a_loss_is_better_when_it_is_lower(stored: list[Path]) -> None:
    accuracy = compare(stored[::2], resamples=10)
    loss = compare(stored[::2], metric="val_loss", resamples=10)  # 3 - accuracy / 20
    assert (loss.maximize, loss.optimum) == (False, pytest.approx(3 - accuracy.optimum / 20))
    assert loss.pairs[0].first == accuracy.pairs[0].first == "good"
    assert loss.pairs[0].advantage == pytest.approx(accuracy.pairs[0].advantage / 20)
    assert loss.pairs[0].superiority == accuracy.pairs[0].superiority
    assert loss.rankings[0].average == accuracy.rankings[0].average
    assert loss.standings[0].area == pytest.approx(accuracy.standings[0].area), "without a unit"
    assert loss.random_search.mean == pytest.approx(accuracy.random_search.mean / 20)
    assert [r.successes for r in loss.targets] == [r.successes for r in accuracy.targets if r.runs]
    assert {r.runs for r in loss.targets} == {25}, "the accuracy guides random search, not the loss"
    assert any("has no line in targets: val_pgd_acc, not val_loss" in note for note in loss.notes)
    assert loss.ecdfs[0].share.tolist() == accuracy.ecdfs[0].share.tolist()


def test_a_test_metric_is_read_at_the_reported_architecture(stored: list[Path], table: Table) -> None:
    comparison = compare(stored, metric="test_pgd_acc", resamples=10)
    column = Oracle(table).column("test_pgd_acc")
    good = comparison.courses[2]
    reported = [row[-1] for row in good.values]
    objective = Oracle(table).column("val_pgd_acc")
    order = queried(Oracle(table), 1.0, range(25))
    expected = [column[max(order[seed], key=lambda k: objective[k])] for seed in good.seeds.tolist()]
    np.testing.assert_array_equal(reported, expected)
    missing = int(np.isnan(expected).sum())
    assert missing
    assert any(f"good {missing} of 25" in note for note in comparison.notes)
    assert comparison.standings[2].runs == 25 - missing
    assert comparison.pairs[-1].pairs < 25


def test_unequal_seeds_are_paired_where_both_have_them(stored: list[Path], table: Table, tmp_path: Path) -> None:
    few = store_runs(tmp_path / "few", table, queried(Oracle(table), 0.7, range(20, 40)))
    comparison = compare([stored[0], few], resamples=10)
    assert comparison.pairs[0].pairs == comparison.rankings[0].seeds == 5
    assert "different seeds (poor 25, few 20)" in comparison.notes[0]
    far = store_runs(tmp_path / "far", table, queried(Oracle(table), 0.7, range(40, 50)))
    comparison = compare([stored[0], far], resamples=10)
    pair = comparison.pairs[0]
    assert (pair.pairs, pair.seeds_t, pair.seeds_wilcoxon) == (0, None, None)
    assert math.isnan(pair.p_value)
    assert not math.isnan(pair.superiority)
    assert "No seed has a value" in comparison_text.as_text(comparison)
    command_line.write_comparison(comparison, tmp_path / "out")


@pytest.mark.usefixtures("real_pictures")
def test_searchers_that_end_alike(table: Table, tmp_path: Path) -> None:
    runs = queried(Oracle(table), 0.5, range(8))
    folders = [store_runs(tmp_path / name, table, runs) for name in "abc"]
    comparison = compare(folders, resamples=10)
    pair = comparison.pairs[0]
    assert (pair.advantage, pair.p_holm, pair.superiority, pair.cohens_d) == (0, 1, 0.5, 0)
    assert (pair.seeds_t, pair.seeds_wilcoxon) == (None, None)
    assert comparison.rankings[0].cliques == (("a", "b", "c"),)
    assert " never |" in comparison_text.as_text(comparison)
    command_line.write_comparison(comparison, tmp_path / "out")
    assert {path.name: path.read_bytes()[:5] for path in (tmp_path / "out").glob("*.p*")} == {
        f"{name}.{kind}": start
        for name in ("anytime", "ecdf", "profile", "ranks")
        for kind, start in (("png", b"\x89PNG\r"), ("pdf", b"%PDF-"))
    }


def test_one_run_each_is_drawn_without_bands(table: Table, tmp_path: Path) -> None:
    folders = [store_runs(tmp_path / name, table, queried(Oracle(table), 0.5, range(1))) for name in "ab"]
    comparison = compare(folders)
    assert " – |" in comparison_text.as_text(comparison)
    command_line.write_comparison(comparison, tmp_path / "out")


def test_a_given_difference(stored: list[Path]) -> None:
    few = compare(stored[:2], difference=2.0, resamples=10).pairs[0]
    many = compare(stored[:2], difference=0.5, resamples=10).pairs[0]
    assert few.target == 2.0
    assert few.advantage == many.advantage
    assert few.seeds_t < many.seeds_t  # type: ignore[operator]
    assert few.seeds_wilcoxon < many.seeds_wilcoxon  # type: ignore[operator]


def test_notes_on_runs_that_are_not_alike(table: Table, tmp_path: Path) -> None:
    even = store_runs(tmp_path / "even", table, {0: [0, 1, 2], 1: [3, 4, 5]})
    other = store_runs(tmp_path / "other", table, {0: [6, 7, 8], 1: [3, 4, 5]})
    assert compare([even, other], resamples=10).notes == (), "runs that keep to the budget need none"
    odd = store_runs(tmp_path / "odd", table, {0: [0, 1, 2, 3], 1: [3]}, queries=3)
    notes = " ".join(compare([even, odd], resamples=10).notes)
    assert "1 of 2 runs of odd queried more than 3" in notes
    assert "1 runs of odd ended early" in notes


def test_what_each_run_reported_counts(table: Table, tmp_path: Path) -> None:
    """Also where it is not the best by the objective."""
    even = store_runs(tmp_path / "even", table, {0: [0, 1, 2], 1: [3, 4, 5]})
    own = store_runs(tmp_path / "own", table, {0: [0, 5, 2], 1: [3, 4, 5]}, reported={0: 2, 1: 5})
    column = Oracle(table).column("val_pgd_acc")
    values = compare([even, own], resamples=10).courses[1].values
    assert values[:, [0, -1]].tolist() == column[[[0, 2], [3, 5]]].tolist()


def test_cliques_by_nemenyi(stored: list[Path]) -> None:
    ranking = compare(stored, joined_by="nemenyi", resamples=10).rankings[0]
    best, second, worst = sorted(ranking.average, key=lambda name: ranking.average[name])
    near = ranking.average[second] - ranking.average[best] <= ranking.critical_difference
    assert near == any({best, second} <= set(clique) for clique in ranking.cliques)
    assert not any({best, worst} <= set(clique) for clique in ranking.cliques)


def test_pictures_carry_the_numbers(comparison: Comparison) -> None:
    figure = pictures.draw_anytime(comparison)
    above, below = figure.axes
    for axes, kind in ((above, "mean"), (below, "median")):
        for line, course in zip(axes.get_lines(), [*comparison.courses, comparison.random_search], strict=True):
            np.testing.assert_array_equal(line.get_ydata(), getattr(course, kind))
    axes = pictures.draw_profile(comparison)
    drawn = [*comparison.profiles, comparison.random_search.profile]
    for line, profile in zip(axes.get_lines(), drawn, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), profile.share)
    for line, found in zip(pictures.draw_ecdf(comparison).get_lines(), comparison.ecdfs, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), found.share)
    texts = {text.get_text() for text in pictures.draw_ranks(comparison).texts}
    for name, rank in comparison.rankings[-1].average.items():
        assert f"{name} {rank:.2f}" in texts
    nemenyi = replace(comparison.rankings[-1], joined_by="nemenyi")
    axes = pictures.draw_ranks(replace(comparison, rankings=(nemenyi,)))
    assert any(text.get_text().startswith("CD ") for text in axes.texts)


def test_no_letter_is_smaller_than_seven_points(comparison: Comparison) -> None:
    for axes in (
        pictures.draw_anytime(comparison).axes[0],
        pictures.draw_ecdf(comparison),
        pictures.draw_profile(comparison),
    ):
        figure = axes.get_figure(root=True)
        assert figure is not None
        assert figure.get_figwidth() == pictures.WIDTH
        texts = [t for t in figure.findobj(lambda artist: hasattr(artist, "get_fontsize")) if t.get_text()]
        assert texts
        assert min(text.get_fontsize() for text in texts) >= 7


def test_command(folders: list[Path], command: Command, tmp_path: Path) -> None:
    out = command.passes(command_line.main, *folders, "at=6,12", "resamples=50")[0]
    folder = folders[0].parent / "comparison"
    assert {path.name for path in folder.iterdir()} == FILES
    assert "3 searchers compared on Val PGD20 (%), 12 queries a run" in out
    assert "Ranks over 25 seeds. Friedman" in out
    assert "## After 6 queries" in (folder / "comparison.md").read_text()
    standings = rows_of(folder / "comparison.csv")
    assert [(line["budget"], line["name"]) for line in standings[:2]] == [("6", "poor"), ("6", "fair")]
    assert [line["runs"] for line in standings[6:]] == ["", ""], "random search at both budgets"
    assert float(standings[0]["mean_low"]) < float(standings[0]["mean"]) < float(standings[0]["mean_high"])
    pairs = rows_of(folder / "pairs.csv")
    assert len(pairs) == 6
    assert float(pairs[0]["advantage_low"]) < float(pairs[0]["advantage"]) < float(pairs[0]["advantage_high"])
    assert len((folder / "anytime.csv").read_text().splitlines()) == 1 + 4 * 12, "and random search"
    assert (folder / "comparison.tex").read_text().count(r"\begin{tabular}") == 2
    ranks = rows_of(folder / "ranks.csv")
    assert [line["budget"] for line in ranks] == ["6"] * 3 + ["12"] * 3
    out, _ = command.passes(command_line.main, *folders, "at=6,12", "resamples=50", f"out={tmp_path / 'a' / 'b'}")
    assert str(tmp_path / "a/b") in out
    for name in FILES:
        assert (folder / name).read_bytes() == (tmp_path / "a/b" / name).read_bytes(), "equal runs, equal files"
    command.passes(command_line.main, *folders, "metric=val_loss", "resamples=50")
    assert (folder.parent / "comparison-val_loss/comparison.md").exists()


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("at=13", "the runs have 12 queries"),
        ("at=0", "budgets from 1 to 12"),
        ("at=a,b", "expected whole numbers"),
        ("difference=0", "expected a positive number"),
        ("difference=nan", "expected a positive number"),
        ("difference=much", "expected a number"),
        ("cliques=friends", "expected wilcoxon or nemenyi"),
        ("resamples=0", "resamples='0': expected a whole number from 1 to 10000000"),
        ("metric=best_epoch", "metrics to compare on: objective"),
        ("metric=test_aa_acc", "is not in table small"),
        ("metric=val_pdg_acc", "did you mean val_pgd_acc"),
        ("nowhere", "holds no results"),
        ("metric=" + "x" * 256, "unknown metric"),
        ("x" * 256, "File name too long"),
    ],
)
def test_wrong_words_are_one_line(stored: list[Path], command: Command, word: str, said: str) -> None:
    assert said in command.fails(command_line.main, *stored, word)


def test_refusals(stored: list[Path], table: Table, tmp_path: Path, command: Command) -> None:
    with pytest.raises(ConfigError, match="two or more"):
        compare(stored[:1])
    longer = store_runs(tmp_path / "longer", table, {0: list(range(20))})
    with pytest.raises(ResultsError, match="queries is 20, not 12"):
        compare([stored[0], longer])
    with pytest.raises(MetricError):
        compare(stored, metric="nonsense")
    (tmp_path / "file").write_text("")
    assert "cannot write" in command.fails(command_line.main, *stored, "resamples=10", f"out={tmp_path / 'file'}")
    command.fails(command_line.main)
    assert "difference=" in command.passes(command_line.main, "--help")[0]


def test_what_is_no_experiment_is_left_out(folders: list[Path], command: Command) -> None:
    """As in `compare results/<table>/*`, a second time."""
    place = folders[0].parent
    (place / "table2.csv").write_text("")
    (place / "comparison").mkdir()
    given = [place / "comparison", *folders, place / "table2.csv"]
    out, err = command.passes(command_line.main, *given, "resamples=10")
    assert "3 searchers compared" in out
    left_out = [f"nasbench-ar: {place / name} is no experiment" for name in ("comparison", "table2.csv")]
    assert [line.split(",")[0] for line in err.splitlines()] == left_out
    (folders[0] / "config.yaml").unlink()  # runs without a configuration are no reason to go on without them
    assert f"{folders[0]} holds no results" in command(command_line.main, *given, "resamples=10")[2]
    assert command(command_line.main, place / "comparison", place / "table2.csv")[0] == 2


def test_a_comparison_beside_runs_on_a_read_only_disk(
    stored: list[Path], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    code, out, err = command(command_line.main, *stored, "resamples=10")
    assert (code, "searchers compared" in out) == (2, True)
    assert err.strip().endswith("comparison: Read-only file system; choose another out=")


def test_what_cannot_be_queried_is_no_target(tmp_path: Path, command: Command) -> None:
    """The best by the test metric have no value of the objective: nobody can choose them."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"a": np.repeat(range(10), 10), "b": np.tile(range(10), 10), "test_acc": rng.uniform(50, 90, 100)}
    )
    frame["val_acc"] = frame.test_acc.where(frame.test_acc.rank() <= 80)
    metrics = [ACCURACY, Metric("test_acc", "Test accuracy", "test", "%", True, "made up")]
    table = TableWriter.from_frame(frame, tmp_path / "mine", entries=["a", "b"], metrics=metrics, **ABOUT)
    for name in ("one", "other"):
        asked = (f"table={table}", "queries=80", "runs=3", "jobs=1", f"out={tmp_path}", f"name={name}")
        command.passes(run.main, "searcher=random_search", *asked)
    found = compare([tmp_path / "mine" / name for name in ("one", "other")], metric="test_acc", resamples=10)
    assert found.optimum == frame.test_acc[frame.val_acc.notna()].max()
    assert [one.regret for one in found.standings] == [0, 0]
    assert {one.successes for one in found.targets} == {3}
    assert found.ecdfs[0].share[-1] == 1
