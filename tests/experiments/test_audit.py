"""The measured divergences, on cases small enough to count by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments import audit
from nasbench_ar import Oracle, TableWriter, load
from searchers.trajectory import Trajectory
from tests.experiments.conftest import SPACE, Command


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return load("nares-figures", quiet=True)


def run_of(names: list[str], scores: list[float], reported: int = 0) -> Trajectory:
    return Trajectory(
        seed=0,
        arch_index=SPACE.indices(names),
        scores=np.array(scores, dtype=np.float32),
        incumbent=np.full(len(names), reported, dtype=np.int32),
        repeats=0,
    )


def test_moves_are_counted_between_neighbours_that_differ_in_score(oracle: Oracle) -> None:
    small = type("Small", (), {"space": SPACE})()
    walk = run_of(["3-4-3-4", "1-1-1-1", "1-1-1-2", "1-1-2-2", "3-4-3-2", "1-4-3-4", "3-4-1-2"], [4, 5, 4, 6, 1, 0, 9])
    # from the better of two starts down, up; from the better of two more up
    assert audit.moves_down(small, walk, starts=2) == (1, 3)
    stay = run_of(["1-1-1-1", "1-1-1-2", "1-1-1-4", "1-1-2-1"], [5, 5, 4, 6])
    assert audit.moves_down(small, stay, starts=1) == (1, 1), "an equal score is no move, and 1-1-2-1 no neighbour then"


def test_published_local_search_walks_down_as_often_as_up(oracle: Oracle) -> None:
    runs = audit.run_all(oracle, "published_local_search", 4)
    down, moves = np.array([audit.moves_down(oracle, run) for run in runs]).sum(axis=0)
    assert 0.4 < down / moves < 0.6
    assert any(len(run.scores) > audit.QUERIES for run in runs)


def test_evolution_starts_repeat_as_often_as_chance_has_it(oracle: Oracle) -> None:
    # 1 - exp(-30 * 29 / 2 / 15625) = 2.7 %: 3 of 100, give or take
    text = audit.evolution_facts(oracle, 100)[0]
    assert 0 <= int(text.split(": ")[1].split(" ")[0]) <= 10


def test_table_facts(oracle: Oracle) -> None:
    text = "\n".join(audit.table_facts(oracle))
    assert "pairs of equal MACs, whose order in the official numbering follows no rule: 172" in text
    assert "parameters of 4-8-4-8-4-8: 23,354,842" in text
    assert "Test PGD20: best 57.39, of the objective's optimum 56.61" in text


def test_quality_by_hand() -> None:
    truth = np.array([1.0, 2.0, 3.0, 4.0])
    predicted = np.array([[[1.5, 2.0, 4.0, 5.0], [0.5, 2.0, 3.0, 6.0]]])  # one ensemble of two members

    def tau(first: np.ndarray, second: np.ndarray) -> object:
        return type("Tau", (), {"statistic": float(np.sign(np.diff(first) @ np.diff(second)))})

    errors, taus = audit._quality(predicted, [np.array([0, 1])], np.arange(4), truth, tau)
    np.testing.assert_allclose(errors, [[0.25, 0.25]])
    assert taus == [1.0]


@pytest.mark.parametrize("word", ["runs=1", "runs=x", "ensembles=-1", "runs=²", "colour=red", "plain"])
def test_wrong_words(command: Command, word: str) -> None:
    command.fails(audit.main, word)


@pytest.mark.slow
def test_ensembles_of_both_kinds(oracle: Oracle) -> None:
    facts = audit.ensemble_facts(oracle, 1)
    assert len(facts) == 4
    assert facts[0].startswith("published predictors, first 100 observations of a corrected BANANAS run")


def test_a_table_of_anything_else_is_refused(tmp_path: Path, command: Command) -> None:
    frame = pd.DataFrame([("a", 1.0), ("b", 2.0)], columns=["kind", "val_pgd_acc"])
    about = {"name": "mine", "title": "made up", "provenance": "a test", "licence": "none"}
    TableWriter.from_frame(frame, tmp_path / "mine", entries=["kind"], metrics=["val_pgd_acc"], **about)
    err = command.fails(audit.main, f"table={tmp_path / 'mine'}", "runs=2")
    assert "the audit of the published searchers: this needs wide residual networks" in err
