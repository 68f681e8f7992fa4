"""Noise of what a search sees: its law, what it is shared by, and what the report makes of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from experiments import run
from experiments.races.noise import images_behind, images_of, observer, redraw, standard_error, tied_with_best
from experiments.races.race import Race
from experiments.races.runner import run_once
from experiments.results.judged import judge
from experiments.results.read import read
from nasbench_ar import ConfigError, Oracle, Table, load
from tests.experiments.conftest import Command
from tests.experiments.test_run import words
from tests.files import rows_of


def test_standard_error_by_hand() -> None:
    assert float(standard_error(38.8)) == pytest.approx(1.0896, abs=1e-4)  # 100 sqrt(.388 .612 / 2000)
    assert float(standard_error(50.0, images=100)) == pytest.approx(5.0)


def test_ties_by_hand() -> None:
    # against 50 % of 100 images: limit 1.645 * 5 * sqrt(2) = 11.6 points, a little less further down
    tied = tied_with_best(np.array([50.0, 39.0, 38.0, np.nan]), images=100)
    assert tied.tolist() == [True, True, False, False]


def test_draws_are_binomial() -> None:
    rate, images = 0.388, 2000
    draws = redraw(np.full(40_000, 100 * rate), images, np.random.default_rng(1)) / 100
    variance = rate * (1 - rate) / images
    assert draws.mean() == pytest.approx(rate, abs=5 * np.sqrt(variance / len(draws)))
    assert draws.var() == pytest.approx(variance, rel=0.04)  # its own standard error is 0.7 %
    assert np.allclose(draws * images, np.round(draws * images)), "whole images"
    assert redraw(np.array([0.0, 100.0]), 10, np.random.default_rng(0)).tolist() == [0.0, 100.0]


@pytest.mark.parametrize("noise", ["run", "query"])
def test_both_kinds_have_the_same_law(noise: str) -> None:
    column = np.full(20_000, 50.0)
    see = observer(column, noise, images=100, seed=3)
    assert see is not None
    seen = np.array([see(index, 50.0) for index in range(20_000)])
    assert seen.mean() == pytest.approx(50.0, abs=0.2)
    assert seen.std() == pytest.approx(5.0, rel=0.03)


def test_a_run_has_one_table_and_a_query_none() -> None:
    column = np.array([30.0, 40.0, 50.0, np.nan])

    def seen(noise: str, order: list[int], seed: int = 0) -> dict[int, float]:
        see = observer(column, noise, images=1000, seed=seed)
        assert see is not None
        return {index: see(index, float(column[index])) for index in order}

    assert seen("run", [0, 1, 2]) == seen("run", [2, 0, 1])
    assert seen("run", [0, 1, 2]) != seen("run", [0, 1, 2], seed=1)
    assert seen("query", [0, 1, 2]) == seen("query", [0, 1, 2])
    assert seen("query", [0, 1, 2]) != seen("query", [2, 0, 1])
    assert observer(column, "none", images=1000, seed=0) is None


@pytest.mark.parametrize("searcher", ["published_local_search", "random_search"])
def test_a_run_is_worth_what_it_reports(table: Table, tmp_path: Path, command: Command, searcher: str) -> None:
    """Ties are often: among them the published local search reports the last, the others the first."""
    given = words(table, tmp_path, f"searcher={searcher}", "noise=query", "images=20", "queries=40")
    command.passes(run.main, *given)
    stored = read(tmp_path / "small" / searcher)
    judged = judge(stored.oracle, stored.race, stored.runs)
    np.testing.assert_array_equal(judged.true, stored.oracle.column("val_pgd_acc")[stored.runs.incumbent])
    for row, index in enumerate(stored.runs.arch_index):
        score = dict(zip(index.tolist(), stored.runs.scores[row].tolist(), strict=True))
        assert judged.observed[row].tolist() == [score[found] for found in stored.runs.incumbent[row].tolist()]


@pytest.mark.parametrize("noise", ["run", "query"])
def test_runs_depend_on_their_seed_alone(table: Table, noise: str) -> None:
    settings = {"objective": "val_pgd_acc", "queries": 30, "searcher": "searchers.random_search.RandomSearch"}
    race = Race(table=str(table.folder), noise=noise, images=500, **settings)  # type: ignore[arg-type]
    first, again, plain = run_once(race, 3), run_once(race, 3), run_once(dataclasses.replace(race, noise="none"), 3)
    np.testing.assert_array_equal(first.scores, again.scores)
    np.testing.assert_array_equal(first.arch_index, plain.arch_index)
    difference = first.scores - plain.scores
    assert 0.5 < difference.std() < 5, "a standard error is about 2 points"


def test_the_report_tells_both_values(table: Table, tmp_path: Path, command: Command) -> None:
    out = command.passes(run.main, *words(table, tmp_path, "noise=run", "images=300", "queries=60"))[0]
    assert "Noise run: the searcher saw Binomial(300, rate) draws" in out
    assert "Regret of the incumbent, true value" in out
    assert "Regret of the incumbent, observed value: -" in out, "it believes to have found more than there is"
    folder = tmp_path / "small/random_search"
    pack = np.load(folder / "trajectories.npz")
    column = Oracle(table).column("val_pgd_acc")
    np.testing.assert_allclose(pack["true_scores"], column[pack["arch_index"]])
    assert np.abs(pack["scores"] - pack["true_scores"]).max() > 1
    np.testing.assert_allclose(pack["true_incumbent"][:, -1], column[pack["reported"]])
    np.testing.assert_allclose(pack["observed_incumbent"][:, -1], pack["scores"].max(axis=1), rtol=1e-6)
    rows = rows_of(folder / "judged.csv")
    assert len(rows) == 60
    assert float(rows[-1]["true_regret"]) == pytest.approx(column.max() - pack["true_incumbent"][:, -1].mean())
    summary = rows_of(folder / "summary.csv")[0]
    assert float(summary["mean"]) == pytest.approx(column[pack["reported"]].mean()), "true values in the summary"
    err = command.fails(run.main, *words(table, tmp_path, "noise=query", "images=300", "queries=60"))
    assert "noise was 'run', is 'query'" in err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("noise=some", "noise='some': expected one of none, run, query"),
        ("images=200", "together with noise=run or query"),
        ("noise=run images=0", "expected an integer from 1"),
        ("noise=run images=200 objective=val_loss", "val_loss is no validation accuracy in percent"),
        ("noise=run images=200 objective=macs", "it is no"),
        ("noise=run", "does not tell how many validation images there were; give images="),
        ("noise=run images=9 objective=val_pgd_acc,macs", "noise is for one objective"),
        ("noise=run images=9 constraint=val_loss<=2", "only what is known before training can be limited"),
    ],
)
def test_errors(table: Table, tmp_path: Path, command: Command, change: str, message: str) -> None:
    assert message.replace("it is no", "macs is no validation accuracy") in command.fails(
        run.main, *words(table, tmp_path, *change.split())
    )


def test_the_number_of_images() -> None:
    oracle = load("nares-figures", quiet=True)
    assert images_of(oracle, None) == 2000
    assert images_of(oracle, 7) == 7
    oracle.table.meta["source"]["dataset"] = {"val": {"images": 200}}
    assert images_of(oracle, None) == 200
    with pytest.raises(ConfigError):
        images_of(Oracle(_other_space()), None)


def _other_space() -> Table:
    table = load("nares-figures", quiet=True).table
    table.space = dataclasses.replace(table.space, unit_channels=4)
    return table


def test_images_behind_a_metric(table: Table) -> None:
    nares = load("nares-figures", quiet=True)
    assert images_behind(nares, "val_best_pgd_acc") == images_behind(nares, "val_best_clean_acc") == 2000
    assert images_behind(nares, "test_pgd_acc") is None
    assert images_behind(Oracle(table), "val_loss") is None
    assert images_behind(Oracle(table), "val_pgd_acc") is None, "the table does not tell"
