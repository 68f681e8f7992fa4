from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nasbench_ar
from nasbench_ar import (
    BudgetExhaustedError,
    ConfigError,
    MetricError,
    MissingEntryError,
    Oracle,
    Session,
    SpaceError,
    VectorSession,
    parse_constraints,
)
from tests.nasbench_ar.conftest import TOY, table_of

A, B, C = (TOY.from_index(i) for i in (3, 4, 6))


def test_only_new_architectures_are_paid_for(toy: Oracle) -> None:
    session = toy.session("val_pgd_acc", budget=2)
    value = session.query(A)
    assert value == toy.query(A, "val_pgd_acc")
    assert (session.spent, session.remaining, session.repeats) == (1, 1, 0)
    assert session.query(str(A)) == session.query(list(A)) == value
    assert (session.spent, session.remaining, session.repeats) == (1, 1, 2)
    session.query(B)
    with pytest.raises(BudgetExhaustedError, match="budget of 2 queries is spent; 1-3-2-1 would be one more"):
        session.query(C)
    assert session.query(A) == value  # repeats stay free
    assert list(session.history) == [A, B]
    assert (session.spent, session.remaining) == (2, 0)


def test_scores_point_upwards(toy: Oracle) -> None:
    assert toy.session("val_pgd_acc", budget=1).score(A) == toy.query(A, "val_pgd_acc")
    session = toy.session("val_loss", budget=3)
    assert session.score(A) == -toy.query(A, "val_loss")
    for architecture in (B, C):
        session.score(architecture)
    assert session.best() == min(session.history.items(), key=lambda item: item[1])


def test_the_first_of_the_best_is_best(tmp_path: Path) -> None:
    values = ((A, 1.0), (B, 2.0), (C, 2.0))
    session = Oracle(table_of(tmp_path / "t", *((a, {"val_pgd_acc": v}) for a, v in values))).session(budget=3)
    assert session.objective.name == "val_pgd_acc"
    with pytest.raises(BudgetExhaustedError, match="nothing was queried yet"):
        session.best()
    for architecture in (A, C, B):
        session.query(architecture)
    assert session.best() == (C, 2.0)
    assert session.gpu_days is None


def test_simulated_cost(toy: Oracle, tmp_path: Path) -> None:
    session = toy.session("val_pgd_acc", budget=5)
    session.query(A)
    session.query(A)
    session.query(B)
    assert session.gpu_days == 4.0 + 5.0
    one = toy.session("val_pgd_acc", budget=5, seed=3)
    one.query(TOY.from_index(0))
    assert one.gpu_days == 4.0
    rows = (A, {"val_pgd_acc": 1.0, "training_time_gpu_days": 1.0}), (B, {"val_pgd_acc": 1.0})
    session = Oracle(table_of(tmp_path / "t", *rows)).session(budget=5)
    session.query(A)
    assert session.gpu_days == 1.0
    session.query(B)
    assert session.gpu_days is None


def test_the_space_is_what_the_table_can_answer(toy: Oracle) -> None:
    session = toy.session("test_pgd_acc", budget=3, allow_test_objective=True)
    assert len(session.space) == 14
    with pytest.raises(SpaceError, match="left out of this space"):
        session.query(TOY.from_index(5))
    assert session.spent == 0
    rng = np.random.default_rng(0)
    assert all(session.space.sample(rng) in session.space for _ in range(50))


@pytest.mark.parametrize("budget", [0, -1, 1.0, True, "5", None])
def test_bad_budgets(toy: Oracle, budget: Any) -> None:
    with pytest.raises(ConfigError, match="expected a positive number of queries"):
        toy.session("val_pgd_acc", budget=budget)


def test_what_a_notebook_shows(toy: Oracle) -> None:
    session = toy.session("val_pgd_acc", budget=3)
    assert repr(session) == "Session(val_pgd_acc of toy: 0 of 3 queries)"
    session.query(A)
    session.query(A)
    best = f"best {session.best()[1]:.6g} by {A}"
    assert repr(session) == f"Session(val_pgd_acc of toy: 1 of 3 queries, {best})"
    vectors = toy.vector_session(["val_pgd_acc", "macs"], budget=4)
    vectors.query(A)
    assert repr(vectors) == "VectorSession(val_pgd_acc, macs of toy: 1 of 4 queries, 1 on the front)"
    epochs = toy.fidelity_session("val_pgd_acc", budget=7)
    epochs.query(A, 2)
    assert repr(epochs) == f"FidelitySession(val_pgd_acc of toy: 3 of 7 epochs, best {epochs.best()[1]:.6g} by {A})"
    limited = toy.session("val_pgd_acc", budget=3, constraints="macs<=1e9")
    assert repr(limited) == "Session(val_pgd_acc of toy where macs<=1000000000: 0 of 3 queries)"
    assert repr(nasbench_ar.optuna_objective("val_pgd_acc", budget=3, table=toy)) == (
        "OptunaObjective(Session(val_pgd_acc of toy: 0 of 3 queries))"
    )


@pytest.mark.parametrize(
    ("name", "seed", "error", "message"),
    [
        ("test_pgd_acc", "mean", MetricError, "test metric"),
        ("val_pgd", "mean", MetricError, "did you mean"),
        ("val_best_cw_acc", "mean", MetricError, "has no val_best_cw_acc; objectives it has: macs, params, .*val_pgd"),
        ("val_pgd_acc", [0], MetricError, r"seed=\[0\]: expected an integer or 'mean'"),
        ("val_pgd_acc", 99, MissingEntryError, r"no training with seed 99; seeds: \[0, 3\]"),
    ],
)
def test_bad_objectives(toy: Oracle, name: str, seed: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        toy.session(name, budget=1, seed=seed)


@pytest.fixture
def two_seeds(tmp_path: Path) -> Oracle:
    """A and B, each trained with seeds 0 and 1; by seed 1, B is better."""
    values = ((A, 0, 6.0), (A, 1, 2.0), (B, 0, 4.0), (B, 1, 3.0))
    rows = ((a, {"seed": s, "val_pgd_acc": v, "val_loss": 10 * v, "test_pgd_acc": 1.0}) for a, s, v in values)
    return Oracle(table_of(tmp_path / "two", *rows))


def test_a_session_of_its_own_takes_the_mean_and_no_test_metric(two_seeds: Oracle) -> None:
    session = Session(two_seeds, budget=2)
    assert [session.query(a) for a in (A, B)] == [4.0, 3.5]
    with pytest.raises(MetricError, match="test metric"):
        Session(two_seeds, "test_pgd_acc", budget=1)
    vectors = VectorSession(two_seeds, ["val_pgd_acc", "val_loss"], budget=2)
    assert vectors.query(A) == (4.0, 40.0)
    with pytest.raises(MetricError, match="test metric"):
        VectorSession(two_seeds, ["val_pgd_acc", "test_pgd_acc"], budget=1)


def test_one_training_of_each(two_seeds: Oracle) -> None:
    limits = parse_constraints("val_loss<=20")
    session = two_seeds.session(budget=2, seed=1, constraints=limits)
    assert [session.query(a) for a in (A, B)] == [2.0, 3.0]
    assert [session.feasible(a) for a in (A, B)] == [True, False], "by this seed's losses, 20 and 30"
    assert session.score(B) == 2.0 - 1.0, "the worst of this seed less its whole range"
    vectors = two_seeds.vector_session(["val_pgd_acc", "val_loss"], budget=2, seed=1)
    assert [vectors.query(a) for a in (A, B)] == [(2.0, 20.0), (3.0, 30.0)]
    assert two_seeds.optimum("val_pgd_acc", seed=1, constraints=limits) == (A, 2.0)
    assert two_seeds.optimum("val_pgd_acc", seed=0, constraints=parse_constraints("val_loss<=40")) == (B, 4.0)


def test_limits_together_that_nothing_keeps(two_seeds: Oracle) -> None:
    limits = parse_constraints("val_loss<=20,val_pgd_acc>=2.5")
    told = "no architecture of table toy keeps val_loss<=20, val_pgd_acc>=2.5 together; loosen a limit"
    with pytest.raises(ConfigError, match=f"^{told}$"):
        two_seeds.session(budget=1, seed=1, constraints=limits)
    assert two_seeds.feasible(limits, seed=1).sum() == 0
    assert two_seeds.feasible(limits[:1], seed=1).sum() == 1


def test_what_no_architecture_has_is_named(two_seeds: Oracle, tmp_path: Path) -> None:
    apart = Oracle(table_of(tmp_path / "apart", (A, {"val_pgd_acc": 1.0}), (B, {"seed": 1, "val_loss": 1.0})))
    with pytest.raises(MissingEntryError, match=r"^table toy has no value of val_loss and val_pgd_acc at all$"):
        apart.vector_session(["val_loss", "val_pgd_acc"], budget=1)
    with pytest.raises(MissingEntryError, match="^table toy has no .* val_pgd_acc at all in trainings with seed 1$"):
        apart.session("val_pgd_acc", budget=1, seed=1)
    with pytest.raises(MissingEntryError, match="where val_loss<=1, val_pgd_acc>=3"):
        two_seeds.optimum("val_pgd_acc", constraints=parse_constraints("val_loss<=1,val_pgd_acc>=3"))


def test_equal_values_leave_room_below(tmp_path: Path) -> None:
    rows = ((a, {"val_pgd_acc": 5.0, "val_loss": loss}) for a, loss in ((A, 1.0), (B, 3.0)))
    session = Oracle(table_of(tmp_path / "flat", *rows)).session(budget=2, constraints=parse_constraints("val_loss<=2"))
    assert (session.score(A), session.score(B)) == (5.0, 4.0)
