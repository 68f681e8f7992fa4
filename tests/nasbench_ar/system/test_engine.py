"""Parallel work: nothing lost, nothing twice, whoever is killed."""

import contextlib
import importlib
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from nasbench_ar import ConfigError, EngineError
from nasbench_ar.system.command import carry_out
from nasbench_ar.system.engine import Engine
from nasbench_ar.system.tasks import Breaks
from tests.dask_cluster import Cluster
from tests.nasbench_ar.system.engine_tasks import (
    die,
    die_at_first,
    die_late_at_first,
    fail_at,
    interrupt_oneself,
    log_start,
    process_id,
    square,
)
from tests.nasbench_ar.system.killed_command import MOMENTS
from tests.open_files import open_files
from tests.processes import wait_for

TASKS = [(number,) for number in range(12)]


@pytest.fixture(params=["alone", "loky", "scheduler"])
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param == "scheduler":
        return Engine("dask", dask=str(request.getfixturevalue("cluster").scheduler_file))
    return Engine(jobs={"alone": 1, "loky": 2}[request.param])


def started(folder: Path) -> int:
    return len(list(folder.iterdir()))


def test_every_result_comes_once(engine: Engine) -> None:
    assert sorted(engine.run(square, TASKS)) == [n * n for n in range(12)]
    assert list(engine.run(square, [])) == []


def test_an_exception_keeps_its_class_and_message(engine: Engine) -> None:
    with pytest.raises(ValueError, match="^7 is bad$"):
        list(engine.run(fail_at, [(number, 7) for number in range(12)]))


def test_a_command_shows_only_the_frames_of_its_task(capfd: pytest.CaptureFixture[str]) -> None:
    def work(_: list[str]) -> None:
        list(Engine(jobs=2).run(fail_at, [(7, 7), (1, 7)]))

    assert carry_out(work, []) == 1
    first, frame, *_, last = capfd.readouterr().err.splitlines()
    assert first == "Traceback of a worker (most recent call last):"
    assert frame.endswith(", in fail_at")
    assert last == "ValueError: 7 is bad"


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="this system has no masks of signals")
@pytest.mark.parametrize("name", ["loky", "dask"])
def test_workers_leave_interrupts_to_the_command_from_their_first_moment(name: str) -> None:
    assert list(Engine(name, jobs=2).run(interrupt_oneself, TASKS[:2])) == [True, True]


def test_an_interrupt_while_workers_start_ends_them(monkeypatch: pytest.MonkeyPatch) -> None:
    from joblib import Parallel

    whole = Parallel.__call__

    def interrupted(parallel: Parallel, tasks: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return whole(parallel, tasks)

    monkeypatch.setattr(Parallel, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(Engine(jobs=2).run(square, TASKS))
    monkeypatch.undo()
    assert sorted(Engine(jobs=2).run(square, TASKS)) == [n * n for n in range(12)]


def test_tasks_start_in_their_order(engine: Engine, tmp_path: Path) -> None:
    numbers = [3, 1, 4, 15, 9, 2, 6, 5, 35, 8]
    assert sorted(engine.run(log_start, [(number, tmp_path) for number in numbers])) == sorted(numbers)
    places: dict[str, list[int]] = {}  # by process: one that is slow to begin may be overtaken by the other
    for path in sorted(tmp_path.iterdir()):
        _, number, process = path.name.split("-")
        places.setdefault(process, []).append(numbers.index(int(number)))
    for own in places.values():
        assert own == sorted(own)


def test_leaving_early_drops_the_rest(engine: Engine, tmp_path: Path) -> None:
    tasks = [(number, tmp_path, 0.1) for number in range(100)]
    for _ in engine.run(log_start, tasks):
        break
    time.sleep(0.5)
    begun = started(tmp_path)
    assert begun < 20
    time.sleep(0.3)
    assert started(tmp_path) == begun


@pytest.mark.parametrize("kind", ["loky", "scheduler"])
def test_killed_workers_lose_nothing(
    kind: str, cluster: Cluster, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    engine = Engine(jobs=2) if kind == "loky" else Engine("dask", dask=cluster.address)
    victims = frozenset({2, 7, 23})
    found = sorted(engine.run(die_at_first, [(number, tmp_path, victims) for number in range(24)]))
    assert found == list(range(24))
    assert len(list(tmp_path.iterdir())) == 3
    assert ("a worker was killed (SIGKILL(-9))" in capfd.readouterr().err) == (kind == "loky")


@pytest.mark.parametrize(("name", "restarts"), [("loky", 2), ("dask", 0)])
def test_a_task_that_always_kills_its_worker(name: str, restarts: int, capfd: pytest.CaptureFixture[str]) -> None:
    times = "3 times in a row" if restarts else "once"
    with pytest.raises(EngineError, match=f"workers were killed {times} without any task .*; 2 of 2 tasks are unf"):
        list(Engine(name, jobs=2, restarts=restarts).run(die, [(0,), (1,)]))
    assert capfd.readouterr().err.count("submitted again") == restarts


def test_the_last_task_of_a_killed_worker_runs_in_a_worker_again(tmp_path: Path) -> None:
    found = list(Engine(jobs=2).run(die_late_at_first, [(0, tmp_path), (1, tmp_path)]))
    assert (tmp_path / "died").exists()
    assert len(found) == 2
    assert os.getpid() not in found


def test_breaks_count_from_the_last_result() -> None:
    breaks = Breaks(1, 3)
    breaks.another("first")
    breaks.progress()
    breaks.another("second")
    with pytest.raises(EngineError, match=r"2 times in a row .* \(third\); 2 of 3 tasks"):
        breaks.another("third")


def test_one_process_runs_in_this_one() -> None:
    assert set(Engine(jobs=1).run(process_id, TASKS)) == {os.getpid()}
    assert set(Engine(jobs=2).run(process_id, TASKS[:1])) == {os.getpid()}
    assert os.getpid() not in set(Engine(jobs=2).run(process_id, TASKS))


def test_processes(cluster: Cluster) -> None:
    assert Engine(jobs=3).processes() == 3
    assert Engine("dask", jobs=2).processes() == 2
    assert Engine("dask", dask=cluster.address).processes() == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"name": "ray"}, "engine='ray': expected one of loky, dask"),
        ({"jobs": 0}, "jobs=0: expected a number of processes"),
        ({"restarts": -1}, "restarts=-1: expected an integer of at least 0"),
        ({"dask": "tcp://a:1"}, "dask=tcp://a:1: a scheduler goes with engine=dask"),
        ({"dask": "a\nb"}, r"dask='a\\nb': neither a scheduler's address nor the path of its file"),
        ({"name": "dask", "dask": "9" * 5000}, r"dask='9+\.\.\.: neither a scheduler's address"),
        ({"name": "dask", "dask": ""}, "dask= takes a scheduler's address or its file"),
        ({"name": "dask", "dask": "tcp://a:1", "jobs": 4}, "jobs=4: the workers of the scheduler tcp://a:1 decide"),
    ],
)
def test_values_that_do_not_fit(words: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Engine(**words)


@pytest.mark.parametrize(("name", "need"), [("loky", 64 + 12), ("dask", 64 + 120)])
def test_workers_need_open_files(name: str, need: int) -> None:
    with open_files(need - 1), pytest.raises(EngineError, match=f"12 workers of engine={name} needs up to {need}: "):
        Engine(name, jobs=20).run(square, TASKS)
    with open_files(need):
        Engine(name, jobs=20).run(square, TASKS)
        assert list(Engine(jobs=1).run(square, TASKS[:2])) == [0, 1]


def test_code_that_workers_do_not_have(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "only_here.py").write_text("def twice(number):\n    return 2 * number\n")
    monkeypatch.syspath_prepend(tmp_path)
    import only_here  # type: ignore[import-not-found]

    assert list(Engine(jobs=2).run(only_here.twice, [(1,), (1,)])) == [2, 2]
    with pytest.raises(EngineError, match="a worker process: No module named 'nowhere'"):
        list(Engine(jobs=2).run(importlib.import_module, [("nowhere",), ("nowhere",)]))
    with pytest.raises(EngineError, match=r"Dask worker tcp://.*: No module named 'only_here'; .*on PYTHONPATH"):
        list(Engine("dask", dask=cluster.address).run(only_here.twice, TASKS))


needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux's /proc")


class Command:
    """A command that is killed, and everything that it started."""

    def __init__(self, *words: object) -> None:
        self.mark = f"NASBENCH_AR_TEST={uuid.uuid4().hex}"
        name, _, value = self.mark.partition("=")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.nasbench_ar.system.killed_command", *map(str, words)],
            env={**os.environ, name: value},
            stderr=subprocess.DEVNULL,
        )

    def others(self) -> list[int]:
        return [process for process in map(int, filter(str.isdigit, os.listdir("/proc"))) if self._is_mine(process)]

    def _is_mine(self, process: int) -> bool:
        try:
            marks = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
        except OSError:  # it has ended, or is somebody else's
            return False
        return process != self.process.pid and self.mark.encode() in marks and _is_alive(process)

    def leaves_nobody(self, seconds: float = 60.0) -> bool:
        self.process.wait()
        wait_for(lambda: not self.others(), seconds)
        for process in (left := self.others()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        return not left


@needs_proc
@pytest.mark.parametrize("name", ["loky", pytest.param("dask", marks=pytest.mark.slow)])
def test_workers_end_with_a_killed_command(name: str, tmp_path: Path) -> None:
    command = Command(name, tmp_path)
    wait_for(lambda: started(tmp_path) == 2)
    assert len(command.others()) >= 2
    command.process.kill()
    assert command.leaves_nobody()


@needs_proc
@pytest.mark.parametrize("moment", MOMENTS)
def test_workers_end_with_a_command_that_is_killed_while_they_start(moment: str, tmp_path: Path) -> None:
    command = Command("loky", tmp_path, moment)
    assert command.process.wait(60) == -signal.SIGKILL
    assert command.leaves_nobody()
    assert not list(tmp_path.iterdir()) or moment == "a task is handed in"


@needs_proc
@pytest.mark.slow
def test_no_worker_is_left_after_any_of_24_kills(tmp_path: Path) -> None:
    chance = random.Random(15)
    begun = 0
    for number in range(24):
        folder = tmp_path / str(number)
        folder.mkdir()
        command = Command("loky", folder)
        wait_for(command.others)
        if number % 4 == 0:  # otherwise at any moment until then, or in the middle of a task
            wait_for(lambda folder=folder: started(folder))
        time.sleep(chance.uniform(0.0, 3.0) if number % 4 != 1 else 0.0)
        command.process.kill()
        assert command.leaves_nobody(), f"kill {number}"
        begun += bool(started(folder))
    print(f"24 kills, {begun} of them after the first task had begun")
    assert 6 <= begun < 24


def _is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
