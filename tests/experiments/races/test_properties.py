"""Runs on tables of any numbers: whatever is searched, maximised or minimised, with entries missing or tied.

Every searcher of the registries takes part; what only searchers promise is tested beside them.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.races.config import target_of
from experiments.races.race import Race
from experiments.races.runner import run_once
from nasbench_ar import METRICS, Table
from searchers import BASELINES
from tests.experiments.conftest import table_writer
from tests.experiments.races.test_engines import SLOW_TO_IMPORT
from tests.searchers.problems import Problem, as_percentages, need_libraries, problems
from tests.searchers.test_properties import EVERY, MAY_STALL, OVER_BUDGET, QUICKER, REPEATS

OBJECTIVES = ("val_pgd_acc", "val_loss")  # one to maximise, one to minimise


def write(folder: Path, problem: Problem) -> Table:
    """The numbers as losses, their order as accuracies; the architectures that the problem leaves out have none."""
    accuracies = as_percentages(np.array(list(problem.scores.values()))).tolist()
    with table_writer(folder, "drawn", space=replace(problem.space, members=None)) as writer:
        for (architecture, score), accuracy in zip(problem.scores.items(), accuracies, strict=True):
            writer.add(architecture, seed=0, scalars={"val_pgd_acc": accuracy, "val_loss": score})
    return Table(folder)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW_TO_IMPORT else []) for name in EVERY]
)
def test_runs_on_any_table(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cls = EVERY[name]
    need_libraries(cls)
    monkeypatch.setattr("searchers.trajectory.STALL_LIMIT", 500)

    @settings(max_examples=4, deadline=None)
    @given(problems(16), st.sampled_from(OBJECTIVES))
    def check(problem: Problem, objective: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            table = write(Path(folder) / "drawn", problem)
            column = np.asarray(table.scalar(objective))
            by_index = dict(zip(table.arch_index.tolist(), column.tolist(), strict=True))
            race = Race(str(table.folder), objective, problem.budget, target_of(cls), QUICKER.get(name, {}))
            run = run_once(race, problem.seed)
        queried = run.arch_index.tolist()
        assert set(queried) <= by_index.keys()
        assert len(set(queried)) == len(queried)
        assert len(queried) <= problem.budget or name in OVER_BUDGET
        assert run.repeats == 0 or name in REPEATS
        np.testing.assert_array_equal(run.scores, np.float32([by_index[index] for index in queried]))
        maximize = bool(METRICS[objective].maximize)
        best = max if maximize else min
        if name in BASELINES:
            return
        accumulate = np.maximum.accumulate if maximize else np.minimum.accumulate
        assert [by_index[index] for index in run.incumbent.tolist()] == accumulate(
            [by_index[i] for i in queried]
        ).tolist()
        if problem.budget >= len(by_index) and name not in MAY_STALL:
            assert by_index[run.reported] == best(by_index.values())

    check()
