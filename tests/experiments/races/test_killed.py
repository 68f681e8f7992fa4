"""Races that are killed again and again or run out of disk end as undisturbed ones do."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from experiments import run
from experiments.races import complete as worker
from experiments.races import provenance
from experiments.races.race import Race
from experiments.races.store import CPU, RunStore
from nasbench_ar import EngineError, Table
from nasbench_ar.system import files
from nasbench_ar.system.npz import read_npz
from searchers import RandomSearch
from tests.experiments.conftest import Command, store_runs, write_table

FOLDER = "small/bananas"


def words(table: Table, *more: object) -> list[str]:
    settings = [f"table={table.folder}", "queries=60", "searcher=bananas", "searcher.steps=40"]
    return [*settings, *map(str, more)]


def content(path: Path) -> dict[str, bytes]:
    """All that a run file holds but the time that the run took."""
    return {name: array.tobytes() for name, array in read_npz(path).items() if name != CPU}


def stored(out: Path, folder: str = FOLDER) -> dict[str, object]:
    """Every run, and what was made of them."""
    names = ["trajectories.npz", "summary.csv", "summary.md", "trajectory.png"]
    runs = {path.name: content(path) for path in (out / folder / "runs").glob("seed-*.npz")}
    return runs | {name: (out / folder / name).read_bytes() for name in names}


@dataclass
class Killer:
    """Starts a command and kills it, or one of its workers, at moments of chance."""

    call: list[str]
    runs: Path
    random: random.Random
    killed: dict[str, int] = field(default_factory=lambda: {"worker": 0, "command": 0})

    def strike(self) -> None:
        """One start, up to one worker killed, then all."""
        process = subprocess.Popen(
            self.call, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
        )
        if self.random.random() < 0.8:  # otherwise it may be killed while it starts
            self._wait_for_a_run(process)
        else:
            time.sleep(self.random.uniform(0, 2))
        workers = [child for child in _children(process.pid) if _is_worker(child)]
        if workers and process.poll() is None:
            _kill(self.random.choice(workers))
            self.killed["worker"] += 1
            if self.random.random() < 0.7:
                self._wait_for_a_run(process)
        time.sleep(self.random.uniform(0, 0.5))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            self.killed["command"] += 1
        process.wait()

    def _wait_for_a_run(self, process: subprocess.Popen[bytes]) -> None:
        before = len(list(self.runs.glob("seed-*.npz")))
        until = time.monotonic() + 120
        while len(list(self.runs.glob("seed-*.npz"))) == before and process.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
        time.sleep(self.random.uniform(0, 0.1))


def _children(process: int) -> Iterator[int]:
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        yield from map(int, task.read_text().split())


def _is_worker(process: int) -> bool:
    try:
        line = Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return False
    return "popen_loky" in line or "spawn_main" in line


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


@pytest.mark.parametrize(
    ("engine", "kills", "runs"),
    [
        ("loky", 5, 60),
        pytest.param("loky", 50, 500, marks=pytest.mark.slow),
        pytest.param("dask", 12, 300, marks=pytest.mark.slow),
    ],
)
def test_killed_until_done(table: Table, tmp_path: Path, engine: str, kills: int, runs: int) -> None:
    call = [sys.executable, "-m", "experiments.run", *words(table, f"runs={runs}", "jobs=2", f"engine={engine}")]
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    killer = Killer([*call, f"out={killed}"], killed / FOLDER / "runs", random.Random(kills))
    while sum(killer.killed.values()) < kills:
        killer.strike()
        if (killed / FOLDER / "summary.csv").exists():  # a fast machine was done before the last kill
            break
    assert sum(killer.killed.values()) > kills // 2, "give it more runs"
    print(f"killed: {killer.killed}; {len(list(killer.runs.glob('seed-*.npz')))} of {runs} runs were stored")
    for out in (killed, undisturbed):
        subprocess.run([*call, f"out={out}"], check=True, capture_output=True)
    assert len(list(killer.runs.glob("seed-*.npz"))) == runs
    assert stored(killed) == stored(undisturbed)
    assert min(killer.killed.values()) > 0


@pytest.mark.parametrize(("refused", "kept"), [("the third run", 2), ("every report", 6)])
def test_a_full_disk(
    table: Table, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch, refused: str, kept: int
) -> None:
    call = words(table, "runs=6", "jobs=1", f"out={tmp_path}")
    fsync = os.fsync
    runs = tmp_path / FOLDER / "runs"

    def full(handle: int) -> None:
        is_file = stat.S_ISREG(os.fstat(handle).st_mode)  # folders are synchronised too
        if is_file and len(list(runs.glob("seed-*.npz"))) == kept:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    monkeypatch.setattr(files.os, "fsync", full)
    error = command.fails(run.main, *call)
    assert error.startswith("error: writing ")
    assert "No space left on device; finished runs are kept, the same command goes on from there" in error
    before = {path.name: path.stat().st_mtime_ns for path in runs.iterdir()}
    assert len(before) == kept, "no temporary file stays"
    monkeypatch.setattr(files.os, "fsync", fsync)
    assert "6 runs of 60 queries" in command.passes(run.main, *call)[0]
    assert before.items() <= {path.name: path.stat().st_mtime_ns for path in runs.iterdir()}.items()


def test_a_run_that_is_stored_by_now_is_not_done_again(table: Table, tmp_path: Path) -> None:
    store = RunStore(store_runs(tmp_path / "mine", table, {0: [1, 2], 1: [3, 4]}))
    race = Race(str(table.folder), "val_pgd_acc", 60, "no.such.Searcher", table_hash="another", source="another")
    assert worker.run_and_store(race, 1, store) == 1
    assert worker.run_group_and_store(race, [0, 1], store, None) == 2
    with pytest.raises(EngineError, match="a worker finds another table in"):
        worker.run_and_store(replace(race, searcher="searchers.random_search.RandomSearch"), 2, store)


def test_a_worker_that_has_seen_another_table_or_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table_hash = write_table(tmp_path / "table").content_hash
    source = worker._digest(RandomSearch)
    path = "searchers.random_search.RandomSearch"
    old = Race(str(tmp_path / "table"), "val_pgd_acc", 60, path, table_hash=table_hash, source=source)
    worker.check_same(old)
    (tmp_path / "table").rename(tmp_path / "old")
    new = replace(old, table_hash=write_table(tmp_path / "table", shift=1.0).content_hash)
    worker.check_same(new)
    with pytest.raises(EngineError, match="finds another table"):
        worker.check_same(old)
    monkeypatch.setattr(provenance, "source_digest", lambda cls: "changed since")
    worker.check_same(new)
    with pytest.raises(
        EngineError, match=r"another source of searchers\.random_search\.RandomSearch .*start them anew"
    ):
        worker.check_same(replace(new, source="changed since"))
