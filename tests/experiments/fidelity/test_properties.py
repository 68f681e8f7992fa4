"""Runs on curves of any numbers: nothing is revealed that was not paid for, and nothing is overspent."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.races.config import target_of
from experiments.races.race import Race as StoredRace
from experiments.races.race import open_fidelity_session
from experiments.races.runner import run_once
from nasbench_ar import METRICS, Oracle, Table
from searchers.fidelity import FIDELITY_SEARCHERS
from tests.experiments.conftest import table_writer
from tests.searchers.fidelity.test_properties import GOES_BY_WHO_ENDS_FIRST, Race, races
from tests.searchers.problems import as_percentages

OBJECTIVES = ("val_pgd_acc", "val_loss")  # one to maximise, one to minimise


def write(folder: Path, race: Race) -> Table:
    """The curves as losses, their order as accuracies; trainings take one to four days."""
    losses = np.array(
        [[race.scores[architecture, epoch] for epoch in range(race.epochs)] for architecture in race.space]
    )
    accuracies = as_percentages(losses)
    with table_writer(folder, "drawn", space=replace(race.space, members=None)) as writer:
        for k, architecture in enumerate(race.space):
            curves = {"val_pgd_acc": accuracies[k], "val_loss": losses[k]}
            scalars = {name: curve[-1] for name, curve in curves.items()} | {"training_time_gpu_days": 1.0 + k % 4}
            writer.add(architecture, seed=0, scalars=scalars, curves=curves)
    return Table(folder)


@pytest.mark.parametrize("name", FIDELITY_SEARCHERS)
@settings(max_examples=8, deadline=None)
@given(
    race=races(),
    objective=st.sampled_from(OBJECTIVES),
    unit=st.sampled_from(["epochs", "gpu_days"]),
    machines=st.integers(2, 12),
)
def test_machines_and_money(name: str, race: Race, objective: str, unit: str, machines: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        table = write(Path(folder) / "drawn", race)
        budget = race.trainings * (1.0 if unit == "epochs" else 4.0 / race.epochs)
        target = target_of(FIDELITY_SEARCHERS[name])
        races_of = [
            StoredRace(str(table.folder), objective, 0, target, budget=budget, unit=unit, workers=workers)
            for workers in (1, machines, machines)
        ]
        per_epoch = open_fidelity_session(races_of[0], Oracle(table)).cost.per_epoch
        alone, trace, again = (run_once(each, race.seed) for each in races_of)
    assert trace.arch_index.tolist() == again.arch_index.tolist()
    assert trace.ended.tolist() == again.ended.tolist()
    sign = 1 if METRICS[objective].maximize else -1
    for found in (alone, trace):
        paid: dict[int, int] = {}
        revealed: list[float] = []
        rows = zip(found.arch_index.tolist(), found.epoch.tolist(), found.spent, found.incumbent.tolist(), strict=True)
        for index, epoch, spent, incumbent in rows:
            architecture = race.space.from_index(index)
            assert architecture in race.space
            assert epoch >= paid.get(index, 0), "nothing is paid twice"
            paid[index] = epoch + 1
            revealed += [sign * race.scores[architecture, k] for k in range(epoch + 1)]
            assert spent == pytest.approx(sum(epochs * per_epoch[i] for i, epochs in paid.items()))
            assert incumbent in paid
            best = [sign * race.scores[race.space.from_index(incumbent), k] for k in range(paid[incumbent])]
            assert max(best) == max(revealed), "the incumbent has the best value revealed so far"
        assert found.spent[-1] <= budget * (1 + 1e-9)
        assert found.why or found.spent[-1] >= budget - np.nanmax(per_epoch)
    if name not in GOES_BY_WHO_ENDS_FIRST:
        assert trained(trace) == trained(alone), "other trainings on several machines than on one"


def trained(trace: object) -> list[tuple[int, int]]:
    """What was trained, in whatever order."""
    return sorted(zip(trace.arch_index.tolist(), trace.epoch.tolist(), strict=True))  # type: ignore[attr-defined]
