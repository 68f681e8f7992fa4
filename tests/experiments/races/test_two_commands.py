"""Two commands that begin on one folder in the same instant."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from experiments.races.store import RunStore
from nasbench_ar import Table
from tests.experiments.fidelity.conftest import write_climbing

# Both import first, so that they begin together.
COMMAND = """
import importlib, sys, time
from pathlib import Path
from nasbench_ar.system.command import run_command

module, ready, go, *words = sys.argv[1:]
main = importlib.import_module(module).main
Path(ready).touch()
while not Path(go).exists():
    time.sleep(0.0005)
sys.exit(run_command(main, words))
"""


def begin_together(folder: Path, module: str, first: Sequence[str], second: Sequence[str]) -> list[tuple[int, str]]:
    """Exit code and standard error of both."""
    ready, go = [folder / "first", folder / "second"], folder / "go"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", COMMAND, module, str(mark), str(go), *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for mark, words in zip(ready, (first, second), strict=True)
    ]
    until = time.monotonic() + 120
    while not all(mark.exists() for mark in ready) and time.monotonic() < until:
        time.sleep(0.01)
    go.touch()
    errors = [process.communicate(timeout=120)[1] for process in processes]
    return [(process.returncode, error) for process, error in zip(processes, errors, strict=True)]


RUN, FIDELITY = "experiments.run", "experiments.fidelity.__main__"
FRONTS = "objective=val_pgd_acc,macs"


@pytest.mark.parametrize(
    ("module", "first", "second", "folder"),
    [
        (RUN, ["queries=20"], ["queries=21"], "random_search"),
        (FIDELITY, ["budget=30"], ["budget=31"], "fidelity/random_full"),
        pytest.param(RUN, ["noise=run"], ["noise=query"], "random_search", marks=pytest.mark.slow),
        pytest.param(RUN, [FRONTS], [FRONTS, "table_seed=0"], "val_pgd_acc+macs/random_search", marks=pytest.mark.slow),
    ],
    ids=["races", "fidelity", "noise", "fronts"],
)
def test_of_two_configurations_one_is_refused(
    module: str, first: list[str], second: list[str], folder: str, tmp_path: Path
) -> None:
    table = write_climbing(tmp_path / "climbing")
    common = [f"table={table.folder}", f"out={tmp_path / 'out'}", "runs=20", "jobs=1"]
    common += ["searcher=random_full"] if module == FIDELITY else ["searcher=random_search", "queries=20"]
    common += ["images=500"] if "noise=run" in first else []
    ends = begin_together(tmp_path, module, [*common, *first], [*common, *second])
    assert sorted(code for code, _ in ends) == [0, 2], ends
    winner = [code for code, _ in ends].index(0)
    refusal = ends[1 - winner][1].strip().splitlines()[-1]
    assert refusal.startswith("error: ")
    assert "another configuration" in refusal
    assert ", is " in refusal
    store = RunStore(tmp_path / "out" / table.name / folder)
    marks = {str(np.load(path)["fingerprint"]) for path in (store.folder / "runs").iterdir()}
    assert marks == {store._mark_here()}
    assert store.finished() == list(range(20))


def test_two_commands_of_the_same_configuration_share_the_folder(table: Table, tmp_path: Path) -> None:
    common = [f"table={table.folder}", f"out={tmp_path / 'out'}", "searcher=random_search", "queries=20", "jobs=1"]
    ends = begin_together(tmp_path, "experiments.run", [*common, "runs=20"], [*common, "runs=30"])
    assert [code for code, _ in ends] == [0, 0], ends
    assert RunStore(tmp_path / "out/small/random_search").load(range(30), 20).seeds.tolist() == list(range(30))
