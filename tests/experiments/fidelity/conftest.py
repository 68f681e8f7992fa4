"""Small tables with learning curves: one whose costs are scripted, one to race on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from nasbench_ar import Architecture, Oracle, SearchSpace, Table
from tests.experiments.conftest import SPACE, table_writer
from tests.experiments.conftest import command as command
from tests.experiments.conftest import home as home

FOUR = SearchSpace(depth_choices=(1, 2), width_choices=(1, 2), stages=1)


def scripted_oracle(
    folder: Path, curves: Mapping[Architecture, Sequence[float]], days: Mapping[Architecture, float]
) -> Oracle:
    """A table with these curves; a whole training takes that many GPU-days."""
    with table_writer(folder, folder.name, space=FOUR) as writer:
        for architecture, curve in curves.items():
            scalars = {"val_pgd_acc": max(curve), "training_time_gpu_days": days[architecture]}
            writer.add(architecture, seed=0, scalars=scalars, curves={"val_pgd_acc": np.array(curve, dtype=float)})
    return Oracle(Table(folder))


def write_climbing(folder: Path) -> Table:
    """81 architectures of nine epochs, 80 of them with curves: small networks climb faster; no training times."""
    rng = np.random.default_rng(3)
    final = 30 + rng.random(SPACE.size) * 10 + SPACE.vectors().sum(axis=1) / 2
    with table_writer(folder, folder.name) as writer:
        for index in range(SPACE.size):
            done = np.arange(1, 10)
            curve = final[index] * done / (done + SPACE.vectors()[index].sum() / 10)
            curves = {} if index == 7 else {"val_pgd_acc": curve}
            scalars = {"val_pgd_acc": curve[-1], "test_pgd_acc": curve[-1] + 20}
            writer.add(SPACE.from_index(index), seed=0, scalars=scalars, curves=curves)
    return Table(folder)


@pytest.fixture(scope="session")
def climbing(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """For reading only."""
    return write_climbing(tmp_path_factory.mktemp("climbing") / "climbing")
