"""Dask alone: schedulers that are elsewhere, empty, gone or none, and what is said of them."""

import importlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import distributed
import pytest
from distributed.comm.core import CommClosedError

from nasbench_ar import EngineError, NasbenchError, __version__
from nasbench_ar.system import dask_engine
from nasbench_ar.system.engine import Engine
from nasbench_ar.system.tasks import Breaks, pack
from tests.dask_cluster import Cluster, scheduler
from tests.nasbench_ar.system.engine_tasks import die_at_first, log_start, square
from tests.processes import python, wait_for

TASKS = [(number,) for number in range(12)]


def test_a_worker_killed_from_outside(cluster: Cluster, tmp_path: Path) -> None:
    engine = Engine("dask", dask=str(cluster.scheduler_file))
    found = []
    for number in engine.run(log_start, [(number, tmp_path, 0.1) for number in range(20)]):
        found.append(number)
        if len(found) == 4:
            last = max(path.name for path in tmp_path.iterdir())
            os.kill(int(last.split("-")[2]), signal.SIGKILL)
    assert sorted(found) == list(range(20))


def test_dask_on_this_machine(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    engine = Engine("dask", jobs=2, restarts=1)
    tasks = [(number, tmp_path, frozenset({1}), 2) for number in range(6)]  # Dask gives one task up, we do not
    assert sorted(engine.run(die_at_first, tasks)) == list(range(6))
    lines = [line for line in capfd.readouterr().err.splitlines() if "has no workers" not in line]
    assert len(lines) == 2
    assert lines[0].startswith("nasbench-ar: Dask scheduler tcp://127.0.0.1:")
    assert "dashboard http://127.0.0.1:" in lines[0]
    assert lines[1].startswith("nasbench-ar: a worker was killed (all that had begun one task, the last of them tcp://")


def test_no_scheduler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: Cluster) -> None:
    monkeypatch.setattr(dask_engine, "CONNECT_SECONDS", 1)
    (tmp_path / "not.json").write_text("{}")
    (tmp_path / "deep.json").write_text("[" * 20_000)
    (tmp_path / "odd.json").write_text('{"address": 5}')
    with cluster.workers(1) as (process,):
        del process  # only its address is of use
        worker = _any_worker(cluster)
        for there, message in [
            ("tcp://127.0.0.1:1", "no Dask scheduler answers at tcp://127.0.0.1:1 within 1 s"),
            ("tcp://127.0.0.1", "missing port"),
            ("nowhere.json", "neither an address such as tcp://host:8786 nor a scheduler's file"),
            (str(tmp_path / "not.json"), "not the file of a Dask scheduler"),
            (str(tmp_path / "deep.json"), "not the file of a Dask scheduler"),
            (str(tmp_path / "odd.json"), "its address is 5"),
            (worker, "is no Dask scheduler but a Worker"),
        ]:
            began = time.monotonic()
            with pytest.raises(EngineError, match=message) as caught:
                list(Engine("dask", dask=there).run(square, TASKS))
            assert "\n" not in str(caught.value)
            assert time.monotonic() - began < 10


def _any_worker(cluster: Cluster) -> str:
    with dask_engine._connected(cluster.address) as client:
        return str(next(iter(client.nthreads())))


def test_a_scheduler_without_workers_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dask_engine, "PATIENCE_SECONDS", 0.3)
    with scheduler(tmp_path / "empty") as empty:
        found: list[int] = []
        engine = Engine("dask", dask=empty.address)
        waiting = threading.Thread(target=lambda: found.extend(engine.run(square, TASKS)))
        waiting.start()
        said: list[str] = []
        wait_for(lambda: said.append(capfd.readouterr().err) or "has no workers; waiting for one" in "".join(said), 30)
        assert "has no workers; waiting for one" in "".join(said)
        assert not found
        with empty.workers(1):
            waiting.join(60)
    assert sorted(found) == [n * n for n in range(12)]


@pytest.mark.slow
def test_a_scheduler_that_ends(tmp_path: Path) -> None:
    code = (
        "from nasbench_ar.system.engine import Engine\n"
        "from nasbench_ar import NasbenchError\n"
        "from tests.nasbench_ar.system.engine_tasks import log_start\n"
        "from pathlib import Path\n"
        f"engine = Engine('dask', dask={str(tmp_path / 'cluster/scheduler.json')!r})\n"
        "try:\n"
        f"    list(engine.run(log_start, [(k, Path({str(tmp_path / 'log')!r}), 1.0) for k in range(9)]))\n"
        "except NasbenchError as error:\n"
        "    print(error)\n"
    )
    (tmp_path / "log").mkdir()
    with scheduler(tmp_path / "cluster") as ending, ending.workers(1):
        environment = os.environ | {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "1s"}
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        wait_for(lambda: any((tmp_path / "log").iterdir()))
        os.kill(_scheduler_process(ending), signal.SIGKILL)
        out, err = process.communicate(timeout=60)
    assert "the Dask scheduler is gone" in out
    assert len(err.splitlines()) == 1, err


def _scheduler_process(cluster: Cluster) -> int:
    with dask_engine._connected(cluster.address) as client:
        return int(client.run_on_scheduler(os.getpid))


def test_another_release_on_a_worker(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_engine, "__version__", "9.9")
    with pytest.raises(NasbenchError, match=r"has nasbench-ar .*, this command 9\.9; install the same there"):
        list(Engine("dask", dask=cluster.address).run(square, TASKS))


HERE = {"packages": {"python": "3.11", "numpy": "2", "dask": "5"}}
THERE = {"packages": {"python": "3.12", "numpy": "2", "dask": "6"}}
THREADS = "threads: one task runs at a time in a process, so start them with --nthreads 1"


OTHERS = "python 3.12 (here 3.11), dask 6 (here 5)"


@pytest.mark.parametrize(
    ("scheduler", "workers", "threads", "said"),
    [
        (HERE, {"tcp://a:1": HERE}, [1], []),
        (HERE, {}, [], []),
        (
            HERE,
            {"tcp://a:1": THERE, "tcp://b:1": HERE},
            [1, 4],
            [f"other versions on tcp://a:1: {OTHERS}", f"workers with up to 4 {THREADS}"],
        ),
        # the worker did not answer
        (
            THERE,
            {"tcp://a:1": None},
            [2],
            [f"other versions on the scheduler: {OTHERS}", f"workers with up to 2 {THREADS}"],
        ),
    ],
)
def test_other_versions_and_threads_are_noted(
    scheduler: Any, workers: Any, threads: list[int], said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    class Client:
        def get_versions(self, check: bool) -> dict[str, Any]:
            assert check is False  # it would raise where we say more
            return {"client": HERE, "scheduler": scheduler, "workers": workers}

        def nthreads(self) -> dict[str, int]:
            return dict(zip(workers, threads, strict=True))

    dask_engine._note_oddities(Client())
    assert capsys.readouterr().err.splitlines() == [f"nasbench-ar: {line}" for line in said]


class Scripted:
    """A client without a cluster: the first calls of a task end as told, others as they do."""

    def __init__(self, ends: dict[int, list[Exception]]) -> None:
        self.ends = ends
        self.groups: list[str] = []

    def map(
        self, function: Callable[..., Any], *arguments: Sequence[Any], key: list[tuple[str, int]], pure: bool
    ) -> list[Future[Any]]:
        calls = list(zip(*arguments, strict=True))
        assert not pure  # equal tasks are all run
        assert key == [(key[0][0], position) for position in range(len(calls))]
        self.groups.append(key[0][0])
        futures = []
        for call in calls:
            future: Future[Any] = Future()
            ends = self.ends.get(pickle.loads(call[1])[0])
            if ends:
                future.set_exception(ends.pop(0))
            else:
                future.set_result(function(*call))
            futures.append(future)
        return futures


def test_tasks_that_dask_gives_up_are_submitted_again(capsys: pytest.CaptureFixture[str]) -> None:
    def killed(address: str) -> Exception:
        return distributed.KilledWorker("task", SimpleNamespace(address=address), 3)

    client = Scripted({1: [killed("tcp://a:1"), killed("tcp://b:1")], 4: [killed("tcp://c:1")]})
    found = list(dask_engine._results(client, square, [(number,) for number in range(6)], Breaks(1, 6)))
    assert found == [0, 4, 9, 25, 16, 1]
    assert len(client.groups) == len(set(client.groups)) == 4
    assert capsys.readouterr().err.splitlines() == [
        f"nasbench-ar: a worker was killed (all that had begun one task, the last of them tcp://{there}:1); "
        f"{left} of 6 tasks are unfinished and submitted again"
        for there, left in (("a", 5), ("c", 3), ("b", 2))
    ]


@pytest.mark.parametrize("error", [CancelledError(), CommClosedError("in <TCP (closed) ConnectionPool.gather>")])
def test_tasks_that_dask_cancels_or_loses(error: Exception) -> None:
    results = dask_engine._results(Scripted({1: [error]}), square, [(5,), (1,)], Breaks(1, 2))
    assert next(results) == 25
    with pytest.raises(EngineError, match="^the Dask scheduler is gone or was restarted; the same command goes on$"):
        next(results)


def test_of_absent_workers_is_told_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(dask_engine, "PATIENCE_SECONDS", 0.01)
    finished: queue.SimpleQueue[Any] = queue.SimpleQueue()
    looks: list[dict[str, int]] = [{"tcp://a:1": 1}, {}]

    class Client:
        scheduler = SimpleNamespace(address="tcp://s:1")

        def nthreads(self) -> dict[str, int]:
            if len(looks) == 1:
                threading.Timer(0.1, finished.put, ["a future"]).start()
            return looks.pop(0)

    assert dask_engine._next(finished, Client()) == "a future"
    assert capsys.readouterr().err == "nasbench-ar: the Dask scheduler tcp://s:1 has no workers; waiting for one\n"


def test_what_a_worker_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_engine, "_here", lambda: "Dask worker tcp://w:1")
    assert dask_engine._call(pack(square), pack((7,)), __version__) == 49
    with pytest.raises(EngineError, match=r"^Dask worker tcp://w:1: No module named 'nowhere'; "):
        dask_engine._call(pack(importlib.import_module), pack(("nowhere",)), __version__)
    with pytest.raises(EngineError) as caught:
        dask_engine._call(pack(square), pack((7,)), "9.9")
    assert str(caught.value) == (
        f"Dask worker tcp://w:1 has nasbench-ar {__version__}, this command 9.9; install the same there"
    )


def test_without_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(EngineError, match=r"^engine=dask needs distributed, .*: pip install 'nasbench-ar\[cluster\]'$"):
        list(Engine("dask", jobs=2).run(square, TASKS))


def test_dask_is_imported_only_when_asked_for() -> None:
    code = "import sys; from nasbench_ar.system import engine as e; list(e.Engine(jobs=1).run(abs, [(1,)]))"
    assert python("-c", code + "; sys.exit('dask' in sys.modules)").returncode == 0
