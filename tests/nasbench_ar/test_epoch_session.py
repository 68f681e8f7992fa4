"""Queries along learning curves: what they reveal, what they cost, and that nothing gets round it."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nasbench_ar import (
    NARES,
    BudgetExhaustedError,
    ConfigError,
    FidelitySession,
    MetricError,
    MissingEntryError,
    Oracle,
    SpaceError,
    Table,
    load,
)
from nasbench_ar.training_cost import estimated_gpu_days, training_cost
from tests.nasbench_ar.conftest import EPOCHS, TOY, table_of, toy_curves

A, B, C = (TOY.from_index(i) for i in (3, 4, 6))


def test_only_what_is_new_is_paid_for(toy: Oracle) -> None:
    session = toy.fidelity_session(budget=9)
    curve = toy.curve(A, "val_pgd_acc")
    assert session.query(A, 2).tolist() == curve[:3].tolist()
    assert (session.spent, session.remaining, session.known_epochs(A)) == (3, 6, 3)
    assert session.query(str(A), 4).tolist() == curve[:5].tolist()
    assert session.spent == 5
    assert session.query(A, 1).tolist() == curve[:2].tolist()  # no more than was asked for
    assert session.query(A, 4).tolist() == curve[:5].tolist()
    assert (session.spent, session.repeats) == (5, 2)
    assert session.price(A, 5) == 1
    assert session.price(B, 5) == 6
    assert session.price(A, 0) == 0
    with pytest.raises(ValueError, match="read-only"):
        session.query(A, 3)[0] = 1


def test_what_the_rest_does_not_pay_reveals_nothing(toy: Oracle) -> None:
    session = toy.fidelity_session(budget=7)
    session.query(A, 3)
    assert session.affordable(B, 5) == 2
    assert session.affordable(A, 5) == 5
    with pytest.raises(BudgetExhaustedError, match=r"1-3-1-1 up to epoch 3 costs 4 epochs; 3 of 7 remain"):
        session.query(B, 3)
    assert session.spent == 4
    assert B not in session.history
    session.query(B, 2)
    assert session.remaining == 0
    assert session.affordable(C, 0) is None
    assert session.affordable(B, 2) == 2  # what is known stays free
    assert session.query(B, 2).tolist() == toy.curve(B, "val_pgd_acc", epoch=2).tolist()


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    queries=st.lists(st.tuples(st.integers(0, 14), st.integers(0, EPOCHS - 1)), max_size=40),
    budget=st.integers(1, 60),
    unit=st.sampled_from(["epochs", "gpu_days"]),
)
def test_no_order_of_queries_reveals_what_was_not_paid(
    toy: Oracle, queries: list[tuple[int, int]], budget: int, unit: str
) -> None:
    session = toy.fidelity_session(budget=budget, unit=unit)
    paid: dict[int, int] = {}
    for index, epoch in queries:
        architecture = TOY.from_index(index)
        known = paid.get(index, 0)
        before = session.spent
        try:
            values = session.query(architecture, epoch)
        except BudgetExhaustedError:
            assert session.spent == before
            assert before + session.price(architecture, epoch) > budget
        else:
            paid[index] = max(known, epoch + 1)
            assert values.tolist() == toy.curve(architecture, "val_pgd_acc", epoch=epoch).tolist()
            assert values.base is None or len(values.base) <= paid[index]  # no view of what lies behind
        assert {TOY.index(a): len(v) for a, v in session.history.items()} == paid
    per_epoch = [1.0 if unit == "epochs" else toy.gpu_days(TOY.from_index(i)) / EPOCHS for i in range(15)]
    assert session.spent == pytest.approx(sum(n * per_epoch[i] for i, n in paid.items()))
    assert session.spent <= budget * (1 + 1e-9)


def test_scores_point_upwards_and_the_incumbent_is_the_best_seen(toy: Oracle) -> None:
    session = toy.fidelity_session("val_pgd_acc", budget=60)
    with pytest.raises(BudgetExhaustedError, match="nothing was queried"):
        session.best()
    for architecture in (A, B, C):
        session.query(architecture, 3)
    seen = {a: toy.curve(a, "val_pgd_acc", epoch=3).max() for a in (A, B, C)}
    assert session.best() == max(seen.items(), key=lambda item: item[1])
    losses = toy.fidelity_session("val_pgd_loss", budget=60)
    assert losses.scores(A, 3).tolist() == (-toy.curve(A, "val_pgd_loss", epoch=3)).tolist()
    losses.query(B, 5)
    seen = {a: toy.curve(a, "val_pgd_loss", epoch=e).min() for a, e in ((A, 3), (B, 5))}
    assert losses.best() == min(seen.items(), key=lambda item: item[1])


def test_a_maximum_over_epochs_is_searched_by_its_curve(toy: Oracle) -> None:
    session = toy.fidelity_session("val_best_pgd_acc", budget=6)
    assert session.curve == "val_pgd_acc"
    assert session.query(A, 1).tolist() == toy.curve(A, "val_pgd_acc", epoch=1).tolist()


def test_several_trainings(toy: Oracle) -> None:
    first = TOY.from_index(0)  # seeds 0 and 3
    mean = (toy_curves(0, 0)["val_pgd_acc"] + toy_curves(0, 3)["val_pgd_acc"]) / 2
    assert toy.fidelity_session(budget=6).query(first, 5).tolist() == mean.tolist()
    one = toy.fidelity_session(budget=6, seed=3)
    assert one.space.size == 1
    assert one.query(first, 5).tolist() == toy_curves(0, 3)["val_pgd_acc"].tolist()
    with pytest.raises(MissingEntryError, match=r"no training with seed 9; seeds: \[0, 3\], or mean"):
        toy.fidelity_session(budget=6, seed=9)


def test_partial_curves_are_left_out(tmp_path: Path) -> None:
    curves = ((A, 0, [1.0, 2.0]), (A, 1, [1.0, np.nan]), (B, 0, [3.0, 4.0]))
    rows = [(a, {"seed": s, "val_pgd_acc": 1.0, "curves": {"val_pgd_acc": np.array(c)}}) for a, s, c in curves]
    oracle = Oracle(table_of(tmp_path / "t", *rows, (C, {"val_pgd_acc": 1.0})))
    assert list(oracle.fidelity_session(budget=1).space) == [B]
    assert list(oracle.fidelity_session(budget=1, seed=0).space) == [A, B]
    with pytest.raises(MissingEntryError, match="whole curve of val_pgd_acc among the trainings with seed 1$"):
        oracle.fidelity_session(budget=1, seed=1)


def test_gpu_days_are_measured_where_every_architecture_has_them(toy: Oracle) -> None:
    session = toy.fidelity_session(budget=100, unit="gpu_days")
    assert session.cost.label == "GPU-days, measured"
    session.query(A, 2)  # index 3: 4 days for 6 epochs
    assert session.spent == pytest.approx(2.0)
    session.query(TOY.from_index(0), 5)  # the mean of 1 and 4 days
    assert session.spent == pytest.approx(4.5)
    assert session.spent == pytest.approx(toy.gpu_days(A, epoch=2) + toy.gpu_days(TOY.from_index(0)))


def test_the_whole_budget_can_be_spent_in_days(toy: Oracle) -> None:
    days = toy.gpu_days(A, epoch=4)
    session = toy.fidelity_session(budget=days, unit="gpu_days")
    for epoch in range(5):
        assert session.affordable(A, 5) == 4
        session.query(A, epoch)
    assert session.affordable(A, 5) is None


def test_gpu_days_are_estimated_for_all_where_one_has_none(tmp_path: Path) -> None:
    measured = {"val_pgd_acc": 2.0, "curves": {"val_pgd_acc": np.array([1.0, 2.0])}}
    table = table_of(tmp_path / "t", (A, measured | {"training_time_gpu_days": 5.0}), (B, measured))
    session = Oracle(table).fidelity_session(budget=1, unit="gpu_days")
    assert session.cost.label.startswith("GPU-days; cost: estimated from MACs (13.1K GPU-days for the 15,625")
    assert "1 of 2 architectures have a measured time" in session.cost.label
    assert session.price(A, 1) / session.price(B, 0) == pytest.approx(2 * TOY.macs(A) / TOY.macs(B))


def test_the_estimate_adds_up_to_the_authors_total() -> None:
    assert estimated_gpu_days(NARES).sum() * 100 == pytest.approx(13_100)


def test_units(toy: Oracle) -> None:
    with pytest.raises(ConfigError, match="unit='days': expected epochs or gpu_days"):
        training_cost(toy, "days", indices=np.arange(3), epochs=6)
    assert toy.fidelity_session(budget=1).cost.label == "epochs"


@pytest.mark.parametrize("budget", [0, -1, float("nan"), float("inf"), True, "5", None])
def test_bad_budgets(toy: Oracle, budget: object) -> None:
    with pytest.raises(ConfigError, match="expected a positive number of epochs"):
        toy.fidelity_session(budget=budget)  # type: ignore[arg-type]


def test_epochs_are_whole(toy: Oracle) -> None:
    for budget, use in ((0.5, 1), (1.5, 1), (7.9, 7)):
        with pytest.raises(ConfigError, match=f"budget={budget}: epochs are whole; use {use}$"):
            toy.fidelity_session(budget=budget)
    assert toy.fidelity_session(budget=2.5, unit="gpu_days").budget == 2.5


@pytest.mark.parametrize("epoch", [-1, EPOCHS, 1.0, True, None])
def test_bad_epochs(toy: Oracle, epoch: object) -> None:
    session = toy.fidelity_session(budget=9)
    for ask in (session.query, session.price, session.affordable):
        with pytest.raises(MetricError, match="has epochs 0 to 5"):
            ask(A, epoch)  # type: ignore[operator]
    assert session.spent == 0


def test_architectures_outside(toy: Oracle) -> None:
    session = toy.fidelity_session(budget=9)
    for ask in (session.query, session.price, session.affordable):
        with pytest.raises(SpaceError):
            ask("9-9-9-9", 0)
        with pytest.raises(SpaceError, match="left out"):
            ask(TOY.from_index(15), 0)


def test_objectives_without_a_curve(toy: Oracle) -> None:
    for name in ("macs", "test_pgd_acc", "val_best_cw_acc"):
        with pytest.raises(MetricError, match=f"no learning curve of {name}; objectives with one: .*val_pgd_acc"):
            toy.fidelity_session(name, budget=1)


def test_installed_tables_with_curves_are_named(toy_table: Table, home: Path) -> None:
    (home / "tables").mkdir(parents=True)
    toy_table.folder.rename(home / "tables" / "mine")
    with pytest.raises(MetricError, match="tables with curves: .*mine"):
        load("nares-figures", quiet=True).fidelity_session(budget=100)


def test_what_a_session_of_its_own_takes_for_granted(toy: Oracle) -> None:
    session = FidelitySession(toy, budget=9)
    assert (session.cost.unit, session.objective.name) == ("epochs", "val_pgd_acc")
    assert session.query(A, 2).tolist() == toy.curve(A, "val_pgd_acc", epoch=2).tolist()
    with pytest.raises(BudgetExhaustedError, match="^nothing was queried yet"):
        FidelitySession(toy, budget=9).best()


def test_days_of_one_training(tmp_path: Path) -> None:
    rows = []
    for architecture, seed, days in ((A, 0, 6.0), (A, 1, 12.0), (B, 0, 0.5)):
        curves = {"val_pgd_acc": np.arange(EPOCHS) + 10.0 * seed}
        values = {"seed": seed, "val_pgd_acc": 1.0, "training_time_gpu_days": days, "curves": curves}
        rows.append((architecture, values))
    oracle = Oracle(table_of(tmp_path / "t", *rows))
    days = {seed: oracle.fidelity_session(budget=99, unit="gpu_days", seed=seed) for seed in (0, 1)}
    assert [session.price(A, 0) for session in days.values()] == [1.0, 2.0]
    assert days[0].cost.unit == "gpu_days"
    assert days[0].cost.label == "GPU-days, measured"
    assert days[1].query(A, 1).tolist() == [10.0, 11.0]
    assert [session.space.size for session in days.values()] == [2, 1]


@pytest.mark.parametrize(("days", "known"), [((0.0, 0.5), 1), ((0.0, 0.0), 0), ((2.0, 0.0), 1), ((), 0)])
def test_why_days_are_estimated(tmp_path: Path, days: tuple[float, ...], known: int) -> None:
    measured = {"val_pgd_acc": 1.0, "curves": {"val_pgd_acc": np.ones(EPOCHS)}}
    times = [{"training_time_gpu_days": time} for time in days] or [{}, {}]
    rows = ((architecture, measured | time) for architecture, time in zip((A, B), times, strict=True))
    session = Oracle(table_of(tmp_path / "t", *rows)).fidelity_session(budget=99, unit="gpu_days")
    reason = f"; {known} of 2 architectures have a measured time" if known else ""
    assert session.cost.label == (
        "GPU-days; cost: estimated from MACs (13.1K GPU-days for the 15,625 architectures and 100 epochs of NARes"
        f"{reason})"
    )
    assert session.cost.unit == "gpu_days"


def test_no_installed_table_has_curves(toy_table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = load("nares-figures", quiet=True)
    for names, told in ((["nares-figures"], "none installed"), (["nares-figures", "a", "b"], "a, b")):
        folders = {name: figures.table.folder if name == "nares-figures" else toy_table.folder for name in names}
        monkeypatch.setattr("nasbench_ar.library.installed", lambda folders=folders: folders)
        with pytest.raises(
            MetricError,
            match=rf"nares-figures has no learning curves.*tables with curves: {told}\b.*import nares.txz.*datagen.run",
        ):
            figures.fidelity_session(budget=100)


def test_curves_that_could_guide_are_listed(tmp_path: Path) -> None:
    for names, told in ((("val_loss", "train_acc"), "train_acc, val_loss"), (("val_pgd_acc",), "none")):
        measured = dict.fromkeys(("val_cw_acc", *(names if told != "none" else ())), 1.0)
        table = table_of(tmp_path / names[0], (A, measured | {"curves": {name: np.ones(EPOCHS) for name in names}}))
        with pytest.raises(MetricError, match=f"no learning curve of val_cw_acc; objectives with one: {told}$"):
            Oracle(table).fidelity_session("val_cw_acc", budget=1)
