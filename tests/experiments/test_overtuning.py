"""`python -m experiments.overtuning`: its numbers against the table, its files, what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments import overtuning as command_line
from experiments.experiment import run_experiment
from experiments.plots.overtuning import draw_overtuning
from experiments.races.config import RunConfig
from experiments.results.baselines import one_of_the_largest, random_search
from experiments.results.overtuning import overtuning
from experiments.results.overtuning_text import as_text
from nasbench_ar import Oracle, Table, load
from tests.experiments.conftest import SPACE, Command, store_runs, table_writer
from tests.files import rows_of

QUERIES = 12
FILES = {"overtuning.md", "ledger.csv", "turns.csv", "overtuning.png", "overtuning.pdf"}


@pytest.fixture(scope="module")
def misleading(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Test accuracy rises with the objective up to 34 and falls after that; AA-Compact is known of one in four."""
    folder = tmp_path_factory.mktemp("table") / "misleading"
    with table_writer(folder, "misleading") as writer:
        for index in range(SPACE.size):
            value = 30 + 6 * ((index * 37) % SPACE.size) / SPACE.size
            scalars = {"val_pgd_acc": value, "val_loss": -value}
            if index % 11:
                scalars["test_pgd_acc"] = 50 - abs(value - 34)
                scalars["test_loss"] = -scalars["test_pgd_acc"]
            if index % 4 == 1:
                scalars["test_aa_acc"] = value
            writer.add(SPACE.from_index(index), seed=0, scalars=scalars)
    return Table(folder)


def orders(seed: int) -> dict[int, list[int]]:
    rng = np.random.default_rng(seed)
    return {run: rng.permutation(SPACE.size)[:QUERIES].tolist() for run in range(40)}


@pytest.fixture(scope="module")
def stored(misleading: Table, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    results = tmp_path_factory.mktemp("results")
    return [store_runs(results / name, misleading, orders(seed)) for seed, name in enumerate(("one", "two"))]


def test_numbers_of_the_table(stored: list[Path], misleading: Table) -> None:
    found = overtuning(stored)
    oracle = Oracle(misleading)
    objective, test = oracle.column("val_pgd_acc"), oracle.column("test_pgd_acc")
    best = np.nanmax(test)
    assert found.optimum == best
    for seed, one in enumerate(found.ledgers):
        for row, queried in enumerate(orders(seed).values()):
            incumbents = [max(queried[: n + 1], key=lambda k: objective[k]) for n in range(QUERIES)]
            np.testing.assert_allclose(one.validation.regret[row], objective.max() - objective[incumbents])
            np.testing.assert_allclose(one.test.regret[row], best - test[incumbents])
    members = oracle.space.member_indices
    assert found.random is not None
    for n in (1, 5, QUERIES):
        law = random_search(objective, members, n, maximize=True)
        regrets = objective.max() - law.spread(objective).mean, best - law.spread(test).mean
        assert tuple(mean[n - 1] for mean in found.random) == pytest.approx(regrets)
    name, seen, tested = found.largest
    law = one_of_the_largest(oracle.space, members, 50)
    assert name == law.name
    assert (seen, tested) == pytest.approx((objective.max() - law.spread(objective).mean, best - law.spread(test).mean))


def test_more_search_hurts_where_validation_misleads(stored: list[Path]) -> None:
    found = overtuning(stored)
    for one in found.ledgers:
        assert one.turn.harm
        assert one.turn.query is not None
        assert 1 < one.turn.query < QUERIES
        assert one.worse[-1] > 0.5
    text = as_text(found)
    assert "More search hurt on average: one after " in text
    assert "no test value for 8 of 81 architectures" in text
    assert "[n] runs whose first and last incumbents have test values and that gained at least 0.1 points" in text
    ends = [len(np.unique(one.ends)) for one in found.ledgers]
    assert f"Networks that the runs end on: one {ends[0]}, two {ends[1]}." in text
    assert "recoveries" not in text
    order = np.argsort(found.oracle.column("macs"), kind="stable")
    few = int((~np.isnan(found.oracle.column("test_pgd_acc"))[order[-50:]]).sum())
    assert f"One of the 50 largest: {few} of 50 have a test value." in text


def test_values_that_recoveries_do_not_agree_on_are_counted(tmp_path: Path) -> None:
    oracle = load("nares-figures", quiet=True)
    agree, known = oracle.flag("test_pgd_acc_agree"), ~np.isnan(oracle.column("test_pgd_acc"))
    sure, unsure = np.flatnonzero(agree & known)[:1].tolist(), np.flatnonzero(~agree & known)[:3].tolist()
    without = np.flatnonzero(agree & ~known)[:1].tolist()  # a run that ends on it is not counted
    runs = {seed: [index] for seed, index in enumerate(sure + unsure + without)}
    folder = store_runs(tmp_path / "mine", oracle.table, runs, objective="val_best_pgd_acc")
    text = as_text(overtuning([folder]))
    assert "recoveries agree: mine 25 %." in text
    assert "One of the 50 largest" not in text, "all of them have a test value"


def test_a_loss_tells_the_same(stored: list[Path]) -> None:
    accuracy, loss = overtuning(stored), overtuning(stored, "test_loss")
    for one, other in zip(accuracy.ledgers, loss.ledgers, strict=True):
        np.testing.assert_allclose(one.overtuning, other.overtuning, atol=1e-12)
        np.testing.assert_allclose(one.test.regret, other.test.regret, atol=1e-12)
        assert one.turn.query == other.turn.query
    assert accuracy.random is not None
    assert loss.random is not None
    np.testing.assert_allclose(accuracy.random, loss.random)


def test_few_test_values_are_not_judged(stored: list[Path], tmp_path: Path, command: Command) -> None:
    out, _ = command.passes(command_line.main, *stored, "metric=test_aa_acc", f"out={tmp_path / 'out'}")
    found = overtuning(stored, "test_aa_acc")
    known = found.ledgers[0].test.known[-1]
    assert known < 20
    assert f" – [{known}] |" in out
    assert "Too few runs with a test value to judge: one, two." in out
    lines = rows_of(tmp_path / "out/ledger.csv")
    assert lines[QUERIES - 1]["known"] == str(known)
    assert draw_overtuning(found).get_figure(root=True).axes[1].get_lines()  # type: ignore[union-attr]


def test_noisy_races_are_judged_by_true_values(table: Table, tmp_path: Path) -> None:
    searcher = {"_target_": "searchers.random_search.RandomSearch"}
    config = RunConfig(searcher=searcher, queries=8, runs=4, noise="run", images=50, jobs=1, out=str(tmp_path))
    run_experiment(config, Oracle(table))
    found = overtuning([tmp_path / "small/random_search"])
    one, objective = found.ledgers[0], Oracle(table).column("val_pgd_acc")
    assert np.isin(one.validation.values, objective).all()
    assert (np.diff(one.validation.values, axis=1) < 0).any(), "what noise prefers may be worse"
    assert found.random is None
    assert "draws on 50 images (noise=run)" in as_text(found)


def test_limits_on_costs_count(misleading: Table, tmp_path: Path) -> None:
    oracle = Oracle(misleading)
    half = float(np.median(oracle.column("macs")))
    members = oracle.searchable_space("val_pgd_acc", constraints=f"macs<={half}").member_indices
    folder = store_runs(
        tmp_path / "limited",
        misleading,
        {0: members[:5].tolist(), 1: members[5:10].tolist()},
        constraint=f"macs<={half}",
    )
    found = overtuning([folder])
    assert found.optimum == np.nanmax(oracle.column("test_pgd_acc")[members])
    assert (found.ledgers[0].validation.regret >= 0).all()


def test_files(stored: list[Path], command: Command) -> None:
    out, _ = command.passes(command_line.main, *stored)
    folder = stored[0].parent / "overtuning"
    assert {path.name for path in folder.iterdir()} == FILES
    assert (folder / "overtuning.md").read_text() in out
    found = overtuning(stored)
    lines = rows_of(folder / "ledger.csv")
    assert len(lines) == 3 * QUERIES, "two searchers and the exact law"
    for n, line in enumerate(lines[:QUERIES]):
        one = found.ledgers[0]
        assert (line["searcher"], line["queries"], line["known"]) == ("one", str(n + 1), str(one.test.known[n]))
        assert float(line["test_regret"]) == pytest.approx(one.test.mean[n])
        assert float(line["worse"]) == pytest.approx(one.worse[n])
        assert float(line["overtuning"]) == pytest.approx(np.nanmean(one.overtuning[:, n]))
    turns = rows_of(folder / "turns.csv")
    assert [line["best_after"] for line in turns] == [str(one.turn.query) for one in found.ledgers]
    command.passes(command_line.main, *stored, "metric=test_loss")
    assert (folder.parent / "overtuning-test_loss/overtuning.md").exists()


@pytest.mark.usefixtures("real_pictures")
def test_the_picture_carries_the_numbers(stored: list[Path], tmp_path: Path) -> None:
    found = overtuning(stored)
    panels = draw_overtuning(found).get_figure(root=True).axes  # type: ignore[union-attr]
    for k, one in enumerate(found.ledgers):
        for axes, line in zip(panels, (one.validation.mean, one.test.mean, one.worse), strict=True):
            assert any(np.array_equal(drawn.get_ydata(), line) for drawn in axes.get_lines()), k
    stars = [line for line in panels[1].get_lines() if line.get_marker() == "*"]
    assert [star.get_xdata()[0] for star in stars] == [one.turn.query for one in found.ledgers]  # type: ignore[index]
    assert set(command_line.write(found, tmp_path)) >= {"overtuning.png"}
    assert (tmp_path / "overtuning.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("metric=val_loss", "expected a test metric of table misleading: test_loss, test_pgd_acc, test_aa_acc"),
        ("metric=test_cw_acc", "expected a test metric of table misleading"),
        ("metric=nonsense", "metric=nonsense: expected a test metric"),
        ("metrics=test_loss", "metrics"),
        ("nowhere", "holds no results"),
    ],
)
def test_wrong_words(stored: list[Path], command: Command, word: str, said: str) -> None:
    assert said in command.fails(command_line.main, *stored, word)


def test_refusals(table: Table, stored: list[Path], tmp_path: Path, command: Command) -> None:
    assert "expected result folders" in command.fails(command_line.main)
    assert "share no axis" in command.fails(
        command_line.main, stored[0], store_runs(tmp_path / "a", table, {0: [1, 2]})
    )
    several = store_runs(tmp_path / "several", table, {0: [1, 2]}, objective="val_pgd_acc,macs")
    assert "give runs with one objective" in command.fails(command_line.main, several)
    limited = store_runs(tmp_path / "limited", table, {0: [1, 2]}, constraint="val_loss<=2")
    assert "limited by val_loss<=2" in command.fails(command_line.main, limited)
    cheating = store_runs(tmp_path / "cheating", table, {0: [1, 2]}, objective="test_pgd_acc")
    assert "is a test metric itself" in command.fails(command_line.main, cheating)
