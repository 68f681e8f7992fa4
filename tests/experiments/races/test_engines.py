"""Results do not depend on how many processes carry the runs out, nor on the engine, but for the time they took."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import pytest

from experiments import run
from experiments.races.complete import run_and_store
from experiments.races.config import target_of
from experiments.races.provenance import source_digest
from experiments.races.race import Race
from experiments.races.store import RunStore
from nasbench_ar import Table
from nasbench_ar.system.engine import Engine
from nasbench_ar.system.tasks import Task
from searchers.fidelity import FIDELITY_SEARCHERS
from searchers.published.lockstep import LockStep
from tests.dask_cluster import Cluster, scheduler
from tests.experiments.conftest import Command
from tests.experiments.fidelity.conftest import write_climbing
from tests.experiments.races.test_killed import content, stored, words
from tests.experiments.races.test_lockstep import QUICK
from tests.searchers.test_properties import EVERY, QUICKER, VECTORS

SEEDS = (0, 1, 2)
Store = TypeVar("Store", bound=RunStore)

# They import libraries for seconds, in every worker; runs in lock-step have a test of their own.
SLOW_TO_IMPORT = ("optuna", "nevergrad", "botorch", "baybe", "smac", "syne_tune")
ALONE = [name for name, cls in EVERY.items() if not issubclass(cls, LockStep)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler with two workers, for all tests here."""
    with scheduler(tmp_path_factory.mktemp("cluster")) as started, started.workers(2):
        yield started


def test_engines_and_jobs_change_nothing(table: Table, tmp_path: Path, command: Command, cluster: Cluster) -> None:
    elsewhere = ["engine=dask", f"dask={cluster.scheduler_file}"]
    for name, more in {"one": ["jobs=1"], "two": ["jobs=2"], "elsewhere": elsewhere}.items():
        command.passes(run.main, *words(table, "runs=5", f"out={tmp_path / name}", *more))
    first = stored(tmp_path / "one")
    assert len(first) == 5 + 4
    assert stored(tmp_path / "two") == first
    assert stored(tmp_path / "elsewhere") == first


@pytest.mark.slow
def test_engines_change_no_group(table: Table, tmp_path: Path, command: Command, cluster: Cluster) -> None:
    group = [f"table={table.folder}", "queries=30", "searcher=published_bananas", "runs=3"]
    group += [f"searcher.{key}={value}" for key, value in QUICK.items()]
    elsewhere = ["engine=dask", f"dask={cluster.scheduler_file}"]
    for name, more in {"two": ["jobs=2"], "here": ["engine=dask", "jobs=2"], "elsewhere": elsewhere}.items():
        err = command.passes(run.main, *group, f"out={tmp_path / name}", *more)[1]
        assert "lock-step groups of up to 2 runs: 2, 2 at a time" in err
    first = stored(tmp_path / "two", "small/published_bananas")
    assert len(first) == 3 + 4
    assert all(stored(tmp_path / name, "small/published_bananas") == first for name in ("here", "elsewhere"))


@pytest.mark.parametrize(
    "names",
    [
        pytest.param([name for name in ALONE if name not in SLOW_TO_IMPORT], id="light"),
        pytest.param([name for name in SLOW_TO_IMPORT if find_spec(name)], id="heavy", marks=pytest.mark.slow),
    ],
)
def test_workers_change_no_run_of_any_searcher(names: Sequence[str], tmp_path: Path, cluster: Cluster) -> None:
    """Of one objective, of several, and along learning curves; what the commands hand to their workers."""
    table = write_climbing(tmp_path / "climbing")
    engines = {"one": Engine(jobs=1), "two": Engine(jobs=2), "dask": Engine("dask", dask=str(cluster.scheduler_file))}
    found = {}
    for label, engine in engines.items():
        folder = tmp_path / label
        tasks = search_tasks(table, folder, names)
        if "random_search" in names:
            tasks += fidelity_tasks(table, folder)
        for _ in engine.run(perform, tasks):
            pass
        found[label] = {str(p.relative_to(folder)): content(p) for p in folder.rglob("seed-*.npz")}
    expected = len(names) + sum(name in VECTORS for name in names)
    expected += len(FIDELITY_SEARCHERS) if "random_search" in names else 0
    assert len(found["one"]) == expected * len(SEEDS)
    assert found["two"] == found["one"]
    assert found["dask"] == found["one"]


def perform(function: Callable[..., Any], *arguments: Any) -> Any:
    """One pool for the tasks of all experiments."""
    return function(*arguments)


def search_tasks(table: Table, folder: Path, names: Sequence[str]) -> list[Task]:
    """Every run of every searcher."""
    tasks: list[Task] = []
    for name in names:
        cls = EVERY[name]
        for objective in ("val_pgd_acc", "val_pgd_acc,macs") if name in VECTORS else ("val_pgd_acc",):
            same = {"table_hash": table.content_hash, "source": source_digest(cls)}
            race = Race(str(table.folder), objective, 24, target_of(cls), QUICKER.get(name, {}), **same)
            store = _made(RunStore(folder / name / objective))
            tasks += [(run_and_store, race, seed, store) for seed in SEEDS]
    return tasks


def fidelity_tasks(table: Table, folder: Path) -> list[Task]:
    """Every run of every multi-fidelity searcher, on three simulated machines."""
    tasks: list[Task] = []
    for name, cls in FIDELITY_SEARCHERS.items():
        same = {"table_hash": table.content_hash, "source": source_digest(cls)}
        race = Race(str(table.folder), "val_pgd_acc", 0, target_of(cls), budget=90, workers=3, **same)
        store = _made(RunStore(folder / name))
        tasks += [(run_and_store, race, seed, store) for seed in SEEDS]
    return tasks


def _made(store: Store) -> Store:
    store.claim({"fingerprint": {}}).close()
    return store
