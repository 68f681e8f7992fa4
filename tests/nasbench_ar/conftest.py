"""Every test has its own home for imported tables, and a small table to ask."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasbench_ar.architecture import Architecture
from nasbench_ar.library import HOME_VARIABLE
from nasbench_ar.metrics import CORRUPTIONS, CURVES, METRICS, SEVERITIES
from nasbench_ar.oracle import Oracle
from nasbench_ar.space import SearchSpace
from nasbench_ar.system.files import partial_path
from nasbench_ar.table import Table
from nasbench_ar.table_writer import TableWriter

TOY = SearchSpace(depth_choices=(1, 2), width_choices=(1, 3), stages=2, unit_channels=4)
EPOCHS = 6
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def raising(error: BaseException) -> Callable[..., Any]:
    """A function that raises, whatever it is given."""

    def call(*args: Any, **kwargs: Any) -> None:
        raise error

    return call


def partial_of_a_dead_process(path: Path) -> Path:
    """Where a process that was killed was about to write."""
    return Path(str(partial_path(path)).replace(f"-{os.getpid()}-", "-999999999-"))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv(HOME_VARIABLE, str(folder))
    return folder


def toy_writer(folder: Path, *, replace: bool = False, **changes: Any) -> TableWriter:
    words: dict[str, Any] = {
        "name": "toy",
        "title": "toy numbers",
        "provenance": "made up",
        "space": TOY,
        "default_objective": "val_pgd_acc",
        "licence": "none",
        "source": {"file": "nowhere"},
        "differs": {"val_pgd_acc": "ten steps"},
        "notes": ("a note",),
    }
    return TableWriter(folder, **words | changes, replace=replace)


def table_of(folder: Path, *rows: tuple[Architecture, dict[str, Any]], replace: bool = False) -> Table:
    """Of (architecture, values): scalars by their names, and what else `TableWriter.add` takes; the seed is 0."""
    with toy_writer(folder, replace=replace) as writer:
        for architecture, values in rows:
            scalars = {name: value for name, value in values.items() if name in METRICS}
            others = {name: value for name, value in values.items() if name not in METRICS}
            writer.add(architecture, scalars=scalars, **({"seed": 0} | others))
    return Table(folder)


def toy_curves(index: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng([index, seed])
    return {name: np.round(rng.uniform(10, 90, EPOCHS), 2) for name in CURVES}


def toy_cells(index: int, seed: int) -> np.ndarray:
    return np.random.default_rng([index, seed, 7]).uniform(10, 90, (len(CORRUPTIONS), len(SEVERITIES)))


def write_toy(folder: Path, *, replace: bool = False) -> Table:
    """16 architectures; index 0 has seeds 0 and 3, index 5 no test values, index 15 no entry."""
    with toy_writer(folder, replace=replace) as writer:
        for index in range(15):
            for seed in (3, 0) if index == 0 else (0,):
                curves = toy_curves(index, seed)
                best = int(curves["val_cw_acc"].argmax())
                scalars = {name: curve[best] for name, curve in curves.items()} | {
                    "best_epoch": best,
                    "val_best_pgd_acc": curves["val_pgd_acc"].max(),
                    "training_time_gpu_days": 1.0 + index + seed,
                }
                cells = None
                if index != 5:
                    cells = toy_cells(index, seed)
                    scalars |= {"test_pgd_acc": 50.0 + index + seed, "test_corrupt_acc": cells.mean()}
                writer.add(
                    TOY.from_index(index),
                    seed=seed,
                    scalars=scalars,
                    curves=curves,
                    corruption_acc=cells,
                    flags={"odd": index % 2 == 1},
                    labels={"gpu_type": f"gpu{index}"},
                )
    return Table(folder)


@pytest.fixture
def toy_table(tmp_path: Path) -> Table:
    return write_toy(tmp_path / "toy")


@pytest.fixture
def toy(toy_table: Table) -> Oracle:
    return Oracle(toy_table)
