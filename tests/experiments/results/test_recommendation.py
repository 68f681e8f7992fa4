"""What a run ends with: the rule by hand, and that it recommends better where scores are noisy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments import compare, run
from experiments.races.track import RULES
from experiments.results import recommendation
from experiments.results.read import Stored, read
from experiments.results.recommendation import choices, recommended
from experiments.statistics.additive import fit_additive
from nasbench_ar import SearchSpace, Table
from tests.experiments.conftest import SPACE, Command, table_writer
from tests.experiments.test_run import words
from tests.files import rows_of

EFFECTS = np.random.default_rng(5).normal(0, 1.5, SPACE.one_hot(indices=[0]).shape[1])


def additive_table(folder: Path, space: SearchSpace = SPACE) -> Table:
    """True rates around 40 %, additive in the entries."""
    values = 40 + space.one_hot(indices=np.arange(space.size)) @ EFFECTS
    with table_writer(folder, "additive", space=space) as writer:
        for index, value in enumerate(values.tolist()):
            writer.add(space.from_index(index), seed=0, scalars={"val_pgd_acc": value, "test_pgd_acc": value + 10})
    return Table(folder)


def runs_of(command: Command, table: Table, out: Path, *more: str) -> Stored:
    code, _, err = command(run.main, *words(table, out, *more))
    assert code == 0, err
    return read(out / table.name / "random_search")


def test_the_rule_by_hand(tmp_path: Path, command: Command) -> None:
    """Noise of 400 images explains more than all residuals: only the fit counts."""
    stored = runs_of(
        command, additive_table(tmp_path / "t"), tmp_path, "noise=run", "images=400", "queries=40", "runs=3"
    )
    chosen = recommended(stored.oracle, stored.race, stored.runs)["model"]
    for row, index in enumerate(stored.runs.arch_index):
        one_hot = SPACE.one_hot(indices=index).astype(np.float64)
        fit = fit_additive(one_hot, stored.runs.scores[row].astype(np.float64))
        expected = fit.predict(one_hot)
        rate = expected / 100
        noise = np.mean(1e4 * rate * (1 - rate) / 400)
        trust = max(0.0, 1 - noise / fit.residual_variance)
        assert trust < 0.5
        assert chosen[row] == index[np.argmax(expected + trust * (stored.runs.scores[row] - expected))]
    few = replace(stored.race, queries=9)
    for found in recommended(stored.oracle, few, stored.runs).values():
        assert found.tolist() == stored.runs.incumbent[:, 8].tolist()


def test_what_was_queried_beyond_the_budget_does_not_count(tmp_path: Path, command: Command) -> None:
    """As in the rest of a comparison: such runs are those of the published local search."""
    stored = runs_of(command, additive_table(tmp_path / "t"), tmp_path, "queries=60")
    race = replace(stored.race, queries=30)
    cut = {name: getattr(stored.runs, name)[:, :30] for name in ("arch_index", "scores", "incumbent")}
    short = replace(stored.runs, **cut)
    over, within = (choices([replace(stored, race=race, runs=runs)], ["val_pgd_acc"]) for runs in (stored.runs, short))
    assert [choice.rule for choice in over] == ["model", "space"]
    for one, other in zip(over, within, strict=True):
        np.testing.assert_array_equal(one.observed, other.observed)
        np.testing.assert_array_equal(one.chosen, other.chosen)
    assert (over[0].observed != stored.oracle.column("val_pgd_acc")[stored.runs.reported]).any()


def test_copies_of_one_run_are_no_sample(tmp_path: Path, command: Command) -> None:
    table = additive_table(tmp_path / "t")
    code, _, err = command(run.main, *words(table, tmp_path, "searcher=largest", "runs=30"))
    assert code == 0, err
    for choice in choices([read(tmp_path / "additive/largest")]):
        assert choice.difference.known == 30
        assert choice.difference.mean
        assert np.isnan(choice.p_value)


def test_under_noise_the_model_recommends_better(tmp_path: Path, command: Command) -> None:
    table = additive_table(tmp_path / "t")
    stored = runs_of(command, table, tmp_path, "noise=run", "images=300", "queries=60", "runs=40")
    found = choices([stored])
    assert {(choice.metric, choice.rule) for choice in found} == {
        (metric, rule) for metric in ("val_pgd_acc", "test_pgd_acc") for rule in ("model", "space")
    }
    for choice in found:
        assert choice.difference.interval[0] > 0.5, "points of true accuracy"
        assert choice.p_value < 1e-4


def test_the_whole_space_may_be_recommended(tmp_path: Path, command: Command) -> None:
    """An additive table is known from a part of it."""
    table = additive_table(tmp_path / "t")
    stored = runs_of(command, table, tmp_path, "queries=40", "runs=10")
    best, _ = stored.oracle.optimum("val_pgd_acc")
    chosen = recommended(stored.oracle, stored.race, stored.runs)
    assert (chosen["space"] == SPACE.index(best)).all()
    assert not (chosen["observed"] == SPACE.index(best)).all()


def test_an_exact_score_is_believed(tmp_path: Path, command: Command) -> None:
    """Without noise and with so many images, the best observed is the best."""
    stored = runs_of(command, additive_table(tmp_path / "t"), tmp_path, "noise=run", "images=10000000", "runs=3")
    found = recommended(stored.oracle, stored.race, stored.runs)
    assert found["model"].tolist() == stored.runs.reported.tolist()


def test_limits_hold_for_recommendations(tmp_path: Path, command: Command) -> None:
    table = additive_table(tmp_path / "t")
    more = ("constraint=val_pgd_acc>=40", "runs=3", "queries=40")
    stored = runs_of(command, table, tmp_path, *more)
    for chosen in recommended(stored.oracle, stored.race, stored.runs).values():
        assert stored.oracle.column("val_pgd_acc")[chosen].min() >= 40


def test_compare_shows_both_rules(tmp_path: Path, command: Command, table: Table) -> None:
    for name in ("random_search", "local_search"):
        command(run.main, *words(table, tmp_path, f"searcher={name}"))
    folders = [tmp_path / "small" / name for name in ("random_search", "local_search")]
    code, _, err = command(compare.main, *folders, f"out={tmp_path / 'c'}", "resamples=10")
    assert code == 0, err
    report = (tmp_path / "c/comparison.md").read_text()
    assert f"|\n\n{recommendation.LEGEND}" in report
    assert "|\n\nQueries to reach:" in report, "Markdown would take a line right below a table into it"
    lines = rows_of(tmp_path / "c/recommendation.csv")
    shown = [(line["searcher"], line["rule"]) for line in lines if line["metric"] == "val_pgd_acc"]
    assert shown == [(name, rule) for name in ("random_search", "local_search") for rule in RULES[1:]]
    for line in lines:
        if line["metric"] == "val_pgd_acc":
            gap = float(line["mean"]) - float(line["observed_mean"])
            assert float(line["difference"]) == pytest.approx(gap, abs=1e-9)
