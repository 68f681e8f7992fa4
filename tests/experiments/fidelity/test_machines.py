"""Simulated machines: who trains what when, and what is charged; worked by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments.races.machines import Trace, simulate
from experiments.races.race import Race
from experiments.races.runner import run_once
from nasbench_ar import Architecture, ConfigError, Oracle, SearchError, Table
from searchers.fidelity import Asha, FidelitySearcher, Hyperband, RandomFull, SuccessiveHalving, Training
from searchers.trajectory import STALL_LIMIT
from tests.experiments.fidelity.conftest import FOUR, scripted_oracle

A, B, C, D = FOUR  # in lexicographic order
CURVES = {A: [10.0, 11.0], B: [1.0, 90.0], C: [5.0, 6.0], D: [7.0, 9.0]}
DAYS = {A: 6.0, B: 2.0, C: 2.0, D: 2.0}  # for two epochs


class Ordered(Asha):
    """Starts A, B, C, D in this order."""

    def sample_unseen(self) -> Architecture:
        for architecture in self.space:
            if not self.known_epochs(architecture):
                return architecture
        return super().sample_unseen()  # says that there is none


@pytest.fixture
def oracle(tmp_path: Path) -> Oracle:
    return scripted_oracle(tmp_path / "scripted", CURVES, DAYS)


def story(trace: Trace) -> list[tuple[Architecture, int, float, float]]:
    """(architecture, epoch, began, ended) in the order of the ends."""
    rows = zip(trace.arch_index, trace.epoch, trace.began, trace.ended, strict=True)
    return [(FOUR.from_index(int(i)), int(epoch), float(began), float(ended)) for i, epoch, began, ended in rows]


def test_asha_promotes_in_the_order_in_which_trainings_end(oracle: Oracle) -> None:
    session = oracle.fidelity_session(budget=12, unit="gpu_days")
    trace = simulate(Ordered(session.space, 0, 2, eta=2), session, 2)
    assert story(trace) == [
        (B, 0, 0.0, 1.0),  # A takes three days, B one; alone in its rung, B is not promoted
        (C, 0, 1.0, 2.0),  # one of two goes on: C, though A, which is better, has not ended
        (A, 0, 0.0, 3.0),  # A and C's second epoch end together: A began first and is told first
        (C, 1, 2.0, 3.0),  # one of three: A, promoted at day 3 already, so the machine begins D
        (D, 0, 3.0, 4.0),  # two of four: A and D
        (D, 1, 4.0, 5.0),
        (A, 1, 3.0, 6.0),
    ]
    assert trace.spent.tolist() == [1, 2, 5, 6, 7, 8, 11]
    assert [FOUR.from_index(int(i)) for i in trace.incumbent] == [B, C, A, A, A, A, A]
    assert session.spent == 11
    assert trace.why == "all 4 architectures of the space have been started"


def test_one_machine_sees_another_order(oracle: Oracle) -> None:
    session = oracle.fidelity_session(budget=12, unit="gpu_days")
    trace = simulate(Ordered(session.space, 0, 2, eta=2), session, 1)
    assert story(trace)[:4] == [(A, 0, 0, 3), (B, 0, 3, 4), (A, 1, 4, 7), (C, 0, 7, 8)]
    assert trace.ended.tolist() == trace.spent.tolist()  # one machine is never idle


def test_a_synchronous_rung_waits_for_its_slowest(oracle: Oracle) -> None:
    class Halving(SuccessiveHalving):
        def sample_unseen_batch(self, count: int) -> list[Architecture]:
            return list(self.space)[:count]

    session = oracle.fidelity_session(budget=10, unit="gpu_days")
    trace = simulate(Halving(session.space, 0, 2, eta=2, configurations=4), session, 4)
    assert story(trace) == [
        (B, 0, 0.0, 1.0),
        (C, 0, 0.0, 1.0),
        (D, 0, 0.0, 1.0),
        (A, 0, 0.0, 3.0),
        (D, 1, 3.0, 4.0),  # three machines stay idle from day 1 to day 3
        (A, 1, 3.0, 6.0),
    ]


def test_the_last_training_goes_as_far_as_the_budget(oracle: Oracle) -> None:
    session = oracle.fidelity_session(budget=7, unit="epochs")

    class Forward(RandomFull):
        sample_unseen = Ordered.sample_unseen  # type: ignore[assignment]

    trace = simulate(Forward(session.space, 0, 2), session, 1)
    assert story(trace) == [(A, 1, 0, 2), (B, 1, 2, 4), (C, 1, 4, 6), (D, 0, 6, 7)]
    assert trace.spent[-1] == session.spent == 7
    assert trace.why == ""
    assert FOUR.from_index(int(trace.incumbent[-1])) == B


def test_the_incumbent_has_the_best_value_seen_at_any_epoch(tmp_path: Path) -> None:
    falling = scripted_oracle(tmp_path / "falling", {A: [50.0, 3.0], B: [20.0, 30.0]}, DAYS)
    session = falling.fidelity_session(budget=4)
    trace = simulate(RandomFull(session.space, 0, 2), session, 1)
    assert FOUR.from_index(int(trace.incumbent[-1])) == A


def test_a_budget_below_one_epoch_is_refused(oracle: Oracle) -> None:
    session = oracle.fidelity_session(budget=0.5, unit="gpu_days")
    with pytest.raises(ConfigError, match=r"budget=0.5: it does not pay for one epoch"):
        simulate(RandomFull(session.space, 0, 2), session, 1)


class Repeating(FidelitySearcher):
    """Trains one architecture, again and again."""

    def _ask(self) -> Training:
        return Training(self.space.from_index(0), 0)


def test_repeats_are_free_and_end_at_last(oracle: Oracle) -> None:
    session = oracle.fidelity_session(budget=5)
    trace = simulate(Repeating(session.space, 0, 2), session, 1)
    assert trace.spent.tolist() == [1]
    assert trace.repeats == STALL_LIMIT
    assert "nothing new was proposed 10000 times in a row" in trace.why


def test_waiting_for_nothing_is_an_error(oracle: Oracle) -> None:
    class Waiting(FidelitySearcher):
        def _ask(self) -> None:
            return None

    session = oracle.fidelity_session(budget=5)
    with pytest.raises(SearchError, match="waits for a training, but none is running"):
        simulate(Waiting(session.space, 0, 2), session, 3)


@pytest.mark.parametrize("cls", [RandomFull, SuccessiveHalving, Hyperband, Asha])
@pytest.mark.parametrize("workers", [1, 3, 50])
@pytest.mark.parametrize("unit", ["epochs", "gpu_days"])
def test_machines_and_money(climbing: Table, cls: type[FidelitySearcher], workers: int, unit: str) -> None:
    oracle = Oracle(climbing)
    budget = 130 if unit == "epochs" else oracle.fidelity_session(budget=1, unit=unit).cost.per_epoch.mean() * 130
    session = oracle.fidelity_session(budget=budget, unit=unit)
    trace = simulate(cls(session.space, 4, 9), session, workers)
    paid: dict[int, int] = {}
    for index, epoch in zip(trace.arch_index.tolist(), trace.epoch.tolist(), strict=True):
        paid[index] = max(paid.get(index, 0), epoch + 1)
    charged = sum(epochs * session.cost.per_epoch[index] for index, epochs in paid.items())
    assert trace.spent[-1] == pytest.approx(charged)
    assert trace.spent[-1] == pytest.approx(session.spent)
    assert trace.spent[-1] <= budget * (1 + 1e-9)
    assert (np.diff(trace.ended) >= 0).all()
    assert trace.ended[-1] * workers >= trace.spent[-1] * (1 - 1e-9)  # so many machines cannot do more
    for moment in trace.began:
        at_work = (trace.began <= moment) & (trace.ended > moment)
        assert at_work.sum() <= workers
    best = session.space.index(session.best()[0])
    assert trace.incumbent[-1] == best


def test_a_run_depends_on_its_seed_alone(climbing: Table) -> None:
    race = Race(str(climbing.folder), "val_pgd_acc", 0, "searchers.fidelity.asha.Asha", budget=120, workers=3)
    first, second, other = run_once(race, 5), run_once(race, 5), run_once(race, 6)
    assert first.arch_index.tolist() == second.arch_index.tolist()
    assert first.ended.tolist() == second.ended.tolist()
    assert first.arch_index.tolist() != other.arch_index.tolist()
